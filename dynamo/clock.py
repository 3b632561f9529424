"""Times: always with a zone, always UTC, written as RFC 3339."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return a time as `2026-11-22T09:30:00Z`, with fractions of a second only if present."""
    text = moment.astimezone(UTC).isoformat(
        timespec="microseconds" if moment.microsecond else "seconds"
    )
    return text.replace("+00:00", "Z")


def parse_moment(text: str) -> datetime:
    """Return the time of an RFC 3339 text with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write for example 2026-11-22T09:30:00Z")
    return moment.astimezone(UTC)
