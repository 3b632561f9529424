"""Hindrances in rows: what becomes of all that lies at a dying site, and what keeps it there."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.evacuation.evacuation import moving, safe
from dynamo.db.tables import (
    BlockReplica,
    Cycle,
    Dataset,
    Decision,
    Deletion,
    File,
    Partition,
    Quota,
    Site,
    Transfer,
)
from dynamo.db.transfers.source_selection import in_parts
from dynamo.inventory.states import CycleKind, ReplicaState, RequestState
from dynamo.operations.lifecycle import State

REFUSED = "refused"
_UNDERTAKER = "undertaker"
"""The proposer that copies what lies at dying sites."""
_RESTS = (State.HELD, State.FAILED)


@dataclass(frozen=True, slots=True)
class SiteContent:
    """A dying site, and what the last cycles of the Dealer had to say."""

    site_id: int
    dying: frozenset[int]
    cycles: tuple[int, ...]
    """One of each partition."""
    shut: frozenset[int]
    """Partitions of which no site takes copies."""


def load(work: Work, site_id: int, dying: Collection[int]) -> SiteContent:
    """Find the cycles that were carried out last."""
    dealer = (Cycle.kind == CycleKind.DEALER, Cycle.dry_run.is_(False))
    done = (*dealer, Cycle.state == RequestState.DONE)
    newest = work.scalars(select(func.max(Cycle.id)).where(*done).group_by(Cycle.partition_id))
    columns = (Cycle.id, Cycle.partition_id, Cycle.summary)
    cycles = work.rows(select(*columns).where(Cycle.id.in_(newest)))
    taking = select(Quota.site_id).where(Quota.partition_id == Partition.id)
    without = work.scalars(select(Partition.id).where(~taking.exists()))
    full = [partition_id for _, partition_id, summary in cycles if not summary.get("sites")]
    numbers = tuple(cycle_id for cycle_id, _, _ in cycles)
    return SiteContent(site_id, frozenset(dying), numbers, frozenset((*without, *full)))


def summed(work: Work, looked: SiteContent) -> dict[str, tuple[int, int, int]]:
    """Sum up what lies at a site by what becomes of it: blocks, files, bytes.

    `leaving` is condemned, `safe` complete at a site that stays, `moving` on its way to one,
    `arriving` not even complete here, nor in parts, and `waiting` all else. `stuck` is what of
    these cannot go on by itself now, and `refused` waits although a cycle has looked at it.
    """
    here = _fates(work, looked)
    rows = work.rows(select(here.c.fate, *_totals(here)).group_by(here.c.fate))
    return {fate: (blocks, files, size) for fate, blocks, files, size in rows}


def resting(work: Work, looked: SiteContent) -> tuple[int, int]:
    """Count the files that cannot be moved or deleted now, and their bytes."""
    where = (File.id.in_(select(Transfer.file_id).where(Transfer.state.in_(_RESTS))),)
    staying = select(BlockReplica.block_id).where(*_needed(looked))
    files = select(func.count(), total(File.size))
    n_moved, moved = work.only(files.where(*where, File.block_id.in_(staying)))
    gone = select(func.count(), total(Deletion.bytes))
    here = (Deletion.site_id == looked.site_id, Deletion.state == State.HELD)
    n_deleted, deleted = work.only(gone.where(*here))
    return n_moved + n_deleted, moved + deleted


class RefusedDataset(NamedTuple):
    """A dataset of which something is refused: blocks, files, bytes."""

    dataset: str
    partition: str
    n_blocks: int
    files: int
    size: int


def refusals(work: Work, looked: SiteContent, most: int) -> list[RefusedDataset]:
    """Return the datasets of which something is refused, the largest first."""
    here = _fates(work, looked)
    totals = _totals(here)
    return work.read(
        RefusedDataset,
        select(Dataset.name.label("dataset"), Partition.name.label("partition"), *totals)
        .select_from(here)
        .join(Dataset, Dataset.id == here.c.dataset_id)
        .join(Partition, Partition.id == here.c.partition_id)
        .where(here.c.fate == REFUSED)
        .group_by(Dataset.name, Partition.name)
        .order_by(totals[2].desc(), Dataset.name)
        .limit(most),
    )


def decisions(
    work: Work, looked: SiteContent, datasets: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return for each dataset the word and the text of what the last cycle had against it."""
    columns = (Decision.dataset, Decision.text, Decision.facts, Decision.refused)
    said = select(*columns).where(*_against(looked), Decision.dataset.in_(datasets))
    return {
        dataset: (refused or str(facts["reason"]), text)
        for dataset, text, facts, refused in work.rows(said.order_by(Decision.id))
    }


class StuckFile(NamedTuple):
    """A file that cannot be deleted now, with the reason."""

    lfn: str
    size: int | None
    dataset: str
    state: str
    reason: str | None
    error: str | None
    not_before: datetime | None


class StuckCopy(NamedTuple):
    """A file that cannot be brought away now, with the reason."""

    lfn: str
    size: int | None
    dataset: str
    state: str
    reason: str | None
    error: str | None
    not_before: datetime | None
    destination: str


def transfers(work: Work, looked: SiteContent, most: int) -> list[StuckCopy]:
    """Return files of blocks at a site that cannot be brought away now, with the reason."""
    destination = aliased(Site)
    failing = and_(Transfer.state == State.QUEUED, Transfer.reason.is_not(None))
    return work.read(
        StuckCopy,
        select(
            File.lfn,
            File.size,
            Dataset.name.label("dataset"),
            Transfer.state,
            Transfer.reason,
            Transfer.error,
            Transfer.not_before,
            destination.name.label("destination"),
        )
        .join(File, File.id == Transfer.file_id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .join(destination, destination.id == Transfer.site_id)
        .where(*_needed(looked), or_(Transfer.state.in_(_RESTS), failing))
        .order_by(Transfer.id)
        .limit(most),
    )


def deletions(work: Work, looked: SiteContent, most: int) -> list[StuckFile]:
    """Return files that cannot be deleted at a site now, with the reason."""
    failing = and_(Deletion.state == State.QUEUED, Deletion.reason.is_not(None))
    return work.read(
        StuckFile,
        select(
            File.lfn,
            File.size,
            Dataset.name.label("dataset"),
            Deletion.state,
            Deletion.reason,
            Deletion.error,
            Deletion.not_before,
        )
        .join(File, File.id == Deletion.file_id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .where(Deletion.site_id == looked.site_id, or_(Deletion.state == State.HELD, failing))
        .order_by(Deletion.id)
        .limit(most),
    )


def _needed(looked: SiteContent) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for replicas that cannot be deleted yet."""
    used = or_(BlockReplica.in_use > 0, ~safe(looked.dying))
    valid = BlockReplica.state == ReplicaState.VALID
    return BlockReplica.site_id == looked.site_id, valid, used


def _against(looked: SiteContent) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for decisions by which nothing is copied."""
    mine = (Decision.cycle_id.in_(looked.cycles), Decision.proposer == _UNDERTAKER)
    return *mine, or_(Decision.action == "refuse", Decision.refused.is_not(None))


def _fates(work: Work, looked: SiteContent) -> Subquery:
    rests = (Transfer.state.in_(_RESTS), Transfer.site_id != looked.site_id)
    files = select(File.block_id).join(Transfer, Transfer.file_id == File.id).where(*rests)
    held = (Deletion.site_id == looked.site_id, Deletion.state == State.HELD)
    names = select(Dataset.id).join(Decision, Decision.dataset == Dataset.name)
    against = BlockReplica.dataset_id.in_(names.where(*_against(looked)))
    condemned = BlockReplica.state == ReplicaState.CONDEMNED
    ids = select(Deletion.replica_id).where(*held, Deletion.replica_id.is_not(None))
    fate = case(
        (and_(condemned, BlockReplica.id.in_(ids)), "stuck"),
        (condemned, "leaving"),
        (and_(BlockReplica.in_use == 0, safe(looked.dying)), "safe"),
        (BlockReplica.block_id.in_(files.where(File.block_id.is_not(None))), "stuck"),
        (safe(looked.dying), "safe"),
        (moving(looked.dying), "moving"),
        (
            and_(BlockReplica.complete.is_(False), ~in_parts(work, BlockReplica.block_id)),
            "arriving",
        ),
        (or_(BlockReplica.partition_id.in_(looked.shut), against), REFUSED),
        else_="waiting",
    )
    columns = (BlockReplica.dataset_id, BlockReplica.partition_id, BlockReplica.n_files)
    return (
        select(fate.label("fate"), *columns, BlockReplica.bytes)
        .where(BlockReplica.site_id == looked.site_id)
        .subquery()
    )


def _totals(here: Subquery) -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[int]]:
    return (
        func.count().label("n_blocks"),
        total(here.c.n_files).label("files"),
        total(here.c.bytes).label("size"),
    )
