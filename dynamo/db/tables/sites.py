"""Groups, sites, partitions, quotas, users."""

from sqlalchemy import ForeignKey, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Bytes,
    Count,
    Json,
    Key,
    LongText,
    Moment,
    Name,
    Reference,
    Url,
    Word,
    Words,
)
from dynamo.inventory.states import SiteKind, SiteStatus


class Group(Base):
    """An owner of block replicas, of whole datasets or single blocks."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("name"), INNODB)

    id: Mapped[Key]
    name: Mapped[Name]
    level: Mapped[Word]


class Site(Base):
    """A site, with one storage endpoint."""

    __tablename__ = "sites"
    __table_args__ = (
        UniqueConstraint("name"),
        one_of("kind", SiteKind),
        one_of("status", SiteStatus),
        INNODB,
    )

    id: Mapped[Key]
    name: Mapped[Name]
    kind: Mapped[Word]
    status: Mapped[Word]
    url: Mapped[Url]
    """Endpoint; the PFN is this plus the LFN, unless the site has rules."""
    rules: Mapped[Json]
    scratch: Mapped[Words]
    """Folders for `file:` sources of jobs."""
    sources: Mapped[Words]
    """`scheme://host` globs of allowed sources, such as `root://*.cern.ch`."""
    created: Mapped[Moment]
    since: Mapped[Moment | None]
    """Time of the last change of status; None = never changed."""
    set_by: Mapped[Word | None]
    """Source of the status: None = an operator, else such as `probes` or `feed`."""
    max_streams: Mapped[Count | None]
    """Limit of parallel streams into it, and out of it; None = the setting's value."""
    max_link_streams: Mapped[Count | None]
    """Limit of parallel streams on each of its links; None = the setting's value."""


class Partition(Base):
    """A named share of storage."""

    __tablename__ = "partitions"
    __table_args__ = (UniqueConstraint("name"), INNODB)

    id: Mapped[Key]
    name: Mapped[Name]
    definition: Mapped[LongText]
    allow_last_copy: Mapped[bool] = mapped_column(default=False, server_default=false())
    """A policy may delete the last complete copy of valid data."""


class Quota(Base):
    """The bytes that a partition may fill at a site; no row = no space."""

    __tablename__ = "quotas"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"), primary_key=True)
    max_bytes: Mapped[Bytes | None]
    """None = unlimited, 0 = no space."""
    projected: Mapped[Bytes]
    """Bytes after all transfers: present, in transfer or booked.

    Condemned bytes count until they are deleted.
    """
    used: Mapped[Bytes]
    """Bytes present."""


class User(Base):
    """An identity that owns data."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("name"), INNODB)

    id: Mapped[Key]
    name: Mapped[Name]
    roles: Mapped[Words]
    max_bytes: Mapped[Bytes | None]
    """Unique bytes the user may have; None = unlimited."""
    used: Mapped[Bytes]
    """Unique bytes registered and not condemned."""
    n_files: Mapped[Count]
    created: Mapped[Moment]
