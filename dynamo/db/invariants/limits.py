"""The numbers that a check compares with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dynamo.db.engine.typed_rows import Selection

Statements = tuple[Selection, ...]
"""What finds the rows for which something does not hold."""


@dataclass(frozen=True, slots=True)
class InvariantLimits:
    """What a check must know besides the rows."""

    now: datetime
    block_files: int
    block_bytes: int
    user_partition: str
    alarm_share: float
    notice_share: float
    promised_share: float = 0.75
    late: timedelta = timedelta(minutes=5)
    """After that long nobody is expected to come any more."""

    stuck: timedelta = timedelta(minutes=30)
    """After that long a request that waits for nothing is stuck."""

    @property
    def too_late(self) -> datetime:
        """Return the moment before which a lease or booking should have been dealt with."""
        return self.now - self.late
