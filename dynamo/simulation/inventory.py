"""Starts a simulation from a real inventory: copies its rows and simulates its files."""

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.snapshots import clone
from dynamo.db.tables import Access, BlockReplica, Dataset, File, ReplicaFile, Site
from dynamo.services.context import Context
from dynamo.simulation.scenario import Interest
from dynamo.simulation.storage import Network
from dynamo.storage.protocol import Copied

RECENT = timedelta(days=30)
"""Period of the accesses that measure popularity."""
UNREAD = 0.01
"""Assumed accesses in that period of a dataset without accesses."""


def moment(source: UnitOfWork) -> datetime:
    """Return the time of the inventory."""
    with source.reading() as work:
        return work.now


def take(
    source: UnitOfWork, ctx: Context, network: Network, random: np.random.Generator
) -> tuple[Interest, list[str]]:
    """Copy the inventory and simulate the files of all replicas; return interest and names."""
    with source.snapshot() as original, ctx.begin() as copied:
        clone.copy(original, copied)
    _imagine(ctx, network)
    since = moment(source) - RECENT
    read = total(Access.accesses)
    recent = (Access.dataset_id == Dataset.id) & (Access.day >= since.date())
    wanted = (
        select(Dataset.name, read)
        .outerjoin(Access, recent)
        .where(Dataset.owner_id.is_(None))
        .group_by(Dataset.id, Dataset.name)
        .order_by(Dataset.name)
    )
    with ctx.begin.reading() as work:
        rows = work.rows(wanted)
    weights = np.array([max(float(n), UNREAD) for _, n in rows])
    return Interest(random, weights), [name for name, _ in rows]


def _imagine(ctx: Context, network: Network) -> None:
    """Give each simulated storage the files of the catalogue."""
    at_sites = (
        select(Site.url, File.lfn, File.size, File.adler32)
        .join(BlockReplica, BlockReplica.site_id == Site.id)
        .join(File, File.block_id == BlockReplica.block_id)
    )
    whole = at_sites.where(BlockReplica.complete.is_(True))
    listed = at_sites.join(
        ReplicaFile,
        (ReplicaFile.replica_id == BlockReplica.id) & (ReplicaFile.file_id == File.id),
    )
    with ctx.begin.reading() as work:
        for url in work.scalars(select(Site.url)):
            network.at(url)
        for wanted in (whole, listed):
            for row in work.execute(wanted.execution_options(yield_per=10_000)):
                network.at(row.url).files[row.lfn] = Copied(row.size, row.adler32 or "00000001")
