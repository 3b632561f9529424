"""What can go wrong, told apart by what the caller can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """One item of a refused call: where it stood and what is wrong with it."""

    pointer: str
    detail: str
    lfn: str | None = None
    line: int | None = None
    column: int | None = None
    """Where in a text, both counted from 1; column 0 means the line as a whole."""


class DynamoError(Exception):
    """A call that was refused, and why."""

    default = Reason.INTERNAL
    """What it is where it says no more; its status is answered whatever the reason is."""

    def __init__(
        self,
        detail: str,
        reason: Reason | None = None,
        *,
        faults: Sequence[Fault] = (),
        alternatives: Sequence[str] | None = None,
    ) -> None:
        """Keep the sentence for people, the reason for machines and the single faults."""
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or self.default
        self.faults = tuple(faults)
        self.alternatives = alternatives

    @property
    def retryable(self) -> bool:
        """Tell whether the same call may succeed later."""
        return self.reason.retryable


class Invalid(DynamoError):
    """Well-formed but meaningless: change the call."""

    default = Reason.INVALID


class Forbidden(DynamoError):
    """Not yours: final, never means busy."""

    default = Reason.PERMISSION_DENIED


class NotFound(DynamoError):
    """Nothing of that name."""

    default = Reason.NOT_FOUND


class Conflict(DynamoError):
    """Contradicts what is registered: look there first."""

    default = Reason.NAME_CONFLICT


class Full(DynamoError):
    """A quota or a storage has no room: free some or go elsewhere."""

    default = Reason.QUOTA_EXCEEDED


class Unavailable(DynamoError):
    """A part is away or busy: repeat the same call later."""

    default = Reason.SERVICE_BUSY
