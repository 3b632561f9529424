"""Where a system keeps what, within its data directory."""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SOCKET = 100
"""The kernel takes 107 bytes; a server may add a few while it starts."""

_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one data directory."""

    data: Path

    @property
    def logs(self) -> Path:
        """Return the folder with one log file per program."""
        return self.data / "logs"

    @property
    def broker(self) -> Path:
        """Return the folder of the bundled broker."""
        return self.data / "broker"

    @property
    def schedule(self) -> Path:
        """Return what beat remembers."""
        return self.data / "beat" / "schedule"

    @property
    def flower_password(self) -> Path:
        """Return where the password of Flower stands."""
        return self.data / "keys" / "flower"

    @property
    def record(self) -> Path:
        """Return where a running system says how to reach it."""
        return self.data / "run.json"

    @property
    def lock(self) -> Path:
        """Return the file that a running system holds locked."""
        return self.data / "up.lock"

    def make(self) -> None:
        """Make the folders that are missing."""
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "keys").mkdir(mode=0o700, exist_ok=True)
        for folder in (self.logs, self.broker, self.schedule.parent):
            folder.mkdir(exist_ok=True)

    def socket(self) -> Path:
        """Return the address of the bundled broker.

        It lies in the data directory unless that path is too long for a socket or would need
        quoting in a URL; then in a folder of the temporary directory that only we can enter.
        """
        path = self.broker / "broker.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET and _PLAIN.fullmatch(str(path)):
            return path
        return _private(self._elsewhere) / "broker.sock"

    def forget_socket(self) -> None:
        """Remove the folder of a socket that could not lie in the data directory."""
        shutil.rmtree(self._elsewhere, ignore_errors=True)

    @property
    def _elsewhere(self) -> Path:
        mark = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"dynamo-{os.geteuid()}-{mark}"


def _private(folder: Path) -> Path:
    """Make a folder of our own where anybody may make folders."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not ours alone; remove it")
    return folder
