"""One cycle of Detox: what it looks at, the plan that is kept with its reasons, what is done."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from sqlalchemy import select

from dynamo.db.cycles import cycles, decisions
from dynamo.db.cycles.cycles import HeldCycle
from dynamo.db.cycles.decisions import NewDecision
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.snapshots import attributes
from dynamo.db.snapshots import file as snapshot_file
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import Block
from dynamo.detox import summary as told
from dynamo.detox.comparison import compared
from dynamo.detox.decision_records import ACTIONS, Records, records
from dynamo.detox.engine import Question, decide
from dynamo.detox.explanation import NO_LINE
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Plan
from dynamo.inventory.snapshot import Amounts
from dynamo.operations.hints import batches
from dynamo.points import Point, reached
from dynamo.policy.lint import check_policy
from dynamo.policy.partitions import Partitions, read_partitions
from dynamo.policy.placement_rules import in_force
from dynamo.policy.reader import Known, Reading
from dynamo.policy.syntax import Policy
from dynamo.services.context import Context
from dynamo.services.detox import executor as detox_executor
from dynamo.services.detox.executor import Piece
from dynamo.services.leases import CycleLost
from dynamo.services.pagination import Item
from dynamo.services.policies import policies
from dynamo.settings import Detox

RECORDS_AT_ONCE = 10_000
_TEXT = 1000


@dataclass(frozen=True, slots=True)
class CycleSnapshot:
    """What a cycle is asked, and what it has looked at."""

    question: Question
    reading: Reading
    compare: Policy | None
    dry_run: bool


def run(ctx: Context, held: HeldCycle) -> Item:
    """Decide, keep what was decided, carry it out unless it is a dry run; return the summary."""
    seen = load(ctx, held)
    plan = decide(seen.question, limits(ctx.settings.detox))
    summary = {
        "warnings": [one.show("policy") for one in seen.reading.warnings],
        **told.summary(plan),
    }
    if seen.compare is not None:
        other = decide(replace(seen.question, policy=seen.compare), limits(ctx.settings.detox))
        summary["comparison"] = told.comparison(compared(plan, other))
    kept = keep(ctx, held, plan)
    reached(Point.CYCLE_DECIDED)
    if not seen.dry_run:
        summary["condemned"] = detox_executor.execute(
            ctx, held, kept.pieces, frozenset(seen.question.snapshot.locks)
        )
        summary["handed_over"] = detox_executor.hand_over(
            ctx, held, plan, seen.question.partitions, kept.handed
        )
        detox_executor.stop_growing(ctx, held, plan)
    return {**summary, "refused": _refusals(ctx, held)}


def load(ctx: Context, held: HeldCycle) -> CycleSnapshot:
    """Read the inventory at one moment, and what is asked of it. Raises Invalid."""
    wanted = ctx.settings.detox
    with ctx.begin.snapshot() as work:
        cycle = cycles.looked_at(work, held)
        text = cycle.text
        if text is None:
            text = policies.in_force(work, cycle.partition).text
        columns = snapshot_loader.load(work, wanted.protected_sites)
        if wanted.keep_snapshots:
            columns = snapshot_loader.with_block_names(work, columns)
        moment = work.now.timestamp()
    partitions = read_partitions(columns.partitions)
    reading = _read(text, cycle.partition, partitions)
    other = cycle.summary.get("compare")
    if wanted.keep_snapshots:
        asked = snapshot_file.RecordedQuestion(cycle.partition, text, asdict(limits(wanted)))
        snapshot_file.save(columns, moment, saved_at(ctx, held.id), asked)
    return CycleSnapshot(
        Question(columns, partitions, reading.policy, moment, in_force(columns)),
        reading,
        _read(other, cycle.partition, partitions).policy if isinstance(other, str) else None,
        cycle.dry_run,
    )


def saved_at(ctx: Context, cycle_id: int) -> Path:
    """Return where the snapshot of a cycle is kept."""
    return ctx.settings.data / "cycles" / f"{cycle_id}.npz"


def limits(numbers: Detox) -> Limits:
    """Return how much a cycle may delete."""
    return Limits(
        per_round=numbers.round_share,
        bytes_per_site=numbers.site_bytes,
        files_per_site=numbers.site_files,
        bytes=numbers.total_bytes,
        files=numbers.total_files,
    )


def _read(text: str, partition: str, partitions: Partitions) -> Reading:
    known = Known(partitions.by_name.keys(), attributes.produced())
    return check_policy(text, partition, partition=partition, known=known)


# --- kept ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Kept:
    """What is to be done of a plan, in its order."""

    pieces: list[Piece] = field(default_factory=list)
    """What is to be deleted."""
    handed: dict[int, int] = field(default_factory=dict)
    """By row that is handed over: the place of its decision in the plan."""


def keep(ctx: Context, held: HeldCycle, plan: Plan) -> Kept:
    """Keep all decisions with their lines; return what is to be done."""
    kept = Kept()
    position = 0
    for some in records(plan, RECORDS_AT_ONCE):
        _add(ctx, held, list(rows(plan, some, _uuids(ctx, plan, some), position)))
        kept.pieces += detox_executor.pieces(plan, some, position)
        kept.handed |= detox_executor.handed(some, position)
        position += len(some.facts)
    return kept


@retried
def _add(ctx: Context, held: HeldCycle, rows: Sequence[NewDecision]) -> None:
    with ctx.begin() as work:
        if not cycles.keep(work, held):
            raise CycleLost
        decisions.add(work, held.id, rows)


def rows(
    plan: Plan, some: Records, uuids: Sequence[str | None], position: int
) -> Iterator[NewDecision]:
    """Yield what is kept, a row for each record."""
    first = some.rows[some.first[:-1]]
    sites, datasets = plan.snapshot.sites.labels, plan.snapshot.datasets.labels
    lines = [plan.line(number) if number != NO_LINE else None for number in some.line.tolist()]
    columns = zip(
        range(position, position + len(first)),
        map(sites.__getitem__, plan.rows.site[first].tolist()),
        map(datasets.__getitem__, plan.rows.dataset[first].tolist()),
        uuids,
        map(ACTIONS.__getitem__, some.action.tolist()),
        [line.at if line else 0 for line in lines],
        [line.text[:_TEXT] if line else "" for line in lines],
        some.n_files.tolist(),
        some.size.tolist(),
        some.facts,
        [None] * len(first),
        strict=True,
    )
    return map(NewDecision._make, columns)


def _uuids(ctx: Context, plan: Plan, some: Records) -> list[str | None]:
    """Return the ids behind the `#` of blocks that are meant alone, None for whole datasets."""
    places = plan.rows.block[some.rows[some.first[:-1]]]
    keys: Amounts = np.where(some.whole, 0, plan.snapshot.blocks.ids[places])
    wanted = np.unique(keys[~some.whole]).tolist()
    names: dict[int, str] = {}
    with ctx.begin.reading() as work:
        for batch in batches(wanted, 1000):
            names |= _named(work, batch)
    return [names.get(key) for key in keys.tolist()]


def _named(work: Work, keys: Sequence[int]) -> dict[int, str]:
    found = work.rows(select(Block.id, Block.uuid).where(Block.id.in_(keys)))
    return dict(found)


@retried
def _refusals(ctx: Context, held: HeldCycle) -> dict[str, int]:
    with ctx.begin.reading() as work:
        return decisions.refusals(work, held.id)
