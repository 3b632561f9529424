"""Files as jobs hand them over: names of a length that is usual, made anew for each run."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.bench.calling import Call
from tests.bench.stack import SITE

DATASET = "/HiggsToTauTau/alice-Run2026A-v{n}/USER"
_LFN = "/store/user/dynamo/alice/HiggsToTauTau/Run2026A/{n:06d}/output_{i:012d}.root"
_NUMBERS = itertools.count()


def fresh(n: int, scratch: object, dataset: int = 1) -> Iterator[Mapping[str, Any]]:
    """Yield files that no run has had yet."""
    for number in itertools.islice(_NUMBERS, n):
        yield {
            "lfn": _LFN.format(n=dataset, i=number),
            "size": 2_000_000_000 + number % 1000,
            "adler32": f"{number:08x}",
            "source": f"file://{scratch}/job{number // 10}/output_{number:012d}.root",
        }


def injections(calls: int, bulk: int, scratch: object, dataset: int = 1) -> list[Call]:
    """Make calls that each hand over so many files."""
    made = []
    for _ in range(calls):
        body = {"dataset": DATASET.format(n=dataset), "site": SITE}
        body["files"] = list(fresh(bulk, scratch, dataset))  # type: ignore[assignment]
        made.append(("POST", "/v1/injections", json.dumps(body).encode()))
    return made
