"""The catalogue: datasets, blocks, files and their replicas."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Adler32,
    Bytes,
    Count,
    DatasetName,
    Hash,
    Key,
    Lfn,
    Moment,
    Name,
    Reference,
    Uuid,
    Word,
)
from dynamo.inventory.states import DatasetStatus
from dynamo.operations.lifecycle import REPLICAS


class Dataset(Base):
    """A named collection of blocks."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("name"),
        Index(None, "owner_id", "name"),
        one_of("status", DatasetStatus),
        INNODB,
    )

    id: Mapped[Key]
    name: Mapped[DatasetName]
    owner_id: Mapped[Reference | None] = mapped_column(ForeignKey("users.id"))
    """None for official data."""
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    group_id: Mapped[Reference | None] = mapped_column(ForeignKey("groups.id"))
    status: Mapped[Word]
    type: Mapped[Word]
    is_open: Mapped[bool]
    """False = takes no more files."""
    n_files: Mapped[Count]
    bytes: Mapped[Bytes]
    created: Mapped[Moment]
    updated: Mapped[Moment]


class Block(Base):
    """The unit of placement, copy and deletion."""

    __tablename__ = "blocks"
    __table_args__ = (UniqueConstraint("dataset_id", "uuid"), UniqueConstraint("open_key"), INNODB)

    id: Mapped[Key]
    dataset_id: Mapped[Reference] = mapped_column(ForeignKey("datasets.id"))
    site_id: Mapped[Reference | None] = mapped_column(ForeignKey("sites.id"))
    """The site where it is or was filled."""
    uuid: Mapped[Uuid]
    open_key: Mapped[Name | None]
    """`<dataset id>@<site id>` while open: unique, so one open block per dataset and site."""
    closed: Mapped[bool]
    n_files: Mapped[Count]
    bytes: Mapped[Bytes]
    created: Mapped[Moment]
    last_file: Mapped[Moment]
    closed_at: Mapped[Moment | None]
    condemned_by: Mapped[Reference | None] = mapped_column(ForeignKey("requests.id"))
    """The deletion that removes the block everywhere, with the names of its files."""


class File(Base):
    """A logical file; its name is unique over the whole system."""

    __tablename__ = "files"
    __table_args__ = (
        UniqueConstraint("lfn_hash"),
        Index(None, "dataset_id", "id"),
        Index(None, "block_id", "id"),
        INNODB,
    )

    id: Mapped[Key]
    dataset_id: Mapped[Reference] = mapped_column(ForeignKey("datasets.id"))
    block_id: Mapped[Reference | None] = mapped_column(ForeignKey("blocks.id"))
    """None until the size is known."""
    lfn: Mapped[Lfn]
    lfn_hash: Mapped[Hash]
    size: Mapped[Bytes | None]
    adler32: Mapped[Adler32 | None]
    created: Mapped[Moment]
    added: Mapped[Moment | None]
    """When it was added to its block."""
    condemned_by: Mapped[Reference | None] = mapped_column(ForeignKey("requests.id"))
    """The deletion that removes this file alone, from a block that stays."""


class DatasetReplica(Base):
    """A dataset at a site; a growing one receives new blocks."""

    __tablename__ = "dataset_replicas"
    __table_args__ = (UniqueConstraint("dataset_id", "site_id"), INNODB)

    id: Mapped[Key]
    dataset_id: Mapped[Reference] = mapped_column(ForeignKey("datasets.id"))
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), index=True)
    group_id: Mapped[Reference | None] = mapped_column(ForeignKey("groups.id"))
    growing: Mapped[bool]
    created: Mapped[Moment]


class BlockReplica(Base):
    """A block at a site, with all or a part of its files."""

    __tablename__ = "block_replicas"
    __table_args__ = (
        UniqueConstraint("block_id", "site_id"),
        Index(None, "dataset_id", "site_id"),
        Index(None, "site_id", "partition_id"),
        one_of("state", REPLICAS.states),
        INNODB,
    )

    id: Mapped[Key]
    block_id: Mapped[Reference] = mapped_column(ForeignKey("blocks.id"))
    dataset_id: Mapped[Reference] = mapped_column(ForeignKey("datasets.id"))
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    group_id: Mapped[Reference | None] = mapped_column(ForeignKey("groups.id"))
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    request_id: Mapped[Reference | None] = mapped_column(ForeignKey("requests.id"), index=True)
    """The copy request that made it; None for injected data."""
    custodial: Mapped[bool]
    state: Mapped[Word]
    n_files: Mapped[Count]
    """Files present."""
    bytes: Mapped[Bytes]
    """Bytes present."""
    complete: Mapped[bool]
    """The block is closed and all its files are at the site; `replica_files` lists none then."""
    in_use: Mapped[Count]
    """Number of open transfers that read the replica: it cannot be deleted while in use."""
    created: Mapped[Moment]
    updated: Mapped[Moment]


class ReplicaFile(Base):
    """A file of an incomplete block replica."""

    __tablename__ = "replica_files"
    __table_args__ = (INNODB,)

    replica_id: Mapped[Reference] = mapped_column(ForeignKey("block_replicas.id"), primary_key=True)
    file_id: Mapped[Reference] = mapped_column(ForeignKey("files.id"), primary_key=True, index=True)
