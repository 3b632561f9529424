"""Breakers, streams, links, downtimes, feeds, probes."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Bytes,
    Count,
    Key,
    Moment,
    Name,
    Reference,
    Seconds,
    Sentence,
    Trace,
    Word,
)
from dynamo.inventory.states import SiteStatus
from dynamo.operations.breakers import Operation


class Breaker(Base):
    """Recent results of an operation at a site; the row is locked while streams are counted."""

    __tablename__ = "breakers"
    __table_args__ = (one_of("operation", Operation), INNODB)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    operation: Mapped[Word] = mapped_column(primary_key=True)
    """`write`, `read` or `delete`."""
    failed: Mapped[Seconds]
    """Weighted number of recent failures."""
    done: Mapped[Seconds]
    """Weighted number of successes since the first of these failures."""
    counted: Mapped[Moment]
    """Time to which both weights refer."""
    until: Mapped[Moment | None]
    """None = closed; open until this time, then half-open."""
    trips: Mapped[Count]
    """Number of openings since the last success."""
    since: Mapped[Moment | None]
    """Time of the first of these openings; None = closed, or not recorded."""
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]


class Stream(Base):
    """A worker on a link, which copies files one after the other."""

    __tablename__ = "streams"
    __table_args__ = (UniqueConstraint("owner"), INNODB)

    id: Mapped[Key]
    owner: Mapped[Trace]
    """The holder of its claims."""
    user_id: Mapped[Reference]
    """The user of its transfers."""
    source_id: Mapped[Reference] = mapped_column(index=True)
    """The source site; 0 = a source outside."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    until: Mapped[Moment]
    """End of its lease."""


class Parked(Base):
    """A request with transfers that wait for a place on a link."""

    __tablename__ = "parked"
    __table_args__ = (UniqueConstraint("request_id", "source_id", "site_id"), INNODB)

    id: Mapped[Key]
    request_id: Mapped[Reference] = mapped_column(ForeignKey("requests.id", ondelete="CASCADE"))
    user_id: Mapped[Reference]
    source_id: Mapped[Reference]
    """The source site; 0 = a source outside."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))


class Link(Base):
    """The speed of a link, as a moving average over arrived files."""

    __tablename__ = "links"
    __table_args__ = (INNODB,)

    source_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True, index=True)
    bytes: Mapped[Seconds]
    """Weighted bytes of arrived files."""
    seconds: Mapped[Seconds]
    """Weighted seconds that one stream took for them."""
    updated: Mapped[Moment]


class Downtime(Base):
    """An announced period in which a site must not be used."""

    __tablename__ = "downtimes"
    __table_args__ = (UniqueConstraint("site_id", "source", "begins"), Index(None, "ends"), INNODB)

    id: Mapped[Key]
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    source: Mapped[Name]
    """The announcing feed."""
    begins: Mapped[Moment]
    ends: Mapped[Moment]
    why: Mapped[Sentence | None]


class ToldStatus(Base):
    """A feed's last statement about the status of a site."""

    __tablename__ = "told_statuses"
    __table_args__ = (one_of("status", SiteStatus), INNODB)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    source: Mapped[Name] = mapped_column(primary_key=True)
    """The feed; its row has the age of the statement."""
    status: Mapped[Word]


class Feed(Base):
    """The last result of reading a feed."""

    __tablename__ = "feeds"
    __table_args__ = (INNODB,)

    name: Mapped[Name] = mapped_column(primary_key=True)
    tried: Mapped[Moment]
    taken: Mapped[Moment | None]
    """When it was last accepted."""
    generated: Mapped[Moment | None]
    """The time that the accepted document describes."""
    reason: Mapped[Word | None]
    """Why it was refused the last time: `unreachable`, `malformed`, `stale`."""
    detail: Mapped[Sentence | None]


class Vigil(Base):
    """The watch time of a dying site."""

    __tablename__ = "vigils"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    begun: Mapped[Moment]
    """When the site began to die; dying again restarts the watch."""
    at: Mapped[Moment]
    """Time of the last look."""
    watched: Mapped[Seconds]
    """Seconds, without times in which a look was impossible."""


class Probe(Base):
    """The results of a site's last probes."""

    __tablename__ = "probes"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    at: Mapped[Moment]
    usable: Mapped[bool]
    streak: Mapped[Count]
    """Number of consecutive probes with this result."""
    free: Mapped[Bytes | None]
    """Free bytes of the storage; None = unknown."""
    used: Mapped[Bytes | None]
    """Bytes of Dynamo's files at that time, to subtract later growth from `free`."""
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]
