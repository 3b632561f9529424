"""Consistency: scans of storages, what they saw, and what is done about it."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.consistency.decision import Kind
from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.operations import Lease
from dynamo.db.tables.types import (
    Bytes,
    Count,
    Hash,
    Json,
    Key,
    Lfn,
    Moment,
    Name,
    Reference,
    Sentence,
    Trace,
    Word,
)
from dynamo.inventory.states import RemedyKind
from dynamo.operations.lifecycle import REMEDIES, SCANS


class Scan(Base):
    """One comparison of what lies at a site with what should."""

    __tablename__ = "scans"
    __table_args__ = (
        UniqueConstraint("running_key"),
        Index(None, "site_id", "id"),
        Index(None, "state", "lease_until"),
        one_of("state", SCANS.states),
        INNODB,
    )

    id: Mapped[Key]
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    dry_run: Mapped[bool]
    """What was seen is shown, and neither remembered nor acted upon."""
    state: Mapped[Word]
    running_key: Mapped[Name | None]
    """The site's key while it waits or runs and is no dry run: never two at once."""
    endpoint: Mapped[Hash | None]
    """Of the site's address and rules as they were then: after a change nothing counts twice."""
    who: Mapped[Name]
    trace: Mapped[Trace]
    created: Mapped[Moment]
    started: Mapped[Moment | None]
    ended: Mapped[Moment | None]
    lease_owner: Mapped[Trace | None]
    lease_no: Mapped[Count]
    """Fencing number: who lost the lease writes nothing."""
    lease_until: Mapped[Moment | None]
    reason: Mapped[Word | None]
    error: Mapped[Sentence | None]
    summary: Mapped[Json]
    """Counts, and the first names of each kind."""


class Sighting(Base):
    """Something that scans found at a site and that nothing was done about yet."""

    __tablename__ = "sightings"
    __table_args__ = (UniqueConstraint("site_id", "lfn_hash"), one_of("kind", Kind), INNODB)

    id: Mapped[Key]
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    kind: Mapped[Word]
    """`dark`, `missing`, `wrong` (another size), `corrupt` (another checksum)."""
    lfn: Mapped[Lfn]
    lfn_hash: Mapped[Hash]
    size: Mapped[Bytes]
    """Bytes that lie there, for a missing file those that should."""
    modified: Mapped[Moment | None]
    """When the storage says that the file was changed; None for a missing one."""
    first: Mapped[Moment]
    last: Mapped[Moment]
    scan_id: Mapped[Reference]
    """The last scan that saw it."""


class Remedy(Lease, Base):
    """What is done about a file at a site."""

    __tablename__ = "remedies"
    __table_args__ = (
        UniqueConstraint("open_key"),
        Index(None, "state", "not_before"),
        Index(None, "site_id", "id"),
        one_of("kind", RemedyKind),
        one_of("found", Kind),
        one_of("state", REMEDIES.states),
        INNODB,
    )

    id: Mapped[Key]
    kind: Mapped[Word]
    """`quarantine` a dark file, `mend` a missing or bad one; of a file that lies in quarantine:
    `remove` it when its time is over, `release` it to where it lay."""
    found: Mapped[Word]
    """`dark`, `missing`, `wrong` or `corrupt`."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    scan_id: Mapped[Reference]
    open_key: Mapped[Name | None]
    """Site and name until the first step is done: one remedy at a time for each file."""
    lfn: Mapped[Lfn]
    size: Mapped[Bytes]
    modified: Mapped[Moment | None]
    aside: Mapped[Lfn | None]
    """Its name in the quarantine."""
