"""Builds the plan of a finished cycle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dynamo.detox.plan import (
    Decisions,
    Deletions,
    Evidence,
    HandOvers,
    Plan,
    Rows,
    SiteState,
    Verdict,
)
from dynamo.detox.state import NOTHING, CycleState
from dynamo.inventory.snapshot import Amounts, Codes, Flags
from dynamo.policy.syntax import Policy


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished cycle, and its state at the beginning."""

    policy: Policy
    moment: float
    cycle: CycleState
    targets: Flags
    used_before: Amounts
    triggered: Flags
    site_order: tuple[int, ...]
    unmatched: tuple[int, ...]
    evidence: Mapping[str, Evidence]


def report(finished: Finished) -> Plan:
    """Return the plan."""
    cycle, image = finished.cycle, finished.cycle.image
    snapshot = image.snapshot
    deletions = _deletions(cycle)
    decisions = _decisions(cycle, deletions)
    decided = np.zeros(image.n_replicas, np.bool_)
    decided[image.replica[decisions.row]] = True
    handed = np.flatnonzero(cycle.new_owner != NOTHING)
    return Plan(
        policy=finished.policy,
        snapshot=snapshot,
        moment=finished.moment,
        image=image,
        rows=Rows(
            image.source,
            image.origin[image.replica],
            image.dataset[image.replica],
            image.site[image.replica],
            image.block,
            image.size,
        ),
        decisions=decisions,
        deletions=deletions,
        hand_overs=HandOvers(handed, cycle.new_owner[handed]),
        ending=_ending(cycle, deletions),
        ignored=image.origin[~decided & (np.diff(image.first) > 0)],
        sites=_sites(finished),
        rounds=cycle.round,
        site_order=tuple(snapshot.sites.labels[site] for site in finished.site_order),
        unmatched=finished.unmatched,
        evidence=finished.evidence,
    )


def _deletions(cycle: CycleState) -> Deletions:
    gone = cycle.gone
    rows = np.concatenate([np.zeros(0, np.intp), *gone.rows])
    return Deletions(
        row=rows,
        line=np.concatenate([np.zeros(0, np.int32), *gone.lines]),
        step=np.concatenate([np.zeros(0, np.intp), *gone.steps]),
        round=np.concatenate([np.zeros(0, np.int32), *gone.rounds]),
        at_once=np.concatenate([np.zeros(0, np.bool_), *gone.at_once]),
        held=np.zeros(len(rows), np.bool_),
    )


def _decisions(cycle: CycleState, deletions: Deletions) -> Decisions:
    protected = np.flatnonzero(cycle.protected != NOTHING)
    again = np.array(list(cycle.also_protected), np.int64).reshape(-1, 2)
    kept = np.flatnonzero(cycle.dismissed != NOTHING)
    rows = [protected, again[:, 0], deletions.row, kept]
    lines = [
        cycle.protected[protected],
        again[:, 1].astype(np.int32),
        deletions.line,
        cycle.dismissed[kept],
    ]
    verdicts = [Verdict.PROTECT, Verdict.PROTECT, Verdict.DELETE, Verdict.KEEP]
    verdict = np.concatenate(
        [np.full(len(row), verdict, np.int8) for row, verdict in zip(rows, verdicts, strict=True)]
    )
    row, line = np.concatenate(rows), np.concatenate(lines)
    order = np.lexsort((line, verdict, row))
    return Decisions(row[order], verdict[order], line[order])


def _ending(cycle: CycleState, deletions: Deletions) -> Codes:
    """Return dataset replicas with nothing left, not even rows outside the image."""
    image = cycle.image
    snapshot = image.snapshot
    deleted = np.bincount(image.replica[deletions.row], minlength=image.n_replicas)
    total = snapshot.rows_by_replica[image.origin]
    total = np.where(total == 0, np.diff(image.first), total)
    return np.asarray(image.origin[(deleted > 0) & (deleted == total)])


def _sites(finished: Finished) -> tuple[SiteState, ...]:
    cycle, image = finished.cycle, finished.cycle.image
    protected = np.zeros(len(cycle.quota), np.int64)
    rows = np.flatnonzero((cycle.protected != NOTHING) & image.alive)
    np.add.at(protected, image.site[image.replica[rows]], image.size[rows])
    labels = image.snapshot.sites.labels
    return tuple(
        SiteState(
            site=labels[site],
            quota=float(cycle.quota[site]),
            used_before=int(finished.used_before[site]),
            used_after=int(cycle.used[site]),
            protected=int(protected[site]),
            triggered=bool(finished.triggered[site]),
            still_triggered=bool(cycle.triggered[site]),
        )
        for site in np.flatnonzero(finished.targets).tolist()
    )
