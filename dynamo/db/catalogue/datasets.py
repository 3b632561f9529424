"""Changes of datasets."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset


class LockedDataset(NamedTuple):
    """A dataset that is about to be changed."""

    id: int
    owner_id: int | None
    status: str
    type: str
    n_files: int
    bytes: int


def locked(work: Work, name: str) -> LockedDataset | None:
    """Lock a dataset and return it, or None."""
    columns = (
        Dataset.id,
        Dataset.owner_id,
        Dataset.status,
        Dataset.type,
        Dataset.n_files,
        Dataset.bytes,
    )
    return work.read_one(
        LockedDataset, select(*columns).where(Dataset.name == name).with_for_update()
    )


def change(work: Work, dataset_id: int, values: Mapping[str, object]) -> None:
    """Change a dataset."""
    changed = {**values, "updated": work.now}
    work.changed(update(Dataset).where(Dataset.id == dataset_id).values(changed))
