"""Checks in another process whether anybody can write to an XRootD server without credentials.

The library finds credentials by itself and keeps its logins, so that a process with credentials
cannot act as one without.
"""

import importlib
import os
import subprocess
import sys

from dynamo.reasons import Reason
from dynamo.storage.protocol import StorageError
from dynamo.storage.xrootd.errors import failure
from dynamo.storage.xrootd.server import Server, seconds

_NOWHERE = "/nonexistent"
_BARE = {
    "HOME": _NOWHERE,
    "XDG_RUNTIME_DIR": _NOWHERE,
    "X509_USER_PROXY": _NOWHERE,
    "X509_USER_CERT": _NOWHERE,
    "X509_USER_KEY": _NOWHERE,
    "XrdSecSSSKT": _NOWHERE,
    "KRB5CCNAME": _NOWHERE,
    # a worthless token keeps the library from looking for a real one
    "BEARER_TOKEN": "none",
}
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
_NEW, _MAKE_PATH, _WRITE = 8, 256, 32768
_YES, _NO, _UNCLEAR = 0, 10, 11


def can_write(server: Server, path: str) -> bool:
    """Return whether a stranger can create this file, and delete it. Raises StorageError."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ} | _BARE
    answer = seconds(server.limits.answer)
    command = [sys.executable, "-m", __name__, server.url(path), str(answer)]
    try:
        process = subprocess.run(  # noqa: S603 - this module, with a checked URL
            command, env=env, capture_output=True, text=True, timeout=3 * answer + 30, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(Reason.QUEUE_TIMEOUT, f"{path}: a stranger got no answer") from error
    if process.returncode == _YES:
        server.remove(path)
        return True
    if process.returncode == _NO:
        return False
    message = process.stdout.strip()[:500] or "it could not be tried without credentials"
    raise StorageError(Reason.DESTINATION_ERROR, f"{path}: {message}")


def _try(url: str, answer: int) -> int:
    client = importlib.import_module("XRootD.client")
    file = client.File()
    status, _ = file.open(url, _NEW | _MAKE_PATH | _WRITE, 0o644, timeout=answer)
    if status.ok:
        file.close(timeout=answer)
        return _YES
    error = failure(status, "it", Reason.DESTINATION_ERROR)
    sys.stdout.write(error.detail)
    return _NO if error.reason == Reason.PERMISSION_DENIED else _UNCLEAR


if __name__ == "__main__":
    sys.exit(_try(sys.argv[1], int(sys.argv[2])))
