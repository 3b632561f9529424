"""Loading the inventory as columns: all that policies look at, at one moment."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import select

from dynamo.db.engine import column_reader
from dynamo.db.engine.column_reader import ColumnQuery
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.snapshots import attributes
from dynamo.db.tables import Group, Partition, Quota, Site
from dynamo.inventory import snapshot_builder
from dynamo.inventory.snapshot import (
    DATASET_STATUSES,
    SITE_KINDS,
    SITE_STATUSES,
    Amounts,
    BlockReplicas,
    Blocks,
    Datasets,
    Definition,
    Flags,
    Groups,
    Numbers,
    Replicas,
    Sites,
    Snapshot,
)
from dynamo.inventory.snapshot_builder import Keys, RawBlockReplicas, RawBlocks, RawReplicas

_VALID = "state = 'valid'"


@dataclass(frozen=True, slots=True)
class Extent:
    """Which datasets are looked at."""

    keys: Collection[int] | None = None
    """None = all."""

    def within(self, column: str, also: str = "1 = 1") -> str:
        """Return the condition for rows whose column names one of them."""
        if self.keys is None:
            return also
        listed = ", ".join(str(int(key)) for key in sorted(self.keys)) or "0"
        return f"{column} IN ({listed}) AND {also}"


EVERYTHING = Extent()


def with_block_names(work: Work, found: Snapshot) -> Snapshot:
    """Return the same with what stands behind the `#` of blocks, for who has no database."""
    (ids,), names = column_reader.named(work, ColumnQuery("blocks", ("id", "uuid")))
    known = dict(zip(ids.tolist(), names, strict=True))
    named = tuple(known[key] for key in found.blocks.ids.tolist())
    return replace(found, blocks=replace(found.blocks, names=named))


def frame(work: Work, datasets: Sequence[tuple[str, str]]) -> Snapshot:
    """Return a snapshot in which nothing lies anywhere, of datasets by name and status.

    They need not be registered: it serves to ask where something would belong.
    """
    status = [DATASET_STATUSES.index(word) for _, word in datasets]
    moments = [int(work.now.timestamp())] * len(datasets)
    names = [name for name, _ in datasets]
    table = snapshot_builder.datasets(range(len(names)), names, status, moments)
    blocks, table = snapshot_builder.blocks(RawBlocks([], [], [], []), table)
    sites, groups = _sites(work), _groups(work)
    parts = RawBlockReplicas([], [], [], [], [], [], [], [], [])
    whole = RawReplicas([], [], [], [])
    replicas, block_replicas = snapshot_builder.replicas(whole, parts, blocks, len(sites.ids))
    definitions, quotas = _partitions(work, sites)
    return Snapshot(
        sites=sites,
        groups=groups,
        datasets=table,
        blocks=blocks,
        replicas=replicas,
        block_replicas=block_replicas,
        partitions=definitions,
        quotas=quotas,
    )


def narrow(work: Work, dataset_ids: Collection[int]) -> Snapshot:
    """Read some datasets with all that lies of them anywhere, and all sites; no attributes."""
    return _tables(work, Extent(dataset_ids))


def load(work: Work, protected_sites: Iterable[str] = ()) -> Snapshot:
    """Read everything in one unit of work, which sees one moment if it is a `snapshot()`.

    What is condemned does not count any more: neither as a copy nor as filling its site.
    """
    found = replace(_tables(work, EVERYTHING), protected_sites=frozenset(protected_sites))
    return attributes.added(work, found)


@dataclass(frozen=True, slots=True)
class _Inside:
    """The tables that block replicas point to."""

    datasets: Datasets
    blocks: Blocks
    sites: Sites
    groups: Groups


def _tables(work: Work, extent: Extent) -> Snapshot:
    sites, groups = _sites(work), _groups(work)
    blocks, datasets = _blocks(work, _datasets(work, extent), extent)
    inside = _Inside(datasets, blocks, sites, groups)
    replicas, block_replicas = _replicas(work, inside, extent)
    definitions, quotas = _partitions(work, sites)
    return Snapshot(
        sites=sites,
        groups=groups,
        datasets=datasets,
        blocks=blocks,
        replicas=replicas,
        block_replicas=block_replicas,
        partitions=definitions,
        quotas=quotas,
    )


def _sites(work: Work) -> Sites:
    rows = work.rows(select(Site.id, Site.name, Site.kind, Site.status))
    return snapshot_builder.sites(
        [key for key, _, _, _ in rows],
        [name for _, name, _, _ in rows],
        [SITE_KINDS.index(kind) for _, _, kind, _ in rows],
        [SITE_STATUSES.index(status) for _, _, _, status in rows],
    )


def _groups(work: Work) -> Groups:
    rows = work.rows(select(Group.id, Group.name, Group.level))
    return snapshot_builder.groups(
        [key for key, _, _ in rows],
        [name for _, name, _ in rows],
        [level == "dataset" for _, _, level in rows],
    )


def _datasets(work: Work, extent: Extent) -> Datasets:
    known = [f"WHEN '{word}' THEN {code}" for code, word in enumerate(DATASET_STATUSES) if word]
    status = f"CASE status {' '.join(known)} ELSE 1 END"
    wanted = ("id", status, column_reader.seconds(work, "updated"), "name")
    (ids, code, updated), names = column_reader.named(
        work, ColumnQuery("datasets", wanted, extent.within("id"))
    )
    return snapshot_builder.datasets(ids, names, code, updated)


def _blocks(work: Work, datasets: Datasets, extent: Extent) -> tuple[Blocks, Datasets]:
    where = extent.within("dataset_id", "condemned_by IS NULL")
    wanted = ColumnQuery("blocks", ("id", "dataset_id", "bytes", "n_files"), where)
    ids, dataset_ids, size, n_files = column_reader.numbers(work, wanted)
    return snapshot_builder.blocks(RawBlocks(ids, dataset_ids, size, n_files), datasets)


def _replicas(work: Work, inside: _Inside, extent: Extent) -> tuple[Replicas, BlockReplicas]:
    blocks, sites, groups = inside.blocks, inside.sites, inside.groups
    moment = column_reader.seconds(work, "updated")
    wanted = (
        *("id", "block_id", "dataset_id", "site_id", "COALESCE(group_id, 0)", "bytes", "n_files"),
        *(moment, "complete", "custodial", "in_use", f"CASE WHEN {_VALID} THEN 1 ELSE 0 END"),
    )
    read = column_reader.numbers(
        work, ColumnQuery("block_replicas", wanted, extent.within("dataset_id"))
    )
    site_at, dataset_at = Keys.of(sites.ids), Keys.of(inside.datasets.ids)
    ids, block_ids, dataset_ids, site_ids, group_ids, size, n_files, updated, *flags = read
    complete, custodial, in_use, valid = (flag.astype(np.bool_) for flag in flags)
    valid &= np.isin(block_ids, blocks.ids)
    parts = RawBlockReplicas(
        ids=ids[valid],
        block=Keys.of(blocks.ids)(block_ids[valid]),
        site=site_at(site_ids[valid]),
        group=Keys.of(groups.ids)(group_ids[valid]),
        size=size[valid],
        n_files=n_files[valid],
        updated=updated[valid],
        complete=complete[valid],
        custodial=custodial[valid],
        in_use=in_use[valid],
    )
    at = dataset_at(dataset_ids).astype(np.int64) * len(sites.ids) + site_at(site_ids)
    leaving = np.setdiff1d(at[~valid], at[valid])
    whole = _whole(work, inside, extent)
    staying = ~np.isin(_pairs(whole, len(sites.ids)), leaving)
    return snapshot_builder.replicas(_select(whole, staying), parts, blocks, len(sites.ids))


def _whole(work: Work, inside: _Inside, extent: Extent) -> RawReplicas:
    dataset_at, site_at = Keys.of(inside.datasets.ids), Keys.of(inside.sites.ids)
    wanted = ("dataset_id", "site_id", "growing", "COALESCE(group_id, 0)")
    dataset_ids, site_ids, growing, group_ids = column_reader.numbers(
        work, ColumnQuery("dataset_replicas", wanted, extent.within("dataset_id"))
    )
    return RawReplicas(
        dataset_at(dataset_ids),
        site_at(site_ids),
        growing.astype(np.bool_),
        Keys.of(inside.groups.ids)(group_ids),
    )


def _pairs(whole: RawReplicas, n_sites: int) -> Amounts:
    dataset: Amounts = np.asarray(whole.dataset, np.int64)
    site: Amounts = np.asarray(whole.site, np.int64)
    return dataset * n_sites + site


def _select(whole: RawReplicas, wanted: Flags) -> RawReplicas:
    """Leave out dataset replicas of which all is condemned: they hold nothing and await nothing."""
    return RawReplicas(
        *(
            np.asarray(column)[wanted]
            for column in (whole.dataset, whole.site, whole.growing, whole.group)
        )
    )


def _partitions(work: Work, sites: Sites) -> tuple[tuple[Definition, ...], Numbers]:
    rows = work.rows(
        select(Partition.id, Partition.name, Partition.definition).order_by(Partition.id)
    )
    quotas = np.full((len(rows), len(sites.ids)), np.nan)
    row_of = {key: place for place, (key, _, _) in enumerate(rows)}
    column_of = {key: place for place, key in enumerate(sites.ids.tolist())}
    limits = select(Quota.partition_id, Quota.site_id, Quota.max_bytes)
    for partition, site, limit in work.rows(limits):
        quotas[row_of[partition], column_of[site]] = np.inf if limit is None else limit
    return tuple(Definition(name, definition) for _, name, definition in rows), quotas
