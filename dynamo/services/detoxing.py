"""One cycle of Detox: what it looks at, the plan that is kept with its reasons, what is done."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import select

from dynamo.db import cycles, decisions, policies, snapshot, snapshot_file
from dynamo.db.cycles import Held
from dynamo.db.popularity import PRODUCED
from dynamo.db.tables import Block
from dynamo.db.work import Work, retried
from dynamo.detox import summary as told
from dynamo.detox.comparing import compared
from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Plan
from dynamo.detox.records import DELETE, Record, records
from dynamo.inventory.snapshot import Amounts
from dynamo.policy.advice import check_policy
from dynamo.policy.partitions import Partitions, read_partitions
from dynamo.policy.reading import Known, Reading
from dynamo.policy.tree import Policy
from dynamo.services import enacting
from dynamo.services.enacting import CycleLost, Piece
from dynamo.services.pages import Item
from dynamo.services.tools import Tools
from dynamo.settings import Detox

RECORDS_AT_ONCE = 10_000
_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cycle is asked, and what it has looked at."""

    question: Question
    reading: Reading
    compare: Policy | None
    dry_run: bool


def run(use: Tools, held: Held) -> Item:
    """Decide, keep what was decided, carry it out unless it is a dry run; return the summary."""
    seen = look(use, held)
    plan = decide(seen.question, limits(use.settings.detox))
    summary = {
        "warnings": [one.show("policy") for one in seen.reading.warnings],
        **told.summary(plan),
    }
    if seen.compare is not None:
        other = decide(replace(seen.question, policy=seen.compare), limits(use.settings.detox))
        summary["comparison"] = told.comparison(compared(plan, other))
    pieces = keep(use, held, plan)
    if not seen.dry_run:
        summary["condemned"] = enacting.condemn(use, held, pieces)
        summary["handed_over"] = enacting.hand_over(use, held, plan, seen.question.partitions)
        enacting.stop_growing(use, held, plan)
    return {**summary, "refused": _refusals(use, held)}


def look(use: Tools, held: Held) -> Seen:
    """Read the inventory at one moment, and what is asked of it. Raises Invalid."""
    wanted = use.settings.detox
    with use.begin.snapshot() as work:
        cycle = cycles.get(work, held.id)
        text = cycle.text
        if text is None:
            text = policies.in_force(work, cycle.partition).text
        columns = snapshot.load(work, wanted.protected_sites)
        moment = work.now.timestamp()
    partitions = read_partitions(columns.partitions)
    reading = _read(text, cycle.partition, partitions)
    other = cycle.summary.get("compare")
    if wanted.keep_snapshots:
        path = use.settings.data / "cycles" / f"{held.id}.npz"
        snapshot_file.save(columns, moment, path)
    return Seen(
        Question(columns, partitions, reading.policy, moment),
        reading,
        None if other is None else _read(other, cycle.partition, partitions).policy,
        cycle.dry_run,
    )


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
    known = Known(partitions.by_name.keys(), PRODUCED)
    return check_policy(text, partition, partition=partition, known=known)


# --- kept ----------------------------------------------------------------------------------------


def keep(use: Tools, held: Held, plan: Plan) -> list[Piece]:
    """Keep all decisions with their lines; return what is to be deleted, in order."""
    pieces: list[Piece] = []
    position = 0
    coming = records(plan)
    while batch := list(islice(coming, RECORDS_AT_ONCE)):
        names = _uuids(use, plan, batch)
        rows = [row for one in batch for row in _rows(plan, one, names)]
        placed = [(position + place, *row) for place, row in enumerate(rows)]
        _add(use, held, placed)
        for one in batch:
            if one.action == DELETE:
                pieces += enacting.pieces(plan, one, position)
            position += 1 if one.whole else len(one.rows)
    return pieces


@retried
def _add(use: Tools, held: Held, rows: Sequence[tuple[Any, ...]]) -> None:
    with use.begin() as work:
        if not cycles.keep(work, held):
            raise CycleLost
        decisions.add(work, held.id, rows)


def _rows(plan: Plan, one: Record, uuids: dict[int, str]) -> Iterator[tuple[Any, ...]]:
    """Yield one row for a dataset replica, or one for each block where only some are meant."""
    line, text = (0, "") if one.line is None else (one.line.at, one.line.text[:_TEXT])
    facts = json.dumps(one.facts)
    head = (one.site, one.dataset)
    tail = (one.action, line, text)
    if one.whole:
        yield (*head, None, *tail, one.n_files, one.size, facts)
        return
    files = plan.snapshot.block_replicas.n_files
    for row in one.rows.tolist():
        source = int(plan.rows.source[row])
        block = uuids.get(int(plan.rows.block[row]))
        n_files = int(files[source]) if source >= 0 else 0
        yield (*head, block, *tail, n_files, int(plan.rows.size[row]), facts)


def _uuids(use: Tools, plan: Plan, batch: Sequence[Record]) -> dict[int, str]:
    """Return the ids behind the `#` of blocks that are meant alone, by place in the snapshot."""
    places = sorted(
        {int(plan.rows.block[row]) for one in batch if not one.whole for row in one.rows}
    )
    keys: Amounts = plan.snapshot.blocks.ids[places]
    names: dict[int, str] = {}
    with use.begin.reading() as work:
        for start in range(0, len(keys), 1000):
            names |= _named(work, keys[start : start + 1000].tolist())
    return {
        place: names[key] for place, key in zip(places, keys.tolist(), strict=True) if key in names
    }


def _named(work: Work, keys: Sequence[int]) -> dict[int, str]:
    rows = work.rows(select(Block.id, Block.uuid).where(Block.id.in_(keys)))
    return {row.id: row.uuid for row in rows}


@retried
def _refusals(use: Tools, held: Held) -> dict[str, int]:
    with use.begin.reading() as work:
        return decisions.refusals(work, held.id)
