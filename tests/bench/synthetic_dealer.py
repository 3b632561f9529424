"""What a synthetic inventory is asked of the Dealer, in rows: requests, jobs that wait, rules."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from sqlalchemy import text

from dynamo.dealer.plan import Plan
from dynamo.inventory.snapshot import READY, Snapshot
from dynamo.settings import Dealer
from tests.bench.filling import Table

_SEED = 1
_OWNER = 1
_WANTED = 0.17
"""Share of the datasets that waiting jobs want: together a hundred thousand proposals."""
_READ = 0.85
"""Share of the datasets that were read in the last two years."""
_PROTECTED = 0.3
"""Share of all replicas that Detox protects as last copies."""
_REQUESTS = 2_000
_RULES = {
    "partition": "Analysis",
    "default_destination_group": "analysis",
    "rules": {
        "mini": {
            "num_copies": 2,
            "replicas": ["dataset.name == /Sample1*/*/MINIAOD"],
            "destinations": ["site.name == T2_CH_*"],
            "sources": ["site.storage_type == DISK"],
        }
    },
}
_DAY = 86_400
FULL = text("""
UPDATE quotas JOIN (
  SELECT site_id, CASE WHEN kind = 'tape' THEN 3 ELSE group_id END AS partition_id,
         SUM(bytes) AS bytes
  FROM block_replicas JOIN sites ON sites.id = site_id GROUP BY 1, 2
) AS there USING (site_id, partition_id)
SET used = there.bytes, projected = there.bytes, max_bytes = 1.5 * max_bytes
""")
"""The inventory is born overfull; half as much again lets copies in."""


def tables(made: Snapshot) -> Iterator[Table]:
    """Yield what people, batch systems and the last cycle of Detox have said, moments included."""
    rng = np.random.default_rng(_SEED)
    yield "users", ("id", "name", "roles", "used", "n_files", "created"), _users()
    yield "requests", _REQUEST, _requests(made, rng)
    yield "demands", ("dataset_id", "source", "since", "jobs"), _demands(made, rng)
    yield "accesses", _ACCESS, _accesses(made, rng)
    rules = [(1, 1, 1, json.dumps(_RULES), "alice", _moment())]
    yield "placement_rules", ("id", "partition_id", "version", "text", "who", "at"), rules
    yield "cycles", _CYCLE, _cycles()
    yield "decisions", _DECISION, _decisions(made, rng)


_REQUEST = (
    *("id", "kind", "state", "owner_id", "dataset", "body", "n_files", "n_done", "n_failed"),
    *("bytes", "bytes_done", "trace", "created", "updated"),
)
_ACCESS = ("dataset_id", "site_id", "day", "accesses", "cpu_seconds")
_CYCLE = (
    *("id", "kind", "partition_id", "dry_run", "state", "seed", "who", "trace", "created"),
    *("started", "ended", "lease_no", "summary"),
)
_DECISION = (
    *("cycle_id", "position", "site", "dataset", "action", "line", "text", "n_files"),
    *("bytes", "facts"),
)


def _users() -> Iterable[Sequence[object]]:
    yield _OWNER, "alice", "[]", 0, 0, _moment()


def _requests(made: Snapshot, rng: np.random.Generator) -> Iterable[Sequence[object]]:
    """Say of whole datasets and of single blocks that they are wanted, here or anywhere."""
    names = made.datasets.labels
    first = np.searchsorted(made.blocks.dataset, np.arange(len(names)))
    ready = np.flatnonzero(made.sites.status == READY)
    chosen = rng.integers(0, len(names), min(_REQUESTS, len(names))).tolist()
    for number, place in enumerate(chosen, 1):
        body = {"consolidate": False, "group": None, "blocks": None}
        if number % 2:
            body |= {"sites": ["T2_*"], "copies": 1}
        else:
            body |= {"sites": [made.sites.labels[int(rng.choice(ready))]], "copies": None}
        if number % 4 > 1:
            body["blocks"] = [f"{names[place]}#b{first[place] + 1}"]
        head = (number, "copy", "running", _OWNER, names[place], json.dumps(body))
        yield *head, 0, 0, 0, 0, 0, "bench", _moment(), _moment()


def _demands(made: Snapshot, rng: np.random.Generator) -> Iterable[Sequence[object]]:
    wanted = np.flatnonzero(rng.random(len(made.datasets.ids)) < _WANTED)
    for place, jobs in zip(wanted.tolist(), rng.exponential(6, len(wanted)), strict=True):
        yield place + 1, "batch", _moment(), int(jobs) + 1


def _accesses(made: Snapshot, rng: np.random.Generator) -> Iterable[Sequence[object]]:
    read = np.flatnonzero(rng.random(len(made.datasets.ids)) < _READ)
    sites = rng.integers(1, len(made.sites.ids) + 1, len(read)).tolist()
    for place, site, days in zip(
        read.tolist(), sites, rng.exponential(120, len(read)).tolist(), strict=True
    ):
        yield place + 1, site, _moment(min(days, 700))[:10], 3, 0


def _cycles() -> Iterable[Sequence[object]]:
    moments = (_moment(), _moment(), _moment())
    yield 1, "detox", 1, 0, "done", 1, "dynamo", "bench", *moments, 1, "{}"


def _decisions(made: Snapshot, rng: np.random.Generator) -> Iterable[Sequence[object]]:
    whole = made.replicas
    [reason] = Dealer().proposers["balancer"]["target_reasons"]
    chosen = np.flatnonzero(rng.random(len(whole.dataset)) < _PROTECTED).tolist()
    for position, row in enumerate(chosen):
        dataset = int(whole.dataset[row])
        names = (made.sites.labels[int(whole.site[row])], made.datasets.labels[dataset])
        size = int(made.datasets.size[dataset])
        yield 1, position, *names, "protect", 1, f"Protect {reason}", 1, size, "{}"


def files(plan: Plan) -> Table:
    """Return the files of the blocks that are to be sent: all others never matter."""
    copies, blocks = plan.copies, plan.asked.snapshot.blocks
    missing = np.unique(copies.block[copies.row < 0]).tolist()
    return "files", _FILE, _files(blocks, missing)


_FILE = (
    *("id", "dataset_id", "block_id", "lfn", "lfn_hash", "size", "adler32", "created"),
    "added",
)


def _files(blocks, missing) -> Iterable[Sequence[object]]:
    key = 0
    for block in missing:
        count = int(blocks.n_files[block])
        for _ in range(count):
            key += 1
            head = (key, int(blocks.dataset[block]) + 1, int(blocks.ids[block]))
            name = f"/store/mc/{key}.root"
            yield (
                *head,
                name,
                f"{key:016}",
                int(blocks.size[block]) // count,
                "00000001",
                *((_moment(), _moment())),
            )


def _moment(days_ago: float = 1) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - days_ago * _DAY))
