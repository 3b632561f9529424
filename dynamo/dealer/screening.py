"""What speaks against proposals before any is placed."""

import numpy as np

from dynamo.dealer.existing_copies import ExistingCopies
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.plan import ProposalOutcome
from dynamo.dealer.proposals import Proposals
from dynamo.inventory.snapshot import DATASET_STATUSES, Flags, Words
from dynamo.policy.image import Places, spread

COPIED = tuple(DATASET_STATUSES.index(word) for word in ("production", "valid"))


def screened(view: InventoryView, proposals: Proposals, stock: ExistingCopies) -> Words:
    """Return for each proposal the first reason against it; `ACCEPTED` where there is none yet."""
    some, every = _readable(view, proposals)
    named = proposals.site >= 0
    status = view.snapshot.datasets.status[proposals.dataset]
    against = (
        (ProposalOutcome.NO_SOURCE, ~some),
        (ProposalOutcome.NOT_VALID, ~np.isin(status, COPIED)),
        (ProposalOutcome.FILES_MISSING, ~every),
        (ProposalOutcome.NOT_A_TARGET, named & ~view.targets[proposals.site]),
        (ProposalOutcome.NOT_ALLOWED, named & _closed(view, proposals)),
        (ProposalOutcome.EXISTS, named & _there(proposals, stock)),
    )
    found = np.zeros(len(proposals), np.int8)
    for reason, holds in reversed(against):
        found[holds] = reason
    return found


def _readable(view: InventoryView, proposals: Proposals) -> tuple[Flags, Flags]:
    """Tell of which proposals there is anything anywhere, and of which there is everything.

    A dataset counts as readable in full if all its blocks are, or if one of its replicas lacks
    nothing of what it has: blocks that are nowhere yet are still to be made.
    """
    some, every = _datasets(view)
    some, every = some[proposals.dataset], every[proposals.dataset]
    pieces, of = spread(proposals.first[:-1], proposals.first[1:])
    if len(pieces):
        blocks = proposals.block[pieces]
        anywhere = np.zeros(len(view.snapshot.blocks.ids), np.bool_)
        anywhere[view.snapshot.block_replicas.block] = True
        listed = ~proposals.whole
        some[listed] = _all(anywhere[blocks], of, len(proposals))[listed]
        every[listed] = _all(view.available[blocks], of, len(proposals))[listed]
    some[~proposals.whole & (np.diff(proposals.first) == 0)] = False
    return some, every


def _datasets(view: InventoryView) -> tuple[Flags, Flags]:
    dataset, blocks = view.snapshot.replicas.dataset, view.snapshot.blocks
    some = np.zeros(view.n_datasets, np.bool_)
    some[dataset] = True
    every = np.ones(view.n_datasets, np.bool_)
    every[blocks.dataset[~view.available]] = False
    unbroken = (view.n_rows > 0) & (view.n_rows == view.n_complete)
    every[dataset[unbroken]] = True
    return some, every


def _all(truth: Flags, of: Places, count: int) -> Flags:
    return np.asarray(np.bincount(of[~truth], minlength=count) == 0)


def _closed(view: InventoryView, proposals: Proposals) -> Flags:
    closed = np.zeros(len(proposals), np.bool_)
    for datasets, sites in view.vetoes:
        closed |= datasets[proposals.dataset] & sites[proposals.site]
    return closed


def _there(proposals: Proposals, stock: ExistingCopies) -> Flags:
    """Tell which are at the named site in full, or on their way, and belong to the right group."""
    of = stock.proposal
    same = (stock.site == proposals.site[of]) & (stock.n == stock.wanted[of]) & stock.owned
    found = np.zeros(len(proposals), np.bool_)
    found[of[same]] = True
    return found
