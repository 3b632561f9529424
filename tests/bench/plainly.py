"""A synthetic inventory as the golden cases write theirs: for the naive evaluator of the tests."""

from typing import Any

from dynamo.inventory.snapshot import DATASET_STATUSES, SITE_KINDS, SITE_STATUSES, Snapshot
from tests.bench.synthetic import NOW, POLICY

_TB = 10**12


def case(made: Snapshot) -> dict[str, Any]:
    """Write a snapshot as a case that the synthetic policy decides."""
    inventory = {
        "partitions": [{"name": one.name, "definition": one.text} for one in made.partitions],
        "groups": [
            {"name": name, "olevel": "Dataset" if whole else "Block"}
            for name, whole in list(zip(made.groups.labels, made.groups.whole, strict=True))[1:]
        ],
        "sites": [_site(made, place) for place in range(len(made.sites.labels))],
        "datasets": _datasets(made),
        "locks": [
            {"item": lock.dataset, "sites": lock.sites, "groups": lock.groups}
            for lock in made.locks
        ],
        "protected_sites": sorted(made.protected_sites),
    }
    return {"kind": "detox", "now": NOW, "policy": POLICY, "inventory": inventory}


def _site(made: Snapshot, place: int) -> dict[str, Any]:
    quotas = {
        one.name: round(float(quota) / _TB, 6)
        for one, quota in zip(made.partitions, made.quotas[:, place], strict=True)
        if quota == quota and not one.text.startswith("[")
    }
    kind = SITE_KINDS[made.sites.kind[place]]
    return {
        "name": made.sites.labels[place],
        "storage_type": "mss" if kind == "tape" else kind,
        "status": SITE_STATUSES[made.sites.status[place]],
        "quotas_tb": quotas,
    }


def _datasets(made: Snapshot) -> list[dict[str, Any]]:
    known, blocks = made.datasets, made.blocks
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "status": DATASET_STATUSES[known.status[place]],
            "last_update": int(known.updated[place]),
            "blocks": [],
            "replicas": [],
            "attrs": {
                "global_usage_rank": float(made.attributes["usage_rank"][place]),
                "num_access": float(made.attributes["num_access"][place]),
                "last_access": int(made.attributes["last_access"][place]),
                "tape_copy_requested": bool(made.attributes["tape_copy_requested"][place]),
            },
        }
        for place, name in enumerate(known.labels)
    ]
    for place, (dataset, size, n_files) in enumerate(
        zip(blocks.dataset.tolist(), blocks.size.tolist(), blocks.n_files.tolist(), strict=True)
    ):
        block = {"name": f"b{place:09d}", "size": size, "num_files": n_files}
        found[dataset]["blocks"].append(block)
    for replica in range(len(made.replicas.dataset)):
        found[made.replicas.dataset[replica]]["replicas"].append(_replica(made, replica))
    return found


def _replica(made: Snapshot, replica: int) -> dict[str, Any]:
    rows = made.block_replicas
    parts = []
    for row in range(int(made.replicas.first[replica]), int(made.replicas.first[replica + 1])):
        block = int(rows.block[row])
        part = {
            "block": f"b{block:09d}",
            "group": made.groups.labels[rows.group[row]] if rows.group[row] else None,
            "last_update": int(rows.updated[row]),
        }
        if not rows.complete[row]:
            part |= {"size": int(rows.size[row]), "num_files": int(rows.n_files[row])}
        parts.append(part)
    site = made.sites.labels[made.replicas.site[replica]]
    told: dict[str, Any] = {"site": site, "blocks": parts}
    if made.replicas.growing[replica]:
        told["growing_group"] = made.groups.labels[made.replicas.group[replica]]
    return told
