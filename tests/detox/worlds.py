"""Random small inventories and policies, as the golden cases write them."""

from hypothesis import strategies as st

from dynamo.policy.checker import SIGNS
from dynamo.policy.variables import BY_NAME, VARIABLES, Kind, Level, Scope

NOW = 1559347200
DAY = 86400
TB = 10**12
SITES = ["T1_A_MSS", "T1_B_Disk", "T2_C", "T2_D", "X_E"]
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
    {
        "name": "Wanted",
        "definition": "dataset.demand_rank >= 1 or replica.num_access in [1, 2] until 2019-12-31",
    },
    {
        "name": "Early",
        "definition": "blockreplica.owner notin [None, test] and site.tier <= 1 from 2019-06-01",
    },
    {"name": "Both", "definition": "[Production, Old]"},
    {"name": "Most", "definition": "[Wanted, Physics]"},
    {"name": "Physics", "definition": "[Disk, Tape]"},
]
DAYS = ["2018-12-23", "2019-02-11", "2019-02-21", "@1551571200", "20190522"]
"""Some hit the updates and accesses below exactly."""
MOMENTS = [*DAYS, "50 days ago", "100 days ago", "5 months ago", "22 may", "22may2019 0000 UTC"]
COPIES = ["0", "1", "2", "3"]
DRAWN = {
    "dataset.name": ["/B/*/*", "/A/E/RAW", "/*/*/AOD", "/?/F/*", "/D/F/MINI"],
    "dataset.status": ["VALID", "INVALID", "PRODUCTION"],
    "dataset.on_tape": ["NONE", "PARTIAL", "FULL"],
    "dataset.size": ["2e12", "3e12", "7e12"],
    "dataset.last_update": MOMENTS,
    "dataset.last_access": MOMENTS,
    "dataset.num_full_disk_copy": COPIES,
    "dataset.usage_rank": ["0", "10", "15"],
    "dataset.demand_rank": ["0", "1", "2.5"],
    "dataset.request_weight": ["0", ".5", "3"],
    "dataset.release": ["10_6_4", "10_*", "10_6_4_patch?", "9_*"],
    "replica.size": ["0", "2e12", "3e12"],
    "replica.last_block_created": MOMENTS,
    "replica.first_block_created": MOMENTS,
    "replica.num_access": ["0", "1"],
    "replica.num_full_disk_copy_common_owner": COPIES,
    "replica.num_full_other_copy_common_owner": COPIES,
    "blockreplica.last_update": MOMENTS,
    "blockreplica.owner": ["analysis", "production", "None", "*e*"],
    "blockreplica.num_full_disk_copy": COPIES,
    "blockreplica.age_relative_to_newest": ["0", "8640000", "1e7"],
    "site.name": ["T2_*", "T2_C", "T1_B_Disk", "*_?"],
    "site.status": ["READY", "WAITROOM", "MORGUE"],
    "site.storage_type": ["DISK", "MSS", "TAPE"],
    "site.tier": ["-1", "1", "2"],
    "site.reliability": ["0.5", "1"],
    "site.occupancy": ["0.5", "0.6", "0.7", "0.85", "0.9"],
    "site.quota": ["0", "4e12", "6e12", "inf"],
}
"""What variables are compared with; booleans need nothing."""
REGEXES = ["/[BC]/.*/A", ".*_[A-C]", "a|p", "10_6_4$", "T1"]


VERBS = [
    "Protect",
    "Dismiss",
    "Delete",
    "Ignore",
    *["ProtectBlock", "DismissBlock", "DeleteBlock"] * 2,
]
OF_REPLICAS = [one for one in VARIABLES if one.stands_in(Scope.REPLICA)]
OF_BLOCKS = [one for one in OF_REPLICAS if one.level is Level.BLOCK]
OF_SITES = [one for one in VARIABLES if one.stands_in(Scope.SITE)]
SORTED_BY = [one.name for one in OF_REPLICAS if one.sortable]


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
    owner, mixed, busy = rng.choice(OWNERS), rng.random() < 0.6, rng.choice([0, 0, 0, 0.1])
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
        if rng.random() < busy:
            part["in_use"] = True
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
            "global_demand_rank": rng.choice([0, 1, 2.5]),
            "request_weight": rng.choice([0, 0.25, 3]),
            "release": rng.choice(["", "9_4_0", "10_6_4", "10_6_4_patch1"]),
            "tape_copy_requested": rng.random() < 0.2,
            "latest_production_release": rng.random() < 0.3,
            "unknown_in_all_dbs": rng.random() < 0.2,
            "num_access": rng.randint(0, 1),
            "last_access": NOW - rng.choice([10, 90]) * DAY,
        },
    }


def site(rng, name):
    """A site with quotas; parts of other partitions have no unlimited ones, some are missing."""
    parts = {"Production", "Old", "Disk", "Tape", "Wanted"}
    single = [one["name"] for one in PARTITIONS if not one["definition"].startswith("[")]
    quotas = {name: rng.choice([0, 1, 2, 4, 6, 9, 14, 20]) for name in single}
    unlimited = {name: -1 for name in single if name not in parts and rng.random() < 0.1}
    missing = dict.fromkeys((name for name in single if rng.random() < 0.08), None)
    return {
        "name": name,
        "storage_type": "mss" if name.endswith("MSS") else "disk",
        "status": rng.choice(["ready", "ready", "ready", "waitroom", "morgue"]),
        "reliability": rng.choice([1, 1, 0.5, 0.2]),
        "quotas_tb": quotas | unlimited | missing,
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


def listed(rng, values):
    """A list, with blanks or commas."""
    some = [rng.choice(values) for _ in range(rng.randint(1, 3))]
    return f"[{rng.choice([' ', ', ', ',']).join(some)}]"


def predicate(rng, variable):
    """Any question that the language allows about a variable."""
    name = variable.name
    if variable.kind is Kind.BOOL:
        return rng.choice([name, f"not {name}", f"{name} not"])
    sign = rng.choice([*SIGNS[variable.kind], "in", "notin"])
    values = DRAWN[name]
    if "in" in sign:
        return f"{name} {sign} {listed(rng, DAYS if variable.kind is Kind.TIME else values)}"
    return f"{name} {sign} {rng.choice(REGEXES if '~' in sign else values)}"


def condition(rng, variables=OF_REPLICAS, often=OF_BLOCKS):
    """One to four predicates, joined in any way, and sometimes a window."""

    def some():
        return predicate(rng, rng.choice(rng.choice([variables, often])))

    text = some()
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        bracketed = f"({text})" if rng.random() < 0.3 else text
        text = f"{bracketed} {rng.choice(['and', 'and', 'or'])} {some()}"
    for word in ("until", "from"):
        if rng.random() < 0.05:
            text += f" {word} {rng.choice([*MOMENTS, 'now', 'tomorrow', '2019-06-01'])}"
    return text


def of_sites(rng, word, choices):
    """A usual choice of lines about sites, or any."""
    if rng.random() < 0.75:
        return rng.choice(choices)
    often = [BY_NAME["site.occupancy"], BY_NAME["site.quota"]]
    return [f"{word} {condition(rng, OF_SITES, often)}" for _ in range(rng.randint(1, 2))]


def order(rng):
    """Up to two keys."""
    keys = [
        f"{rng.choice(['increasing', 'decreasing'])} {rng.choice(SORTED_BY)}"
        for _ in range(rng.randint(0, 2))
    ]
    return " ".join(keys) or "none"


def policy(rng):
    """A partition, triggers, a stack of lines."""
    lines = [f"Partition {rng.choice(PARTITIONS)['name']}"]
    for word, choices in (("On", TARGETS), ("When", TRIGGERS), ("Until", STOPS)):
        lines += of_sites(rng, word, choices)
    lines += [f"{rng.choice(VERBS)} {condition(rng)}" for _ in range(rng.randint(1, 9))]
    default = rng.choice(["Dismiss"] * 4 + [verb for verb in VERBS if verb != "Dismiss"])
    lines.insert(rng.randint(0, len(lines)), default)
    lines.append(f"Order {order(rng)}")
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


def asked(rng):
    """Conditions on an inventory."""
    return {
        "kind": "conditions",
        "now": NOW,
        "inventory": inventory(rng),
        "conditions": [condition(rng) for _ in range(30)],
    }


questions = st.builds(asked, st.randoms(use_true_random=True))
cases = st.builds(case, st.randoms(use_true_random=True))
"""Hypothesis draws the seed: with draws for every detail, hand-overs would hardly ever happen."""
