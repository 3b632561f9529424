"""A plan as records to keep: what becomes of whom, by which line and on what grounds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dynamo.detox.explaining import Reasons, Value
from dynamo.detox.plan import Decision, Plan, Verdict, runs
from dynamo.inventory.snapshot import Amounts
from dynamo.policy.image import Places
from dynamo.policy.tree import Line

DELETE = "delete"
HELD_BACK = "held-back"
"""Would be deleted, but a limit of the cycle is reached."""
HAND_OVER = "hand-over"
PROTECT = "protect"
KEEP = "keep"
ACTIONS = (DELETE, HELD_BACK, HAND_OVER, PROTECT, KEEP)

_OF_VERDICT = {Verdict.PROTECT: PROTECT, Verdict.KEEP: KEEP}


@dataclass(frozen=True, slots=True)
class Record:
    """One decision about a dataset at a site, or about single blocks of it."""

    action: str
    line: Line | None
    """None for a hand-over, which no line but the owners of the blocks ask for."""
    dataset: str
    site: str
    whole: bool
    """All block replicas that the cycle saw there are meant."""
    rows: Places
    """Places in the image."""
    n_files: int
    size: int
    facts: dict[str, Value]
    """The values of the line's variables when it decided."""


def records(plan: Plan) -> Iterator[Record]:
    """Go through all that was decided: first what goes, in its order, then what stays."""
    files, reasons = _files(plan), Reasons(plan)
    for action, decision in _decisions(plan):
        yield _record(reasons, action, decision, files)
    for rows in _handed(plan):
        group = int(plan.hand_overs.group[np.searchsorted(plan.hand_overs.row, rows[0])])
        name = plan.snapshot.groups.labels[group]
        dataset, site = _names(plan, rows)
        size = int(plan.rows.size[rows].sum())
        n_files, whole = int(files[rows].sum()), _whole(plan, rows)
        facts: dict[str, Value] = {"group": name}
        yield Record(HAND_OVER, None, dataset, site, whole, rows, n_files, size, facts)


def _decisions(plan: Plan) -> Iterator[tuple[str, Decision]]:
    done = plan.deletions
    for places in runs(done.step):
        rows, first = done.row[places], places[0]
        size = int(plan.rows.size[rows].sum())
        names = _names(plan, rows)
        decision = Decision(*names, Verdict.DELETE, int(done.line[first]), rows, size)
        yield (HELD_BACK if done.held[first] else DELETE), decision
    for decision in plan.each_decision():
        if decision.verdict in _OF_VERDICT:
            yield _OF_VERDICT[decision.verdict], decision


def _record(reasons: Reasons, action: str, decision: Decision, files: Amounts) -> Record:
    plan, found = reasons.plan, reasons.of(decision)
    return Record(
        action=action,
        line=found.line,
        dataset=decision.dataset,
        site=decision.site,
        whole=_whole(plan, decision.rows),
        rows=decision.rows,
        n_files=int(files[decision.rows].sum()),
        size=decision.size,
        facts={name: _plain(value) for name, value in found.values.items()},
    )


def _handed(plan: Plan) -> Iterator[Places]:
    """Split what is handed over by dataset, site and new owner."""
    rows, group = plan.hand_overs.row, plan.hand_overs.group
    keys = np.stack([plan.rows.replica[rows], group])
    changes = np.any(np.diff(keys, axis=1, prepend=-1) != 0, axis=0)
    for places in runs(np.cumsum(changes)):
        yield rows[places]


def _files(plan: Plan) -> Amounts:
    """Return the files that each row of the image has."""
    source = plan.rows.source
    known = plan.snapshot.block_replicas.n_files
    files = np.zeros(len(source), np.int64)
    files[source >= 0] = known[source[source >= 0]]
    return files


def _whole(plan: Plan, rows: Places) -> bool:
    replica = int(plan.image.replica[rows[0]])
    return len(rows) == int(plan.image.first[replica + 1] - plan.image.first[replica])


def _names(plan: Plan, rows: Places) -> tuple[str, str]:
    dataset, site = int(plan.rows.dataset[rows[0]]), int(plan.rows.site[rows[0]])
    return plan.snapshot.datasets.labels[dataset], plan.snapshot.sites.labels[site]


def _plain(value: Value) -> Value:
    """Write infinity as a word: JSON has no number for it."""
    if isinstance(value, list):
        return [one for item in value if not isinstance(one := _plain(item), list)]
    if isinstance(value, float) and not math.isfinite(value):
        return "unlimited" if value > 0 else str(value)
    return value
