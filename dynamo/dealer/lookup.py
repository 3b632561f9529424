"""From what people name to places in the snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.requests import Block, RequestedItem
from dynamo.inventory.snapshot import Flags


@dataclass(frozen=True, slots=True)
class LookupResult:
    """A dataset, or one of its blocks."""

    dataset: int
    block: int | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """Looks names and keys up; blocks that are still being filled are not found."""

    view: InventoryView

    def find(self, item: RequestedItem) -> LookupResult | None:
        """Return where an item is; None where there is none of that name."""
        dataset = self.view.snapshot.datasets.labels.find(item.dataset)
        if dataset < 0:
            return None
        if item.block is None:
            return LookupResult(dataset)
        block = self.block(dataset, item.block)
        return None if block is None else LookupResult(dataset, block)

    def block(self, dataset: int, named: Block) -> int | None:
        """Return the place of one block of a dataset."""
        blocks = self.view.snapshot.blocks
        for place in self.view.blocks_of(dataset).tolist():
            if isinstance(named, int):
                if int(blocks.ids[place]) == named:
                    return int(place)
            elif blocks.names is not None and blocks.names[place] == named:
                return int(place)
        return None

    def blocks(self, dataset: int, named: Iterable[Block]) -> list[int]:
        """Return the places of those blocks of a dataset that exist and are no longer filled."""
        wanted = set(named)
        table = self.view.snapshot.blocks
        return [
            place
            for place in self.view.blocks_of(dataset).tolist()
            if int(table.ids[place]) in wanted
            or (table.names is not None and table.names[place] in wanted)
        ]

    def present(self, dataset: int, site: int) -> dict[int, int]:
        """Return the block replicas of a dataset at a site, by block."""
        rows = self.view.snapshot.block_replicas
        for replica in self.view.replicas_of(dataset):
            if int(self.view.snapshot.replicas.site[replica]) == site:
                places = self.view.rows_of(replica)
                return dict(zip(rows.block[places].tolist(), places.tolist(), strict=True))
        return {}

    def sizes(self, dataset: int) -> dict[int, int]:
        """Return how large the blocks of a dataset are."""
        blocks = self.view.blocks_of(dataset)
        sizes = self.view.snapshot.blocks.size[blocks]
        return dict(zip(blocks.tolist(), sizes.tolist(), strict=True))

    def places(self, dataset: int, among: Flags) -> dict[int, list[int]]:
        """Return for each block of a dataset the sites, of some, where it is or will be."""
        found: dict[int, list[int]] = {}
        rows, replicas = self.view.snapshot.block_replicas, self.view.snapshot.replicas
        for replica in self.view.replicas_of(dataset):
            site = int(replicas.site[replica])
            if among[site]:
                for block in rows.block[self.view.rows_of(replica)].tolist():
                    found.setdefault(block, []).append(site)
        return found

    def size(self, blocks: Iterable[int]) -> int:
        """Return what blocks take."""
        places = np.fromiter(blocks, np.int64)
        return int(self.view.snapshot.blocks.size[places].sum())
