"""Datasets as they are changed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset


def locked(work: Work, name: str) -> Any:
    """Lock a dataset and return its row, or None."""
    return work.row(
        select(*Dataset.__table__.columns).where(Dataset.name == name).with_for_update()
    )


def change(work: Work, dataset_id: int, values: Mapping[str, Any]) -> None:
    """Change a dataset."""
    changed = {**values, "updated": work.now}
    work.changed(update(Dataset).where(Dataset.id == dataset_id).values(changed))
