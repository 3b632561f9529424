"""History, incidents, switches, pulses, answers."""

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Bytes,
    Count,
    DatasetName,
    Hash,
    IdempotencyKey,
    Key,
    Lfn,
    Moment,
    Name,
    Reference,
    Sentence,
    SwitchName,
    Trace,
    Uuid,
    Word,
)
from dynamo.inventory.states import IncidentKind


class History(Base):
    """Events with actors and reasons; with names instead of keys, as their rows may be deleted."""

    __tablename__ = "history"
    __table_args__ = (
        Index(None, "dataset", "id"),
        Index(None, "block", "id"),
        Index(None, "lfn", "id"),
        Index(None, "site", "id"),
        INNODB,
    )

    id: Mapped[Key]
    at: Mapped[Moment]
    who: Mapped[Name]
    what: Mapped[Word]
    dataset: Mapped[DatasetName | None]
    block: Mapped[Uuid | None]
    lfn: Mapped[Lfn | None]
    site: Mapped[Name | None]
    n_files: Mapped[Count | None]
    bytes: Mapped[Bytes | None]
    request_id: Mapped[Reference | None]
    trace: Mapped[Trace]
    why: Mapped[Sentence | None]


class Incident(Base):
    """A bad or lost file."""

    __tablename__ = "incidents"
    __table_args__ = (
        UniqueConstraint("lfn", "site", "kind"),
        Index(None, "owner", "id"),
        Index(None, "ended", "id"),
        one_of("kind", IncidentKind),
        INNODB,
    )

    id: Mapped[Key]
    lfn: Mapped[Lfn]
    site: Mapped[Name]
    """Empty = all copies."""
    kind: Mapped[Word]
    """`corrupt`, `missing` or `lost`."""
    dataset: Mapped[DatasetName | None]
    owner: Mapped[Name | None]
    """The owner of the file; None = official data."""
    at: Mapped[Moment]
    ended: Mapped[Moment | None]
    """When the file was good again or deleted; None = still bad or lost."""
    detail: Mapped[Sentence | None]


class Switch(Base):
    """A stop switch: `deletions`, `detox`, `dealer`, `consistency`, `injection`, `site:<name>`."""

    __tablename__ = "switches"
    __table_args__ = (INNODB,)

    name: Mapped[SwitchName] = mapped_column(primary_key=True)
    stopped: Mapped[bool]
    who: Mapped[Name]
    why: Mapped[Sentence | None]
    at: Mapped[Moment]


class Pulse(Base):
    """The last heartbeat of a part, and the holder of a task that must not run twice."""

    __tablename__ = "pulses"
    __table_args__ = (INNODB,)

    name: Mapped[Name] = mapped_column(primary_key=True)
    at: Mapped[Moment]
    owner: Mapped[Trace | None]
    until: Mapped[Moment | None]


class Answer(Base):
    """The first answer to a call with an idempotency key."""

    __tablename__ = "answers"
    __table_args__ = (INNODB,)

    caller: Mapped[Name] = mapped_column(primary_key=True)
    key: Mapped[IdempotencyKey] = mapped_column(primary_key=True)
    body_hash: Mapped[Hash]
    request_id: Mapped[Reference]
    answer: Mapped[bytes] = mapped_column(
        LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    )
    """The JSON of the answer, deflated."""
    created: Mapped[Moment] = mapped_column(index=True)
