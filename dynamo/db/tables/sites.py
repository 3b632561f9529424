"""Who and where: groups, sites, partitions, quotas, users."""

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
    """Owns block replicas, by whole datasets or by blocks."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("name"), INNODB)

    id: Mapped[Key]
    name: Mapped[Name]
    level: Mapped[Word]


class Site(Base):
    """One storage endpoint."""

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
    """Endpoint; the PFN is this and the LFN unless a rule says otherwise."""
    rules: Mapped[Json]
    scratch: Mapped[Words]
    """Folders in which jobs' `file:` sources may lie."""
    sources: Mapped[Words]
    """`scheme://host` globs from which data may be pulled, such as `root://*.cern.ch`."""
    created: Mapped[Moment]
    since: Mapped[Moment | None]
    """Since when it has its status; None = since it was created."""
    set_by: Mapped[Word | None]
    """Who gave it its status: None = an operator, else `probes` or `feed`."""
    max_streams: Mapped[Count | None]
    """Streams into it at once, and as many out of it; None = as the settings say."""
    max_link_streams: Mapped[Count | None]
    """Streams between it and one other site at once; None = as the settings say."""


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
    """How many bytes a partition may fill at a site; no row = takes no part."""

    __tablename__ = "quotas"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"), primary_key=True)
    max_bytes: Mapped[Bytes | None]
    """None = unlimited, 0 = no space."""
    projected: Mapped[Bytes]
    """Bytes when all has arrived: there, on the way or booked.

    Condemned ones until they are gone.
    """
    used: Mapped[Bytes]
    """Bytes there now."""


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
