"""Moments: always aware, always UTC, written as RFC 3339."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Write a moment as `2026-11-22T09:30:00Z`, with fractions only when there are any."""
    text = moment.astimezone(UTC).isoformat(
        timespec="microseconds" if moment.microsecond else "seconds"
    )
    return text.replace("+00:00", "Z")


def parse_moment(text: str) -> datetime:
    """Read an RFC 3339 moment with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write for example 2026-11-22T09:30:00Z")
    return moment.astimezone(UTC)
