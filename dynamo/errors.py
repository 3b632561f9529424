"""Errors, distinguished by what the caller can do."""

from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in one item of a refused call, with its position."""

    pointer: str
    detail: str
    lfn: str | None = None
    line: int | None = None
    column: int | None = None
    """Line and column of a text, counted from 1; column 0 means the whole line."""


class DynamoError(Exception):
    """A refused call, with its reason."""

    default = Reason.INTERNAL
    """The reason unless another is given; its HTTP status applies to all reasons."""

    def __init__(
        self,
        detail: str,
        reason: Reason | None = None,
        *,
        faults: Sequence[Fault] = (),
        alternatives: Sequence[str] | None = None,
    ) -> None:
        """Keep the sentence for people, the reason for programs, and single faults."""
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or self.default
        self.faults = tuple(faults)
        self.alternatives = alternatives

    @property
    def retryable(self) -> bool:
        """Return whether the same call may succeed later."""
        return self.reason.retryable


class Invalid(DynamoError):
    """Well-formed but meaningless: change the call."""

    default = Reason.INVALID


class Forbidden(DynamoError):
    """The caller has no permission: final, never means busy."""

    default = Reason.PERMISSION_DENIED


class NotFound(DynamoError):
    """The named object does not exist."""

    default = Reason.NOT_FOUND


class Conflict(DynamoError):
    """Conflict with registered data: read them first."""

    default = Reason.NAME_CONFLICT


class Full(DynamoError):
    """A quota or a storage has no space: free some or choose another site."""

    default = Reason.QUOTA_EXCEEDED


class Unavailable(DynamoError):
    """A part is unavailable or busy: repeat the call later."""

    default = Reason.SERVICE_BUSY
