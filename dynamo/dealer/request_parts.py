"""What a request wants of each dataset, and how much of that is at a site."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dynamo.dealer.inventory_view import MIXED, InventoryView
from dynamo.dealer.lookup import Lookup
from dynamo.dealer.refusals import Refusal, RefusalKind, Refused
from dynamo.dealer.requests import Action, ActionState, Block, RequestedItem


@dataclass(frozen=True, slots=True)
class Part:
    """All that a request wants of one dataset."""

    dataset: int
    blocks: tuple[int, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """How much of a part is at a site."""

    complete: bool
    all_there: bool
    """Or on its way."""
    owner: int
    """Of all its blocks; `MIXED` where there are several."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Answers questions about parts."""

    view: InventoryView
    catalogue: Lookup

    def of(self, items: Iterable[RequestedItem]) -> list[Part]:
        """Put the items of each dataset together. Raises Refused for unknown ones."""
        named = {item: self.catalogue.find(item) for item in items}
        unknown = [str(item) for item, place in named.items() if place is None]
        if unknown:
            raise Refused(Refusal(RefusalKind.UNKNOWN_ITEMS, ",".join(unknown)))
        whole: set[int] = set()
        blocks: dict[int, list[int]] = {}
        for place in filter(None, (named[item] for item in sorted(named, key=str))):
            listed = blocks.setdefault(place.dataset, [])
            if place.block is None:
                whole.add(place.dataset)
            else:
                listed.append(place.block)
        return [
            self.whole(dataset) if dataset in whole else Part(dataset, tuple(listed), whole=False)
            for dataset, listed in blocks.items()
        ]

    def whole(self, dataset: int) -> Part:
        """Return all of a dataset."""
        return Part(dataset, tuple(self.view.blocks_of(dataset).tolist()), whole=True)

    def enlarged(self, part: Part, most: float) -> Part:
        """Take the dataset where more than a share of it is wanted."""
        limit = most * int(self.view.dataset_bytes[part.dataset])
        return self.whole(part.dataset) if not part.whole and self.size(part) > limit else part

    def check_size(self, part: Part, limit: float) -> None:
        """Refuse what is too large; a limit of 0 allows anything. Raises Refused."""
        if 0 < limit < self.size(part):
            large = RefusalKind.DATASET_TOO_LARGE if part.whole else RefusalKind.BLOCKS_TOO_LARGE
            raise Refused(Refusal(large, self.name(part), limit=limit))

    def size(self, part: Part) -> int:
        """Return its bytes."""
        return self.catalogue.size(part.blocks)

    def at(self, part: Part, site: int) -> Presence:
        """Return how much of it is at a site."""
        there = self.catalogue.present(part.dataset, site)
        rows = [there[block] for block in part.blocks if block in there]
        table = self.view.snapshot.block_replicas
        owners = set(table.group[rows].tolist())
        all_there = len(rows) == len(part.blocks) > 0
        return Presence(
            complete=all_there and bool(table.complete[rows].all()),
            all_there=all_there,
            owner=owners.pop() if len(owners) == 1 else MIXED,
        )

    def sites_of(self, dataset: int) -> set[int]:
        """Return the sites with a replica of a dataset."""
        replicas = self.view.replicas_of(dataset)
        return {int(self.view.snapshot.replicas.site[replica]) for replica in replicas}

    def possible(self, part: Part, site: int) -> bool:
        """Tell whether a site could ever take it, as its quota is and with what it has."""
        closed = self.view.closed_to(part.dataset)
        if closed is not None and closed[site]:
            return False
        there = self.catalogue.present(part.dataset, site)
        missing = self.catalogue.size(block for block in part.blocks if block not in there)
        filling = self.view.filling
        free = float(filling.quota[site]) - int(filling.projected[site])
        return missing < free or all(block in there for block in part.blocks)

    def name(self, part: Part) -> str:
        """Return the name of its dataset."""
        return self.view.snapshot.datasets.labels[part.dataset]

    def actions(
        self, part: Part, site: int, state: ActionState, *, shared: bool = False
    ) -> Iterator[Action]:
        """Return what brings it to a site: one action for a dataset, else one per block."""
        place = self.view.snapshot.sites.labels[site]
        blocks: Iterable[Block | None] = map(self._block, part.blocks)
        for block in (None,) if part.whole else blocks:
            yield Action(RequestedItem(self.name(part), block), place, state, shared)

    def _block(self, block: int) -> Block:
        blocks = self.view.snapshot.blocks
        return int(blocks.ids[block]) if blocks.names is None else blocks.names[block]
