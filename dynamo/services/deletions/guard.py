"""The deletion guard: nothing leaves a site unless another good copy stays, whoever asks.

It stands below requests, consolidation and every other cause; only data that are removed as a whole
pass it by. All functions expect the blocks' rows locked by the caller.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import select

from dynamo.db.catalogue import good_copies
from dynamo.db.deletions import condemnation
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.expressions import Condition, total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.evacuation import evacuation
from dynamo.db.sites import switches
from dynamo.db.tables import BlockReplica, Deletion, File, ReplicaFile, Site
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import OPEN
from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusals:
    """Replicas that stay, by reason."""

    last_copy: tuple[int, ...] = ()
    in_use: tuple[int, ...] = ()
    switched_off: tuple[int, ...] = ()
    too_much: tuple[int, ...] = ()
    """Enough is leaving their sites already."""

    @property
    def reasons(self) -> dict[int, Reason]:
        """Return why each replica stays."""
        return (
            dict.fromkeys(self.last_copy, Reason.LAST_COPY)
            | dict.fromkeys(self.in_use, Reason.IN_USE)
            | dict.fromkeys(self.switched_off, Reason.SWITCHED_OFF)
            | dict.fromkeys(self.too_much, Reason.VOLUME_LIMIT)
        )

    @property
    def all(self) -> frozenset[int]:
        """Return all that stay."""
        return frozenset(self.reasons)

    def __bool__(self) -> bool:
        return bool(self.all)


@dataclass(frozen=True, slots=True)
class Condemned:
    """What a call has condemned, in files, and what stays."""

    n_files: int
    refused: Refusals


class PlacedReplica(NamedTuple):
    """A replica that may go."""

    id: int
    block_id: int
    site_id: int
    in_use: int
    bytes: int
    site: str


def condemn(
    work: Work, replica_ids: Collection[int], order: Order, *, last_copies: bool = False
) -> Condemned:
    """Condemn those replicas that may go.

    Copies are counted after the blocks were locked, at READ COMMITTED: five deleters that race for
    the copies of one block come here one after the other, and the last one is refused.
    `last_copies` is said by the owner, who removes data as a whole, or by an operator.
    """
    replicas = placed(work, BlockReplica.id.in_(replica_ids))
    idle = set(switches.stopped_sites(work))
    halted = bool(switches.stopped(work, switches.DELETIONS))
    stopped = [r.id for r in replicas if halted or r.site in idle]
    used = [r.id for r in replicas if r.id not in stopped and r.in_use > 0]
    last = (
        []
        if last_copies
        else _last(
            work, [r for r in replicas if r.id not in stopped and r.id not in used], order.leaving
        )
    )
    free = [r for r in replicas if r.id not in {*stopped, *used, *last}]
    late = beyond(work, free, order.most)
    ids = [r.id for r in free if r.id not in late]
    n_files = condemnation.condemn_replicas(work, ids, order) if ids else 0
    return Condemned(n_files, Refusals(tuple(last), tuple(used), tuple(stopped), tuple(late)))


def placed(work: Work, which: Condition) -> list[PlacedReplica]:
    """Return those of the replicas that are valid, in the order of their keys."""
    return work.read(
        PlacedReplica,
        select(
            BlockReplica.id,
            BlockReplica.block_id,
            BlockReplica.site_id,
            BlockReplica.in_use,
            BlockReplica.bytes,
            Site.name.label("site"),
        )
        .join(Site, Site.id == BlockReplica.site_id)
        .where(which, BlockReplica.state == ReplicaState.VALID)
        .order_by(BlockReplica.id),
    )


def beyond(work: Work, replicas: Collection[PlacedReplica], most: int | None) -> list[int]:
    """Return the replicas that would leave although enough is leaving their sites.

    One that is larger than the limit leaves when nothing else does, or it never would.
    """
    if most is None or not replicas:
        return []
    leaving = _leaving(work, {replica.site_id for replica in replicas})
    return [
        replica.id
        for replica in replicas
        if not _passes(leaving, [replica.site_id], replica.bytes, most)
    ]


def files_beyond(work: Work, file_ids: Collection[int], most: int | None) -> list[int]:
    """Return the single files that would leave although enough is leaving one of their sites."""
    if most is None or not file_ids:
        return []
    listed = (ReplicaFile.replica_id == BlockReplica.id) & (ReplicaFile.file_id == File.id)
    rows = work.rows(
        select(File.id, BlockReplica.site_id, File.size)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .outerjoin(ReplicaFile, listed)
        .where(
            File.id.in_(file_ids),
            BlockReplica.state == ReplicaState.VALID,
            BlockReplica.complete.is_(True) | ReplicaFile.file_id.is_not(None),
        )
        .order_by(File.id)
    )
    leaving = _leaving(work, {site for _, site, _ in rows})
    return [
        file_id
        for (file_id, size), some in groupby(rows, lambda row: (row[0], row[2] or 0))
        if not _passes(leaving, [site for _, site, _ in some], size, most)
    ]


def _passes(leaving: dict[int, int], sites: Sequence[int], size: int, most: int) -> bool:
    """Tell whether something may leave its sites now; if so it is counted there."""
    if any(leaving.get(site, 0) and leaving[site] + size > most for site in sites):
        return False
    leaving |= {site: leaving.get(site, 0) + size for site in sites}
    return True


def _leaving(work: Work, site_ids: Collection[int]) -> dict[int, int]:
    """Return the bytes that are leaving sites, with their block replicas or file by file."""
    replicas = select(BlockReplica.site_id, total(BlockReplica.bytes)).where(
        BlockReplica.site_id.in_(site_ids), BlockReplica.state == ReplicaState.CONDEMNED
    )
    files = select(Deletion.site_id, total(Deletion.bytes)).where(
        Deletion.replica_id.is_(None), Deletion.state.in_(OPEN), Deletion.site_id.in_(site_ids)
    )
    found: Counter[int] = Counter()
    found.update(dict(work.rows(replicas.group_by(BlockReplica.site_id))))
    found.update(dict(work.rows(files.group_by(Deletion.site_id))))
    return dict(found)


def _last(work: Work, replicas: Collection[PlacedReplica], emptied: Collection[str]) -> list[int]:
    """Return the replicas that must stay.

    Without them, all of them gone, a block would have no complete copy at a site that stays.
    """
    dying = evacuation.dying_ids(work, emptied) if replicas else set()
    leaving: dict[int, set[int]] = {}
    for replica in replicas:
        leaving.setdefault(replica.block_id, set()).add(replica.site_id)
    kept: list[int] = []
    for sites in {frozenset(sites) for sites in leaving.values()}:
        blocks = [block for block, where in leaving.items() if where == sites]
        others = good_copies.others(work, blocks, sites, dying)
        kept += [r.id for r in replicas if r.block_id in blocks and r.block_id not in others]
    return kept
