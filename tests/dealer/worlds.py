"""Random small inventories, requests and configurations, written as golden cases are."""

import random

from hypothesis import strategies as st

NOW = 1559347200
DAY = 86400
TB = 10**12
SITES = ["T1_A_MSS", "T1_B_Disk", "T2_C", "T2_D", "T2_E", "T2_F"]
GROUPS = [
    {"name": "analysis", "olevel": "Dataset"},
    {"name": "production", "olevel": "Block"},
    {"name": "test", "olevel": "Block"},
]
OWNERS = ["analysis", "analysis", "production", "test", None]
DATASETS = [f"/{letter}/E/{tier}" for letter in "ABC" for tier in ("AOD", "MINI", "RAW")]
PARTITIONS = [
    {"name": "Ana", "definition": "blockreplica.owner == analysis and site.storage_type == DISK"},
    {
        "name": "Prod",
        "definition": "blockreplica.owner == production and site.storage_type == DISK",
    },
    {"name": "Tape", "definition": "site.storage_type == MSS"},
    {"name": "Pool", "definition": "[Ana, Prod]"},
]
PROTECTED = "replica.num_full_other_copy_common_owner < 1"
POLICY = f"""\
Partition {{partition}}
On site.storage_type == DISK
When never
Until never
Protect {PROTECTED}
Dismiss
"""


def blocks(rng, listed):
    """Some blocks of a dataset at a site; a few are on their way."""
    owner, mixed = rng.choice(OWNERS), rng.random() < 0.2
    chosen = listed if rng.random() < 0.6 else [one for one in listed if rng.random() < 0.6]
    parts = []
    for block in chosen:
        part = {
            "block": block["name"],
            "group": rng.choice(OWNERS) if mixed else owner,
            "last_update": NOW - DAY,
        }
        if rng.random() < 0.15:
            part |= {"size": block["size"] // 2, "num_files": 2}
        parts.append(part)
    return parts


def dataset(rng, name):
    """A dataset with a few blocks at a few sites."""
    sizes = [rng.choice([TB // 4, TB // 2, TB, 3 * TB]) for _ in range(rng.randint(1, 4))]
    listed = [
        {"name": f"b{number}", "size": size, "num_files": 4} for number, size in enumerate(sizes)
    ]
    sites = rng.sample(SITES, rng.randint(0, 3))
    return {
        "name": name,
        "status": rng.choice(["valid", "valid", "valid", "production", "invalid"]),
        "last_update": NOW - 100 * DAY,
        "blocks": listed,
        "replicas": [
            {"site": site, "blocks": blocks(rng, listed)}
            | ({"growing_group": "analysis"} if rng.random() < 0.5 else {})
            for site in sites
        ],
        "attrs": {"request_weight": rng.choice([0, 0, 0.5, 2, 5])},
    }


def site(rng, name):
    """A site; the parts of Pool have no unlimited quotas."""
    return {
        "name": name,
        "storage_type": "mss" if name.endswith("MSS") else "disk",
        "status": rng.choice(["ready", "ready", "ready", "waitroom", "morgue"]),
        "quotas_tb": {"Ana": rng.choice([0, 2, 5, 10, 20]), "Prod": rng.choice([0, 5, 10])},
    }


def request(rng):
    """A request for datasets or blocks, new or activated."""
    item = rng.choice([*DATASETS, f"{rng.choice(DATASETS)}#b{rng.randint(0, 3)}"])
    request = {
        "items": sorted({item, *rng.sample(DATASETS, rng.choice([0, 0, 1]))}),
        "sites": rng.sample([*SITES, "T2_*", "T9_X"], rng.randint(1, 3)),
        "n": rng.randint(0, 2),
        "group": rng.choice(["analysis", "analysis", "production", "nobody"]),
    }
    if rng.random() < 0.3:
        request["status"] = "activated"
        request["actions"] = [
            {"item": item, "site": rng.choice(SITES), "status": "new"} for item in request["items"]
        ]
    return request


def plugins(rng):
    """Some of all plug-ins."""
    partition = "Pool"
    rule = {
        "replicas": ["dataset.name == /*/*/MINI", "blockreplica.owner == production"],
        "destinations": ["site.name == T2_*"],
        "sources": ["site.storage_type == DISK"],
        "num_copies": rng.randint(1, 3),
        "spread": rng.random() < 0.3,
    }
    popularity = {
        "source_groups": ["analysis", "production"],
        "max_dataset_size": 6,
        "max_replication": 3,
        "request_to_replica_threshold": 1.0,
        "condition": rng.choice(["dataset.name == /*/*/*", "replica.size > 1e12"]),
    }
    every = {
        "requests": ({"max_size": 8, "block_request_max": 0.6}, "requests:x"),
        "popularity": (popularity, "popularity:x"),
        "balancer": (
            {"max_cycle_volume": 4, "max_dataset_size": 0, "target_reasons": {PROTECTED: 2}},
            "balancer:x",
        ),
        "undertaker": ({"additional_sites": rng.choice([[], ["T2_C"]])}, "undertaker:x"),
        "enforcer": (
            {
                "enforcer": {
                    "policy": {
                        "partition": partition,
                        "default_destination_group": "analysis",
                        "rules": {"some": rule},
                    }
                }
            },
            "enforcer:x",
        ),
        "groups": ({"from_groups": ["production"]}, "groupreassign:x"),
    }
    chosen = rng.sample(sorted(every), rng.randint(1, len(every)))
    return {
        name: {
            "config": every[name][0],
            "module": every[name][1],
            "priority": rng.choice([1, 2, 3, 3, 0] if rng.random() < 0.1 else [1, 2, 3]),
        }
        for name in chosen
    }


def world(seed):
    """A case."""
    rng = random.Random(seed)
    partition = rng.choice(["Ana", "Pool"])
    return {
        "kind": "dealer",
        "now": NOW,
        "policy": POLICY.format(partition=partition),
        "inventory": {
            "partitions": PARTITIONS,
            "groups": GROUPS,
            "sites": [site(rng, name) for name in SITES],
            "datasets": [dataset(rng, name) for name in rng.sample(DATASETS, rng.randint(1, 9))],
        },
        "dealer": {
            "cycle": seed,
            "detox_first": rng.random() < 0.5,
            "requests": [request(rng) for _ in range(rng.randint(0, 4))],
            "config": {
                "partition_name": partition,
                "group_name": rng.choice(["analysis", "production"]),
                "target_sites": rng.choice([["*"], ["T2_*", "!T2_C"], ["T1_*_Disk", "T2_*"]]),
                "target_site_occupancy": rng.choice([0.5, 0.9, 0.93, 1.0]),
                "max_site_pending_fraction": rng.choice([0.03, 0.2, 0.5, 1.0]),
                "max_total_cycle_volume": rng.choice([0, 1, 3, 10, 200]),
                "plugins": plugins(rng),
            },
        },
    }


worlds = st.integers(0, 2**32).map(world)
