"""Why a site takes no copies."""

from enum import IntEnum


class ClosedReason(IntEnum):
    """Why a site takes no copies now; `OPEN` where it does."""

    OPEN = 0
    NOT_READY = 1
    NOT_NAMED = 2
    LEAVING = 3
    NO_QUOTA = 4
    FULL = 5
    BUSY = 6
