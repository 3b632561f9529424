"""The inventory as the Dealer sees it: sites that take copies, what lies where, whose it is."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynamo.dealer.closed_reason import ClosedReason
from dynamo.dealer.occupancy import PartitionOccupancy
from dynamo.dealer.question import Question
from dynamo.errors import Invalid
from dynamo.inventory.snapshot import READY, Amounts, Codes, Flags, Words
from dynamo.policy.conditions import compiled
from dynamo.policy.diagnostics import nearest
from dynamo.policy.image import Image, Places, View
from dynamo.policy.locking import locked
from dynamo.policy.patterns import match_ordered
from dynamo.policy.syntax import Condition

LOCKED = "blockreplica.is_locked"

MIXED = -1
"""A dataset replica whose blocks have several owners, or that has no block."""


class InventoryView:
    """What proposers and the engine look at; each column is computed once, when it is first needed.

    Blocks that are still being filled do not exist here: neither wanted nor found anywhere.
    """

    def __init__(self, asked: Question) -> None:
        """Look at an inventory. Raises Invalid where it lacks the partition or the group."""
        if asked.partition not in asked.partitions.by_name:
            hint = nearest(asked.partition, asked.partitions.by_name)
            raise Invalid(f"there is no partition {asked.partition}{hint}")
        self.asked = asked
        self.snapshot = asked.snapshot
        self.n_sites = len(self.snapshot.sites.labels)
        self.n_datasets = len(self.snapshot.datasets.labels)
        self.group = self.group_named(asked.group)

    def group_named(self, name: str) -> int:
        """Return the place of a group. Raises Invalid where there is none of that name."""
        place = self.snapshot.groups.labels.find(name)
        if place < 0:
            raise Invalid(f"there is no group {name}{nearest(name, self.snapshot.groups.labels)}")
        return place

    @cached_property
    def _view(self) -> View:
        return View.of(Image.whole(self.snapshot))

    @cached_property
    def _locked_view(self) -> View:
        image = Image.whole(self.snapshot)
        image.locked = locked(image, self.snapshot.locks)
        return View.of(image)

    def view(self, conditions: Iterable[Condition]) -> View:
        """Return all replicas for conditions; locks are looked up where one asks for them."""
        names = {variable.name for condition in conditions for variable in condition.variables}
        return self._locked_view if LOCKED in names else self._view

    def rows_in(self, partition: str) -> Flags:
        """Tell which block replicas are in a partition."""
        members = self.asked.partitions.members(partition, self.asked.moment)
        return members.rows(self.view(members.conditions))

    def fitting(self, condition: Condition) -> Flags:
        """Tell which dataset replicas fit a condition."""
        return compiled(condition, self.asked.moment).on_replicas(self.view((condition,)))

    @cached_property
    def held(self) -> Flags:
        """Tell which block replicas are in the partition that is copied into."""
        return self.rows_in(self.asked.partition)

    @cached_property
    def row_site(self) -> Codes:
        """Return the site of each block replica."""
        return self.snapshot.replicas.site[self.snapshot.block_replicas.replica]

    @cached_property
    def row_bytes(self) -> Amounts:
        """Return what each block replica takes when it is complete."""
        return self.snapshot.blocks.size[self.snapshot.block_replicas.block]

    @cached_property
    def row_arriving(self) -> Amounts:
        """Return what of each block replica is still on its way."""
        return self.row_bytes - self.snapshot.block_replicas.size

    @cached_property
    def filling(self) -> PartitionOccupancy:
        """Return how full the partition is; a site's measured free space caps its quota."""
        rows, asked = self.snapshot.block_replicas, self.asked
        if asked.filled is not None:
            physical, projected = asked.filled.physical, asked.filled.projected
            others = asked.filled.others
        else:
            physical = self._at_sites(rows.size, self.held)
            projected = self._at_sites(self.row_bytes, self.held)
            others = self._at_sites(self.row_arriving, ~self.held)
        quota = asked.partitions.quota(self.snapshot, asked.partition)
        if asked.free is not None:
            cap = physical + np.maximum(asked.free - others, 0.0)
            quota = np.where(np.isnan(cap), quota, np.minimum(quota, cap))
        return PartitionOccupancy(quota, physical, projected)

    def _at_sites(self, amounts: Amounts, rows: Flags) -> Amounts:
        total = np.zeros(self.n_sites, np.int64)
        np.add.at(total, self.row_site[rows], amounts[rows])
        return total

    @cached_property
    def targets(self) -> Flags:
        """Tell which sites take copies: ready, named, and within all limits as they are now."""
        return np.asarray(self.shut == ClosedReason.OPEN)

    @cached_property
    def shut(self) -> Words:
        """Return for each site the first reason why it takes no copies."""
        sites, limits, filling = self.snapshot.sites, self.asked.limits, self.filling
        filled, coming = limits.occupancy < 1, limits.pending < 1
        nothing = np.isnan(filling.quota) | ((filling.quota == 0) & (filled or coming))
        against = (
            (ClosedReason.NOT_READY, sites.status != READY),
            (ClosedReason.NOT_NAMED, ~match_ordered(self.asked.target_sites, sites.labels)),
            (ClosedReason.LEAVING, self.leaving),
            (ClosedReason.NO_QUOTA, nothing),
            (ClosedReason.FULL, filled & (filling.space(limits) < 0)),
            (ClosedReason.BUSY, coming & (filling.slack(limits) < 0)),
        )
        found = np.zeros(self.n_sites, np.int8)
        for reason, holds in reversed(against):
            found[holds] = reason
        return found

    @cached_property
    def leaving(self) -> Flags:
        """Tell which sites an operator wants emptied."""
        return match_ordered(self.asked.leaving, self.snapshot.sites.labels)

    @cached_property
    def staying(self) -> Flags:
        """Tell at which sites what lies there is safe, whether they take more or not."""
        return np.asarray((self.snapshot.sites.status == READY) & ~self.leaving)

    @cached_property
    def room(self) -> Amounts:
        """Return how many bytes each target may take now; 0 at other sites."""
        limits = self.asked.limits
        both = np.minimum(self.filling.space(limits), self.filling.slack(limits))
        return np.where(self.targets, np.maximum(both, 0), 0)

    @cached_property
    def settled(self) -> Flags | None:
        """Tell which blocks are no longer filled; None = all."""
        return None if self.asked.open_blocks is None else ~self.asked.open_blocks

    @cached_property
    def n_blocks(self) -> Codes:
        """Return how many blocks each dataset has."""
        if self.settled is None:
            return self.snapshot.datasets.n_blocks
        dataset = self.snapshot.blocks.dataset[self.settled]
        return np.bincount(dataset, minlength=self.n_datasets).astype(np.int32)

    @cached_property
    def dataset_bytes(self) -> Amounts:
        """Return how large each dataset is."""
        if self.settled is None:
            return self.snapshot.datasets.size
        total = np.zeros(self.n_datasets, np.int64)
        blocks = self.snapshot.blocks
        np.add.at(total, blocks.dataset[self.settled], blocks.size[self.settled])
        return total

    @cached_property
    def blocks_from(self) -> Amounts:
        """Return where the blocks of each dataset begin; one entry more than datasets."""
        datasets = np.arange(self.n_datasets + 1, dtype=np.int32)
        return np.searchsorted(self.snapshot.blocks.dataset, datasets).astype(np.int64)

    def blocks_of(self, dataset: int) -> Codes:
        """Return the blocks of one dataset that are no longer filled."""
        begin, end = int(self.blocks_from[dataset]), int(self.blocks_from[dataset + 1])
        found = np.arange(begin, end, dtype=np.int32)
        return found if self.settled is None else found[self.settled[begin:end]]

    @cached_property
    def replicas_from(self) -> Amounts:
        """Return where the replicas of each dataset begin; one entry more than datasets."""
        datasets = np.arange(self.n_datasets + 1, dtype=np.int32)
        return np.searchsorted(self.snapshot.replicas.dataset, datasets).astype(np.int64)

    def replicas_of(self, dataset: int) -> range:
        """Return the replicas of one dataset."""
        return range(int(self.replicas_from[dataset]), int(self.replicas_from[dataset + 1]))

    def rows_of(self, replica: int) -> Places:
        """Return the block replicas of one dataset replica, without blocks still being filled."""
        first = self.snapshot.replicas.first
        rows = np.arange(int(first[replica]), int(first[replica + 1]))
        return rows if self.counted is None else rows[self.counted[rows]]

    @cached_property
    def counted(self) -> Flags | None:
        """Tell which block replicas are of blocks that are no longer filled; None = all."""
        return None if self.settled is None else self.settled[self.snapshot.block_replicas.block]

    def per_replica(self, amounts: NDArray[np.generic]) -> Amounts:
        """Sum up something over the block replicas of each dataset replica."""
        counted = amounts if self.counted is None else np.where(self.counted, amounts, 0)
        sums = np.zeros(len(counted) + 1, np.int64)
        np.cumsum(counted, out=sums[1:], dtype=np.int64)
        first = self.snapshot.replicas.first
        return sums[first[1:]] - sums[first[:-1]]

    @cached_property
    def n_rows(self) -> Amounts:
        """Return how many block replicas each dataset replica has."""
        return self.per_replica(np.ones(len(self.snapshot.block_replicas.ids), np.int8))

    @cached_property
    def n_complete(self) -> Amounts:
        """Return how many of them are complete."""
        return self.per_replica(self.snapshot.block_replicas.complete)

    @cached_property
    def replica_bytes(self) -> Amounts:
        """Return what each dataset replica takes when its blocks are complete."""
        return self.per_replica(self.row_bytes)

    @cached_property
    def n_held(self) -> Amounts:
        """Return how many of them are in the partition."""
        return self.per_replica(self.held)

    @cached_property
    def has_all(self) -> Flags:
        """Tell which dataset replicas have every block, complete or on its way."""
        return np.asarray(self.n_rows == self.n_blocks[self.snapshot.replicas.dataset])

    @cached_property
    def owner(self) -> Codes:
        """Return the one owner of each dataset replica, or `MIXED`."""
        first, group = self.snapshot.replicas.first, self.snapshot.block_replicas.group
        found = np.full(len(first) - 1, MIXED, np.int32)
        filled = np.flatnonzero(first[:-1] < first[1:])
        if len(filled):
            low = np.minimum.reduceat(group, first[filled])
            high = np.maximum.reduceat(group, first[filled])
            found[filled] = np.where(low == high, low, MIXED)
        return found

    @cached_property
    def available(self) -> Flags:
        """Tell which blocks can be read in full from somewhere."""
        rows = self.snapshot.block_replicas
        found = np.zeros(len(self.snapshot.blocks.ids), np.bool_)
        found[rows.block[rows.complete]] = True
        return found if self.asked.recoverable is None else found | self.asked.recoverable

    @cached_property
    def rows_by_block(self) -> tuple[Places, Amounts]:
        """Return all block replicas by block, and where each block's begin."""
        block = self.snapshot.block_replicas.block
        first = np.zeros(len(self.snapshot.blocks.ids) + 1, np.int64)
        np.cumsum(np.bincount(block, minlength=len(first) - 1), out=first[1:])
        return np.argsort(block, kind="stable"), first

    @cached_property
    def vetoes(self) -> tuple[tuple[Flags, Flags], ...]:
        """Return for each veto the datasets it speaks of and the sites it closes to them."""
        datasets, sites = self.snapshot.datasets.labels, self.snapshot.sites.labels
        return tuple(
            (match_ordered(veto.datasets, datasets), match_ordered(veto.sites, sites))
            for veto in self.asked.vetoes
        )

    def closed_to(self, dataset: int) -> Flags | None:
        """Return the sites that a dataset must not go to; None = it may go anywhere."""
        closed = [sites for datasets, sites in self.vetoes if datasets[dataset]]
        return np.logical_or.reduce(closed) if closed else None

    def takers(self, dataset: int) -> Flags:
        """Tell which sites take copies of a dataset now."""
        closed = self.closed_to(dataset)
        return self.targets if closed is None else self.targets & ~closed
