"""Pools as real processes."""

from tests.faults.conftest import small_plant

__all__ = ["small_plant"]
