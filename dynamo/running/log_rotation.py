"""Logs that do not grow without end: copied aside and cut, so that their writers need not know."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rotation:
    """From which size on a log is put aside, as `<name>.log.1`, and how many old ones are kept."""

    bytes: int = 50 * 2**20
    kept: int = 4

    def apply(self, log: Path) -> bool:
        """Put a log aside if it is too long; returns whether it was.

        Programs write at the end of the file, wherever that is, so the file itself stays; what is
        written between copying and cutting, a line at most as a rule, is lost.
        """
        if not log.exists() or log.stat().st_size <= self.bytes:
            return False
        for number in range(self.kept - 1, 0, -1):
            older = _numbered(log, number)
            if older.exists():
                older.replace(_numbered(log, number + 1))
        shutil.copyfile(log, _numbered(log, 1))
        with log.open("r+b") as file:
            file.truncate()
        return True


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
