"""Maps errors of the operating system to reasons for users."""

import contextlib
import errno
from collections.abc import Iterator

from dynamo.reasons import Reason
from dynamo.storage.protocol import StorageError

_REASONS = {
    errno.ENOSPC: Reason.STORAGE_FULL,
    errno.EDQUOT: Reason.STORAGE_FULL,
    errno.EFBIG: Reason.STORAGE_FULL,
    errno.EACCES: Reason.PERMISSION_DENIED,
    errno.EPERM: Reason.PERMISSION_DENIED,
    errno.EROFS: Reason.PERMISSION_DENIED,
    errno.ETIMEDOUT: Reason.QUEUE_TIMEOUT,
}


def storage_error(error: OSError, otherwise: Reason, name: str = "") -> StorageError:
    """Return a StorageError; `otherwise` is the reason for errors that the table lacks."""
    reason = _REASONS.get(error.errno or 0, otherwise)
    if otherwise is Reason.SOURCE_ERROR and type(error) is FileNotFoundError:
        reason = Reason.SOURCE_MISSING
    return StorageError(reason, f"{name + ': ' if name else ''}{error.strerror or error}")


@contextlib.contextmanager
def at_source() -> Iterator[None]:
    """Report failures of a storage that is read as failures of the source."""
    try:
        yield
    except StorageError as error:
        of_destination = error.reason in {Reason.DESTINATION_ERROR, Reason.QUEUE_TIMEOUT}
        reason = Reason.SOURCE_ERROR if of_destination else error.reason
        raise StorageError(reason, error.detail) from error


@contextlib.contextmanager
def told(name: str, otherwise: Reason) -> Iterator[None]:
    """Turn errors of the operating system into StorageErrors."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, otherwise, name) from error
