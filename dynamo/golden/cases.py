"""Golden cases: inventories in JSON, turned into snapshots.

A case may also contain what the first Dynamo did not know: the `release` of a dataset, the
`reliability` of a site, `null` for a missing quota, and blocks `in_use`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dynamo.errors import Invalid
from dynamo.inventory import snapshot_builder
from dynamo.inventory.snapshot import (
    DATASET_STATUSES,
    NOBODY,
    SITE_KINDS,
    SITE_STATUSES,
    Blocks,
    Column,
    Datasets,
    Definition,
    Groups,
    Lock,
    Numbers,
    Sites,
    Snapshot,
)
from dynamo.policy.diagnostics import nearest
from dynamo.policy.partitions import Partitions, read_partitions

Json = Mapping[str, Any]
TB = 10**12
_KINDS: Mapping[str, str] = {"mss": "tape"}
_ATTRIBUTES: Mapping[str, tuple[str, type[np.generic]]] = {
    "global_usage_rank": ("usage_rank", np.float64),
    "global_demand_rank": ("demand_rank", np.float64),
    "num_access": ("num_access", np.float64),
    "last_access": ("last_access", np.int64),
    "tape_copy_requested": ("tape_copy_requested", np.bool_),
    "latest_production_release": ("latest_production_release", np.bool_),
    "unknown_in_all_dbs": ("unknown_in_all_dbs", np.bool_),
    "request_weight": ("request_weight", np.float64),
    "release": ("release", np.str_),
}


@dataclass(frozen=True, slots=True)
class Case:
    """The inventory of a case."""

    snapshot: Snapshot
    partitions: Partitions
    now: float


def load(case: Json) -> Case:
    """Return the inventory of a case. Raises Invalid for contradictions."""
    inventory = case["inventory"]
    snapshot = snapshot_of(inventory)
    partitions = read_partitions(snapshot.partitions)
    if errors := partitions.check_quotas(snapshot):
        raise Invalid("; ".join(errors))
    return Case(snapshot, partitions, float(case["now"]))


def snapshot_of(inventory: Json) -> Snapshot:
    """Return the inventory of a case as a snapshot."""
    sites = _sites(inventory["sites"])
    groups = _groups(inventory["groups"])
    listed: Sequence[Json] = inventory["datasets"]
    _check(inventory)
    raw = [(number, block) for number, entry in enumerate(listed) for block in entry["blocks"]]
    blocks, datasets = _blocks(raw, _datasets(listed))
    places = {(number, block["name"]): key for key, (number, block) in enumerate(raw)}
    replicas, block_replicas = snapshot_builder.replicas(
        _raw_replicas(listed, snapshot_builder.Keys.of(datasets.ids), sites, groups),
        _raw_block_replicas(
            list(_rows(listed, places)), snapshot_builder.Keys.of(blocks.ids), sites, groups
        ),
        blocks,
        len(sites.labels),
    )
    definitions = tuple(
        Definition(entry["name"], entry["definition"]) for entry in inventory["partitions"]
    )
    return Snapshot(
        sites=sites,
        groups=groups,
        datasets=datasets,
        blocks=blocks,
        replicas=replicas,
        block_replicas=block_replicas,
        partitions=definitions,
        quotas=_quotas(definitions, inventory["sites"], sites),
        locks=tuple(
            Lock.on(entry["item"], entry.get("sites"), entry.get("groups"))
            for entry in inventory.get("locks", ())
        ),
        protected_sites=frozenset(inventory.get("protected_sites") or ()),
        waiting_copies=frozenset(inventory.get("pending_copy_items") or ()),
        attributes=_attributes(listed, datasets),
    )


def _datasets(listed: Sequence[Json]) -> Datasets:
    return snapshot_builder.datasets(
        ids=range(len(listed)),
        names=[entry["name"] for entry in listed],
        status=[_place(entry["status"], DATASET_STATUSES, "status") for entry in listed],
        updated=[entry["last_update"] for entry in listed],
    )


def _blocks(raw: Sequence[tuple[int, Json]], datasets: Datasets) -> tuple[Blocks, Datasets]:
    """Return the blocks, given with the numbers of their datasets, and the datasets with sums."""
    columns = snapshot_builder.RawBlocks(
        ids=range(len(raw)),
        dataset_ids=[number for number, _ in raw],
        size=[block["size"] for _, block in raw],
        n_files=[block["num_files"] for _, block in raw],
        names=[block["name"] for _, block in raw],
    )
    return snapshot_builder.blocks(columns, datasets)


def _raw_replicas(
    listed: Sequence[Json], dataset_at: snapshot_builder.Keys, sites: Sites, groups: Groups
) -> snapshot_builder.RawReplicas:
    wholes = [
        (number, replica) for number, entry in enumerate(listed) for replica in entry["replicas"]
    ]
    return snapshot_builder.RawReplicas(
        dataset=dataset_at([number for number, _ in wholes]),
        site=[sites.labels.find(replica["site"]) for _, replica in wholes],
        growing=["growing_group" in replica for _, replica in wholes],
        group=[group_place(groups, replica.get("growing_group")) for _, replica in wholes],
    )


@dataclass(frozen=True, slots=True)
class _Row:
    block: int
    site: str
    replica: Json
    size: int
    n_files: int
    complete: bool


def _raw_block_replicas(
    rows: Sequence[_Row], block_at: snapshot_builder.Keys, sites: Sites, groups: Groups
) -> snapshot_builder.RawBlockReplicas:
    return snapshot_builder.RawBlockReplicas(
        ids=range(len(rows)),
        block=block_at([row.block for row in rows]),
        site=[sites.labels.find(row.site) for row in rows],
        group=[group_place(groups, row.replica["group"]) for row in rows],
        size=[row.size for row in rows],
        n_files=[row.n_files for row in rows],
        updated=[row.replica["last_update"] for row in rows],
        complete=[row.complete for row in rows],
        custodial=[bool(row.replica.get("custodial")) for row in rows],
        in_use=[bool(row.replica.get("in_use")) for row in rows],
    )


def _check(inventory: Json) -> None:
    """Refuse names that do not exist, or occur twice. Raises Invalid."""
    sites, datasets = ([entry["name"] for entry in inventory[key]] for key in ("sites", "datasets"))
    _once(sites, "")
    _once(datasets, "")
    for dataset in inventory["datasets"]:
        blocks = [block["name"] for block in dataset["blocks"]]
        within = f" in {dataset['name']}"
        _once(blocks, within)
        _once([replica["site"] for replica in dataset["replicas"]], within)
        for replica in dataset["replicas"]:
            _place(replica["site"], sites, "site")
            parts = [part["block"] for part in replica["blocks"]]
            _once(parts, f"{within} at {replica['site']}")
            for part in parts:
                _place(part, blocks, "block", within)


def _once(names: Iterable[str], place: str) -> None:
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        raise Invalid(f"{duplicates[0]} is there twice{place}")


def _place(word: str, known: Sequence[str], noun: str, context: str = "") -> int:
    """Return the position of a word. Raises Invalid."""
    if word not in known:
        raise Invalid(f"there is no {noun} {word}{context}{nearest(word, known)}")
    return known.index(word)


def _sites(listed: Sequence[Json]) -> Sites:
    sites = snapshot_builder.sites(
        ids=range(1, len(listed) + 1),
        names=[entry["name"] for entry in listed],
        kind=[
            _place(
                _KINDS.get(entry["storage_type"], entry["storage_type"]), SITE_KINDS, "storage type"
            )
            for entry in listed
        ],
        status=[_place(entry["status"], SITE_STATUSES, "status") for entry in listed],
    )
    known = {entry["name"]: entry.get("reliability", 1.0) for entry in listed}
    return replace(sites, reliability=np.array([known[name] for name in sites.labels], np.float64))


def _groups(listed: Sequence[Json]) -> Groups:
    named = [entry for entry in listed if entry["name"] is not None]
    return snapshot_builder.groups(
        ids=range(1, len(named) + 1),
        names=[entry["name"] for entry in named],
        whole=[entry["olevel"] == "Dataset" for entry in named],
    )


def group_place(groups: Groups, name: str | None) -> int:
    """Return the row of a group; None is `NOBODY`. Raises Invalid."""
    if name is None:
        return NOBODY
    place = groups.labels.find(name)
    if place < 0:
        raise Invalid(f"there is no group {name}")
    return place


def _rows(listed: Sequence[Json], places: Mapping[tuple[int, str], int]) -> Iterator[_Row]:
    for number, dataset in enumerate(listed):
        blocks = {block["name"]: block for block in dataset["blocks"]}
        for replica in dataset["replicas"]:
            for part in replica["blocks"]:
                block = blocks[part["block"]]
                size, n_files = (
                    part.get("size", block["size"]),
                    part.get("num_files", block["num_files"]),
                )
                complete = "size" not in part or (
                    size == block["size"] and n_files == block["num_files"]
                )
                yield _Row(
                    places[number, part["block"]], replica["site"], part, size, n_files, complete
                )


def _quotas(definitions: Sequence[Definition], listed: Sequence[Json], sites: Sites) -> Numbers:
    """Return quotas in bytes: without an entry 0, negative is unlimited; unions have none."""
    quotas = np.full((len(definitions), len(sites.labels)), np.nan)
    for row, definition in enumerate(definitions):
        default = None if definition.text.strip().startswith("[") else 0
        for entry in listed:
            given = entry["quotas_tb"].get(definition.name, default)
            if given is not None:
                quotas[row, sites.labels.find(entry["name"])] = np.inf if given < 0 else given * TB
    return quotas


def _attributes(listed: Sequence[Json], datasets: Datasets) -> dict[str, Column]:
    order = datasets.ids.tolist()
    return {
        name: np.array(
            [(listed[number].get("attrs") or {}).get(key, kind()) for number in order], kind
        )
        for key, (name, kind) in _ATTRIBUTES.items()
    }
