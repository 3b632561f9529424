"""Maps errors of the operating system to reasons for users."""

import contextlib
import errno
from collections.abc import Iterator

from dynamo.storage.protocol import StorageError

_REASONS = {
    errno.ENOSPC: "storage-full",
    errno.EDQUOT: "storage-full",
    errno.EFBIG: "storage-full",
    errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied",
    errno.EROFS: "permission-denied",
    errno.ETIMEDOUT: "queue-timeout",
}


def storage_error(error: OSError, otherwise: str, name: str = "") -> StorageError:
    """Return a StorageError; `otherwise` is the reason for errors that the table lacks."""
    reason = _REASONS.get(error.errno or 0, otherwise)
    if otherwise == "source-error" and type(error) is FileNotFoundError:
        reason = "source-missing"
    return StorageError(reason, f"{name + ': ' if name else ''}{error.strerror or error}")


@contextlib.contextmanager
def at_source() -> Iterator[None]:
    """Report failures of a storage that is read as failures of the source."""
    try:
        yield
    except StorageError as error:
        of_destination = error.reason in {"destination-error", "queue-timeout"}
        reason = "source-error" if of_destination else error.reason
        raise StorageError(reason, error.detail) from error


@contextlib.contextmanager
def told(name: str, otherwise: str) -> Iterator[None]:
    """Turn errors of the operating system into StorageErrors."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, otherwise, name) from error
