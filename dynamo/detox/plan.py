"""The plan of Detox: each decision with the line that made it. Nothing is carried out yet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.snapshot import Amounts, Codes, Flags, Snapshot, Words
from dynamo.policy.image import Image, Places
from dynamo.policy.syntax import Line, Policy


class Verdict(IntEnum):
    """The decision about a block replica."""

    PROTECT = 1
    DELETE = 2
    KEEP = 3
    """Dismissed, but the site did not need the space."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The block replicas of the image, by dataset, site and block."""

    source: Codes
    """Number of the block replica in the snapshot; -1 for a part of an empty tape replica."""
    replica: Codes
    """Number of the dataset replica in the snapshot."""
    dataset: Codes
    site: Codes
    block: Codes
    size: Amounts


@dataclass(frozen=True, slots=True)
class Decisions:
    """Columns of decisions, by row; a row has several if rounds decided differently."""

    row: Places
    verdict: Words
    line: Codes


@dataclass(frozen=True, slots=True)
class Deletions:
    """Columns of deletions, in order; rows with the same step belong together."""

    row: Places
    line: Codes
    step: Places
    round: Codes
    at_once: Flags
    """Flags of deletions by a `Delete` line; the others were dismissed, then selected."""
    held: Flags
    """Flags of deletions that a limit of the cycle holds back."""


@dataclass(frozen=True, slots=True)
class HandOvers:
    """Block replicas that get another owner instead of being deleted."""

    row: Places
    group: Codes


@dataclass(frozen=True, slots=True)
class SiteState:
    """A target site."""

    site: str
    quota: float
    """Infinite = unlimited."""
    used_before: int
    used_after: int
    protected: int
    """Bytes under protection at the end."""
    triggered: bool
    still_triggered: bool
    """No `Until` line stopped the site before its candidates were used up."""


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
    """The decision of one line about blocks of one dataset at one site."""

    dataset: str
    site: str
    verdict: Verdict
    line: int
    rows: Places
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions of a cycle."""

    policy: Policy
    snapshot: Snapshot
    moment: float
    image: Image
    """The image of the cycle, in its final state."""
    rows: Rows
    decisions: Decisions
    deletions: Deletions
    hand_overs: HandOvers
    ending: Codes
    """Dataset replicas of the snapshot that are deleted as a whole and stop growing."""
    ignored: Codes
    """Dataset replicas of the snapshot without a decision."""
    sites: tuple[SiteState, ...]
    rounds: int
    site_order: tuple[str, ...]
    """Sites in the order of their first turn."""
    unmatched: tuple[int, ...]
    """Numbers of lines that never matched."""
    evidence: Mapping[str, "Evidence"]
    """Values of changing variables when a line that uses them decided."""

    def line(self, number: int) -> Line:
        """Return a line by its number, 0 for the default decision."""
        return self.policy.line(number)

    def each_deletion(self) -> Iterator[Deletion]:
        """Yield the deletions that no limit holds back, in order."""
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
        """Yield the decisions, all or those of a dataset, a site, or both."""
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
    """The texts that the values number; None for other kinds."""


def runs(keys: NDArray[np.integer]) -> Iterator[Places]:
    """Split positions into runs of equal keys."""
    if len(keys):
        yield from np.split(np.arange(len(keys)), np.flatnonzero(np.diff(keys)) + 1)
