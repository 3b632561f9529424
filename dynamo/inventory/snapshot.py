"""The inventory at one moment, as columns: the input of policies and engines."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels

Codes = NDArray[np.int32]
"""Row numbers of a table: dense, from 0."""
Amounts = NDArray[np.int64]
"""Bytes, seconds since 1970, keys of rows."""
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Words = NDArray[np.int8]
"""Positions in one of the word lists below."""
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
"""The group of block replicas without an owner; policies call it `None`."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Sites, by name."""

    ids: Amounts
    labels: Labels
    kind: Words
    status: Words
    tier: NDArray[np.int16]
    """The number after the T of the site's name; -1 without such a number."""
    reliability: Numbers
    """Fraction of recent transfers that succeeded; 1 without recent transfers."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Owners of block replicas; the first row is `NOBODY`."""

    ids: Amounts
    labels: Labels
    whole: Flags
    """Flags of groups that own whole datasets; other groups own single blocks."""


@dataclass(frozen=True, slots=True)
class Datasets:
    """Datasets, by name."""

    ids: Amounts
    labels: Labels
    status: Words
    updated: Amounts
    size: Amounts
    """Bytes of all blocks of the dataset, at any site."""
    n_blocks: Codes


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks, by dataset."""

    ids: Amounts
    dataset: Codes
    size: Amounts
    n_files: Codes
    names: tuple[str, ...] | None = None
    """The block ids after the `#`; None if the snapshot has keys only."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Datasets at sites, by dataset and site."""

    dataset: Codes
    site: Codes
    growing: Flags
    group: Codes
    """The group that receives the new blocks."""
    first: Amounts
    """Offsets of block replicas: those of replica `r` are `first[r]:first[r + 1]`."""


@dataclass(frozen=True, slots=True)
class BlockReplicas:
    """Blocks at sites, by dataset, site and block."""

    ids: Amounts
    replica: Codes
    block: Codes
    group: Codes
    size: Amounts
    """Bytes present at the site."""
    n_files: Codes
    updated: Amounts
    complete: Flags
    custodial: Flags
    in_use: Flags | None = None
    """Flags of replicas that transfers read or will read: undeletable. None = all false."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a dataset, glob or block, optionally limited to sites and groups."""

    dataset: str
    block: str | None = None
    sites: str | None = None
    groups: str | None = None
    block_id: int | None = None
    """The block's key, for snapshots without block names."""

    @classmethod
    def on(cls, item: str, sites: str | None = None, groups: str | None = None) -> "Lock":
        """Return the lock on an item: a dataset, a glob, or a block named with `#`."""
        dataset, mark, block = item.partition("#")
        return cls(dataset, block if mark else None, sites or None, groups or None)


@dataclass(frozen=True, slots=True)
class Definition:
    """A partition's definition: a condition over block replicas, or the union `[A, B]`."""

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
    """Bytes per partition (row) and site (column): infinite = unlimited, NaN = no quota."""
    locks: tuple[Lock, ...] = ()
    """Locks that have not expired."""
    protected_sites: frozenset[str] = frozenset()
    rules: tuple[Definition, ...] = ()
    """Placement rules in force: the name of the partition and the text of its rules."""
    waiting_copies: frozenset[str] = frozenset()
    """Datasets and blocks (`dataset#block`) that open copy requests name."""
    attributes: Mapping[str, Column] = field(default_factory=dict)
    """Columns from attribute producers, one value per dataset; absent = the default."""

    def with_attributes(self, **columns: Column) -> "Snapshot":
        """Return a snapshot with more columns per dataset. Raises ValueError.

        A column of the wrong length is an error.
        """
        misfits = [
            name for name, column in columns.items() if len(column) != len(self.datasets.labels)
        ]
        if misfits:
            raise ValueError(f"not one value per dataset: {', '.join(misfits)}")
        return replace(self, attributes={**self.attributes, **columns})

    @property
    def rows_by_replica(self) -> Amounts:
        """Return the number of block replicas of each dataset replica."""
        return np.diff(self.replicas.first)
