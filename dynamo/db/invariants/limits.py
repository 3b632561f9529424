"""Limits that invariants compare with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dynamo.db.engine.typed_rows import Selection

Statements = tuple[Selection, ...]
"""Statements that find rows breaking an invariant."""


@dataclass(frozen=True, slots=True)
class InvariantLimits:
    """Time and limits for a check."""

    now: datetime
    block_files: int
    block_bytes: int
    user_partition: str
    alarm_share: float
    notice_share: float
    promised_share: float = 0.75
    late: timedelta = timedelta(minutes=5)
    """Time after which expired leases and bookings should have been handled."""

    stuck: timedelta = timedelta(minutes=30)
    """Time after which a request without open work is stuck."""

    @property
    def too_late(self) -> datetime:
        """Return the time before which leases and bookings should have been handled."""
        return self.now - self.late
