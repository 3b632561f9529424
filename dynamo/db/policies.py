"""Policies in rows: texts that were put in force, the newest of a partition still is."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from dynamo.db.tables import Partition, Policy
from dynamo.db.work import Work

_COLUMNS = (
    Policy.id,
    Policy.partition_id,
    Partition.name.label("partition"),
    Policy.version,
    Policy.text,
    Policy.who,
    Policy.at,
)
_SHOWN = select(*_COLUMNS).join(Partition, Partition.id == Policy.partition_id)


def in_force(work: Work, partition: str) -> Any:
    """Return the policy of a partition, or None."""
    newest = _SHOWN.where(Partition.name == partition).order_by(Policy.version.desc())
    return work.row(newest.limit(1))


def version(work: Work, partition: str, number: int) -> Any:
    """Return a policy that was put in force, or None."""
    return work.row(_SHOWN.where(Partition.name == partition, Policy.version == number))


def before(work: Work, partition: str, number: int | None, limit: int) -> Sequence[Any]:
    """Return versions older than one (None = all), the newest first."""
    older = _SHOWN.where(Partition.name == partition)
    if number is not None:
        older = older.where(Policy.version < number)
    return work.rows(older.order_by(Policy.version.desc()).limit(limit))


def locked(work: Work, partition: str) -> int | None:
    """Lock a partition against other changes of its policy; return its key, None for no such."""
    found = work.scalar(select(Partition.id).where(Partition.name == partition).with_for_update())
    return None if found is None else int(found)


def add(work: Work, partition_id: int, text: str, who: str) -> int:
    """Put a text in force; return its version."""
    newest = select(func.max(Policy.version)).where(Policy.partition_id == partition_id)
    number = int(work.scalar(newest) or 0) + 1
    work.add(Policy, partition_id=partition_id, version=number, text=text, who=who, at=work.now)
    return number


def partitions(work: Work) -> list[str]:
    """Return the names of all partitions."""
    return work.scalars(select(Partition.name).order_by(Partition.name))
