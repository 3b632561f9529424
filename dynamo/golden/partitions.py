"""Golden cases of kind `partitions`: which blocks belong to which partition, and its occupancy."""

import numpy as np

from dynamo.errors import Invalid
from dynamo.golden.answers import Answer, error
from dynamo.golden.cases import TB, Case, Json, load
from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.image import Image, Places, View


def quota_of(inventory: Json, site: str, partition: str) -> float | None:
    """Return a quota as the case writes it; unions have the sum of those of their parts."""
    given = next(one["quotas_tb"] for one in inventory["sites"] if one["name"] == site)
    definition = next(
        one["definition"] for one in inventory["partitions"] if one["name"] == partition
    ).strip()
    if not definition.startswith("["):
        quota = given.get(partition, 0)
        return None if quota is None else float(quota * TB)
    parts = [quota_of(inventory, site, part.strip()) for part in definition[1:-1].split(",")]
    known = [quota for quota in parts if quota is not None]
    return sum(known) if known else None


def partition_content(loaded: Case) -> Answer:
    """Return for each site and partition the datasets in it; null means all that is there."""
    found: Answer = {}
    snapshot = loaded.snapshot
    view = View.of(Image.whole(snapshot))
    for name in loaded.partitions.by_name:
        held = loaded.partitions.members(name, loaded.now).rows(view)
        whole = view.count(held) == view.remaining
        for replica in np.flatnonzero(view.any(held)).tolist():
            site = snapshot.sites.labels[int(snapshot.replicas.site[replica])]
            dataset = snapshot.datasets.labels[int(snapshot.replicas.dataset[replica])]
            blocks = (
                None
                if whole[replica]
                else _block_names(snapshot, view.rows[held & (view.place == replica)])
            )
            found.setdefault(site, {}).setdefault(name, {})[dataset] = blocks
    return found


def _block_names(snapshot: Snapshot, rows: Places) -> list[str]:
    names = snapshot.blocks.names or ()
    return sorted(names[block] for block in snapshot.block_replicas.block[rows].tolist())


def partitions(case: Json) -> Answer:
    """Answer which blocks belong to which partition, and how full partitions are."""
    try:
        loaded = load(case)
    except Invalid as wrong:
        return error("inventory", wrong)
    snapshot = loaded.snapshot
    rows = snapshot.block_replicas
    filled: Answer = {site: {} for site in snapshot.sites.labels}
    for name in loaded.partitions.by_name:
        held = loaded.partitions.members(name, loaded.now).of_snapshot(snapshot)
        site = snapshot.replicas.site[rows.replica[held]]
        used, projected = np.zeros((2, len(snapshot.sites.labels)), np.int64)
        np.add.at(used, site, rows.size[held])
        np.add.at(projected, site, snapshot.blocks.size[rows.block[held]])
        for place, label in enumerate(snapshot.sites.labels):
            quota = quota_of(case["inventory"], label, name)
            filled[label][name] = {
                "quota": quota,
                "used": int(used[place]),
                "projected": int(projected[place]),
            }
    return {
        "status": "ok",
        "partition_content": partition_content(loaded),
        "site_partitions": filled,
    }
