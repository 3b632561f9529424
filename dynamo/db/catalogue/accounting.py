"""The sums: quotas of sites, unique bytes of users, sizes of datasets.

Conditional UPDATEs change them in the transaction that changes the counted rows: first datasets,
then sites, then users. So the rows with most contention are locked last and shortest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, bindparam, or_, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset, Quota, User

QuotaKey = tuple[int, int]
"""The keys of a site and a partition."""


_COUNT = bindparam("by_count", type_=BigInteger())
_SIZE = bindparam("by_size", type_=BigInteger())
_BOOK = (
    update(Quota)
    .where(
        Quota.site_id == bindparam("at_site"),
        Quota.partition_id == bindparam("of_partition"),
        or_(Quota.max_bytes.is_(None), Quota.projected + _SIZE <= Quota.max_bytes),
    )
    .values(projected=Quota.projected + _SIZE)
)
_CHARGE = (
    update(User)
    .where(
        User.id == bindparam("by_id"),
        or_(User.max_bytes.is_(None), User.used + _SIZE <= User.max_bytes),
    )
    .values(used=User.used + _SIZE, n_files=User.n_files + _COUNT)
)
_GROW = (
    update(Dataset)
    .where(Dataset.id == bindparam("by_id"))
    .values(
        n_files=Dataset.n_files + _COUNT, bytes=Dataset.bytes + _SIZE, updated=bindparam("by_now")
    )
)
_GROW_OPEN = _GROW.where(Dataset.is_open.is_(True))


def room(work: Work, place: QuotaKey) -> int | None:
    """Return the bytes that a partition may still take at a site; None = unlimited."""
    row = work.row(select(Quota.max_bytes, Quota.projected).where(*_at(place)))
    if row is None:
        return 0
    max_bytes, projected = row
    return None if max_bytes is None else max_bytes - projected


def book(work: Work, place: QuotaKey, size: int) -> bool:
    """Reserve bytes for a partition at a site; return False without space or quota."""
    values = {"at_site": place[0], "of_partition": place[1], "by_size": size}
    return work.changed(_BOOK, values) == 1


@dataclass(frozen=True, slots=True)
class BookingLimits:
    """Limits in bytes for copies of a partition to a site; None = unlimited."""

    projected: int | None = None
    pending: int | None = None
    """Limit of bytes in transfer or booked."""


def book_within(
    work: Work, place: QuotaKey, size: int, most: BookingLimits, there: int = 0
) -> bool:
    """Reserve bytes within the quota and more limits; return False if one would be exceeded.

    `there` of the bytes are at the site already, on another account.
    """
    within = [or_(Quota.max_bytes.is_(None), Quota.projected + size <= Quota.max_bytes)]
    if most.projected is not None:
        within.append(Quota.projected + size <= most.projected)
    if most.pending is not None and there < size:
        within.append(Quota.projected - Quota.used + (size - there) <= most.pending)
    values = {"projected": Quota.projected + size, "used": Quota.used + there}
    return work.changed(update(Quota).where(*_at(place), *within).values(values)) == 1


def lock(work: Work, places: Iterable[QuotaKey]) -> None:
    """Lock quotas, in the order that all changes use."""
    for place in sorted(set(places)):
        work.row(select(Quota.site_id).where(*_at(place)).with_for_update())


def limit(work: Work, place: QuotaKey) -> tuple[bool, int | None]:
    """Return whether a partition has a quota at a site, and its bytes; None = unlimited."""
    row = work.row(select(Quota.max_bytes).where(*_at(place)))
    return row is not None, None if row is None else row[0]


def shift(work: Work, changes: Mapping[QuotaKey, tuple[int, int]]) -> None:
    """Add (projected, used) bytes at sites, regardless of limits.

    For data that arrived or were deleted.
    """
    for place in sorted(changes):
        projected, used = changes[place]
        if projected or used:
            values = {"projected": Quota.projected + projected, "used": Quota.used + used}
            work.changed(update(Quota).where(*_at(place)).values(values))


def summed(changes: Iterable[tuple[int, int, int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the sums of (site, partition, projected, used) per quota."""
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for site, partition, projected, used in changes:
        before = places.get((site, partition), (0, 0))
        places[site, partition] = (before[0] + projected, before[1] + used)
    return places


def charge(work: Work, user_id: int | None, n_files: int, size: int) -> bool:
    """Charge unique bytes to a user; return False if over quota. Official data have no user."""
    if user_id is None:
        return True
    values = {"by_id": user_id, "by_size": size, "by_count": n_files}
    return work.changed(_CHARGE, values) == 1


def refund(work: Work, user_id: int | None, n_files: int, size: int) -> None:
    """Refund unique bytes to a user."""
    if user_id is not None:
        values = {"used": User.used - size, "n_files": User.n_files - n_files}
        work.changed(update(User).where(User.id == user_id).values(values))


def grow(work: Work, dataset_id: int, n_files: int, size: int) -> None:
    """Add files and bytes, or subtract negative ones, to a dataset."""
    work.changed(_GROW, _growth(work, dataset_id, n_files, size))


def grow_open(work: Work, dataset_id: int, n_files: int, size: int) -> bool:
    """Add new files to a dataset; return False if it is closed."""
    return work.changed(_GROW_OPEN, _growth(work, dataset_id, n_files, size)) == 1


def _growth(work: Work, dataset_id: int, n_files: int, size: int) -> dict[str, object]:
    return {"by_id": dataset_id, "by_count": n_files, "by_size": size, "by_now": work.now}


def _at(place: QuotaKey) -> tuple[ColumnElement[bool], ...]:
    return (Quota.site_id == place[0], Quota.partition_id == place[1])
