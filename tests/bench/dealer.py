"""The Dealer: a cycle at a hundred sites, from MariaDB to the copies, beside reading alone."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from dynamo.db.tables import Base
from dynamo.db.work import UnitOfWork, connect
from dynamo.dealer.engine import decide
from tests.bench import synthetic
from tests.bench.detox import fill, load, read
from tests.bench.figures import Figure
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb
from tests.bench.synthetic_dealer import question, voices

_SITES = 100
_SEED = 1
_VOLUME = 200e12
"""Bytes that may be on their way."""
_WANTED = 0.17
"""Share of the datasets that waiting jobs want: together a hundred thousand proposals."""


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB: reading the snapshot, as columns alone and whole; then deciding."""
    n_datasets = max(200, scale.million // 5)
    made = synthetic.snapshot(synthetic.Shape(_SITES, n_datasets, max(1000, scale.million)))
    with production_mariadb(folder / "mariadb") as server:
        engine = connect(server.create("dynamo_bench"))
        Base.metadata.create_all(engine)
        fill(server, made, folder)
        begin = UnitOfWork(engine)
        bare, loading, deciding, cpu = [], [], [], []
        proposals = copies = 0
        for _ in range(min(3, scale.runs)):
            moments = [time.perf_counter()]
            read(begin)
            moments.append(time.perf_counter())
            found = load(begin)
            moments.append(time.perf_counter())
            asked = question(found, _SEED, _VOLUME, _WANTED)
            moments.append(time.perf_counter())
            busy = time.process_time()
            plan = decide(asked, voices())
            cpu.append(time.process_time() - busy)
            moments.append(time.perf_counter())
            taken = [1000 * (end - start) for start, end in pairwise(moments)]
            bare.append(taken[0])
            loading.append(taken[1])
            deciding.append(taken[3])
            proposals, copies = len(plan.outcomes.voice), len(plan.copies)
        engine.dispose()
    more = {
        "block_replicas": len(made.block_replicas.ids),
        "proposals": proposals,
        "copies": copies,
        "deciding_cpu_s": min(cpu),
    }
    named = {"baseline_is": "reading the snapshot", **more}
    yield Figure("dealer", "deciding", "ms", deciding, loading, named)
    whole = [one + other for one, other in zip(loading, deciding, strict=True)]
    named = {"baseline_is": "reading the same columns by the driver alone", **more}
    yield Figure("dealer", "from MariaDB to copies", "ms", whole, bare, named)
