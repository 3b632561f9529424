"""Races: many callers begin at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dynamo.errors import DynamoError


def race(runners: Sequence[Callable[[], object]]) -> list[object]:
    """Run all at once, each in a thread; return what each gave, or its refusal."""
    gate = threading.Barrier(len(runners))

    def run(runner: Callable[[], object]) -> object:
        gate.wait()
        try:
            return runner()
        except DynamoError as refused:
            return refused

    with ThreadPoolExecutor(len(runners)) as pool:
        return list(pool.map(run, runners))


def refusals(results: Sequence[object]) -> list[str]:
    """Return the reasons of those that were refused."""
    return [result.reason for result in results if isinstance(result, DynamoError)]
