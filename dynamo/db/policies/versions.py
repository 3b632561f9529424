"""Policies and placement rules with versions; the newest is in force."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, func, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Partition, PlacementRules, Policy

Table = type[Policy] | type[PlacementRules]


class VersionRow(NamedTuple):
    """A text that was put in force for a partition."""

    id: int
    partition: str
    version: int
    text: str
    who: str
    at: datetime


def _shown(table: Table) -> Select[int, str, int, str, str, datetime]:
    columns = (
        table.id,
        Partition.name.label("partition"),
        table.version,
        table.text,
        table.who,
        table.at,
    )
    return select(*columns).join(Partition, Partition.id == table.partition_id)


def in_force(work: Work, partition: str, table: Table = Policy) -> VersionRow | None:
    """Return the text in force for a partition, or None."""
    newest = _shown(table).where(Partition.name == partition).order_by(table.version.desc())
    return work.read_one(VersionRow, newest.limit(1))


def all_in_force(work: Work, table: Table = Policy) -> list[VersionRow]:
    """Return the texts in force, by partition."""
    newest = select(func.max(table.version).label("version"), table.partition_id)
    last = newest.group_by(table.partition_id).subquery()
    same_version = (last.c.partition_id == table.partition_id) & (last.c.version == table.version)
    return work.read(VersionRow, _shown(table).join(last, same_version).order_by(Partition.id))


def version(work: Work, partition: str, number: int, table: Table = Policy) -> VersionRow | None:
    """Return a version of a text, or None."""
    named = (Partition.name == partition, table.version == number)
    return work.read_one(VersionRow, _shown(table).where(*named))


def before(
    work: Work, partition: str, number: int | None, limit: int, table: Table = Policy
) -> list[VersionRow]:
    """Return versions before one (None = all), the newest first."""
    older = _shown(table).where(Partition.name == partition)
    if number is not None:
        older = older.where(table.version < number)
    return work.read(VersionRow, older.order_by(table.version.desc()).limit(limit))


def locked(work: Work, partition: str) -> int | None:
    """Lock a partition against other changes of its texts; return its key, or None."""
    return work.scalar(select(Partition.id).where(Partition.name == partition).with_for_update())


def add(work: Work, partition_id: int, text: str, who: str, table: Table = Policy) -> int:
    """Put a text in force; return its version."""
    newest = select(func.max(table.version)).where(table.partition_id == partition_id)
    number = (work.scalar(newest) or 0) + 1
    work.add(table, partition_id=partition_id, version=number, text=text, who=who, at=work.now)
    return number


def partitions(work: Work) -> list[str]:
    """Return the names of all partitions."""
    return work.scalars(select(Partition.name).order_by(Partition.name))
