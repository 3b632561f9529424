"""Work: requests, transfers, deletions."""

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
    """What somebody asked for."""

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
    """What was asked, as it was understood; `db.requests` alone writes and reads it."""
    n_files: Mapped[Count]
    n_done: Mapped[Count]
    n_failed: Mapped[Count]
    bytes: Mapped[Bytes]
    bytes_done: Mapped[Bytes]
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]
    not_before: Mapped[Moment | None]
    """When it is looked at next; None = never again by itself."""
    trace: Mapped[Trace]
    created: Mapped[Moment]
    updated: Mapped[Moment]


class Lease:
    """The columns of work that a worker claims."""

    state: Mapped[Word]
    attempts: Mapped[Count]
    lost: Mapped[Count]
    """Workers that died over it, one after the other."""
    not_before: Mapped[Moment | None]
    """When it is tried next; None = waits for a person or has ended."""
    hinted: Mapped[Moment]
    """When a message for it was last sent."""
    lease_owner: Mapped[Trace | None]
    lease_no: Mapped[Count]
    """Fencing number: a result is recorded only under the number of its claim."""
    lease_until: Mapped[Moment | None]
    reason: Mapped[Word | None]
    error: Mapped[Sentence | None]
    created: Mapped[Moment]
    updated: Mapped[Moment]


class Transfer(Lease, Base):
    """A file on its way to a site."""

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
    """The block replica that is read and pinned, for copies."""
    source_url: Mapped[Url | None]
    """What is read, for pulls."""
    upload: Mapped[Lfn | None]
    """The temporary name in the incoming area that the job writes to, for uploads."""
    rebooked_by: Mapped[Reference | None]
    """The injection that was told this name; earlier ones were told another. None = the first."""
    confirmed: Mapped[bool]
    """False for an upload that the job has not confirmed yet."""
    expires: Mapped[Moment | None]
    """When a booking that never arrived is given up."""


class Deletion(Lease, Base):
    """A file on its way out of a site; queued = condemned, active = deleting."""

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
    """The condemned block replica; None where only this file leaves."""
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    bytes: Mapped[Bytes]
    """Bytes that the partition's quota at the site gets back; 0 for a file that had not arrived."""
