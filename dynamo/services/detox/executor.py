"""Carrying out a plan of Detox: through the guard, some blocks at a time.

The plan was made of a snapshot; what has changed since is noticed here, under the locks of the
blocks. Each unit of work renews the cycle's lease first: who has lost it changes nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select, update

from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.accounting import BookingLimits, QuotaKey
from dynamo.db.catalogue.replicas import LockedBlock
from dynamo.db.cycles import decisions
from dynamo.db.cycles.cycles import HeldCycle
from dynamo.db.deletions import dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.sites import switches
from dynamo.db.tables import (
    BlockReplica,
    Cycle,
    Dataset,
    DatasetReplica,
    Partition,
    Request,
)
from dynamo.detox.decision_records import ACTIONS, DELETE, HAND_OVER, Records
from dynamo.detox.plan import Plan
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.request_bodies import SystemDeletionBody
from dynamo.inventory.snapshot import Lock
from dynamo.inventory.states import DatasetStatus, Origin, ReplicaState
from dynamo.operations.hints import batches
from dynamo.points import Point, reached
from dynamo.policy.image import View
from dynamo.policy.partitions import Partitions
from dynamo.reasons import Reason
from dynamo.services import system_requests
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation, guard
from dynamo.services.leases import fence
from dynamo.services.policies import locks
from dynamo.services.replication import ownership
from dynamo.services.replication.ownership import NewOwner

BLOCKS_AT_ONCE = 20
DETOX = "detox"
_BAD = (DatasetStatus.DEPRECATED, DatasetStatus.INVALID)
"""What nobody needs the last copy of."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block replica that is to go: its keys, and the decision that says so."""

    position: int
    line: str
    dataset: int
    """Place in the snapshot."""
    block_id: int
    replica_id: int


@dataclass(slots=True)
class Outcome:
    """What became of the plan so far."""

    blocks: int = 0
    files: int = 0
    bytes: int = 0
    refused: dict[int, Reason] = field(default_factory=dict)
    """Decisions, by place in the plan, that were not or not wholly carried out."""
    locked: dict[int, Reason] = field(default_factory=dict)
    """Block replicas that were locked after the cycle had looked."""

    def note(
        self, some: Sequence[Piece], there: Mapping[int, int], result: guard.Condemned
    ) -> None:
        """Take in what the guard did with some of the pieces."""
        gone = {
            piece.replica_id: Reason.BEING_DELETED
            for piece in some
            if piece.replica_id not in there
        }
        kept = {**result.refused.reasons, **gone, **self.locked}
        self.files += result.n_files
        for piece in some:
            if piece.replica_id in kept:
                self.refused[piece.position] = kept[piece.replica_id]
            else:
                self.blocks += 1
                self.bytes += there[piece.replica_id]


def pieces(plan: Plan, some: Records, position: int) -> Iterator[Piece]:
    """Yield the block replicas of those records that delete; the first stands at `position`."""
    known, place = plan.snapshot.block_replicas, some.place
    source = plan.rows.source[some.rows]
    going = (some.action[place] == ACTIONS.index(DELETE)) & (source >= 0)
    source, place = source[going], place[going]
    numbers = some.line[place].tolist()
    lines = {number: plan.line(number) for number in set(numbers)}
    words = {number: f"line {line.at}: {line.text}" for number, line in lines.items()}
    return map(
        Piece,
        (place + position).tolist(),
        map(words.__getitem__, numbers),
        plan.rows.dataset[some.rows[going]].tolist(),
        plan.snapshot.blocks.ids[known.block[source]].tolist(),
        known.ids[source].tolist(),
    )


# --- deletions -----------------------------------------------------------------------------------


def execute(
    ctx: Context, held: HeldCycle, going: Sequence[Piece], seen: Collection[Lock] = ()
) -> dict[str, int]:
    """Condemn what a plan deletes; return how much of it was.

    `seen` are the locks that the plan respects; those that were set since are looked at here.
    """
    total = Outcome()
    request_id = _request(ctx, held) if going else 0
    reached(Point.CYCLE_FILED)
    for batch in _batches(going):
        done = _condemn(ctx, held, request_id, batch, seen)
        if done is None:
            _stop(ctx, held, batch[0].position)
            break
        reached(Point.CYCLE_CONDEMNED)
        total.blocks += done.blocks
        total.files += done.files
        total.bytes += done.bytes
    return {"blocks": total.blocks, "files": total.files, "bytes": total.bytes}


def _batches(going: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Cut into batches; no block stands twice in one, as the guard judges a batch as a whole."""
    batch: list[Piece] = []
    blocks: set[int] = set()
    for piece in going:
        if len(batch) == BLOCKS_AT_ONCE or piece.block_id in blocks:
            yield batch
            batch, blocks = [], set()
        batch.append(piece)
        blocks.add(piece.block_id)
    if batch:
        yield batch


@retried
def _request(ctx: Context, held: HeldCycle) -> int:
    """File the deletion under which all this goes, so that it is watched and rescued like any."""
    with ctx.begin() as work:
        request_id = system_requests.file(
            work, ctx, Origin.CYCLE, SystemDeletionBody(cycle_id=held.id)
        )
        fence(work, held, request_id=request_id)
        return request_id


@retried
def _condemn(
    ctx: Context, held: HeldCycle, request_id: int, batch: Sequence[Piece], seen: Collection[Lock]
) -> Outcome | None:
    """Condemn a batch under the locks of its blocks; None = an operator has stopped it."""
    with ctx.begin() as work:
        fence(work, held, summary={"done": batch[0].position})
        if switches.stopped(work, DETOX, switches.DELETIONS):
            return None
        blocks = replica_rows.lock_blocks(work, [piece.block_id for piece in batch])
        there = _there(work, batch)
        datasets = {row.dataset_id for row in blocks.values()}
        lenient = _dispensable(work, held, datasets)
        grace = timedelta(hours=ctx.settings.deletion.grace_hours)
        most, leaving = ctx.settings.deletion.site_bytes, ctx.settings.dealer.leaving
        locked = locks.locked_since(work, datasets, seen)
        done = Outcome(locked=dict.fromkeys(locked, Reason.LOCKED))
        for (line, last), some in _alike(batch, blocks, lenient).items():
            ids = [one for one in (piece.replica_id for piece in some) if one in there]
            ids = [one for one in ids if one not in locked]
            order = Order(request_id, DETOX, SYSTEM, grace, why=line, most=most, leaving=leaving)
            result = guard.condemn(work, ids, order, last_copies=last)
            done.note(some, there, result)
            if last:
                _take_out(
                    work, request_id, {piece.block_id: blocks[piece.block_id] for piece in some}
                )
        decisions.refuse(work, held.id, done.refused)
        _count(work, request_id, done)
        dispatch.announce(work, request_id, ctx.settings.work.batch)
        return done


def _there(work: Work, batch: Sequence[Piece]) -> dict[int, int]:
    """Return the bytes of those replicas that nobody has condemned meanwhile."""
    mine = BlockReplica.id.in_([piece.replica_id for piece in batch])
    valid = (mine, BlockReplica.state == ReplicaState.VALID)
    sizes = work.rows(select(BlockReplica.id, BlockReplica.bytes).where(*valid))
    return dict(sizes)


def _dispensable(work: Work, held: HeldCycle, dataset_ids: Collection[int]) -> set[int]:
    """Return the datasets whose last copy may go: as the partition says, or as they are bad."""
    allowed = select(Partition.allow_last_copy).join(Cycle, Cycle.partition_id == Partition.id)
    if work.scalar(allowed.where(Cycle.id == held.id)):
        return set(dataset_ids)
    bad = (Dataset.id.in_(dataset_ids), Dataset.status.in_(_BAD))
    return set(work.scalars(select(Dataset.id).where(*bad)))


def _alike(
    batch: Sequence[Piece], blocks: Mapping[int, LockedBlock], lenient: Collection[int]
) -> dict[tuple[str, bool], list[Piece]]:
    """Put together what goes by the same line, and whether the last copy may."""
    found: dict[tuple[str, bool], list[Piece]] = {}
    for piece in batch:
        block = blocks.get(piece.block_id)
        last = block is not None and block.dataset_id in lenient
        found.setdefault((piece.line, last), []).append(piece)
    return found


def _take_out(work: Work, request_id: int, blocks: Mapping[int, LockedBlock]) -> None:
    """Forget the names of what lies nowhere any more."""
    valid = (BlockReplica.block_id.in_(blocks), BlockReplica.state == ReplicaState.VALID)
    left = set(work.scalars(select(BlockReplica.block_id).where(*valid)))
    lost = {
        key: block
        for key, block in blocks.items()
        if key not in left and block.condemned_by is None
    }
    if lost:
        condemnation.take_out(work, request_id, lost)


def _count(work: Work, request_id: int, done: Outcome) -> None:
    values = {"n_files": Request.n_files + done.files, "bytes": Request.bytes + done.bytes}
    work.changed(update(Request).where(Request.id == request_id).values(values))


@retried
def _stop(ctx: Context, held: HeldCycle, position: int) -> None:
    with ctx.begin() as work:
        fence(work, held)
        decisions.refuse_from(work, held.id, position, DELETE, Reason.SWITCHED_OFF)


# --- hand-overs ----------------------------------------------------------------------------------


def handed(some: Records, position: int) -> Iterator[tuple[int, int]]:
    """Yield rows that those records hand over, each with its decision's place in the plan."""
    place = some.place
    going = some.action[place] == ACTIONS.index(HAND_OVER)
    return zip(some.rows[going].tolist(), (place[going] + position).tolist(), strict=True)


def hand_over(
    ctx: Context, held: HeldCycle, plan: Plan, partitions: Partitions, positions: Mapping[int, int]
) -> int:
    """Give block replicas to other groups; what they fill is accounted where they belong then.

    Return how many there were. What has no room in the partition of its new owner stays: its
    decision, whose place in the plan is known by row, says so.
    """
    rows, snapshot = plan.hand_overs.row, plan.snapshot
    destinations = _homes(plan, partitions)
    moves: dict[tuple[int, str | None], dict[int, int]] = {}
    for row, group in zip(rows.tolist(), plan.hand_overs.group.tolist(), strict=True):
        source = int(plan.rows.source[row])
        key = (int(snapshot.groups.ids[group]), destinations.get(row))
        replica = int(snapshot.block_replicas.ids[source])
        moves.setdefault(key, {})[replica] = positions[row]
    return sum(
        _hand_over(ctx, held, new_owner, {key: some[key] for key in batch})
        for new_owner, some in sorted(moves.items(), key=str)
        for batch in batches(list(some), 500)
    )


def _homes(plan: Plan, partitions: Partitions) -> dict[int, str]:
    """Return the partition that each row belongs to under its new owner."""
    rows, view = plan.hand_overs.row, View.of(plan.image)
    destinations: dict[int, str] = {}
    if not len(rows):
        return destinations
    for name, partition in partitions.by_name.items():
        if partition.condition is not None:
            inside = partitions.members(name, plan.moment).rows(view)[rows]
            for row in rows[inside].tolist():
                destinations.setdefault(row, name)
    return destinations


@retried
def _hand_over(
    ctx: Context, held: HeldCycle, new_owner: tuple[int, str | None], positions: Mapping[int, int]
) -> int:
    """Give block replicas, by key with the places of their decisions, to a group."""
    group_id, destination = new_owner
    with ctx.begin() as work:
        fence(work, held)
        if switches.stopped(work, DETOX):
            decisions.refuse(work, held.id, dict.fromkeys(positions.values(), Reason.SWITCHED_OFF))
            return 0
        partition_id = work.scalar(select(Partition.id).where(Partition.name == destination))
        n, staying = ownership.hand_over(
            work, NewOwner(group_id, partition_id), list(positions), DETOX, _quota_alone
        )
        decisions.refuse(work, held.id, {positions[key]: why for key, why in staying.items()})
        return n


def _quota_alone(_place: QuotaKey) -> BookingLimits:
    """Let nothing but the quota bound what a partition takes: what is over is for its policy."""
    return BookingLimits()


# --- dataset replicas ----------------------------------------------------------------------------


def stop_growing(ctx: Context, held: HeldCycle, plan: Plan) -> None:
    """Let new blocks no longer follow to where nothing of a dataset stays."""
    replicas, snapshot = plan.snapshot.replicas, plan.snapshot
    ending = plan.ending[replicas.growing[plan.ending]]
    pairs = [
        (
            int(snapshot.datasets.ids[replicas.dataset[one]]),
            int(snapshot.sites.ids[replicas.site[one]]),
        )
        for one in ending.tolist()
    ]
    if pairs:
        _stop_growing(ctx, held, pairs)


@retried
def _stop_growing(ctx: Context, held: HeldCycle, pairs: Sequence[tuple[int, int]]) -> None:
    with ctx.begin() as work:
        fence(work, held)
        valid = select(BlockReplica.id).where(
            BlockReplica.dataset_id == DatasetReplica.dataset_id,
            BlockReplica.site_id == DatasetReplica.site_id,
            BlockReplica.state == ReplicaState.VALID,
        )
        for dataset_id, site_id in pairs:
            mine = (DatasetReplica.dataset_id == dataset_id, DatasetReplica.site_id == site_id)
            ended = update(DatasetReplica).where(*mine, ~valid.exists())
            work.changed(ended.values(growing=False))
