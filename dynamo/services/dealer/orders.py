"""From a plan of the Dealer to errands: which blocks go where, on which account, for whom."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dynamo.db.catalogue.replicas import Destination
from dynamo.dealer.plan import Plan
from dynamo.inventory.snapshot import NOBODY
from dynamo.policy.placement_partition import NOWHERE, Imagined
from dynamo.services.copies.request import CopyRequest
from dynamo.services.dealer.question import Inventory, Requested
from dynamo.services.replication.scheduler import Among, CopyOrder, OwnerChange


@dataclass(frozen=True, slots=True)
class RequestIndex:
    """Which request wants which blocks where."""

    wishes: Mapping[tuple[int, int], Sequence[tuple[CopyRequest, frozenset[int] | None]]]
    """By keys of dataset and site: the requests, and the blocks that they name (None = all)."""
    overtaken: frozenset[int] = frozenset()
    """Requests for which another plan has chosen meanwhile: nothing is carried out for them."""

    @classmethod
    def of(cls, said: Requested) -> "RequestIndex":
        """Look through all that was asked."""
        listed = {one.key: one.blocks for one in said.subscriptions}
        listed |= {
            one.key: None
            if one.items[0].block is None
            else tuple(item.block for item in one.items if item.block is not None)
            for one in said.wishes
        }
        found: dict[tuple[int, int], list[tuple[CopyRequest, frozenset[int] | None]]] = {}
        for key, (wish, sites) in said.of.items():
            named = listed[key]
            blocks = None if named is None else frozenset(int(block) for block in named)
            for site in sites:
                found.setdefault((wish.dataset.id, site.id), []).append((wish, blocks))
        return cls(found)

    def without(self, request_ids: Collection[int]) -> "RequestIndex":
        """Carry out nothing for some requests."""
        return replace(self, overtaken=frozenset(request_ids))

    def of_block(self, dataset_id: int, site_id: int, block_id: int) -> CopyRequest | None:
        """Return the oldest request that wants a block at a site, one that is carried out first."""
        wanting = (
            wish
            for wish, blocks in self.wishes.get((dataset_id, site_id), ())
            if blocks is None or block_id in blocks
        )
        # the oldest comes first, and of equals `min` takes the first
        return min(wanting, key=self.is_overtaken, default=None)

    def is_overtaken(self, wish: CopyRequest | None) -> bool:
        """Tell whether something goes for a request for which nothing is carried out."""
        return wish is not None and wish.request_id in self.overtaken


NOBODYS = 0
"""The request of blocks that none asked for."""


@dataclass(slots=True)
class Orders:
    """All that a plan wants done."""

    copy_orders: list[CopyOrder] = field(default_factory=list)
    changes: list[OwnerChange] = field(default_factory=list)

    def under(self, request_id: int) -> "Orders":
        """Let what nobody asked for go under a request."""
        return Orders(
            [
                replace(one, destination=replace(one.destination, request_id=request_id))
                if one.destination.request_id == NOBODYS
                else one
                for one in self.copy_orders
            ],
            self.changes,
        )

    def asked(self) -> "Orders":
        """Leave out what nobody asked for."""
        return Orders(
            [one for one in self.copy_orders if one.destination.request_id != NOBODYS], self.changes
        )


@dataclass(frozen=True, slots=True)
class _Account:
    """What blocks of one copy share."""

    group_id: int | None
    partition_id: int
    wish: CopyRequest | None


def enlist(plan: Plan, ground: Inventory, wanting: RequestIndex) -> Orders:
    """Turn a plan into errands, each for the oldest request that wants it, or for nobody."""
    found = Orders()
    destinations = _homes(plan, ground)
    for position in range(len(plan.copies)):
        one = _Copy(plan, ground, position)
        for account, blocks in one.missing(destinations, wanting).items():
            if not wanting.is_overtaken(account.wish):
                found.copy_orders.append(one.order(account, blocks))
        for account, replicas in one.changing(destinations, wanting).items():
            if not wanting.is_overtaken(account.wish):
                found.changes.append(
                    OwnerChange(position, account.group_id, account.partition_id, tuple(replicas))
                )
    return found


def _homes(plan: Plan, ground: Inventory) -> list[int]:
    """Return the key of the partition that each block of the plan comes to lie in."""
    copies = plan.copies
    counts = np.diff(copies.first)
    some = Imagined(np.repeat(copies.dataset, counts), np.repeat(copies.site, counts), copies.owner)
    names = [one.name for one in ground.snapshot.partitions]
    usual = ground.keys[ground.partitions.leaves(plan.asked.partition)[0].name]
    return [
        usual if place == NOWHERE else ground.keys[names[place]]
        for place in ground.destinations(some).tolist()
    ]


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy of a plan, in keys."""

    plan: Plan
    ground: Inventory
    position: int

    @property
    def dataset_id(self) -> int:
        return int(self.ground.snapshot.datasets.ids[self.plan.copies.dataset[self.position]])

    @property
    def site_id(self) -> int:
        return int(self.ground.snapshot.sites.ids[self.plan.copies.site[self.position]])

    @property
    def pieces(self) -> range:
        first = self.plan.copies.first
        return range(int(first[self.position]), int(first[self.position + 1]))

    def missing(
        self, destinations: Sequence[int], wanting: RequestIndex
    ) -> dict[_Account, list[int]]:
        """Return the blocks that are to be sent."""
        found: dict[_Account, list[int]] = {}
        for at in self.pieces:
            if int(self.plan.copies.row[at]) < 0:
                key = self._block(at)
                found.setdefault(self._account(at, destinations, wanting), []).append(key)
        return found

    def changing(
        self, destinations: Sequence[int], wanting: RequestIndex
    ) -> dict[_Account, list[int]]:
        """Return the block replicas that change hands; a request that names no group takes none."""
        rows, found = self.ground.snapshot.block_replicas, dict[_Account, list[int]]()
        for at in self.pieces:
            row = int(self.plan.copies.row[at])
            if row >= 0 and int(rows.group[row]) != int(self.plan.copies.owner[at]):
                account = self._account(at, destinations, wanting)
                if account.wish is None or account.wish.group is not None:
                    found.setdefault(account, []).append(int(rows.ids[row]))
        return found

    def order(self, account: _Account, blocks: Sequence[int]) -> CopyOrder:
        """Say what is to be sent on one account."""
        wish = account.wish
        return CopyOrder(
            position=self.position,
            destination=Destination(
                self.dataset_id,
                self.site_id,
                account.partition_id,
                account.group_id,
                NOBODYS if wish is None else wish.request_id,
            ),
            growing=wish is None and bool(self.plan.copies.growing[self.position]),
            blocks=tuple(sorted(blocks)),
            among=_among(wish),
        )

    def _account(self, at: int, destinations: Sequence[int], wanting: RequestIndex) -> _Account:
        owner = int(self.plan.copies.owner[at])
        group_id = None if owner == NOBODY else int(self.ground.snapshot.groups.ids[owner])
        wish = wanting.of_block(self.dataset_id, self.site_id, self._block(at))
        return _Account(group_id, destinations[at], wish)

    def _block(self, at: int) -> int:
        return int(self.ground.snapshot.blocks.ids[self.plan.copies.block[at]])


def _among(wish: CopyRequest | None) -> Among | None:
    if wish is None or not wish.spread:
        return None
    # what a site that is away holds in part may never come: it counts as little as in the plan
    return Among(tuple(site.id for site in wish.sites if site.ready), wish.n_copies)
