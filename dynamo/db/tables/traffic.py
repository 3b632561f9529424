"""Traffic: who works where now, which sites keep failing, how fast links are, what feeds said."""

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
    """How an operation goes at a site; its row is locked while streams there are counted."""

    __tablename__ = "breakers"
    __table_args__ = (one_of("operation", Operation), INNODB)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    operation: Mapped[Word] = mapped_column(primary_key=True)
    """`write`, `read` or `delete`."""
    failed: Mapped[Seconds]
    """Recent failures; older ones weigh less."""
    done: Mapped[Seconds]
    """Recent successes since the first of these failures, likewise."""
    counted: Mapped[Moment]
    """The moment as of which both are weighed."""
    until: Mapped[Moment | None]
    """None = closed; open until then, afterwards tried with few files."""
    trips: Mapped[Count]
    """How often it opened without a success in between."""
    since: Mapped[Moment | None]
    """When it did so first; None = closed, or nobody noted it."""
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]


class Stream(Base):
    """A worker that brings files to a site, one after the other."""

    __tablename__ = "streams"
    __table_args__ = (UniqueConstraint("owner"), INNODB)

    id: Mapped[Key]
    owner: Mapped[Trace]
    """The holder of its claims."""
    user_id: Mapped[Reference]
    """For whom."""
    source_id: Mapped[Reference] = mapped_column(index=True)
    """The site that is read; 0 = none of ours."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    until: Mapped[Moment]
    """When it is taken for dead."""


class Parked(Base):
    """A request with files that wait until a way is less busy."""

    __tablename__ = "parked"
    __table_args__ = (UniqueConstraint("request_id", "source_id", "site_id"), INNODB)

    id: Mapped[Key]
    request_id: Mapped[Reference] = mapped_column(ForeignKey("requests.id", ondelete="CASCADE"))
    user_id: Mapped[Reference]
    source_id: Mapped[Reference]
    """The site that is read; 0 = none of ours."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))


class Link(Base):
    """How fast files come from one site to another, a moving average over what arrived."""

    __tablename__ = "links"
    __table_args__ = (INNODB,)

    source_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True, index=True)
    bytes: Mapped[Seconds]
    """Bytes that arrived; older ones weigh less."""
    seconds: Mapped[Seconds]
    """Seconds that they took one stream, likewise."""
    updated: Mapped[Moment]


class Downtime(Base):
    """A time in which a site is not to be used, as somebody announced it."""

    __tablename__ = "downtimes"
    __table_args__ = (UniqueConstraint("site_id", "source", "begins"), Index(None, "ends"), INNODB)

    id: Mapped[Key]
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    source: Mapped[Name]
    """The feed that says so."""
    begins: Mapped[Moment]
    ends: Mapped[Moment]
    why: Mapped[Sentence | None]


class ToldStatus(Base):
    """What a feed said last of a site's status."""

    __tablename__ = "told_statuses"
    __table_args__ = (one_of("status", SiteStatus), INNODB)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    source: Mapped[Name] = mapped_column(primary_key=True)
    """The feed that says so; how old it is stands with the feed."""
    status: Mapped[Word]


class Feed(Base):
    """What became of a feed when it was last read."""

    __tablename__ = "feeds"
    __table_args__ = (INNODB,)

    name: Mapped[Name] = mapped_column(primary_key=True)
    tried: Mapped[Moment]
    taken: Mapped[Moment | None]
    """When it last was read and believed."""
    generated: Mapped[Moment | None]
    """The moment that it then described."""
    reason: Mapped[Word | None]
    """Why it was not believed the last time: `unreachable`, `malformed`, `stale`."""
    detail: Mapped[Sentence | None]


class Vigil(Base):
    """For how long a dying site has been watched."""

    __tablename__ = "vigils"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    begun: Mapped[Moment]
    """Since when the site is dying: who dies anew is watched anew."""
    at: Mapped[Moment]
    """When somebody looked last."""
    watched: Mapped[Seconds]
    """Seconds, without those in which nobody could have told whether it lives."""


class Probe(Base):
    """How a site's last probes ended."""

    __tablename__ = "probes"
    __table_args__ = (INNODB,)

    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True)
    at: Mapped[Moment]
    usable: Mapped[bool]
    streak: Mapped[Count]
    """Probes in a row that ended like this."""
    free: Mapped[Bytes | None]
    """Bytes that the storage had left; None where it does not tell."""
    used: Mapped[Bytes | None]
    """Bytes that files of ours took then: what was written since is taken off what was left."""
    reason: Mapped[Word | None]
    detail: Mapped[Sentence | None]
