"""Reasons for refusals and delays, with a record for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeAlias


class Mover(StrEnum):
    """Who can remove the cause."""

    CALLER = "caller"
    """The caller, by another call."""
    OWNER = "owner"
    """The owner of the data, who injects them again, drops them or makes room."""
    SITE = "site"
    """The site: the cause ends when the site comes back or is given up."""
    OPERATOR = "operator"
    """An operator, who changes a setting, a quota or a switch, or decides."""
    SYSTEM = "system"
    """Dynamo itself: the cause ends without help."""


class Again(StrEnum):
    """When a failed operation is retried."""

    SOON = "soon"
    """With exponential back-off; after the limit of attempts only daily."""
    DAILY = "daily"
    """Held at once, as an early retry does not help; released when the cause ends."""
    BY_HAND = "by hand"
    """Held until a person decides."""


class Blame(StrEnum):
    """The end of a transfer that failed as a whole, not only for one file."""

    SOURCE = "source"
    DESTINATION = "destination"


class Reason(StrEnum):
    """The reason for the state of a call, transfer, deletion, request or cycle.

    The words are published in answers and rows. A row of a newer version may contain a word that
    is not listed here.
    """

    BAD_REQUEST = "bad-request"
    INVALID = "invalid"
    NAME_INVALID = "name-invalid"
    TOO_LARGE = "too-large"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission-denied"
    NOT_YOUR_NAMESPACE = "not-your-namespace"
    SOURCE_NOT_ALLOWED = "source-not-allowed"
    NOT_FOUND = "not-found"
    DATASET_UNKNOWN = "dataset-unknown"
    BLOCK_UNKNOWN = "block-unknown"
    FILE_UNKNOWN = "file-unknown"
    SITE_UNKNOWN = "site-unknown"
    NAME_CONFLICT = "name-conflict"
    DATASET_CLOSED = "dataset-closed"
    BLOCK_CLOSED = "block-closed"
    BEING_DELETED = "being-deleted"
    LAST_COPY = "last-copy"
    IN_USE = "in-use"
    LOCKED = "locked"
    ALREADY_ENDED = "already-ended"
    IDEMPOTENCY_CONFLICT = "idempotency-conflict"
    SITE_NOT_READY = "site-not-ready"
    SITE_FAILING = "site-failing"
    SITE_BUSY = "site-busy"
    NO_QUOTA = "no-quota"
    QUOTA_EXCEEDED = "quota-exceeded"
    STORAGE_FULL = "storage-full"
    SWITCHED_OFF = "switched-off"
    VOLUME_LIMIT = "volume-limit"
    SERVICE_BUSY = "service-busy"
    NOT_UPLOADED = "not-uploaded"
    BOOKING_EXPIRED = "booking-expired"
    SOURCE_MISSING = "source-missing"
    SOURCE_ERROR = "source-error"
    DESTINATION_ERROR = "destination-error"
    TRANSFER_ERROR = "transfer-error"
    CHECKSUM_MISMATCH = "checksum-mismatch"
    QUEUE_TIMEOUT = "queue-timeout"
    WORKER_LOST = "worker-lost"
    NO_SOURCE = "no-source"
    LOST = "lost"
    WAITING = "waiting"
    NEEDS_DECISION = "needs-decision"
    INTERNAL = "internal"

    @classmethod
    def known(cls, word: str | None) -> Self | None:
        """Return the reason of a row; None for no word, or a word of a newer version."""
        try:
            return None if word is None else cls(word)
        except ValueError:
            return None

    @property
    def words(self) -> str:
        """Return a phrase for people."""
        return RECORDS[self].words

    @property
    def status(self) -> int:
        """Return the usual HTTP status; the class of the error decides the status sent."""
        return RECORDS[self].status

    @property
    def mover(self) -> Mover:
        """Return who can remove the cause."""
        return RECORDS[self].mover

    @property
    def retryable(self) -> bool:
        """Return whether the same call may succeed later."""
        return RECORDS[self].retryable

    @property
    def again(self) -> Again:
        """Return when an operation that failed for this reason is retried."""
        return RECORDS[self].again

    @property
    def blame(self) -> Blame | None:
        """Return the end of a transfer that failed as a whole."""
        return RECORDS[self].blame


@dataclass(frozen=True, slots=True)
class Record:
    """The properties of a reason."""

    words: str
    status: int
    mover: Mover
    retryable: bool = False
    """The same call may succeed later."""
    again: Again = Again.SOON
    blame: Blame | None = None


_CALLER, _OWNER, _SITE = Mover.CALLER, Mover.OWNER, Mover.SITE
_OPERATOR, _SYSTEM = Mover.OPERATOR, Mover.SYSTEM

RECORDS: Mapping[Reason, Record] = {
    Reason.BAD_REQUEST: Record("the call was malformed", 400, _CALLER),
    Reason.INVALID: Record("the call is not valid", 422, _CALLER),
    Reason.NAME_INVALID: Record("the name is not allowed", 422, _CALLER),
    Reason.TOO_LARGE: Record("too much in one call", 413, _CALLER),
    Reason.UNAUTHENTICATED: Record("no valid token", 401, _CALLER),
    Reason.PERMISSION_DENIED: Record("not allowed", 403, _OPERATOR, blame=Blame.DESTINATION),
    Reason.NOT_YOUR_NAMESPACE: Record(
        "the name, or the data, belong to another user", 403, _CALLER
    ),
    Reason.SOURCE_NOT_ALLOWED: Record(
        "Dynamo may not read this source for this site", 403, _CALLER, again=Again.DAILY
    ),
    Reason.NOT_FOUND: Record("the name does not exist", 404, _CALLER),
    Reason.DATASET_UNKNOWN: Record("no such dataset", 404, _CALLER),
    Reason.BLOCK_UNKNOWN: Record("no such block", 404, _CALLER),
    Reason.FILE_UNKNOWN: Record("no such file", 404, _CALLER),
    Reason.SITE_UNKNOWN: Record("no such site", 404, _CALLER),
    Reason.NAME_CONFLICT: Record("another object has the name", 409, _CALLER, again=Again.DAILY),
    Reason.DATASET_CLOSED: Record("the dataset takes no more files", 409, _CALLER),
    Reason.BLOCK_CLOSED: Record("the block takes no more files", 409, _CALLER),
    Reason.BEING_DELETED: Record("it is being deleted", 409, _SYSTEM),
    Reason.LAST_COPY: Record("it is the last good copy", 409, _CALLER),
    Reason.IN_USE: Record("it is in use by a transfer", 409, _SYSTEM, retryable=True),
    Reason.LOCKED: Record("a lock protects it", 409, _CALLER),
    Reason.ALREADY_ENDED: Record("the request has ended", 409, _CALLER),
    Reason.IDEMPOTENCY_CONFLICT: Record("the same key was used for another call", 422, _CALLER),
    Reason.SITE_NOT_READY: Record("the site is not ready", 409, _SITE, retryable=True),
    Reason.SITE_FAILING: Record(
        "the site keeps failing and pauses for a while", 503, _SITE, retryable=True
    ),
    Reason.SITE_BUSY: Record("the site is at its limit of streams", 503, _SYSTEM, retryable=True),
    Reason.NO_QUOTA: Record("the partition has no quota at the site", 409, _OPERATOR),
    Reason.QUOTA_EXCEEDED: Record(
        "the quota is used up", 507, _OWNER, retryable=True, again=Again.DAILY
    ),
    Reason.STORAGE_FULL: Record(
        "the storage is full", 507, _OPERATOR, retryable=True, again=Again.DAILY
    ),
    Reason.SWITCHED_OFF: Record("an operator has stopped this", 409, _OPERATOR, retryable=True),
    Reason.VOLUME_LIMIT: Record(
        "the site is at its limit of deletions", 503, _SYSTEM, retryable=True
    ),
    Reason.SERVICE_BUSY: Record("the service is busy", 503, _SYSTEM, retryable=True),
    Reason.NOT_UPLOADED: Record("the job has not uploaded it yet", 503, _CALLER, retryable=True),
    Reason.BOOKING_EXPIRED: Record(
        "the job did not upload it in time", 409, _CALLER, retryable=True
    ),
    Reason.SOURCE_MISSING: Record("the source does not exist", 503, _SITE, retryable=True),
    Reason.SOURCE_ERROR: Record(
        "the source cannot be read", 503, _SITE, retryable=True, blame=Blame.SOURCE
    ),
    Reason.DESTINATION_ERROR: Record(
        "the destination cannot be written", 503, _SITE, retryable=True, blame=Blame.DESTINATION
    ),
    Reason.TRANSFER_ERROR: Record("the copy broke off", 503, _SYSTEM, retryable=True),
    Reason.CHECKSUM_MISMATCH: Record(
        "size or checksum differs from the announced one", 503, _OWNER, retryable=True
    ),
    Reason.QUEUE_TIMEOUT: Record(
        "a storage did not answer in time", 503, _SITE, retryable=True, blame=Blame.DESTINATION
    ),
    Reason.WORKER_LOST: Record(
        "several workers died at it", 503, _OPERATOR, retryable=True, again=Again.DAILY
    ),
    Reason.NO_SOURCE: Record("no site has a readable copy now", 503, _SITE, retryable=True),
    Reason.LOST: Record("no copy is left: inject it again, or delete it", 409, _OWNER),
    Reason.WAITING: Record("it waits for another operation", 503, _SYSTEM, retryable=True),
    Reason.NEEDS_DECISION: Record("a person must decide", 409, _OPERATOR, again=Again.BY_HAND),
    Reason.INTERNAL: Record("a fault of Dynamo; see its log", 500, _OPERATOR, retryable=True),
}
"""One record for each reason."""


ReasonWord: TypeAlias = Reason | str
"""A reason in a row: for an unknown word of a newer version, the word itself."""


def words(word: str | None) -> str:
    """Return the phrase for a reason; for an unknown word of a newer version, the word itself."""
    known = Reason.known(word)
    return (word or "") if known is None else known.words


def blamed_on(end: Blame) -> frozenset[Reason]:
    """Return the reasons for which one end of a transfer failed as a whole."""
    return frozenset(reason for reason in Reason if reason.blame is end)


REFUSED_BY_STORAGE = blamed_on(Blame.DESTINATION) | {Reason.STORAGE_FULL, Reason.NAME_CONFLICT}
"""Reasons why a site's storage takes no file, whatever the site's status."""

REFUSED_THERE = REFUSED_BY_STORAGE | {Reason.SITE_NOT_READY, Reason.SWITCHED_OFF}
"""Reasons that keep a file from one site, though maybe not from others."""

NOTHING_UPLOADED = frozenset({Reason.NOT_UPLOADED, Reason.CHECKSUM_MISMATCH})
"""Reasons that prove a missing upload; a failing storage proves nothing."""
