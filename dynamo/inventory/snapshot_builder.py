"""Builds a snapshot: sorts rows as a store returns them and gives them dense numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import (
    Amounts,
    BlockReplicas,
    Blocks,
    Codes,
    Datasets,
    Groups,
    Replicas,
    Sites,
)

_TIER = re.compile(r"T(\d+)(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Keys:
    """Maps the keys of a store to row numbers of a table."""

    sorted_ids: Amounts
    places: Codes

    @classmethod
    def of(cls, ids: Amounts) -> "Keys":
        """Return the index of a table's keys."""
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], order.astype(np.int32))

    def __call__(self, ids: ArrayLike) -> Codes:
        """Return the row number of each key. Raises ValueError for an unknown key."""
        wanted = np.asarray(ids, np.int64)
        if not len(wanted):
            return np.zeros(0, np.int32)
        positions = np.searchsorted(self.sorted_ids, wanted)
        known = positions < len(self.sorted_ids)
        known[known] = self.sorted_ids[positions[known]] == wanted[known]
        if not known.all():
            raise ValueError(f"key {int(wanted[~known][0])} is not in the table it points to")
        return self.places[positions]


def tier(site: str) -> int:
    """Return the number after the T of a site's name; -1 without such a number."""
    match = _TIER.match(site)
    return int(match[1]) if match else -1


def sites(ids: Sequence[int], names: Sequence[str], kind: ArrayLike, status: ArrayLike) -> Sites:
    """Return the sites, sorted by name."""
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = [names[place] for place in order]
    return Sites(
        ids=np.asarray(ids, np.int64)[order],
        labels=Labels(ordered),
        kind=np.asarray(kind, np.int8)[order],
        status=np.asarray(status, np.int8)[order],
        tier=np.array([tier(name) for name in ordered], np.int16),
        reliability=np.ones(len(ordered)),
    )


def groups(ids: Sequence[int], names: Sequence[str], whole: Sequence[bool]) -> Groups:
    """Return the groups sorted by name, after `NOBODY` with key 0."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return Groups(
        ids=np.array([0, *(ids[place] for place in order)], np.int64),
        labels=Labels(["None", *(names[place] for place in order)]),
        whole=np.array([False, *(whole[place] for place in order)], np.bool_),
    )


def datasets(
    ids: ArrayLike, names: Sequence[str], status: ArrayLike, updated: ArrayLike
) -> Datasets:
    """Return datasets sorted by name; `blocks` adds their sizes and numbers of blocks."""
    keys = np.asarray(ids, np.int64)
    order = by_name(names)
    return Datasets(
        ids=keys[order],
        labels=Labels([names[place] for place in order.tolist()]),
        status=np.asarray(status, np.int8)[order],
        updated=np.asarray(updated, np.int64)[order],
        size=np.zeros(len(keys), np.int64),
        n_blocks=np.zeros(len(keys), np.int32),
    )


def by_name(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the order of ascending names; already sorted names cost one pass."""
    if Labels(names).is_sorted:
        return np.arange(len(names), dtype=np.int64)
    return np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)


@dataclass(frozen=True, slots=True)
class RawBlocks:
    """Blocks as the store returns them, with keys of datasets."""

    ids: ArrayLike
    dataset_ids: ArrayLike
    size: ArrayLike
    n_files: ArrayLike
    names: Sequence[str] | None = None


def blocks(raw: RawBlocks, of: Datasets) -> tuple[Blocks, Datasets]:
    """Return blocks sorted by dataset, then name or key; and datasets with their sums."""
    ids = np.asarray(raw.ids, np.int64)
    dataset = Keys.of(of.ids)(raw.dataset_ids)
    size = np.asarray(raw.size, np.int64)
    second = ids if raw.names is None else _ranks(raw.names)
    order = np.lexsort((second, dataset))
    names = None if raw.names is None else tuple(raw.names[place] for place in order.tolist())
    table = Blocks(
        ids[order], dataset[order], size[order], np.asarray(raw.n_files, np.int32)[order], names
    )
    totals = np.zeros(len(of.ids), np.int64)
    np.add.at(totals, dataset, size)
    counts = np.bincount(dataset, minlength=len(of.ids)).astype(np.int32)
    return table, replace(of, size=totals, n_blocks=counts)


def _ranks(names: Sequence[str]) -> Amounts:
    ranks = np.empty(len(names), np.int64)
    ranks[by_name(names)] = np.arange(len(names))
    return ranks


@dataclass(frozen=True, slots=True)
class RawReplicas:
    """Dataset replicas as the store returns them; dataset and site as row numbers."""

    dataset: ArrayLike
    site: ArrayLike
    growing: ArrayLike
    group: ArrayLike


@dataclass(frozen=True, slots=True)
class RawBlockReplicas:
    """Block replicas as the store returns them; block, site and group as row numbers."""

    ids: ArrayLike
    block: ArrayLike
    site: ArrayLike
    group: ArrayLike
    size: ArrayLike
    n_files: ArrayLike
    updated: ArrayLike
    complete: ArrayLike
    custodial: ArrayLike
    in_use: ArrayLike | None = None


def replicas(
    whole: RawReplicas, parts: RawBlockReplicas, of: Blocks, n_sites: int
) -> tuple[Replicas, BlockReplicas]:
    """Return dataset replicas by dataset and site, and block replicas by replica and block.

    A block replica without a dataset replica gets one that does not grow.
    """
    block = np.asarray(parts.block, np.int32)
    site = np.asarray(parts.site, np.int32)
    at = of.dataset[block].astype(np.int64) * n_sites + site
    given = np.asarray(whole.dataset, np.int64) * n_sites + np.asarray(whole.site, np.int64)
    places = np.unique(np.concatenate([given, at]))
    replica = np.searchsorted(places, at).astype(np.int32)
    order = np.lexsort((block, replica))
    first = np.zeros(len(places) + 1, np.int64)
    np.cumsum(np.bincount(replica, minlength=len(places)), out=first[1:])
    growing = np.zeros(len(places), np.bool_)
    group = np.zeros(len(places), np.int32)
    index = np.searchsorted(places, given)
    growing[index] = np.asarray(whole.growing, np.bool_)
    group[index] = np.asarray(whole.group, np.int32)
    datasets_of, sites_of = np.divmod(places, max(n_sites, 1))
    return (
        Replicas(datasets_of.astype(np.int32), sites_of.astype(np.int32), growing, group, first),
        BlockReplicas(
            ids=np.asarray(parts.ids, np.int64)[order],
            replica=replica[order],
            block=block[order],
            group=np.asarray(parts.group, np.int32)[order],
            size=np.asarray(parts.size, np.int64)[order],
            n_files=np.asarray(parts.n_files, np.int32)[order],
            updated=np.asarray(parts.updated, np.int64)[order],
            complete=np.asarray(parts.complete, np.bool_)[order],
            custodial=np.asarray(parts.custodial, np.bool_)[order],
            in_use=None if parts.in_use is None else np.asarray(parts.in_use, np.bool_)[order],
        ),
    )
