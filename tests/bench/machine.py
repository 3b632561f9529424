"""What processes use of the machine, as the kernel counts it."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pids: Collection[int]) -> float:
    """Return the processor time that processes have used so far."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def resident(pids: Collection[int]) -> int:
    """Return the bytes of memory that processes hold."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE


class Meter:
    """Reads how much processor time groups of processes use from now on."""

    def __init__(self, groups: Mapping[str, Collection[int]]) -> None:
        self._groups = groups
        self._before = self._read()

    def used(self) -> dict[str, float]:
        """Return the seconds that each group has used since."""
        return {name: now - self._before[name] for name, now in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(pids) for name, pids in self._groups.items()}


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])
