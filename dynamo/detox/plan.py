"""What Detox decided, each decision with the line that made it; nothing has been done yet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.snapshot import Amounts, Codes, Flags, Snapshot, Words
from dynamo.policy.image import Image, Places
from dynamo.policy.syntax import Line, Policy


class Verdict(IntEnum):
    """What becomes of a block replica."""

    PROTECT = 1
    DELETE = 2
    KEEP = 3
    """It could have gone, but the site had no need."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The block replicas that the cycle saw, by dataset, site and block."""

    source: Codes
    """Place among the snapshot's block replicas; -1 for a part of an empty tape replica."""
    replica: Codes
    """Place among the snapshot's dataset replicas."""
    dataset: Codes
    site: Codes
    block: Codes
    size: Amounts


@dataclass(frozen=True, slots=True)
class Decisions:
    """Columns of decisions, by row; a row may have several where rounds decided differently."""

    row: Places
    verdict: Words
    line: Codes


@dataclass(frozen=True, slots=True)
class Deletions:
    """Columns of what is to be deleted, in order; rows with the same step belong together."""

    row: Places
    line: Codes
    step: Places
    round: Codes
    at_once: Flags
    """Deleted by a `Delete` line; the others were chosen among the dismissed."""
    held: Flags
    """Would be deleted, but a limit of the cycle holds it back."""


@dataclass(frozen=True, slots=True)
class HandOvers:
    """Block replicas that get another owner instead of being deleted."""

    row: Places
    group: Codes


@dataclass(frozen=True, slots=True)
class SiteState:
    """A site that took part."""

    site: str
    quota: float
    """Infinite = unlimited."""
    used_before: int
    used_after: int
    protected: int
    """Bytes under protection at the end."""
    triggered: bool
    still_triggered: bool
    """No `Until` line had stopped it when nothing was left to delete."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One step: blocks of one dataset at one site, by one line."""

    dataset: str
    site: str
    line: int
    rows: Places
    size: int
    round: int
    at_once: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What one line decided about blocks of one dataset at one site."""

    dataset: str
    site: str
    verdict: Verdict
    line: int
    rows: Places
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All that Detox decided in one cycle."""

    policy: Policy
    snapshot: Snapshot
    moment: float
    image: Image
    """What the cycle saw, in the state in which the plan leaves it."""
    rows: Rows
    decisions: Decisions
    deletions: Deletions
    hand_overs: HandOvers
    ending: Codes
    """Dataset replicas of the snapshot that go as a whole and stop growing."""
    ignored: Codes
    """Dataset replicas of the snapshot that no decision was made about."""
    sites: tuple[SiteState, ...]
    rounds: int
    site_order: tuple[str, ...]
    """Sites in the order in which they were first worked on."""
    unmatched: tuple[int, ...]
    """Numbers of the lines that never applied to anything."""
    evidence: Mapping[str, "Evidence"]
    """Values of changing variables at the time when a line that uses them decided."""

    def line(self, number: int) -> Line:
        """Return a line by its number, 0 for the default decision."""
        return self.policy.line(number)

    def each_deletion(self) -> Iterator[Deletion]:
        """Go through the deletions that no limit holds back, in order."""
        done = self.deletions
        carried = np.flatnonzero(~done.held)
        for places in runs(done.step[carried]):
            first = carried[places[0]]
            rows = done.row[carried[places]]
            yield Deletion(
                *self._names(rows[0]),
                int(done.line[first]),
                rows,
                int(self.rows.size[rows].sum()),
                int(done.round[first]),
                bool(done.at_once[first]),
            )

    def each_decision(
        self, dataset: str | None = None, site: str | None = None
    ) -> Iterator[Decision]:
        """Go through the decisions, all or those of a dataset, a site, or a dataset at a site."""
        made = self.decisions
        chosen = np.flatnonzero(self._about(dataset, site)[made.row])
        replica = self.rows.replica[made.row[chosen]]
        order = chosen[
            np.lexsort((made.row[chosen], made.line[chosen], made.verdict[chosen], replica))
        ]
        keys = np.stack([self.rows.replica[made.row[order]], made.verdict[order], made.line[order]])
        for places in runs(np.cumsum(np.any(np.diff(keys, axis=1, prepend=-1) != 0, axis=0))):
            first, rows = order[places[0]], made.row[order[places]]
            size = int(self.rows.size[rows].sum())
            yield Decision(
                *self._names(rows[0]),
                Verdict(int(made.verdict[first])),
                int(made.line[first]),
                rows,
                size,
            )

    def _about(self, dataset: str | None, site: str | None) -> Flags:
        wanted = np.ones(len(self.rows.source), np.bool_)
        if dataset is not None:
            wanted &= self.rows.dataset == self.snapshot.datasets.labels.find(dataset)
        if site is not None:
            wanted &= self.rows.site == self.snapshot.sites.labels.find(site)
        return wanted

    def _names(self, row: int) -> tuple[str, str]:
        dataset, site = int(self.rows.dataset[row]), int(self.rows.site[row])
        return self.snapshot.datasets.labels[dataset], self.snapshot.sites.labels[site]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The values of one variable, per dataset replica or block replica of the image."""

    by_row: bool
    values: NDArray[np.generic]
    labels: tuple[str, ...] | None = None
    """What the values number, for texts."""


def runs(keys: NDArray[np.integer]) -> Iterator[Places]:
    """Split places into runs of equal keys."""
    if len(keys):
        yield from np.split(np.arange(len(keys)), np.flatnonzero(np.diff(keys)) + 1)
