"""Warnings about space: promised user quotas, and the share of unique bytes."""

from sqlalchemy import ScalarSelect, Subquery, case, exists, func, literal, select
from sqlalchemy.orm import aliased

from dynamo.db.catalogue import good_copies
from dynamo.db.invariants.limits import InvariantLimits, Statements
from dynamo.db.tables import Block, BlockReplica, Dataset, Partition, Quota, Site, User
from dynamo.inventory.states import ReplicaState


def _quota(limits: InvariantLimits) -> ScalarSelect[int]:
    """Return the sum of the sites' quotas for user data; NULL if one is unlimited."""
    unlimited = func.sum(case((Quota.max_bytes.is_(None), 1), else_=0))
    return (
        select(func.sum(Quota.max_bytes))
        .join(Partition, Partition.id == Quota.partition_id)
        .where(Partition.name == limits.user_partition)
        .group_by(Partition.id)
        .having(unlimited == 0)
        .scalar_subquery()
    )


def promised(limits: InvariantLimits) -> Statements:
    """Find that user quotas promise more than the sites give."""
    total = select(func.coalesce(func.sum(User.max_bytes), 0)).scalar_subquery()
    quota = _quota(limits)
    statement = select(total.label("promised"), quota.label("quota"))
    return (statement.where(total > quota * limits.promised_share),)


def _unique(limits: InvariantLimits, share: float, most: float | None) -> Statements:
    total = (
        select(func.coalesce(func.sum(Dataset.bytes), 0))
        .join(Partition, Partition.id == Dataset.partition_id)
        .where(Partition.name == limits.user_partition)
        .scalar_subquery()
    )
    quota = _quota(limits)
    everywhere = select(literal("all").label("site"), total.label("unique"), quota.label("quota"))
    per_site = _unique_at_sites(limits)
    at_sites = select(per_site.c.site, per_site.c.bytes, per_site.c.quota).where(
        per_site.c.bytes > per_site.c.quota * share
    )
    everywhere = everywhere.where(total > quota * share)
    if most is not None:
        everywhere = everywhere.where(total <= quota * most)
        at_sites = at_sites.where(per_site.c.bytes <= per_site.c.quota * most)
    return everywhere, at_sites


def _unique_at_sites(limits: InvariantLimits) -> Subquery:
    """Return per site the bytes of user data blocks that only this site has."""
    other = aliased(BlockReplica)
    elsewhere = exists().where(
        other.block_id == BlockReplica.block_id,
        other.id != BlockReplica.id,
        good_copies.of_block(other),
    )
    return (
        select(
            Site.name.label("site"),
            func.sum(BlockReplica.bytes).label("bytes"),
            func.max(Quota.max_bytes).label("quota"),
        )
        .select_from(Quota)
        .join(Partition, Partition.id == Quota.partition_id)
        .join(Site, Site.id == Quota.site_id)
        .join(
            BlockReplica,
            (BlockReplica.site_id == Quota.site_id)
            & (BlockReplica.partition_id == Quota.partition_id),
        )
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            Partition.name == limits.user_partition,
            BlockReplica.state == ReplicaState.VALID,
            ~elsewhere,
        )
        .group_by(Site.name)
        .subquery()
    )


def noticed(limits: InvariantLimits) -> Statements:
    """Find that unique bytes exceed the notice share of the user partition."""
    return _unique(limits, limits.notice_share, limits.alarm_share)


def alarming(limits: InvariantLimits) -> Statements:
    """Find that unique bytes exceed the alarm share of the user partition."""
    return _unique(limits, limits.alarm_share, None)
