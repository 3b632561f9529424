"""States and kinds as words, the same in tables, API and logs."""

from enum import StrEnum


class SiteKind(StrEnum):
    """Medium of a site's storage."""

    DISK = "disk"
    TAPE = "tape"


class SiteStatus(StrEnum):
    """Usability of a site: only `ready` sites take new data."""

    READY = "ready"
    WAITROOM = "waitroom"
    MORGUE = "morgue"
    UNKNOWN = "unknown"


class DatasetStatus(StrEnum):
    """Validity of a dataset."""

    VALID = "valid"
    PRODUCTION = "production"
    INVALID = "invalid"
    DEPRECATED = "deprecated"
    DELETED = "deleted"


class ReplicaState(StrEnum):
    """Whether a block replica counts; condemned replicas are readable but do not count."""

    VALID = "valid"
    CONDEMNED = "condemned"


class RequestKind(StrEnum):
    """Kinds of requests."""

    INJECTION = "injection"
    COPY = "copy"
    CLOSURE = "closure"
    DELETION = "deletion"
    STAGING = "staging"


class Origin(StrEnum):
    """Where a request comes from: from a caller, or from something the system does by itself."""

    CALLER = "caller"
    CYCLE = "cycle"
    EVACUATION = "evacuation"
    REPAIR = "repair"
    RESCUE = "rescue"


class RequestState(StrEnum):
    """Progress of a request."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RequestState.DONE, RequestState.FAILED, RequestState.CANCELLED})
"""Final states: requests in them never change again."""


class CycleKind(StrEnum):
    """What a cycle decides: what is deleted, or what is copied."""

    DETOX = "detox"
    DEALER = "dealer"


class IncidentKind(StrEnum):
    """What is known of a file that is not as it should be."""

    CORRUPT = "corrupt"
    MISSING = "missing"
    LOST = "lost"


class RemedyKind(StrEnum):
    """What is to be done next about a file at a site."""

    QUARANTINE = "quarantine"
    MEND = "mend"
    REMOVE = "remove"
    RELEASE = "release"


class TransferKind(StrEnum):
    """How a file comes to a site.

    Pulled from a URL, uploaded by the job, copied from another site.
    """

    PULL = "pull"
    UPLOAD = "upload"
    COPY = "copy"


class Role(StrEnum):
    """Roles of callers."""

    USER = "user"
    PRODUCTION = "production"
    OPERATOR = "operator"
    SITE = "site"
