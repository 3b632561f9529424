"""Requests, transfers, deletions."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Bytes,
    Count,
    DatasetName,
    Json,
    Key,
    Lfn,
    Moment,
    Reference,
    Sentence,
    Trace,
    Url,
    Word,
)
from dynamo.inventory.states import Origin, RequestKind, TransferKind
from dynamo.operations.lifecycle import DELETIONS, REQUESTS, TRANSFERS


class Request(Base):
    """A request of a caller or of the system."""

    __tablename__ = "requests"
    __table_args__ = (
        Index(None, "kind", "id"),
        Index(None, "state", "not_before"),
        Index(None, "owner_id", "id"),
        Index(None, "dataset", "id"),
        one_of("kind", RequestKind),
        one_of("state", REQUESTS.states),
        one_of("origin", Origin),
        INNODB,
    )

    id: Mapped[Key]
    kind: Mapped[Word]
    state: Mapped[Word]
    origin: Mapped[Word] = mapped_column(server_default=Origin.CALLER)
    owner_id: Mapped[Reference] = mapped_column(ForeignKey("users.id"))
    dataset: Mapped[DatasetName]
    body: Mapped[Json]
    """The checked body of the request; only `db.requests` writes and reads it."""
    n_files: Mapped[Count]
    n_done: Mapped[Count]
    n_failed: Mapped[Count]
    bytes: Mapped[Bytes]
    bytes_done: Mapped[Bytes]
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]
    not_before: Mapped[Moment | None]
    """Time of the next look; None = no automatic look."""
    trace: Mapped[Trace]
    created: Mapped[Moment]
    updated: Mapped[Moment]


class Lease:
    """The columns of operations that workers claim."""

    state: Mapped[Word]
    attempts: Mapped[Count]
    lost: Mapped[Count]
    """Number of consecutive workers that died at it."""
    not_before: Mapped[Moment | None]
    """Time of the next try; None = waits for a person or has ended."""
    hinted: Mapped[Moment]
    """Time of the last hint."""
    lease_owner: Mapped[Trace | None]
    lease_no: Mapped[Count]
    """Fencing number: a result is recorded only with the number of its claim."""
    lease_until: Mapped[Moment | None]
    reason: Mapped[Word | None]
    error: Mapped[Sentence | None]
    created: Mapped[Moment]
    updated: Mapped[Moment]


class Transfer(Lease, Base):
    """A transfer of a file to a site."""

    __tablename__ = "transfers"
    __table_args__ = (
        UniqueConstraint("file_id", "site_id"),
        Index(None, "state", "not_before"),
        Index(None, "request_id", "state", "hinted"),
        Index(None, "replica_id", "state"),
        Index(None, "source_id", "state"),
        one_of("kind", TransferKind),
        one_of("state", TRANSFERS.states),
        INNODB,
    )

    id: Mapped[Key]
    kind: Mapped[Word]
    request_id: Mapped[Reference] = mapped_column(ForeignKey("requests.id"))
    file_id: Mapped[Reference] = mapped_column(ForeignKey("files.id"))
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    replica_id: Mapped[Reference | None] = mapped_column(ForeignKey("block_replicas.id"))
    """The destination's block replica; None until the size is known."""
    source_id: Mapped[Reference | None] = mapped_column(ForeignKey("block_replicas.id"))
    """The block replica that a copy reads and pins."""
    source_url: Mapped[Url | None]
    """The source that a pull reads."""
    upload: Mapped[Lfn | None]
    """The temporary name in the incoming area that the job of an upload writes to."""
    rebooked_by: Mapped[Reference | None]
    """The injection that got this upload name, if rebooked; None = the first injection."""
    confirmed: Mapped[bool]
    """False for an upload that the job has not confirmed yet."""
    expires: Mapped[Moment | None]
    """Time when an unused booking is given up."""


class Deletion(Lease, Base):
    """A deletion of a file at a site; queued = condemned, active = deleting."""

    __tablename__ = "deletions"
    __table_args__ = (
        UniqueConstraint("file_id", "site_id"),
        Index(None, "state", "not_before"),
        Index(None, "request_id", "state"),
        Index(None, "replica_id", "state"),
        one_of("state", DELETIONS.states),
        INNODB,
    )

    id: Mapped[Key]
    cause: Mapped[Word]
    request_id: Mapped[Reference] = mapped_column(ForeignKey("requests.id"))
    file_id: Mapped[Reference] = mapped_column(ForeignKey("files.id"))
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    replica_id: Mapped[Reference | None] = mapped_column(ForeignKey("block_replicas.id"))
    """The condemned block replica; None if only this file is deleted."""
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    bytes: Mapped[Bytes]
    """Bytes to refund to the partition's quota at the site; 0 for a file that had not arrived."""
