"""How much is measured: all of it, or as little as shows that the benchmarks work."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Numbers of runs, calls, files and bytes."""

    runs: int
    calls: Mapping[int, int]
    """Files in a call → calls of a run."""
    small_files: int
    large_bytes: int
    dataset_files: int
    """Files of a large dataset."""
    pages: int
    million: int
    """Files over which memory shall not grow."""
    waiting: int
    """Copy requests that wait."""


FULL = Scale(
    runs=5,
    calls={1: 400, 100: 60, 1000: 16},
    small_files=10_000,
    large_bytes=10**9,
    dataset_files=100_000,
    pages=100,
    million=1_000_000,
    waiting=10_000,
)
QUICK = Scale(
    runs=1,
    calls={1: 4, 100: 4, 1000: 4},
    small_files=60,
    large_bytes=10**6,
    dataset_files=1_000,
    pages=40,  # the kernel counts processor time in hundredths of a second
    million=4_000,
    waiting=100,
)
