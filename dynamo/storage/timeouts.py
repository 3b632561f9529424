"""How long a storage on the network may keep us waiting, and what its servers do themselves."""

from dataclasses import dataclass

SLOWEST = 10 * 2**20
"""Bytes a second below which a server that works on a whole file is taken for stuck."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Numbers that hold for all storages of a process."""

    answer: float = 60
    """Seconds until a call that moves no bytes has been answered."""

    silence: float = 600
    """Seconds without a byte within a stream."""

    third_party: int = 512 * 2**20
    """Bytes from which servers copy among themselves; below, its start costs more than it saves."""

    def whole_file(self, size: int | None) -> float:
        """Return the seconds that a server may work on a whole file before it answers."""
        return self.silence + (size or 0) / SLOWEST
