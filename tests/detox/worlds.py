"""Random small inventories and policies, as the golden cases write them."""

from hypothesis import strategies as st

NOW = 1559347200
DAY = 86400
TB = 10**12
SITES = ["T1_A_MSS", "T1_B_Disk", "T2_C", "T2_D", "T2_E"]
GROUPS = [
    {"name": "analysis", "olevel": "Dataset"},
    {"name": "production", "olevel": "Block"},
    {"name": "release", "olevel": "Dataset"},
    {"name": "test", "olevel": "Block"},
]
OWNERS = ["analysis", "production", "release", "test", None]
DATASETS = ["/A/E/RAW", "/B/E/AOD", "/B/E/RECO", "/C/F/AOD", "/D/F/MINI"]
PARTITIONS = [
    {"name": "Everything", "definition": "dataset.name == *"},
    {"name": "Disk", "definition": "site.storage_type == DISK"},
    {"name": "Tape", "definition": "site.storage_type == MSS"},
    {"name": "Production", "definition": "blockreplica.owner in [production test]"},
    {
        "name": "Old",
        "definition": "blockreplica.owner == analysis "
        "and blockreplica.last_update older_than 100 days ago",
    },
    {"name": "Large", "definition": "replica.size > 2e12 or blockreplica.owner == production"},
    {"name": "Both", "definition": "[Production, Old]"},
    {"name": "Physics", "definition": "[Disk, Tape]"},
]
PREDICATES = [
    "dataset.name == /B/*/*",
    "dataset.name == /A/E/RAW",
    "dataset.name != /*/*/AOD",
    "dataset.name =~ /[BC]/.*/A",
    "dataset.name in [/A/E/RAW /D/*]",
    "dataset.status == INVALID",
    "dataset.status notin [VALID PRODUCTION]",
    "dataset.on_tape == FULL",
    "dataset.on_tape == PARTIAL",
    "dataset.on_tape != FULL",
    "dataset.size > 3e12",
    "dataset.last_update older_than 150 days ago",
    "dataset.num_full_disk_copy > 1",
    "dataset.num_full_disk_copy < 2",
    "dataset.usage_rank > 15",
    "dataset.last_access older_than 50 days ago",
    "dataset.on_protected_site",
    "not dataset.unhandled_copy_exists",
    "replica.size < 3e12",
    "replica.incomplete",
    "not replica.incomplete",
    "replica.last_block_created newer_than 120 days ago",
    "replica.first_block_created older_than 120 days ago",
    "replica.num_access == 0",
    "replica.num_full_disk_copy_common_owner > 1",
    "replica.num_full_other_copy_common_owner > 0",
    "replica.num_full_other_copy_common_owner == 0",
    "replica.enforcer_protected",
    "replica.has_dataset_owner",
    "blockreplica.last_update older_than 100 days ago",
    "blockreplica.owner == analysis",
    "blockreplica.owner == production",
    "blockreplica.owner != analysis",
    "blockreplica.owner in [None test]",
    "blockreplica.is_locked",
    "not blockreplica.is_locked",
    "blockreplica.is_last_transfer_source",
    "blockreplica.num_full_disk_copy > 1",
    "blockreplica.on_tape",
    "not blockreplica.on_tape",
    "blockreplica.age_relative_to_newest > 5000000",
    "site.name == T2_*",
    "site.storage_type == MSS",
    "site.status == READY",
]
BY_BLOCK = [predicate for predicate in PREDICATES if "blockreplica" in predicate]
VERBS = [
    "Protect",
    "Dismiss",
    "Delete",
    "Ignore",
    *["ProtectBlock", "DismissBlock", "DeleteBlock"] * 2,
]
ORDERS = [
    "none",
    "decreasing dataset.usage_rank increasing replica.size",
    "increasing dataset.last_update",
    "decreasing replica.num_full_other_copy_common_owner",
    "decreasing replica.size",
]


TRIGGERS = [
    ["When always"],
    ["When site.occupancy > 0.7"],
    ["When site.occupancy > 0.9", "When site.status == MORGUE"],
    ["When never"],
    ["When site.quota > 5e12"],
]
STOPS = [
    ["Until never"],
    ["Until site.occupancy < 0.6"],
    [
        "Until site.status != MORGUE and site.occupancy < 0.85",
        "Until site.name == T2_C and site.occupancy < 0.9",
    ],
]
TARGETS = [
    ["On site.name == *"],
    ["On site.name == T2_*", "On site.name == T1_B_Disk"],
    ["On site.status == READY"],
]


def blocks(rng, of_dataset):
    """Some blocks of a dataset at a site; a few are incomplete, owners are mixed or not."""
    owner, mixed = rng.choice(OWNERS), rng.random() < 0.6
    whole = rng.random() < 0.6
    chosen = of_dataset if whole else [block for block in of_dataset if rng.random() < 0.6]
    parts = []
    for block in chosen:
        part = {
            "block": block["name"],
            "group": rng.choice(OWNERS) if mixed else owner,
            "last_update": NOW - rng.choice([10, 110, 130, 300]) * DAY,
        }
        if rng.random() < 0.1:
            part |= {"size": block["size"] // 2, "num_files": 2}
        parts.append(part)
    return parts


def dataset(rng, name):
    """A dataset with a few blocks at a few sites."""
    listed = [
        {"name": f"b{number}", "size": rng.randint(1, 3) * TB, "num_files": 4}
        for number in range(rng.randint(1, 5))
    ]
    replicas = []
    for site in rng.sample(SITES, rng.randint(0, len(SITES))):
        replica = {"site": site, "blocks": blocks(rng, listed)}
        if rng.random() < 0.5:
            replica["growing_group"] = "analysis"
        replicas.append(replica)
    return {
        "name": name,
        "status": rng.choice(["valid", "valid", "invalid", "production"]),
        "last_update": NOW - rng.choice([5, 100, 160, 400]) * DAY,
        "blocks": listed,
        "replicas": replicas,
        "attrs": {
            "global_usage_rank": rng.choice([0, 10, 20, 20]),
            "num_access": rng.randint(0, 1),
            "last_access": NOW - rng.choice([10, 90]) * DAY,
        },
    }


def site(rng, name):
    """A site with quotas; parts of other partitions have no unlimited ones."""
    parts = {"Production", "Old", "Disk", "Tape"}
    single = [one["name"] for one in PARTITIONS if not one["definition"].startswith("[")]
    quotas = {name: rng.choice([0, 1, 2, 4, 6, 9, 14, 20]) for name in single}
    unlimited = {name: -1 for name in single if name not in parts and rng.random() < 0.1}
    return {
        "name": name,
        "storage_type": "mss" if name.endswith("MSS") else "disk",
        "status": rng.choice(["ready", "ready", "ready", "waitroom", "morgue"]),
        "quotas_tb": quotas | unlimited,
    }


def lock(rng):
    """A lock on a dataset, a glob or a block, at some sites, of some groups."""
    return {
        "item": rng.choice(["/A/E/RAW", "/B/*", "/C/F/AOD#b1", "/B/*#b0", "/X/Y/Z"]),
        "sites": rng.choice([None, "*", "T2_C", "T2_*", "T9_X"]),
        "groups": rng.choice([None, "analysis", "prod*", "nobody"]),
    }


def inventory(rng):
    """Sites, datasets, locks, rules."""
    rule = {
        "replicas": ["dataset.name == /B/*/*", "blockreplica.owner == analysis"],
        "destinations": ["site.name == T2_*"],
        "sources": ["site.storage_type == DISK"],
        "num_copies": rng.randint(1, 2),
        "protect": True,
    }
    return {
        "partitions": PARTITIONS,
        "groups": GROUPS,
        "sites": [site(rng, name) for name in SITES],
        "datasets": [
            dataset(rng, name) for name in rng.sample(DATASETS, rng.randint(1, len(DATASETS)))
        ],
        "locks": [lock(rng) for _ in range(rng.randint(0, 2))],
        "protected_sites": rng.choice([[], ["T2_C"]]),
        "pending_copy_items": rng.choice([[], ["/A/E/RAW", "/B/E/AOD#b1", "/C/F/AOD#b9"]]),
        "enforcer": {
            "partition": "Disk",
            "default_destination_group": "analysis",
            "rules": {"some": rule},
        },
    }


def condition(rng):
    """One to three predicates, joined in any way."""
    join = rng.choice([" and ", " and ", " or "])
    text = join.join(
        rng.choice(rng.choice([PREDICATES, BY_BLOCK]))
        for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))
    )
    return f"({text}) and {rng.choice(PREDICATES)}" if rng.random() < 0.1 else text


def policy(rng):
    """A partition, triggers, a stack of lines."""
    lines = [f"Partition {rng.choice(PARTITIONS)['name']}"]
    for choices in (TARGETS, TRIGGERS, STOPS):
        lines += rng.choice(choices)
    lines += [f"{rng.choice(VERBS)} {condition(rng)}" for _ in range(rng.randint(1, 9))]
    lines.append(rng.choice(["Dismiss", "Dismiss", "Dismiss", "Protect", "Delete", "Ignore"]))
    lines.append(f"Order {rng.choice(ORDERS)}")
    if rng.random() < 0.1:
        lines.append("Algo Static")
    return "\n".join(lines)


def case(rng):
    """A whole case."""
    return {
        "kind": "detox",
        "now": NOW,
        "inventory": inventory(rng),
        "policy": policy(rng),
        "detox": {"deletion_per_iteration": rng.choice([0.01, 0.2, 0.5])},
    }


cases = st.builds(case, st.randoms(use_true_random=True))
"""Hypothesis draws the seed: with draws for every detail, hand-overs would hardly ever happen."""
