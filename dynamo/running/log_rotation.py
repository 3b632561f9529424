"""Log rotation by copying and truncating, so that programs keep their open files."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rotation:
    """The size from which a log is rotated to `<name>.log.1`, and the number of old logs kept."""

    bytes: int = 50 * 2**20
    kept: int = 4

    def apply(self, log: Path) -> bool:
        """Rotate a log that is too long; return whether it was.

        Programs append to the file, so the file itself stays. Text written between copying and
        truncating is lost, mostly a line.
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
