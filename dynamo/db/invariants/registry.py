"""The table of invariants, and how each is checked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.invariants import catalogue as catalogue_invariants
from dynamo.db.invariants import quotas as quota_invariants
from dynamo.db.invariants import work as work_invariants
from dynamo.db.invariants.limits import InvariantLimits, Statements
from dynamo.db.invariants.sums import SUMS, Sum

MOST = 100
"""Limit of reported rows per statement."""


class Severity(StrEnum):
    """Whether an invariant is broken, or only worth knowing."""

    VIOLATION = "violation"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A condition that always holds."""

    name: str
    sentence: str
    find: Callable[[InvariantLimits], Statements]
    severity: Severity = Severity.VIOLATION
    drift: bool = False
    """Whether a violation is a sum that differs from its rows, which stops deletions."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A row that breaks an invariant."""

    name: str
    sentence: str
    severity: Severity
    drift: bool
    subject: str

    @property
    def is_warning(self) -> bool:
        """Return whether it is only a warning."""
        return self.severity is Severity.WARNING

    def __str__(self) -> str:
        return f"{self.name}: {self.subject} ({self.sentence})"


def _drift(kept: Sum) -> Invariant:
    return Invariant(kept.name, kept.sentence, lambda _limits: (kept.drifted(),), drift=True)


INVARIANTS: tuple[Invariant, ...] = (
    *(_drift(kept) for kept in SUMS),
    Invariant(
        "lost-files",
        "every file has a copy, an open transfer, or an incident",
        catalogue_invariants.lost_files,
    ),
    Invariant(
        "overfull-blocks",
        "no block of user data is over its limit",
        catalogue_invariants.overfull_blocks,
    ),
    Invariant(
        "second-open-blocks",
        "a dataset has at most one open block at a site",
        catalogue_invariants.second_open_blocks,
    ),
    Invariant(
        "odd-open-keys", "open blocks and only those have a key", catalogue_invariants.odd_open_keys
    ),
    Invariant("late-files", "a closed block takes no more files", catalogue_invariants.late_files),
    Invariant(
        "falsely-complete",
        "a complete replica is of a closed block and lists no files",
        catalogue_invariants.falsely_complete,
    ),
    Invariant(
        "falsely-incomplete",
        "a replica with all files of a closed block is complete",
        catalogue_invariants.falsely_incomplete,
    ),
    Invariant(
        "condemned-for-nothing",
        "a condemned replica has deletions that remove it",
        catalogue_invariants.condemned_for_nothing,
    ),
    Invariant(
        "strangers",
        "files, blocks and replicas agree on their block and dataset",
        catalogue_invariants.strangers,
    ),
    Invariant(
        "old-leases", "active work has a holder with a valid lease", work_invariants.old_leases
    ),
    Invariant(
        "never-tried",
        "waiting work has a next try or waits for a person",
        work_invariants.never_tried,
    ),
    Invariant(
        "unknown-states", "every state is in the table of moves", work_invariants.unknown_states
    ),
    Invariant(
        "forgotten-bookings", "an expired booking is given up", work_invariants.forgotten_bookings
    ),
    Invariant(
        "stuck-requests",
        "an open request has open work or a next look",
        work_invariants.stuck_requests,
    ),
    Invariant(
        "pins-of-the-ended", "ended transfers pin no source", work_invariants.pins_of_the_ended
    ),
    Invariant(
        "quota-promised",
        "quotas promised to users stay under 75 % of what the sites give to user data",
        quota_invariants.promised,
        Severity.WARNING,
    ),
    Invariant(
        "unique-share-noticed",
        "unique bytes stay under the share of the user partition that is shown",
        quota_invariants.noticed,
        Severity.WARNING,
    ),
    Invariant(
        "unique-share-alarm",
        "unique bytes stay under the share of the user partition that is an alarm",
        quota_invariants.alarming,
        Severity.WARNING,
    ),
)


def find(
    work: Work, invariants: Sequence[Invariant], limits: InvariantLimits
) -> Iterator[Violation]:
    """Yield violations, at most `MOST` rows per statement."""
    for invariant in invariants:
        for statement in invariant.find(limits):
            for row in work.mappings(statement.limit(MOST)):
                yield Violation(
                    invariant.name,
                    invariant.sentence,
                    invariant.severity,
                    invariant.drift,
                    ", ".join(f"{name} {value}" for name, value in row.items()),
                )
