"""Maps answers of an XRootD server to reasons for users."""

import re
from typing import Protocol

from dynamo.reasons import Reason
from dynamo.storage.protocol import StorageError

NOT_FOUND = 3011
EXISTS = 3018
_LOCKED = 3003
_RESPONSE = 400
"""Status code of an error that the server answered; its number is in `errno`."""

_ANSWERED = {
    3009: Reason.STORAGE_FULL,  # kXR_NoSpace
    3010: Reason.PERMISSION_DENIED,  # kXR_NotAuthorized
    3014: Reason.SERVICE_BUSY,  # kXR_noserver
    3020: Reason.SERVICE_BUSY,  # kXR_inProgress
    3021: Reason.STORAGE_FULL,  # kXR_overQuota
    3024: Reason.SERVICE_BUSY,  # kXR_Overloaded
    3025: Reason.PERMISSION_DENIED,  # kXR_fsReadOnly
    3028: Reason.PERMISSION_DENIED,  # kXR_TLSRequired
    3030: Reason.PERMISSION_DENIED,  # kXR_AuthFailed
    3034: Reason.QUEUE_TIMEOUT,  # kXR_ReqTimedOut
    3035: Reason.QUEUE_TIMEOUT,  # kXR_TimerExpired
}
_MET = {
    103: Reason.QUEUE_TIMEOUT,  # errSocketTimeout
    203: Reason.PERMISSION_DENIED,  # errLoginFailed
    204: Reason.PERMISSION_DENIED,  # errAuthFailed
    206: Reason.QUEUE_TIMEOUT,  # errOperationExpired
    304: Reason.SOURCE_MISSING,  # errNotFound
}
_SURE = {101, 110, 203, 204}
"""Failures before the request: unknown host, no encryption, no login."""

_PREFIX = re.compile(r"^\[[A-Z]+\]\s*(Server responded with an error:\s*)?(\[[0-9]+\]\s*)?")


class Status(Protocol):
    """How a call ended."""

    ok: bool
    code: int
    errno: int
    message: str


class LockedError(StorageError):
    """Another client has the file open for writing."""


def number(status: Status) -> int | None:
    """Return the number of an error that the server answered; None for other failures."""
    return int(status.errno) if status.code == _RESPONSE else None


def failure(status: Status, name: str, otherwise: Reason) -> StorageError:
    """Return a StorageError; `otherwise` is the reason for errors that the tables lack."""
    answered = number(status)
    reason = _MET.get(status.code) if answered is None else _ANSWERED.get(answered)
    reading = otherwise is Reason.SOURCE_ERROR
    if reading and answered == NOT_FOUND:
        reason = Reason.SOURCE_MISSING
    elif reading and reason is Reason.QUEUE_TIMEOUT:
        reason = otherwise  # the source is silent, not the destination
    message = _PREFIX.sub(
        "", "".join(c if c.isprintable() else " " for c in status.message)
    ).strip()
    kind = LockedError if answered == _LOCKED else StorageError
    unknown = is_unknown(status) and not reading  # reading has no effect
    return kind(reason or otherwise, f"{name}: {message[:500]}", unknown=unknown)


def is_unknown(status: Status) -> bool:
    """Return whether a failed call may have had its effect, because no answer came."""
    answered = number(status)
    if answered is not None:
        return _ANSWERED.get(answered) is Reason.QUEUE_TIMEOUT
    return 100 <= status.code < 300 and status.code not in _SURE


def silent(name: str, seconds: float, otherwise: Reason) -> StorageError:
    """Return the error of a call without an answer in time."""
    text = f"{name}: no answer in {seconds:.0f} s"
    if otherwise is Reason.SOURCE_ERROR:
        return StorageError(otherwise, text)
    return StorageError(Reason.QUEUE_TIMEOUT, text, unknown=True)
