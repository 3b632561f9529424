"""Scans of sites, their sightings, and remedies."""

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
    """A comparison of a site with the catalogue."""

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
    """The result is shown only, neither kept nor acted upon."""
    state: Mapped[Word]
    running_key: Mapped[Name | None]
    """The site's key while a scan waits or runs, except dry runs: unique, so never two at once."""
    endpoint: Mapped[Hash | None]
    """Hash of the site's URL and rules: after a change, earlier sightings do not count."""
    who: Mapped[Name]
    trace: Mapped[Trace]
    created: Mapped[Moment]
    started: Mapped[Moment | None]
    ended: Mapped[Moment | None]
    lease_owner: Mapped[Trace | None]
    lease_no: Mapped[Count]
    """Fencing number: without the lease nothing can be written."""
    lease_until: Mapped[Moment | None]
    reason: Mapped[Word | None]
    error: Mapped[Sentence | None]
    summary: Mapped[Json]
    """Counts and first names per kind."""


class Sighting(Base):
    """An inconsistency that scans found at a site, not acted upon yet."""

    __tablename__ = "sightings"
    __table_args__ = (UniqueConstraint("site_id", "lfn_hash"), one_of("kind", Kind), INNODB)

    id: Mapped[Key]
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    kind: Mapped[Word]
    """`dark`, `missing`, `wrong` (another size), `corrupt` (another checksum)."""
    lfn: Mapped[Lfn]
    lfn_hash: Mapped[Hash]
    size: Mapped[Bytes]
    """Bytes at the site; for a missing file, bytes in the catalogue."""
    modified: Mapped[Moment | None]
    """The modification time at the storage; None for a missing file."""
    first: Mapped[Moment]
    last: Mapped[Moment]
    scan_id: Mapped[Reference]
    """The last scan that saw it."""


class Remedy(Lease, Base):
    """A remedy for a file at a site."""

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
    """`quarantine` a dark file, `mend` a missing or bad one; for a file in quarantine: `remove` it
    after its time, `release` it to its old name."""
    found: Mapped[Word]
    """`dark`, `missing`, `wrong` or `corrupt`."""
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"))
    scan_id: Mapped[Reference]
    open_key: Mapped[Name | None]
    """Site and name until the first step is done: unique, so one remedy at a time per file."""
    lfn: Mapped[Lfn]
    size: Mapped[Bytes]
    modified: Mapped[Moment | None]
    aside: Mapped[Lfn | None]
    """Its name in the quarantine."""
