"""What the Dealer is asked: the inventory or a part of it, the wishes of people, the limits."""

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
from dynamo.dealer.requests import Request as Asked
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
    return _ground(work, snapshot_loader.load(work, protected_sites), EVERYTHING)


def narrow(work: Work, dataset_ids: Collection[int]) -> Inventory:
    """Read some datasets, and how full all sites are."""
    return _ground(work, snapshot_loader.narrow(work, dataset_ids), Extent(dataset_ids))


def _ground(work: Work, found: Snapshot, extent: Extent) -> Inventory:
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


# --- wishes --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Requested:
    """Wishes as the engine hears them, and whose each is."""

    wishes: list[Asked] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    of: dict[int, tuple[CopyRequest, tuple[Target, ...]]] = field(default_factory=dict)
    """By the key in the engine: the request, and the sites that are meant here."""
    blocks: dict[int, Sequence[int] | None] = field(default_factory=dict)
    """By request: the blocks that it names, by key; None = all."""

    def add(self, wish: CopyRequest, blocks: Sequence[int] | None, owner: str) -> None:
        """Say what a request wants: one wish for each named site, so that one need not wait."""
        self.blocks[wish.request_id] = blocks
        for sites, copies in _groups(wish):
            key = len(self.of) + 1
            self.of[key] = (wish, sites)
            name = wish.dataset.name
            if wish.consolidate:
                listed = None if blocks is None else tuple(blocks)
                self.subscriptions.append(Subscription(key, name, sites[0].name, owner, listed))
                continue
            items = (
                (RequestedItem(name),)
                if blocks is None
                else tuple(RequestedItem(name, block) for block in blocks)
            )
            self.wishes.append(
                Asked(
                    key=key,
                    items=items,
                    sites=tuple(site.name for site in sites),
                    copies=copies,
                    group=owner,
                    spread=wish.spread,
                    in_part=True,
                )
            )


def _groups(wish: CopyRequest) -> list[tuple[tuple[Target, ...], int]]:
    """Return sites that belong together, and how many copies are wanted among them; 0 = each."""
    if wish.spread:
        return [(wish.sites, wish.n_copies)]
    each = [((site,), 0) for site in wish.sites]
    return [*each, (wish.others, wish.missing)] if wish.missing else list(each)


def voiced(
    work: Work, ground: Inventory, wishes: Sequence[CopyRequest], settings: Settings
) -> Requested:
    """Turn requests into what the engine hears; blocks that do not exist yet are left out."""
    found = Requested()
    labels = ground.snapshot.groups.labels
    keys = ground.snapshot.groups.ids.tolist()
    names = {key: labels[place] for place, key in enumerate(keys) if place != NOBODY}
    blocks_of = _named_blocks(work, ground, [wish for wish in wishes if wish.blocks is not None])
    begun = np.zeros(len(ground.snapshot.datasets.ids), np.bool_)
    begun[ground.snapshot.blocks.dataset[~ground.open_blocks]] = True
    for wish in wishes:
        blocks = None if wish.blocks is None else blocks_of[wish.request_id]
        if (blocks is None or blocks) and begun[ground.dataset(wish.dataset.id)]:
            found.add(wish, blocks, names.get(wish.group_id or 0, settings.user.group))
    return found


def _named_blocks(
    work: Work, ground: Inventory, wishes: Sequence[CopyRequest]
) -> dict[int, list[int]]:
    """Return by request the keys of the blocks that it names, of those that are closed."""
    known: dict[tuple[int, str], int] = {}
    for start in range(0, len(wishes), _AT_ONCE):
        some = wishes[start : start + _AT_ONCE]
        named = {uuid for wish in some for uuid in wish.blocks or ()}
        of = Block.dataset_id.in_({wish.dataset.id for wish in some})
        rows = work.rows(
            select(Block.dataset_id, Block.uuid, Block.id).where(of, Block.uuid.in_(named))
        )
        known |= {(dataset_id, uuid): key for dataset_id, uuid, key in rows}
    keys = np.fromiter(known.values(), np.int64, len(known))
    closed = set(keys[np.isin(keys, ground.snapshot.blocks.ids[~ground.open_blocks])].tolist())
    return {
        wish.request_id: sorted(
            {known.get((wish.dataset.id, uuid), 0) for uuid in wish.blocks or ()} & closed
        )
        for wish in wishes
    }


def home_of(ground: Inventory, wishes: Sequence[CopyRequest]) -> list[str]:
    """Return for each request the partition that its copies come to lie in."""
    group = Keys.of(ground.snapshot.groups.ids)
    found = ground.destinations(
        Imagined(
            ground.datasets([wish.dataset.id for wish in wishes]),
            ground.sites([wish.meant[0].id for wish in wishes]),
            group([wish.group_id or 0 for wish in wishes]),
        )
    )
    named = {key: name for name, key in ground.keys.items()}
    definitions = ground.snapshot.partitions
    return [
        named[wish.dataset.partition_id] if place == NOWHERE else definitions[place].name
        for wish, place in zip(wishes, found.tolist(), strict=True)
    ]


# --- the question --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Aim:
    """Which partition is copied into, and what seeds chance."""

    partition: str
    seed: int


def question(
    settings: Settings, ground: Inventory, aim: Aim, said: Requested, **more: Any
) -> Question:
    """Ask the Dealer about a partition, within the limits of the settings."""
    wanted, labels = settings.dealer, ground.snapshot.sites.labels
    return Question(
        snapshot=ground.snapshot,
        partitions=ground.partitions,
        partition=aim.partition,
        group=wanted.groups.get(aim.partition, settings.user.group),
        moment=ground.moment,
        cycle=aim.seed,
        target_sites=wanted.target_sites,
        leaving=frozenset(wanted.leaving),
        limits=limits(wanted),
        vetoes=tuple(Veto(one.datasets, one.sites) for one in wanted.vetoes),
        requests=tuple(said.wishes),
        subscriptions=tuple(said.subscriptions),
        filled=ground.filled(aim.partition),
        free=ground.free,
        weights=_weights(wanted, labels),
        open_blocks=ground.open_blocks,
        recoverable=ground.in_parts,
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
