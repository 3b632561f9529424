"""From a plan of the Dealer to copy orders: which blocks go where, on which account, for whom."""

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

    requests: Mapping[tuple[int, int], Sequence[tuple[CopyRequest, frozenset[int] | None]]]
    """By keys of dataset and site: the requests, and the blocks that they name (None = all)."""
    overtaken: frozenset[int] = frozenset()
    """Requests for which another plan has chosen meanwhile: nothing is carried out for them."""

    @classmethod
    def of(cls, requested: Requested) -> "RequestIndex":
        """Look through all that was asked."""
        listed = {one.key: one.blocks for one in requested.subscriptions}
        listed |= {
            one.key: None
            if one.items[0].block is None
            else tuple(item.block for item in one.items if item.block is not None)
            for one in requested.requests
        }
        found: dict[tuple[int, int], list[tuple[CopyRequest, frozenset[int] | None]]] = {}
        for key, (request, sites) in requested.of.items():
            named = listed[key]
            blocks = None if named is None else frozenset(int(block) for block in named)
            for site in sites:
                found.setdefault((request.dataset.id, site.id), []).append((request, blocks))
        return cls(found)

    def without(self, request_ids: Collection[int]) -> "RequestIndex":
        """Carry out nothing for some requests."""
        return replace(self, overtaken=frozenset(request_ids))

    def of_block(self, dataset_id: int, site_id: int, block_id: int) -> CopyRequest | None:
        """Return the oldest request that wants a block at a site, one that is carried out first."""
        wanting = (
            request
            for request, blocks in self.requests.get((dataset_id, site_id), ())
            if blocks is None or block_id in blocks
        )
        # the oldest comes first, and of equals `min` takes the first
        return min(wanting, key=self.is_overtaken, default=None)

    def is_overtaken(self, request: CopyRequest | None) -> bool:
        """Tell whether something goes for a request for which nothing is carried out."""
        return request is not None and request.id in self.overtaken


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
    request: CopyRequest | None


def enlist(plan: Plan, inventory: Inventory, wanting: RequestIndex) -> Orders:
    """Turn a plan into copy orders, each for the oldest request that wants it, or for none."""
    found = Orders()
    destinations = _homes(plan, inventory)
    for position in range(len(plan.copies)):
        one = _Copy(plan, inventory, position)
        for account, blocks in one.missing(destinations, wanting).items():
            if not wanting.is_overtaken(account.request):
                found.copy_orders.append(one.order(account, blocks))
        for account, replicas in one.changing(destinations, wanting).items():
            if not wanting.is_overtaken(account.request):
                found.changes.append(
                    OwnerChange(position, account.group_id, account.partition_id, tuple(replicas))
                )
    return found


def _homes(plan: Plan, inventory: Inventory) -> list[int]:
    """Return the key of the partition that each block of the plan comes to lie in."""
    copies = plan.copies
    counts = np.diff(copies.first)
    some = Imagined(np.repeat(copies.dataset, counts), np.repeat(copies.site, counts), copies.owner)
    names = [one.name for one in inventory.snapshot.partitions]
    usual = inventory.keys[inventory.partitions.leaves(plan.asked.partition)[0].name]
    return [
        usual if place == NOWHERE else inventory.keys[names[place]]
        for place in inventory.destinations(some).tolist()
    ]


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy of a plan, in keys."""

    plan: Plan
    inventory: Inventory
    position: int

    @property
    def dataset_id(self) -> int:
        return int(self.inventory.snapshot.datasets.ids[self.plan.copies.dataset[self.position]])

    @property
    def site_id(self) -> int:
        return int(self.inventory.snapshot.sites.ids[self.plan.copies.site[self.position]])

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
        rows, found = self.inventory.snapshot.block_replicas, dict[_Account, list[int]]()
        for at in self.pieces:
            row = int(self.plan.copies.row[at])
            if row >= 0 and int(rows.group[row]) != int(self.plan.copies.owner[at]):
                account = self._account(at, destinations, wanting)
                if account.request is None or account.request.group is not None:
                    found.setdefault(account, []).append(int(rows.ids[row]))
        return found

    def order(self, account: _Account, blocks: Sequence[int]) -> CopyOrder:
        """Say what is to be sent on one account."""
        request = account.request
        return CopyOrder(
            position=self.position,
            destination=Destination(
                self.dataset_id,
                self.site_id,
                account.partition_id,
                account.group_id,
                NOBODYS if request is None else request.id,
            ),
            growing=request is None and bool(self.plan.copies.growing[self.position]),
            blocks=tuple(sorted(blocks)),
            among=_among(request),
        )

    def _account(self, at: int, destinations: Sequence[int], wanting: RequestIndex) -> _Account:
        owner = int(self.plan.copies.owner[at])
        group_id = None if owner == NOBODY else int(self.inventory.snapshot.groups.ids[owner])
        request = wanting.of_block(self.dataset_id, self.site_id, self._block(at))
        return _Account(group_id, destinations[at], request)

    def _block(self, at: int) -> int:
        return int(self.inventory.snapshot.blocks.ids[self.plan.copies.block[at]])


def _among(request: CopyRequest | None) -> Among | None:
    if request is None or not request.spread:
        return None
    # what a site that is away holds in part may never come: it counts as little as in the plan
    return Among(tuple(site.id for site in request.sites if site.ready), request.n_copies)
