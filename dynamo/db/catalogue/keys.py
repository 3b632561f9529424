"""Keys of names, many at once."""

from collections.abc import Iterable

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset, Group, Site

_CHUNK = 1000


def datasets(work: Work, names: Iterable[str]) -> dict[str, int]:
    """Return the keys of the existing datasets of these names."""
    return _keys(work, Dataset, names)


def sites(work: Work, names: Iterable[str]) -> dict[str, int]:
    """Return the keys of the existing sites of these names."""
    return _keys(work, Site, names)


def groups(work: Work, names: Iterable[str]) -> dict[str, int]:
    """Return the keys of the existing groups of these names."""
    return _keys(work, Group, names)


def _keys(
    work: Work, table: type[Dataset] | type[Group] | type[Site], names: Iterable[str]
) -> dict[str, int]:
    wanted = sorted(set(names))
    keys: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        named = table.name.in_(wanted[start : start + _CHUNK])
        keys |= dict(work.rows(select(table.name, table.id).where(named)))
    return keys
