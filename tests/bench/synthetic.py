"""Large inventories that look like real ones, the same for the same seed."""

from dataclasses import dataclass

import numpy as np

from dynamo.inventory import snapshot_builder
from dynamo.inventory.snapshot import (
    DATASET_STATUSES,
    DISK,
    READY,
    SITE_STATUSES,
    TAPE,
    Definition,
    Lock,
    Snapshot,
)

NOW = 1_795_000_000
DAY = 86_400
PARTITIONS = (
    Definition("Analysis", "blockreplica.owner == analysis and site.storage_type == DISK"),
    Definition("Production", "blockreplica.owner == production and site.storage_type == DISK"),
    Definition("Tape", "site.storage_type == MSS"),
    Definition("Physics", "[Analysis, Production, Tape]"),
)
TIERS = np.array(["RAW", "RECO", "AOD", "MINIAOD", "NANOAOD", "GEN-SIM", "USER"])

POLICY = """\
Partition Physics
On site.name in [T*_MSS T0_CH_CERN_Disk T1_*_Disk T2_*]
When site.occupancy > 0.9
When site.status == MORGUE
Until site.status != MORGUE and site.occupancy < 0.85

Ignore site.name == T*_MSS
ProtectBlock blockreplica.is_locked
Delete dataset.status == DEPRECATED and dataset.last_update older_than 1 week ago
Delete dataset.status == INVALID and dataset.last_update older_than 1 week ago
Protect replica.enforcer_protected
Protect dataset.unhandled_copy_exists
ProtectBlock dataset.on_tape == PARTIAL and not blockreplica.on_tape
ProtectBlock dataset.tape_copy_requested and not blockreplica.on_tape
ProtectBlock blockreplica.is_last_transfer_source
Protect dataset.name == /*/*/RAW and dataset.on_tape != FULL
Protect dataset.name == /*/*/NANOAOD*
Protect dataset.name == /Sample1*/Campaign3-*/AOD and dataset.last_update newer_than 90 days ago
Protect site.name == T2_CH_07 and dataset.name == /*/Campaign5-*/*
DismissBlock dataset.name == /*/*/RECO and dataset.last_update older_than 90 days ago \
and blockreplica.owner == production
ProtectBlock dataset.on_tape == NONE and blockreplica.owner == production
DeleteBlock blockreplica.owner == production and dataset.name == /*/*/GEN-SIM \
and dataset.last_update older_than 400 days ago
Protect replica.incomplete
DismissBlock dataset.name == /*/*/RAW and dataset.name != /*Scouting*/*/RAW \
and blockreplica.last_update older_than 60 days ago
DismissBlock dataset.name == /*/*/RECO and dataset.name != /*/Run*/RECO \
and blockreplica.last_update older_than 90 days ago
DismissBlock dataset.name == /*/*LogError*/* and blockreplica.last_update older_than 90 days ago
Protect dataset.on_protected_site and replica.num_full_disk_copy_common_owner < 2
Dismiss dataset.usage_rank > 100 and dataset.name != /*/*/MINIAOD*
Dismiss dataset.last_update older_than 150 days ago \
and replica.last_block_created older_than 30 days ago and replica.num_access == 0 \
and dataset.name != /*/*/MINIAOD*
Dismiss dataset.usage_rank > 200
Dismiss dataset.last_update older_than 300 days ago \
and replica.last_block_created older_than 30 days ago and replica.num_access == 0
Protect dataset.on_tape != FULL and replica.num_full_other_copy_common_owner < 2
Protect dataset.name == /*/*/MINIAOD* and replica.num_full_other_copy_common_owner < 2
Protect replica.num_full_other_copy_common_owner == 0 and dataset.name == /*/*/RAW
Protect replica.num_full_other_copy_common_owner == 0 and dataset.name == /*/Campaign9-*/*
Dismiss
Order decreasing dataset.usage_rank increasing replica.size
"""
"""The shape of the policy that the first Dynamo ran for its largest partition: 32 lines."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large an inventory is to be."""

    n_sites: int = 60
    n_datasets: int = 200_000
    n_rows: int = 1_000_000
    seed: int = 1


def snapshot(shape: Shape) -> Snapshot:
    """Make an inventory: log-normal sizes, one to four copies, some on tape, sites nearly full."""
    rng = np.random.default_rng(shape.seed)
    sites = _sites(shape.n_sites)
    groups = snapshot_builder.groups(
        ids=[1, 2, 3], names=["analysis", "production", "validation"], whole=[True, False, False]
    )
    updated = NOW - (rng.exponential(200, shape.n_datasets) * DAY).astype(np.int64)
    status = rng.choice(
        [DATASET_STATUSES.index(word) for word in ("valid", "production", "invalid", "deprecated")],
        shape.n_datasets,
        p=[0.9, 0.08, 0.01, 0.01],
    )
    datasets = snapshot_builder.datasets(
        range(shape.n_datasets), names(shape.n_datasets, rng), status, updated
    )
    copies = rng.choice([1, 2, 3, 4], shape.n_datasets, p=[0.35, 0.35, 0.2, 0.1])
    mean_blocks = shape.n_rows / copies.sum()
    n_blocks = np.maximum(
        1, rng.lognormal(np.log(mean_blocks) - 0.4, 0.9, shape.n_datasets).astype(np.int64)
    )
    of_dataset = np.repeat(np.arange(shape.n_datasets), n_blocks)
    n_files = rng.integers(1, 500, len(of_dataset))
    size = (n_files * rng.lognormal(21, 0.7, len(of_dataset))).astype(np.int64)
    blocks, datasets = snapshot_builder.blocks(
        snapshot_builder.RawBlocks(
            np.arange(len(of_dataset)), datasets.ids[of_dataset], size, n_files
        ),
        datasets,
    )
    whole, parts = _replicas(rng, datasets, blocks, copies, sites)
    replicas, rows = snapshot_builder.replicas(whole, parts, blocks, len(sites.labels))
    used = np.zeros(len(sites.labels), np.int64)
    np.add.at(used, replicas.site[rows.replica], rows.size)
    filled = np.where(sites.kind == TAPE, 0.5, rng.uniform(0.88, 0.99, len(used)))
    quotas = np.full((len(PARTITIONS), len(used)), np.nan)
    quotas[0], quotas[1], quotas[2] = 0.7 * used / filled, 0.3 * used / filled, 0.0
    quotas[2, sites.kind == TAPE] = used[sites.kind == TAPE] * 2
    quotas[:2, sites.kind == TAPE] = 0.0
    age = rng.exponential(120, shape.n_datasets)
    num_access = rng.poisson(2, shape.n_datasets).astype(np.float64)
    return Snapshot(
        sites=sites,
        groups=groups,
        datasets=datasets,
        blocks=blocks,
        replicas=replicas,
        block_replicas=rows,
        partitions=PARTITIONS,
        quotas=quotas,
        locks=_locks(rng, datasets.labels),
        protected_sites=frozenset({sites.labels[3]}),
        attributes={
            "usage_rank": age,
            "num_access": num_access,
            "last_access": (NOW - age * DAY).astype(np.int64),
            "tape_copy_requested": rng.random(shape.n_datasets) < 0.01,
        },
    )


def names(count, rng):
    """Return distinct names of datasets, shuffled campaigns and tiers."""
    campaign = rng.integers(0, 40, count)
    tier = TIERS[rng.choice(len(TIERS), count, p=[0.08, 0.1, 0.25, 0.3, 0.15, 0.1, 0.02])]
    return [
        f"/Sample{number}_TuneCP5_13TeV-powheg-pythia8"
        f"/Campaign{campaign[number]}-realistic_v{number % 3}/{tier[number]}"
        for number in range(count)
    ]


def _sites(count):
    tape = max(1, count // 8)
    listed = [f"T1_XX_{number:02}_MSS" for number in range(tape)]
    listed += [f"T1_XX_{number:02}_Disk" for number in range(tape)]
    listed += [
        f"T2_{'CH' if number % 9 == 0 else 'XX'}_{number:02}" for number in range(count - 2 * tape)
    ]
    kind = [TAPE if name.endswith("MSS") else DISK for name in listed]
    status = [SITE_STATUSES.index("morgue") if name == "T2_XX_05" else READY for name in listed]
    return snapshot_builder.sites(range(1, count + 1), listed, kind, status)


def _replicas(rng, datasets, blocks, copies, sites):
    """Place each copy of a dataset at another site; on disk some lack a block or a few files."""
    count = len(sites.labels)
    dataset = np.repeat(np.arange(len(copies)), copies)
    turn = np.arange(len(dataset)) - np.repeat(np.cumsum(copies) - copies, copies)
    start = rng.integers(0, count, len(copies))
    step = rng.integers(1, max(2, count // 4), len(copies))
    site = ((start[dataset] + turn * step[dataset]) % count).astype(np.int64)
    first = np.searchsorted(blocks.dataset, np.arange(len(copies) + 1))
    per_copy = np.diff(first)[dataset]
    copy = np.repeat(np.arange(len(dataset)), per_copy)
    block = (
        np.arange(len(copy))
        - np.repeat(np.cumsum(per_copy) - per_copy, per_copy)
        + first[dataset[copy]]
    )
    kept = rng.random(len(copy)) > 0.02
    copy, block = copy[kept], block[kept]
    on_tape = sites.kind[site[copy]] == TAPE
    complete = on_tape | (rng.random(len(copy)) > 0.01)
    owner = rng.choice([1, 2, 3], len(dataset), p=[0.7, 0.25, 0.05])[copy]
    mixed = rng.random(len(copy)) < 0.05
    owner = np.where(mixed, rng.integers(1, 4, len(copy)), owner)
    size = np.where(complete, blocks.size[block], blocks.size[block] // 2)
    updated = datasets.updated[dataset[copy]] + (rng.random(len(copy)) * 30 * DAY).astype(np.int64)
    whole = snapshot_builder.RawReplicas(
        dataset, site, np.ones(len(dataset), np.bool_), np.ones(len(dataset), np.int32)
    )
    parts = snapshot_builder.RawBlockReplicas(
        ids=np.arange(len(copy)),
        block=block,
        site=site[copy],
        group=owner,
        size=size,
        n_files=np.where(complete, blocks.n_files[block], blocks.n_files[block] // 2),
        updated=np.minimum(updated, NOW),
        complete=complete,
        custodial=on_tape,
    )
    return whole, parts


def _locks(rng, labels):
    chosen = rng.integers(0, len(labels), min(2_000, len(labels) // 20))
    return (
        *(Lock.on(labels[place]) for place in chosen.tolist()),
        Lock.on("/Sample77*/*/AOD", "T2_*"),
    )
