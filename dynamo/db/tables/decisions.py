"""Policies, their inputs, cycles and decisions."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.db.tables.base import INNODB, Base, one_of
from dynamo.db.tables.types import (
    Bytes,
    Count,
    DatasetName,
    Day,
    Hash,
    Json,
    Key,
    LongText,
    Moment,
    Name,
    Reference,
    Seconds,
    Sentence,
    Trace,
    Uuid,
    Word,
    Words,
)
from dynamo.inventory.states import CycleKind
from dynamo.operations.lifecycle import CYCLES


class Policy(Base):
    """A version of a policy; the newest version of a partition is in force."""

    __tablename__ = "policies"
    __table_args__ = (UniqueConstraint("partition_id", "version"), INNODB)

    id: Mapped[Key]
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    version: Mapped[Count]
    """From 1, without gaps."""
    text: Mapped[LongText]
    who: Mapped[Name]
    at: Mapped[Moment]


class PlacementRules(Base):
    """A version of placement rules; the newest version of a partition is in force."""

    __tablename__ = "placement_rules"
    __table_args__ = (UniqueConstraint("partition_id", "version"), INNODB)

    id: Mapped[Key]
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    version: Mapped[Count]
    """From 1, without gaps."""
    text: Mapped[LongText]
    who: Mapped[Name]
    at: Mapped[Moment]


class Lock(Base):
    """A lock that protects data until a given time."""

    __tablename__ = "locks"
    __table_args__ = (
        UniqueConstraint("identity"),
        Index(None, "expires"),
        Index(None, "owner", "id"),
        INNODB,
    )

    id: Mapped[Key]
    identity: Mapped[Hash]
    """Hash of owner, item, sites and groups: the same lock again only changes end and reason."""
    owner: Mapped[Name]
    dataset: Mapped[DatasetName]
    """A name or a glob."""
    block: Mapped[Uuid | None]
    """The block id after the `#`; None = whole datasets."""
    sites: Mapped[Words]
    """Names and globs; empty = all."""
    groups: Mapped[Words]
    """Names and globs; empty = all."""
    why: Mapped[Sentence | None]
    created: Mapped[Moment]
    expires: Mapped[Moment]
    """The end of the lock."""


class Access(Base):
    """Accesses of jobs at a site to a dataset on one day; a repeated report replaces them."""

    __tablename__ = "accesses"
    __table_args__ = (Index(None, "day"), INNODB)

    # a dataset's popularity is deleted with it
    dataset_id: Mapped[Reference] = mapped_column(
        ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    site_id: Mapped[Reference] = mapped_column(ForeignKey("sites.id"), primary_key=True, index=True)
    day: Mapped[Day] = mapped_column(primary_key=True)
    accesses: Mapped[Count]
    cpu_seconds: Mapped[Seconds]


class Demand(Base):
    """Jobs that wait for a dataset since a time; a repeated report replaces them."""

    __tablename__ = "demands"
    __table_args__ = (Index(None, "since"), INNODB)

    dataset_id: Mapped[Reference] = mapped_column(
        ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[Name] = mapped_column(primary_key=True)
    """The reporting batch system."""
    since: Mapped[Moment] = mapped_column(primary_key=True)
    jobs: Mapped[Count]


class Cycle(Base):
    """One run of Detox or the Dealer for a partition."""

    __tablename__ = "cycles"
    __table_args__ = (
        UniqueConstraint("running_key"),
        Index(None, "kind", "partition_id", "id"),
        Index(None, "state", "lease_until"),
        one_of("kind", CycleKind),
        one_of("state", CYCLES.states),
        INNODB,
    )

    id: Mapped[Key]
    kind: Mapped[Word]
    """`detox` or `dealer`."""
    partition_id: Mapped[Reference] = mapped_column(ForeignKey("partitions.id"))
    policy_id: Mapped[Reference | None] = mapped_column(ForeignKey("policies.id"))
    """None if a dry run uses a text that is not in force."""
    text: Mapped[LongText | None]
    """That text."""
    dry_run: Mapped[bool]
    """The plan is kept but not carried out."""
    state: Mapped[Word]
    running_key: Mapped[Name | None]
    """`<kind>@<partition id>` while a cycle runs, except dry runs: unique, so never two at once."""
    seed: Mapped[Reference]
    """Seed of random choices, for replays."""
    who: Mapped[Name]
    trace: Mapped[Trace]
    request_id: Mapped[Reference | None] = mapped_column(ForeignKey("requests.id"))
    """The deletion under which its replicas are condemned."""
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
    """Sites before and after, and counts of refusals by reason."""


class Decision(Base):
    """A decision of a cycle about a replica, with its policy line; with names instead of keys."""

    __tablename__ = "decisions"
    __table_args__ = (
        UniqueConstraint("cycle_id", "position"),
        Index(None, "cycle_id", "site", "position"),
        Index(None, "dataset", "site", "cycle_id"),
        INNODB,
    )

    id: Mapped[Key]
    cycle_id: Mapped[Reference] = mapped_column(ForeignKey("cycles.id", ondelete="CASCADE"))
    position: Mapped[Count]
    """Position in the plan."""
    site: Mapped[Name]
    dataset: Mapped[DatasetName]
    block: Mapped[Uuid | None]
    """None = the whole dataset replica."""
    action: Mapped[Word]
    line: Mapped[Count]
    """Number of the policy's line; 0 = the default decision."""
    proposer: Mapped[Name | None]
    """The Dealer's proposer; None in cycles of Detox."""
    text: Mapped[Sentence]
    """The line, cut to fit; for the Dealer the reason of the copy, or of the refusal."""
    n_files: Mapped[Count]
    bytes: Mapped[Bytes]
    facts: Mapped[Json]
    """The values of the line's variables."""
    refused: Mapped[Word | None]
    """The reason if the decision was not carried out."""
