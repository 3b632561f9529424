"""What the Dealer is asked: the inventory or a part of it, the requests of callers, the limits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.snapshots import occupancy
from dynamo.db.snapshots.loader import EVERYTHING, Extent
from dynamo.db.tables import Block
from dynamo.db.transfers import source_selection
from dynamo.dealer.question import Limits, Occupancy, Question, Veto
from dynamo.dealer.requests import Request as DealerRequest
from dynamo.dealer.requests import RequestedItem, Subscription
from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import NOBODY, Amounts, Codes, Flags, Numbers, Snapshot
from dynamo.inventory.snapshot_builder import Keys
from dynamo.operations.hints import batches
from dynamo.policy.partitions import Partitions, read_partitions
from dynamo.policy.patterns import match_ordered
from dynamo.policy.placement_partition import NOWHERE, Imagined, destinations
from dynamo.services.copies.request import CopyRequest, Target
from dynamo.settings import Dealer, Settings

_AT_ONCE = 20
"""Requests whose blocks are looked up together."""
_BLOCKS_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class Inventory:
    """What was read in one unit of work."""

    snapshot: Snapshot
    partitions: Partitions
    moment: float
    open_blocks: Flags
    in_parts: Flags
    """Blocks that no site has whole, of which each file lies somewhere."""
    physical: Amounts
    """Per partition and site."""
    projected: Amounts
    free: Numbers
    """Measured bytes that are left at each site; NaN where unknown."""
    keys: Mapping[str, int]
    """Of partitions."""

    def filled(self, partition: str) -> Occupancy:
        """Return how full a partition is; a union is as full as its parts."""
        names = [one.name for one in self.snapshot.partitions]
        rows = [names.index(leaf.name) for leaf in self.partitions.leaves(partition)]
        physical, projected = self.physical[rows].sum(axis=0), self.projected[rows].sum(axis=0)
        coming = (self.projected - self.physical).sum(axis=0)
        return Occupancy(physical, projected, coming - (projected - physical))

    def destinations(self, some: Imagined) -> Codes:
        """Return the partition that holds replicas that are still to be made."""
        return destinations(self.snapshot, self.partitions, some, self.moment)

    @cached_property
    def datasets(self) -> Keys:
        """Tell the places of datasets by key."""
        return Keys.of(self.snapshot.datasets.ids)

    @cached_property
    def sites(self) -> Keys:
        """Tell the places of sites by key."""
        return Keys.of(self.snapshot.sites.ids)

    def dataset(self, key: int) -> int:
        """Return the place of a dataset."""
        return int(self.datasets([key])[0])

    def site(self, key: int) -> int:
        """Return the place of a site."""
        return int(self.sites([key])[0])


def everything(work: Work, protected_sites: Collection[str]) -> Inventory:
    """Read the whole inventory; the unit of work must see one moment."""
    return _inventory(work, snapshot_loader.load(work, protected_sites), EVERYTHING)


def narrow(work: Work, dataset_ids: Collection[int]) -> Inventory:
    """Read some datasets, and how full all sites are."""
    return _inventory(work, snapshot_loader.narrow(work, dataset_ids), Extent(dataset_ids))


def _inventory(work: Work, found: Snapshot, extent: Extent) -> Inventory:
    physical, projected = occupancy.accounts(work, found)
    open_blocks = occupancy.open_blocks(work, found, extent)
    return Inventory(
        snapshot=found,
        partitions=read_partitions(found.partitions),
        moment=work.now.timestamp(),
        open_blocks=open_blocks,
        in_parts=_in_parts(work, found, open_blocks),
        physical=physical,
        projected=projected,
        free=occupancy.free(work, found, physical.sum(axis=0)),
        keys=occupancy.partition_keys(work),
    )


def _in_parts(work: Work, found: Snapshot, open_blocks: Flags) -> Flags:
    rows = found.block_replicas
    candidates = ~open_blocks
    candidates[rows.block[rows.complete]] = False
    here = np.zeros(len(candidates), np.bool_)
    here[rows.block] = True
    keys = found.blocks.ids[candidates & here].tolist()
    known = [
        key
        for some in batches(keys, _BLOCKS_AT_ONCE)
        for key in source_selection.found_in_parts(work, some)
    ]
    return np.isin(found.blocks.ids, known)


# --- requests -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Requested:
    """Requests as the engine takes them, and whose each is."""

    requests: list[DealerRequest] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    of: dict[int, tuple[CopyRequest, tuple[Target, ...]]] = field(default_factory=dict)
    """By the key in the engine: the request, and the sites that are meant here."""
    blocks: dict[int, Sequence[int] | None] = field(default_factory=dict)
    """By request: the blocks that it names, by key; None = all."""

    def add(self, request: CopyRequest, blocks: Sequence[int] | None, owner: str) -> None:
        """Add a request: one of the engine per named site, so that no site waits for another."""
        self.blocks[request.id] = blocks
        for sites, copies in _groups(request):
            key = len(self.of) + 1
            self.of[key] = (request, sites)
            name = request.dataset.name
            if request.consolidate:
                listed = None if blocks is None else tuple(blocks)
                self.subscriptions.append(Subscription(key, name, sites[0].name, owner, listed))
                continue
            items = (
                (RequestedItem(name),)
                if blocks is None
                else tuple(RequestedItem(name, block) for block in blocks)
            )
            self.requests.append(
                DealerRequest(
                    key=key,
                    items=items,
                    sites=tuple(site.name for site in sites),
                    copies=copies,
                    group=owner,
                    spread=request.spread,
                    in_part=True,
                )
            )


def _groups(request: CopyRequest) -> list[tuple[tuple[Target, ...], int]]:
    """Return sites that belong together, and how many copies are wanted among them; 0 = each."""
    if request.spread:
        return [(request.sites, request.n_copies)]
    each = [((site,), 0) for site in request.sites]
    return [*each, (request.others, request.missing)] if request.missing else list(each)


def requested_of(
    work: Work, inventory: Inventory, copy_requests: Sequence[CopyRequest], settings: Settings
) -> Requested:
    """Turn requests into those of the engine; blocks that do not exist yet are left out."""
    found = Requested()
    labels = inventory.snapshot.groups.labels
    keys = inventory.snapshot.groups.ids.tolist()
    names = {key: labels[place] for place, key in enumerate(keys) if place != NOBODY}
    blocks_of = _named_blocks(
        work, inventory, [request for request in copy_requests if request.blocks is not None]
    )
    begun = np.zeros(len(inventory.snapshot.datasets.ids), np.bool_)
    begun[inventory.snapshot.blocks.dataset[~inventory.open_blocks]] = True
    for request in copy_requests:
        blocks = None if request.blocks is None else blocks_of[request.id]
        if (blocks is None or blocks) and begun[inventory.dataset(request.dataset.id)]:
            found.add(request, blocks, names.get(request.group_id or 0, settings.user.group))
    return found


def _named_blocks(
    work: Work, inventory: Inventory, copy_requests: Sequence[CopyRequest]
) -> dict[int, list[int]]:
    """Return by request the keys of the blocks that it names, of those that are closed."""
    known: dict[tuple[int, str], int] = {}
    for start in range(0, len(copy_requests), _AT_ONCE):
        some = copy_requests[start : start + _AT_ONCE]
        named = {uuid for request in some for uuid in request.blocks or ()}
        of = Block.dataset_id.in_({request.dataset.id for request in some})
        rows = work.rows(
            select(Block.dataset_id, Block.uuid, Block.id).where(of, Block.uuid.in_(named))
        )
        known |= {(dataset_id, uuid): key for dataset_id, uuid, key in rows}
    keys = np.fromiter(known.values(), np.int64, len(known))
    closed = set(
        keys[np.isin(keys, inventory.snapshot.blocks.ids[~inventory.open_blocks])].tolist()
    )
    return {
        request.id: sorted(
            {known.get((request.dataset.id, uuid), 0) for uuid in request.blocks or ()} & closed
        )
        for request in copy_requests
    }


def home_of(inventory: Inventory, copy_requests: Sequence[CopyRequest]) -> list[str]:
    """Return for each request the partition that its copies come to lie in."""
    group = Keys.of(inventory.snapshot.groups.ids)
    found = inventory.destinations(
        Imagined(
            inventory.datasets([request.dataset.id for request in copy_requests]),
            inventory.sites([request.meant[0].id for request in copy_requests]),
            group([request.group_id or 0 for request in copy_requests]),
        )
    )
    named = {key: name for name, key in inventory.keys.items()}
    definitions = inventory.snapshot.partitions
    return [
        named[request.dataset.partition_id] if place == NOWHERE else definitions[place].name
        for request, place in zip(copy_requests, found.tolist(), strict=True)
    ]


# --- the question --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Aim:
    """Which partition is copied into, and what seeds chance."""

    partition: str
    seed: int


def question(
    settings: Settings, inventory: Inventory, aim: Aim, requested: Requested, **more: Any
) -> Question:
    """Ask the Dealer about a partition, within the limits of the settings."""
    wanted, labels = settings.dealer, inventory.snapshot.sites.labels
    return Question(
        snapshot=inventory.snapshot,
        partitions=inventory.partitions,
        partition=aim.partition,
        group=wanted.groups.get(aim.partition, settings.user.group),
        moment=inventory.moment,
        cycle=aim.seed,
        target_sites=wanted.target_sites,
        leaving=frozenset(wanted.leaving),
        limits=limits(wanted),
        vetoes=tuple(Veto(one.datasets, one.sites) for one in wanted.vetoes),
        requests=tuple(requested.requests),
        subscriptions=tuple(requested.subscriptions),
        filled=inventory.filled(aim.partition),
        free=inventory.free,
        weights=_weights(wanted, labels),
        open_blocks=inventory.open_blocks,
        recoverable=inventory.in_parts,
        **more,
    )


def limits(wanted: Dealer) -> Limits:
    """Return what no cycle passes."""
    return Limits(wanted.occupancy, wanted.pending, float(wanted.pending_bytes), wanted.volume)


def _weights(wanted: Dealer, labels: Labels) -> Numbers | None:
    if not wanted.weights:
        return None
    found = np.ones(len(labels))
    for glob, weight in wanted.weights.items():
        found[match_ordered((glob,), labels)] = weight
    return found
