"""A plan as records: the action on each replica, the line that decided it, and the facts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dynamo.detox.explanation import NO_LINE, Reasons
from dynamo.detox.plan import Plan, Verdict
from dynamo.inventory.snapshot import Amounts, Codes, Flags, Words
from dynamo.policy.image import Places

DELETE = "delete"
HELD_BACK = "held-back"
"""A deletion beyond a limit of the cycle."""
HAND_OVER = "hand-over"
PROTECT = "protect"
KEEP = "keep"
ACTIONS = (DELETE, HELD_BACK, HAND_OVER, PROTECT, KEEP)

_OF_VERDICT = {Verdict.PROTECT: PROTECT, Verdict.KEEP: KEEP}


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Decisions in columns, each about a dataset at a site, or about one block of it."""

    action: Words
    """Position in `ACTIONS`."""
    line: Codes
    """Number of the line; -1 for a hand-over, which follows from owners, not from a line."""
    whole: Flags
    """Flags of records about all block replicas of a dataset replica; else about one."""
    rows: Places
    """Rows of the image; those of record `r` are `first[r]:first[r + 1]`."""
    first: Amounts
    n_files: Amounts
    size: Amounts
    facts: Sequence[str]
    """The values of the line's variables when it decided, as JSON."""

    @property
    def place(self) -> Places:
        """Return the number of the record of each row."""
        return np.repeat(np.arange(len(self.action)), np.diff(self.first))


@dataclass(frozen=True, slots=True, eq=False)
class _Bundles:
    """Decisions in columns: each by one line about rows of one dataset replica."""

    action: Words
    line: Codes
    rows: Places
    first: Amounts


def records(plan: Plan, at_once: int) -> Iterator[Records]:
    """Yield all decisions in batches: deletions in order, then kept replicas, then hand-overs.

    A decision about some blocks of a dataset at a site becomes one record per block, with the facts
    of all.
    """
    files, reasons, bundles = _files(plan), Reasons(plan), _bundles(plan)
    for start in range(0, len(bundles.action), at_once):
        batch = _slice(bundles, start, start + at_once)
        facts = reasons.facts(batch.line, batch.rows, batch.first)
        yield _records(plan, batch, facts, files)


def _bundles(plan: Plan) -> _Bundles:
    """Return deletions step by step, then kept replicas, then hand-overs."""
    parts = [_deleted(plan), _kept(plan), _handed(plan)]
    rows, line, action, begins = (np.concatenate(column) for column in zip(*parts, strict=True))
    first = np.flatnonzero(begins)
    return _Bundles(action[first], line[first], rows, np.append(first, len(rows)))


_Part = tuple[Places, Codes, Words, Flags]
"""Columns: row of the image, line, action, whether a bundle begins."""


def _deleted(plan: Plan) -> _Part:
    done = plan.deletions
    action = np.where(done.held, ACTIONS.index(HELD_BACK), ACTIONS.index(DELETE))
    return done.row, done.line, action.astype(np.int8), np.diff(done.step, prepend=-1) != 0


def _kept(plan: Plan) -> _Part:
    made = plan.decisions
    chosen = np.flatnonzero(np.isin(made.verdict, list(_OF_VERDICT)))
    row, line, verdict = made.row[chosen], made.line[chosen], made.verdict[chosen]
    replica = plan.rows.replica[row]
    order = np.lexsort((row, line, verdict, replica))
    keys = np.stack([replica, verdict, line])[:, order]
    code = np.zeros(max(Verdict) + 1, np.int8)
    for kind, action in _OF_VERDICT.items():
        code[kind] = ACTIONS.index(action)
    return row[order], line[order], code[verdict[order]], _changes(keys)


def _handed(plan: Plan) -> _Part:
    """Return the hand-overs by dataset, site and new owner."""
    row = plan.hand_overs.row
    line = np.full(len(row), NO_LINE, np.int32)
    action = np.full(len(row), ACTIONS.index(HAND_OVER), np.int8)
    keys = np.stack([plan.rows.replica[row], plan.hand_overs.group])
    return row, line, action, _changes(keys)


def _changes(keys: Codes) -> Flags:
    return np.asarray(np.any(np.diff(keys, axis=1, prepend=-1) != 0, axis=0))


def _slice(all_of: _Bundles, begin: int, end: int) -> _Bundles:
    first = all_of.first[begin : end + 1]
    rows = all_of.rows[first[0] : first[-1]]
    return _Bundles(all_of.action[begin:end], all_of.line[begin:end], rows, first - first[0])


def _records(plan: Plan, of: _Bundles, facts: Sequence[str], files: Amounts) -> Records:
    """Split bundles that are not whole dataset replicas into single blocks."""
    counts = np.diff(of.first)
    replica = plan.image.replica[of.rows[of.first[:-1]]]
    whole = counts == np.diff(plan.image.first)[replica]
    bundle = np.repeat(np.arange(len(counts)), counts)
    begins = ~whole[bundle]
    begins[of.first[:-1]] = True
    first = np.flatnonzero(begins)
    bundle = bundle[first]
    return Records(
        action=of.action[bundle],
        line=of.line[bundle],
        whole=whole[bundle],
        rows=of.rows,
        first=np.append(first, len(of.rows)),
        n_files=np.add.reduceat(files[of.rows], first),
        size=np.add.reduceat(plan.rows.size[of.rows], first),
        facts=[facts[place] for place in bundle.tolist()],
    )


def _files(plan: Plan) -> Amounts:
    """Return the number of files of each row of the image."""
    source = plan.rows.source
    known = plan.snapshot.block_replicas.n_files
    files = np.zeros(len(source), np.int64)
    files[source >= 0] = known[source[source >= 0]]
    return files
