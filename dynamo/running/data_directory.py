"""The files of a system in its data directory."""

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
    """The files of a data directory."""

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
        """Return the file with the state of beat."""
        return self.data / "beat" / "schedule"

    @property
    def flower_password(self) -> Path:
        """Return the file with the password of Flower."""
        return self.data / "keys" / "flower"

    @property
    def record(self) -> Path:
        """Return the file that says how to reach the running system."""
        return self.data / "run.json"

    @property
    def lock(self) -> Path:
        """Return the file that a running system keeps locked."""
        return self.data / "up.lock"

    def make(self) -> None:
        """Make missing folders."""
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "keys").mkdir(mode=0o700, exist_ok=True)
        for folder in (self.logs, self.broker, self.schedule.parent):
            folder.mkdir(exist_ok=True)

    def socket(self) -> Path:
        """Return the socket of the bundled broker.

        It lies in the data directory unless that path is too long for a socket or would need
        quoting in a URL; then in a private folder of the temporary directory.
        """
        path = self.broker / "broker.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET and _PLAIN.fullmatch(str(path)):
            return path
        return _private(self._elsewhere) / "broker.sock"

    def forget_socket(self) -> None:
        """Delete the folder of a socket outside of the data directory."""
        shutil.rmtree(self._elsewhere, ignore_errors=True)

    @property
    def _elsewhere(self) -> Path:
        mark = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"dynamo-{os.geteuid()}-{mark}"


def _private(folder: Path) -> Path:
    """Make a private folder in a directory where anybody may make folders."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a private folder of this user; remove it")
    return folder
