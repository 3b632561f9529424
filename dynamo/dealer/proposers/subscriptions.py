"""Gathers users' scattered data at one site, block by block."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.lookup import Lookup
from dynamo.dealer.proposals import DEFAULT_GROUP, Item, ProposalBuilder, Proposals
from dynamo.dealer.requests import RequestedItem, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """Proposes the closed blocks that are not at the site yet; cleaning up is not its business."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Propose in the order of the subscriptions; unknown names are passed over."""
        found, catalogue = ProposalBuilder(), Lookup(view)
        for one in view.asked.subscriptions:
            item = catalogue.find(RequestedItem(one.dataset))
            site = view.snapshot.sites.labels.find(one.site)
            if item is not None and site >= 0:
                found.add(_item(view, catalogue, one, item.dataset, site))
        return replace(found.proposals(), ranked=False, divisible=True)


def _item(
    view: InventoryView, catalogue: Lookup, one: Subscription, dataset: int, site: int
) -> Item:
    wanted = (
        view.blocks_of(dataset).tolist()
        if one.blocks is None
        else catalogue.blocks(dataset, one.blocks)
    )
    there = catalogue.present(dataset, site)
    group = DEFAULT_GROUP if one.group is None else view.group_named(one.group)
    return Item(dataset, tuple(block for block in wanted if block not in there), site, group)
