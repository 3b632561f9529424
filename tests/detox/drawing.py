"""Small worlds drawn as pictures: datasets down, sites across."""

NOW = 1559347200
DAY = 86400
TB = 10**12
GROUPS = [{"name": "A", "olevel": "Dataset"}, {"name": "B", "olevel": "Block"}]
ALL = [{"name": "All", "definition": "dataset.name == *"}]


def case(picture, policy, *, quota=100, order="", n_blocks=2, **inventory):
    """Draw a case.

    Cells: `full`, `part` (first block only), `hole` (last block incomplete), `none` (without
    blocks), `-`, or owners of the blocks such as `ABAB`. `rank` is the usage rank, `age`
    the days since the last update.
    """
    head, *rows = [line.split() for line in picture.strip().splitlines()]
    columns = head[1:]
    sites = [column for column in columns if column not in ("rank", "age", "status")]
    datasets = [
        _dataset(row[0], dict(zip(columns, row[1:], strict=True)), sites, n_blocks) for row in rows
    ]
    quotas = quota if isinstance(quota, dict) else dict.fromkeys(sites, quota)
    return {
        "kind": "detox",
        "now": NOW,
        "policy": text(policy, order),
        "inventory": {
            "partitions": ALL,
            "groups": GROUPS,
            "sites": [
                {
                    "name": site,
                    "storage_type": "mss" if site.endswith("MSS") else "disk",
                    "status": "morgue" if "Dead" in site else "ready",
                    "quotas_tb": {} if quotas.get(site) is None else {"All": quotas[site]},
                }
                for site in sites
            ],
            "datasets": datasets,
        }
        | inventory,
    }


def text(policy, order=""):
    """Fill in the lines that a test does not care about."""
    lines = [line.strip() for line in policy.strip().splitlines()]
    for word, default in (
        ("Partition", "All"),
        ("On", "site.name == *"),
        ("When", "always"),
        ("Until", "never"),
    ):
        if not any(line.split()[0] == word for line in lines if line):
            lines.insert(0, f"{word} {default}")
    return "\n".join([*lines, f"Order {order}" if order else ""])


def _dataset(name, cells, sites, n_blocks):
    age = int(cells.pop("age", 100))
    rank = float(cells.pop("rank", 0))
    status = cells.pop("status", "valid")
    n_blocks = max([n_blocks, *(len(cell) for cell in cells.values() if set(cell) <= set("ABN"))])
    names = [f"b{number}" for number in range(1, n_blocks + 1)]
    replicas = [
        _replica(site, cells[site], names, NOW - age * DAY) for site in sites if cells[site] != "-"
    ]
    return {
        "name": name,
        "status": status,
        "last_update": NOW - age * DAY,
        "blocks": [{"name": block, "size": TB, "num_files": 4} for block in names],
        "replicas": replicas,
        "attrs": {"global_usage_rank": rank},
    }


def _replica(site, cell, names, updated):
    owners = dict.fromkeys(names, "A")
    if set(cell) <= set("ABN"):
        owners = {
            name: None if owner == "N" else owner for name, owner in zip(names, cell, strict=False)
        }
    elif cell == "part":
        owners = {names[0]: "A"}
    elif cell == "none":
        owners = {}
    parts = [
        {"block": name, "group": owner, "last_update": updated} for name, owner in owners.items()
    ]
    if cell == "hole":
        parts[-1] |= {"size": TB // 2, "num_files": 2}
    return {"site": site, "blocks": parts}
