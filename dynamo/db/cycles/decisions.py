"""Decisions in rows: what a cycle decided, by which line, and what was not done about it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update

from dynamo.db.engine import bulk_insert
from dynamo.db.engine.pagination import Listing, Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Cycle, Decision, Partition
from dynamo.reasons import Reason

COLUMNS = (
    *("position", "site", "dataset", "block", "action", "line", "text"),
    *("n_files", "bytes", "facts", "proposer"),
)
_SHOWN: Selection = select(*Decision.__table__.columns)
_CHUNK = 1000


def add(work: Work, cycle_id: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep decisions, rows of `COLUMNS`, their facts as JSON texts."""
    bulk_insert.insert(work, Decision, {"cycle_id": cycle_id}, COLUMNS, rows)


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
        select(Decision.refused, func.count())
        .where(Decision.cycle_id == cycle_id, Decision.refused.is_not(None))
        .group_by(Decision.refused)
    )
    return {str(reason): int(count) for reason, count in work.rows(counted)}


def listing(cycle_id: int, site: str | None, dataset: str | None) -> Listing:
    """List the decisions of a cycle in the order of the plan, all or those about names."""
    chosen: Selection = select(Decision.id).where(Decision.cycle_id == cycle_id)
    if site is not None:
        chosen = chosen.where(Decision.site == site)
    if dataset is not None:
        chosen = chosen.where(Decision.dataset == dataset)
    return Listing(_SHOWN, chosen, Decision.id, [Decision.position])


ANYWHERE = ""
"""The site of a copy that the Dealer found no place for."""


def about(work: Work, dataset: str, site: str) -> Sequence[Any]:
    """Return what the last cycles of each kind that were carried out and saw it decided."""
    meant = (Decision.dataset == dataset, Decision.site.in_((site, ANYWHERE)))
    newest = (
        select(func.max(Decision.cycle_id))
        .join(Cycle, Cycle.id == Decision.cycle_id)
        .where(*meant, Cycle.dry_run.is_(False))
        .group_by(Cycle.kind)
    )
    shown = (
        select(
            *Decision.__table__.columns,
            Partition.name.label("partition"),
            Cycle.created,
            Cycle.kind,
        )
        .join(Cycle, Cycle.id == Decision.cycle_id)
        .join(Partition, Partition.id == Cycle.partition_id)
    )
    chosen = (Decision.cycle_id.in_(work.scalars(newest)), *meant)
    return work.rows(shown.where(*chosen).order_by(Decision.cycle_id, Decision.position))
