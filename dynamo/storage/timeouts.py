"""Timeouts of network storages, and the size from which their servers copy by themselves."""

from dataclasses import dataclass

SLOWEST = 10 * 2**20
"""Bytes per second below which a server's work on a whole file counts as stuck."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of all storages of a process."""

    answer: float = 60
    """Seconds for a call without data."""

    silence: float = 600
    """Seconds without progress within a stream."""

    third_party: int = 512 * 2**20
    """File size in bytes from which third-party copies pay; smaller files are streamed."""

    def whole_file(self, size: int | None) -> float:
        """Return the seconds that a server may work on a whole file before it answers."""
        return self.silence + (size or 0) / SLOWEST
