"""Maps answers of an XRootD server to reasons for users."""

import re
from typing import Any

from dynamo.storage.protocol import StorageError

NOT_FOUND = 3011
EXISTS = 3018
_LOCKED = 3003
_RESPONSE = 400
"""Status code of an error that the server answered; its number is in `errno`."""

_ANSWERED = {
    3009: "storage-full",  # kXR_NoSpace
    3010: "permission-denied",  # kXR_NotAuthorized
    3014: "service-busy",  # kXR_noserver
    3020: "service-busy",  # kXR_inProgress
    3021: "storage-full",  # kXR_overQuota
    3024: "service-busy",  # kXR_Overloaded
    3025: "permission-denied",  # kXR_fsReadOnly
    3028: "permission-denied",  # kXR_TLSRequired
    3030: "permission-denied",  # kXR_AuthFailed
    3034: "queue-timeout",  # kXR_ReqTimedOut
    3035: "queue-timeout",  # kXR_TimerExpired
}
_MET = {
    103: "queue-timeout",  # errSocketTimeout
    203: "permission-denied",  # errLoginFailed
    204: "permission-denied",  # errAuthFailed
    206: "queue-timeout",  # errOperationExpired
    304: "source-missing",  # errNotFound
}
_SURE = {101, 110, 203, 204}
"""Failures before the request: unknown host, no encryption, no login."""

_PREFIX = re.compile(r"^\[[A-Z]+\]\s*(Server responded with an error:\s*)?(\[[0-9]+\]\s*)?")


class LockedError(StorageError):
    """Another client has the file open for writing."""


def number(status: Any) -> int | None:
    """Return the number of an error that the server answered; None for other failures."""
    return int(status.errno) if status.code == _RESPONSE else None


def failure(status: Any, name: str, otherwise: str) -> StorageError:
    """Return a StorageError; `otherwise` is the reason for errors that the tables lack."""
    answered = number(status)
    reason = _MET.get(status.code) if answered is None else _ANSWERED.get(answered)
    reading = otherwise == "source-error"
    if reading and answered == NOT_FOUND:
        reason = "source-missing"
    elif reading and reason == "queue-timeout":
        reason = otherwise  # the source is silent, not the destination
    message = _PREFIX.sub(
        "", "".join(c if c.isprintable() else " " for c in status.message)
    ).strip()
    kind = LockedError if answered == _LOCKED else StorageError
    unknown = is_unknown(status) and not reading  # reading has no effect
    return kind(reason or otherwise, f"{name}: {message[:500]}", unknown=unknown)


def is_unknown(status: Any) -> bool:
    """Return whether a failed call may have had its effect, because no answer came."""
    answered = number(status)
    if answered is not None:
        return _ANSWERED.get(answered) == "queue-timeout"
    return 100 <= status.code < 300 and status.code not in _SURE


def silent(name: str, seconds: float, otherwise: str) -> StorageError:
    """Return the error of a call without an answer in time."""
    text = f"{name}: no answer in {seconds:.0f} s"
    if otherwise == "source-error":
        return StorageError(otherwise, text)
    return StorageError("queue-timeout", text, unknown=True)
