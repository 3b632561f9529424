"""The words for the state of things, the same in table, route and log."""

from enum import StrEnum


class SiteKind(StrEnum):
    """What a site's storage is made of."""

    DISK = "disk"
    TAPE = "tape"


class SiteStatus(StrEnum):
    """Whether a site can be used: only `ready` ones take new data."""

    READY = "ready"
    WAITROOM = "waitroom"
    MORGUE = "morgue"
    UNKNOWN = "unknown"


class DatasetStatus(StrEnum):
    """What a dataset is worth."""

    VALID = "valid"
    PRODUCTION = "production"
    INVALID = "invalid"
    DEPRECATED = "deprecated"
    DELETED = "deleted"


class ReplicaState(StrEnum):
    """Whether a block replica counts; condemned ones are readable but no longer count."""

    VALID = "valid"
    CONDEMNED = "condemned"


class RequestKind(StrEnum):
    """The things one can ask for."""

    INJECTION = "injection"
    COPY = "copy"
    CLOSURE = "closure"
    DELETION = "deletion"
    STAGING = "staging"


class RequestState(StrEnum):
    """How far a request is."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RequestState.DONE, RequestState.FAILED, RequestState.CANCELLED})
"""Requests in these states never change again."""


class TransferKind(StrEnum):
    """How a file comes to a site.

    Pulled from a URL, uploaded by the job, copied from another site.
    """

    PULL = "pull"
    UPLOAD = "upload"
    COPY = "copy"


class Role(StrEnum):
    """What a caller may do."""

    USER = "user"
    PRODUCTION = "production"
    OPERATOR = "operator"
    SITE = "site"
