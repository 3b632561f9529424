"""What can go wrong, told apart by what the caller can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

RETRYABLE: dict[str, bool] = {
    # what an answer, a transfer, a deletion or a request may name as its reason -> worth repeating
    "bad-request": False,
    "invalid": False,
    "name-invalid": False,
    "too-large": False,
    "unauthenticated": False,
    "permission-denied": False,
    "not-your-namespace": False,
    "source-not-allowed": False,
    "not-found": False,
    "dataset-unknown": False,
    "block-unknown": False,
    "file-unknown": False,
    "site-unknown": False,
    "name-conflict": False,
    "dataset-closed": False,
    "block-closed": False,
    "being-deleted": False,
    "last-copy": False,
    "in-use": True,
    "locked": False,
    "already-ended": False,
    "idempotency-conflict": False,
    "site-not-ready": True,
    "site-failing": True,
    "site-busy": True,
    "no-quota": False,
    "quota-exceeded": True,
    "storage-full": True,
    "switched-off": True,
    "volume-limit": True,
    "service-busy": True,
    "not-uploaded": True,
    "booking-expired": True,
    "source-missing": True,
    "source-error": True,
    "destination-error": True,
    "transfer-error": True,
    "checksum-mismatch": True,
    "queue-timeout": True,
    "worker-lost": True,
    "no-source": True,
    "lost": False,
    "waiting": True,
    "needs-decision": False,
    "internal": True,
}
"""The fixed list of reasons and whether the same call may succeed later."""


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
    """A call that was refused; `reason` is one of `RETRYABLE`."""

    default = "internal"

    def __init__(
        self,
        detail: str,
        reason: str | None = None,
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
        return RETRYABLE[self.reason]


class Invalid(DynamoError):
    """Well-formed but meaningless: change the call."""

    default = "invalid"


class Forbidden(DynamoError):
    """Not yours: final, never means busy."""

    default = "permission-denied"


class NotFound(DynamoError):
    """Nothing of that name."""

    default = "not-found"


class Conflict(DynamoError):
    """Contradicts what is registered: look there first."""

    default = "name-conflict"


class Full(DynamoError):
    """A quota or a storage has no room: free some or go elsewhere."""

    default = "quota-exceeded"


class Unavailable(DynamoError):
    """A part is away or busy: repeat the same call later."""

    default = "service-busy"
