"""Empties dying sites: what is wanted there and nowhere else in safety is copied off."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Item, ProposalBuilder, Proposals
from dynamo.inventory.snapshot import MORGUE, Amounts, Codes, Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Undertaker:
    """Proposes what sites in the morgue, or named ones, hold alone; very last copies first."""

    additional_sites: tuple[str, ...] = ()
    """Beside those that the question names as leaving."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Propose whole datasets where nothing of them is safe, else the blocks that are not."""
        dying = self._dying(view)
        at_stake = _unsafe(view, dying) & _wanted(view, dying)
        replicas = np.flatnonzero(view.per_replica(at_stake) > 0)
        alone = view.per_replica(at_stake & _alone(view, dying))[replicas] > 0
        found = ProposalBuilder()
        for replica in replicas[np.argsort(~alone, kind="stable")].tolist():
            rows = view.rows_of(replica)
            blocks = view.snapshot.block_replicas.block[rows[at_stake[rows]]].tolist()
            dataset = int(view.snapshot.replicas.dataset[replica])
            everything = len(blocks) == int(view.n_blocks[dataset])
            found.add(Item(dataset, None if everything else tuple(blocks), exempt=True))
        return replace(found.proposals(), divisible=True, once=True)

    def _dying(self, view: InventoryView) -> Flags:
        dying = _emptied(view)
        for name in self.additional_sites:
            place = view.snapshot.sites.labels.find(name)
            if place >= 0:
                dying[place] = True
        return dying


def _emptied(view: InventoryView) -> Flags:
    return np.asarray((view.snapshot.sites.status == MORGUE) | view.leaving)


def _safe(view: InventoryView, dying: Flags) -> Flags:
    return view.staying & ~dying


def _unsafe(view: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas at dying sites have no other, nor one on its way, in safety."""
    rows = view.snapshot.block_replicas
    rescued = np.zeros(len(view.snapshot.blocks.ids), np.bool_)
    counts = _safe(view, dying)[view.row_site]
    if view.asked.stalled is not None:
        counts &= ~view.asked.stalled
    rescued[rows.block[counts]] = True
    return dying[view.row_site] & ~rescued[rows.block]


def _alone(view: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas are of blocks that are complete at no site that stays."""
    rows = view.snapshot.block_replicas
    elsewhere = np.zeros(len(view.snapshot.blocks.ids), np.bool_)
    elsewhere[rows.block[rows.complete & ~dying[view.row_site]]] = True
    return ~elsewhere[rows.block]


def _wanted(view: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas must be saved: what is named as endangered, else by Detox."""
    protected = _protected(view, dying)[view.snapshot.block_replicas.replica]
    if view.asked.endangered is None:
        return protected
    return view.asked.endangered | (protected & ~_emptied(view)[view.row_site])


def _protected(view: InventoryView, dying: Flags) -> Flags:
    """Tell which dataset replicas at dying sites Detox protects; all, if it never ran."""
    replicas, last = view.snapshot.replicas, view.asked.protections
    dead = dying[replicas.site]
    if last is None:
        return dead & (view.n_held > 0)
    known = last.protected & (last.dataset >= 0) & (last.site >= 0)
    protected = _cells(view, last.dataset[known], last.site[known])
    return dead & np.isin(_cells(view, replicas.dataset, replicas.site), protected)


def _cells(view: InventoryView, dataset: Codes, site: Codes) -> Amounts:
    return dataset.astype(np.int64) * view.n_sites + site
