"""Decisions in rows: what a cycle decided, by which line, and what was not done about it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import NotNullable, func, select, update

from dynamo.db.engine import bulk_insert
from dynamo.db.engine.pagination import Listing
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Cycle, Decision, Partition
from dynamo.db.tables.types import Json
from dynamo.reasons import Reason


class NewDecision(NamedTuple):
    """A decision that is about to be kept."""

    position: int
    site: str
    dataset: str
    block: str | None
    action: str
    line: int
    text: str
    n_files: int
    bytes: int
    facts: str
    """As JSON."""
    proposer: str | None


_CHUNK = 1000


class DecisionRow(NamedTuple):
    """What a cycle decided about a dataset, or a block, at a site."""

    site: str
    dataset: str
    block: str | None
    action: str
    line: int
    proposer: str | None
    text: str
    facts: Json
    n_files: int
    bytes: int
    refused: str | None


_COLUMNS = (
    Decision.site,
    Decision.dataset,
    Decision.block,
    Decision.action,
    Decision.line,
    Decision.proposer,
    Decision.text,
    Decision.facts,
    Decision.n_files,
    Decision.bytes,
    Decision.refused,
)


def add(work: Work, cycle_id: int, rows: Sequence[NewDecision]) -> None:
    """Keep decisions."""
    bulk_insert.insert(work, Decision, {"cycle_id": cycle_id}, NewDecision._fields, rows)


def refuse(work: Work, cycle_id: int, refused: Mapping[int, Reason]) -> None:
    """Note why decisions were not carried out, by their places in the plan."""
    for reason in sorted(set(refused.values())):
        places = sorted(place for place, said in refused.items() if said == reason)
        for start in range(0, len(places), _CHUNK):
            chosen = Decision.position.in_(places[start : start + _CHUNK])
            mine = (Decision.cycle_id == cycle_id, chosen)
            work.changed(update(Decision).where(*mine).values(refused=reason))


def refuse_from(work: Work, cycle_id: int, position: int, action: str, reason: Reason) -> None:
    """Note that decisions from a place on were not carried out."""
    rest = (Decision.cycle_id == cycle_id, Decision.position >= position, Decision.action == action)
    work.changed(update(Decision).where(*rest).values(refused=reason))


def refusals(work: Work, cycle_id: int) -> dict[str, int]:
    """Count what was not carried out, by reason."""
    counted = (
        select(NotNullable(Decision.refused), func.count())
        .where(Decision.cycle_id == cycle_id, Decision.refused.is_not(None))
        .group_by(Decision.refused)
    )
    return dict(work.rows(counted))


def listing(cycle_id: int, site: str | None, dataset: str | None) -> Listing[DecisionRow]:
    """List the decisions of a cycle in the order of the plan, all or those about names."""
    chosen = select(Decision.id).where(Decision.cycle_id == cycle_id)
    if site is not None:
        chosen = chosen.where(Decision.site == site)
    if dataset is not None:
        chosen = chosen.where(Decision.dataset == dataset)
    return Listing.of(DecisionRow, select(*_COLUMNS), chosen, Decision.id, [Decision.position])


ANYWHERE = ""
"""The site of a copy that the Dealer found no place for."""


class LastDecision(NamedTuple):
    """What the last cycle of a kind decided."""

    decision: DecisionRow
    kind: str
    cycle_id: int
    partition: str
    at: datetime


def about(work: Work, dataset: str, site: str) -> list[LastDecision]:
    """Return what the last cycles of each kind that were carried out and saw it decided."""
    meant = (Decision.dataset == dataset, Decision.site.in_((site, ANYWHERE)))
    newest = (
        select(func.max(Decision.cycle_id))
        .join(Cycle, Cycle.id == Decision.cycle_id)
        .where(*meant, Cycle.dry_run.is_(False))
        .group_by(Cycle.kind)
    )
    shown = (
        select(Cycle.kind, Decision.cycle_id, Partition.name, Cycle.created, *_COLUMNS)
        .join(Cycle, Cycle.id == Decision.cycle_id)
        .join(Partition, Partition.id == Cycle.partition_id)
    )
    chosen = (Decision.cycle_id.in_(work.scalars(newest)), *meant)
    rows = work.rows(shown.where(*chosen).order_by(Decision.cycle_id, Decision.position))
    return [LastDecision(DecisionRow._make(row[4:]), *row[:4]) for row in rows]
