"""The state of a running cycle: open, protected, dismissed, deleted and handed-over replicas."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.snapshot import Amounts, Codes, Flags, Numbers
from dynamo.policy.image import Image, Places

NOTHING = -1


@dataclass(slots=True, eq=False)
class Gone:
    """Deletions so far, in order, as pieces of columns."""

    rows: list[Places] = field(default_factory=list)
    lines: list[Codes] = field(default_factory=list)
    steps: list[Places] = field(default_factory=list)
    rounds: list[Codes] = field(default_factory=list)
    at_once: list[Flags] = field(default_factory=list)
    n_steps: int = 0


@dataclass(slots=True, eq=False)
class CycleState:
    """The state that changes between rounds."""

    image: Image
    quota: Numbers
    used: Amounts
    triggered: Flags
    round: int = 0
    deciding: bool = True
    """Whether lines are being evaluated; if not, dismissed replicas are being selected."""
    remaining: Flags = field(init=False)
    """Flags of dataset replicas to evaluate again."""
    dismissed: Codes = field(init=False)
    """Per row: the line that dismissed it in the last evaluation."""
    has_dismissed: Flags = field(init=False)
    candidates: Amounts = field(init=False)
    """Number of dataset replicas with dismissed rows, per site."""
    protected: Codes = field(init=False)
    """Per row: the line that first protected it."""
    also_protected: dict[tuple[int, int], None] = field(default_factory=dict)
    """Rows protected by further lines in later rounds."""
    protected_bytes: Amounts = field(init=False)
    new_owner: Codes = field(init=False)
    gone: Gone = field(default_factory=Gone)
    touched: list[Codes] = field(default_factory=list)
    """Datasets with changes since the last evaluation."""
    by_site: list[Places] = field(init=False)
    """The dataset replicas of each site."""

    def __post_init__(self) -> None:
        """Start without decisions."""
        n_replicas, n_rows, n_sites = (
            self.image.n_replicas,
            len(self.image.replica),
            len(self.quota),
        )
        order = np.argsort(self.image.site, kind="stable")
        ends = np.searchsorted(self.image.site[order], np.arange(n_sites + 1))
        self.by_site = [order[ends[site] : ends[site + 1]] for site in range(n_sites)]
        self.remaining = self.image.counts.rows > 0
        self.dismissed = np.full(n_rows, NOTHING, np.int32)
        self.has_dismissed = np.zeros(n_replicas, np.bool_)
        self.candidates = np.zeros(n_sites, np.int64)
        self.protected = np.full(n_rows, NOTHING, np.int32)
        self.protected_bytes = np.zeros(n_sites, np.int64)
        self.new_owner = np.full(n_rows, NOTHING, np.int32)

    def protect(self, rows: Places, lines: Codes) -> None:
        """Record protections; a row counts once per line that ever protected it."""
        before = self.protected[rows]
        new = before == NOTHING
        self.protected[rows[new]] = lines[new]
        self._count_protected(rows[new])
        for place in np.flatnonzero(~new & (before != lines)).tolist():
            key = int(rows[place]), int(lines[place])
            if key not in self.also_protected:
                self.also_protected[key] = None
                self._count_protected(rows[place : place + 1])

    def _count_protected(self, rows: Places) -> None:
        sites = self.image.site[self.image.replica[rows]]
        np.add.at(self.protected_bytes, sites, self.image.size[rows])

    def dismiss(self, rows: Places, lines: Codes) -> None:
        """Record dismissals."""
        self.dismissed[rows] = lines
        replicas = np.unique(self.image.replica[rows])
        self._flag(replicas[~self.has_dismissed[replicas]], dismissed=True)

    def reconsider(self, replicas: Places, rows: Places) -> None:
        """Forget the dismissals of dataset replicas."""
        self.dismissed[rows] = NOTHING
        self._flag(replicas[self.has_dismissed[replicas]], dismissed=False)

    def _flag(self, replicas: NDArray[np.integer], *, dismissed: bool) -> None:
        self.has_dismissed[replicas] = dismissed
        np.add.at(self.candidates, self.image.site[replicas], 1 if dismissed else -1)

    def delete(self, rows: Places, lines: Codes, begins: Flags) -> None:
        """Delete rows in order; `begins` flags the first row of each step."""
        self._take_out(rows)
        self.new_owner[rows] = NOTHING
        steps = np.cumsum(begins) + self.gone.n_steps
        self.gone.n_steps = int(steps[-1])
        self.gone.rows.append(rows)
        self.gone.lines.append(lines)
        self.gone.steps.append(steps)
        self.gone.rounds.append(np.full(len(rows), self.round, np.int32))
        self.gone.at_once.append(np.full(len(rows), self.deciding))

    def leave(self, rows: Places) -> None:
        """Remove rows that left the partition with a new owner; they stay at the site."""
        self._take_out(rows)

    def _take_out(self, rows: Places) -> None:
        replicas = self.image.replica[rows]
        np.subtract.at(self.used, self.image.site[replicas], self.image.size[rows])
        self.dismissed[rows] = NOTHING
        self.touched.append(np.unique(self.image.dataset[replicas]))
        self.image.remove(rows)

    def hand_over(self, rows: Places, group: int) -> None:
        """Give rows to a group."""
        self.image.hand_over(rows, group)
        self.new_owner[rows] = group
        self.touched.append(np.unique(self.image.dataset[self.image.replica[rows]]))

    def vanish(self, replicas: Places) -> None:
        """Remove dataset replicas without rows."""
        self.image.hide(replicas)
        self.remaining[replicas] = False
        self._flag(replicas[self.has_dismissed[replicas]], dismissed=False)

    def to_evaluate(self) -> Places:
        """Return the open replicas of datasets that changed since the last call."""
        if not self.touched:
            return np.zeros(0, np.intp)
        datasets = np.unique(np.concatenate(self.touched))
        self.touched.clear()
        replicas, _ = self.image.replicas_of(datasets)
        return replicas[self.remaining[replicas]]
