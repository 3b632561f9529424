"""`python -m tests.bench [--quick] [NAME ...]`: measure, one JSON line per figure."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import (
    bookkeeping,
    copying,
    dealer,
    detox,
    memory,
    path,
    planner,
    reading,
    registration,
    silent,
    xrootd,
)
from tests.bench.figures import Figure
from tests.bench.scale import FULL, QUICK, Scale

Bench = Callable[[Path, Scale], Iterator[Figure]]

BENCHES: dict[str, Bench] = {
    "registration": registration.run,
    "path": path.run,
    "copying": copying.run,
    "reading": reading.run,
    "bookkeeping": bookkeeping.run,
    "detox": detox.run,
    "dealer": dealer.run,
    "planner": planner.run,
    "xrootd": xrootd.run,
    "silent": silent.run,
}
LONG: dict[str, Bench] = {"memory": memory.run, "detox-large": detox.large}
"""Only by name."""


def main() -> None:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join([*BENCHES, *LONG])}")
    parser.add_argument("--quick", action="store_true", help="too little to mean anything")
    given = parser.parse_args()
    known = {**BENCHES, **LONG}
    if unknown := set(given.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    for name in given.names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="dynamo-bench-") as folder:
            for figure in known[name](Path(folder), QUICK if given.quick else FULL):
                sys.stdout.write(figure.line() + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
