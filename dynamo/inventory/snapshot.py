"""The inventory at one moment, as columns: what policies and engines look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels

Codes = NDArray[np.int32]
"""Places in a table: dense, from 0."""
Amounts = NDArray[np.int64]
"""Bytes, seconds since 1970, keys of rows."""
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Words = NDArray[np.int8]
"""Places in one of the word lists below."""
Column = NDArray[np.generic]

DATASET_STATUSES = (
    "",
    "unknown",
    "deleted",
    "deprecated",
    "invalid",
    "production",
    "valid",
    "ignored",
)
SITE_KINDS = ("", "disk", "tape", "buffer", "unknown")
SITE_STATUSES = ("", "ready", "waitroom", "morgue", "unknown")
DISK = SITE_KINDS.index("disk")
TAPE = SITE_KINDS.index("tape")
READY = SITE_STATUSES.index("ready")
MORGUE = SITE_STATUSES.index("morgue")
NOBODY = 0
"""The group of block replicas that nobody owns; its name in policies is `None`."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Storage endpoints, by name."""

    ids: Amounts
    labels: Labels
    kind: Words
    status: Words
    tier: NDArray[np.int16]
    """The number behind the T of its name; -1 where there is none."""
    reliability: Numbers
    """Share of recent transfers that went well; 1 where nothing is known."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Owners of block replicas; the first is nobody."""

    ids: Amounts
    labels: Labels
    whole: Flags
    """Owns whole datasets; the others own single blocks."""


@dataclass(frozen=True, slots=True)
class Datasets:
    """Datasets, by name."""

    ids: Amounts
    labels: Labels
    status: Words
    updated: Amounts
    size: Amounts
    """Bytes of all blocks, wherever they are."""
    n_blocks: Codes


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks, by dataset."""

    ids: Amounts
    dataset: Codes
    size: Amounts
    n_files: Codes
    names: tuple[str, ...] | None = None
    """What follows the `#`; left out where keys are enough."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Datasets at sites, by dataset and site."""

    dataset: Codes
    site: Codes
    growing: Flags
    group: Codes
    """For whom it grows."""
    first: Amounts
    """Where its block replicas begin: those of `r` are `first[r]:first[r + 1]`."""


@dataclass(frozen=True, slots=True)
class BlockReplicas:
    """Blocks at sites, by dataset, site and block."""

    ids: Amounts
    replica: Codes
    block: Codes
    group: Codes
    size: Amounts
    """Bytes that are there."""
    n_files: Codes
    updated: Amounts
    complete: Flags
    custodial: Flags
    in_use: Flags | None = None
    """A copy or a transfer reads from it, or will: it cannot be deleted now; None = none is."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Somebody's wish that a dataset (or glob, or block) stays, at some sites, of some groups."""

    dataset: str
    block: str | None = None
    sites: str | None = None
    groups: str | None = None
    block_id: int | None = None
    """The block by its key, for snapshots without names of blocks."""

    @classmethod
    def on(cls, item: str, sites: str | None = None, groups: str | None = None) -> "Lock":
        """Split the item at its `#`, if it names one block."""
        dataset, mark, block = item.partition("#")
        return cls(dataset, block if mark else None, sites or None, groups or None)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a partition holds: a condition over block replicas, or `[A, B]`, the union of others."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All tables at one moment."""

    sites: Sites
    groups: Groups
    datasets: Datasets
    blocks: Blocks
    replicas: Replicas
    block_replicas: BlockReplicas
    partitions: tuple[Definition, ...]
    quotas: Numbers
    """Bytes per partition (row) and site (column): infinite = unlimited, NaN = no part in it."""
    locks: tuple[Lock, ...] = ()
    """Those that have not expired."""
    protected_sites: frozenset[str] = frozenset()
    rules: tuple[Definition, ...] = ()
    """Placement rules in force: the partition that they are for, and their text."""
    waiting_copies: frozenset[str] = frozenset()
    """Datasets and blocks (`dataset#block`) that open copy requests name."""
    attributes: Mapping[str, Column] = field(default_factory=dict)
    """What producers found out, one value per dataset; an absent one is read at its default."""

    def with_attributes(self, **columns: Column) -> "Snapshot":
        """Return the same with more columns per dataset. Raises ValueError for a wrong length."""
        wrong = [
            name for name, column in columns.items() if len(column) != len(self.datasets.labels)
        ]
        if wrong:
            raise ValueError(f"not one value per dataset: {', '.join(wrong)}")
        return replace(self, attributes={**self.attributes, **columns})

    @property
    def rows_by_replica(self) -> Amounts:
        """Return how many block replicas each dataset replica has."""
        return np.diff(self.replicas.first)
