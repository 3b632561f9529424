"""When a file was changed, as its storage tells it: any number that somebody has set."""

from datetime import UTC, datetime

_FIRST = 0
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def moment(seconds: float) -> datetime:
    """Return the moment so many seconds after 1970; what no calendar has is its first or last."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)
