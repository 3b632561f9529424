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

    def propose(self, scene: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Propose whole datasets where nothing of them is safe, else the blocks that are not."""
        dying = self._dying(scene)
        at_stake = _unsafe(scene, dying) & _wanted(scene, dying)
        replicas = np.flatnonzero(scene.per_replica(at_stake) > 0)
        alone = scene.per_replica(at_stake & _alone(scene, dying))[replicas] > 0
        found = ProposalBuilder()
        for replica in replicas[np.argsort(~alone, kind="stable")].tolist():
            rows = scene.rows_of(replica)
            blocks = scene.snapshot.block_replicas.block[rows[at_stake[rows]]].tolist()
            dataset = int(scene.snapshot.replicas.dataset[replica])
            everything = len(blocks) == int(scene.n_blocks[dataset])
            found.add(Item(dataset, None if everything else tuple(blocks), exempt=True))
        return replace(found.proposals(), divisible=True, once=True)

    def _dying(self, scene: InventoryView) -> Flags:
        dying = _emptied(scene)
        for name in self.additional_sites:
            place = scene.snapshot.sites.labels.find(name)
            if place >= 0:
                dying[place] = True
        return dying


def _emptied(scene: InventoryView) -> Flags:
    return np.asarray((scene.snapshot.sites.status == MORGUE) | scene.leaving)


def _safe(scene: InventoryView, dying: Flags) -> Flags:
    return scene.staying & ~dying


def _unsafe(scene: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas at dying sites have no other, nor one on its way, in safety."""
    rows = scene.snapshot.block_replicas
    rescued = np.zeros(len(scene.snapshot.blocks.ids), np.bool_)
    counts = _safe(scene, dying)[scene.row_site]
    if scene.asked.stalled is not None:
        counts &= ~scene.asked.stalled
    rescued[rows.block[counts]] = True
    return dying[scene.row_site] & ~rescued[rows.block]


def _alone(scene: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas are of blocks that are complete at no site that stays."""
    rows = scene.snapshot.block_replicas
    elsewhere = np.zeros(len(scene.snapshot.blocks.ids), np.bool_)
    elsewhere[rows.block[rows.complete & ~dying[scene.row_site]]] = True
    return ~elsewhere[rows.block]


def _wanted(scene: InventoryView, dying: Flags) -> Flags:
    """Tell which block replicas must be saved: what is named as endangered, else by Detox."""
    protected = _protected(scene, dying)[scene.snapshot.block_replicas.replica]
    if scene.asked.endangered is None:
        return protected
    return scene.asked.endangered | (protected & ~_emptied(scene)[scene.row_site])


def _protected(scene: InventoryView, dying: Flags) -> Flags:
    """Tell which dataset replicas at dying sites Detox protects; all, if it never ran."""
    replicas, last = scene.snapshot.replicas, scene.asked.protections
    dead = dying[replicas.site]
    if last is None:
        return dead & (scene.n_held > 0)
    known = last.protected & (last.dataset >= 0) & (last.site >= 0)
    protected = _cells(scene, last.dataset[known], last.site[known])
    return dead & np.isin(_cells(scene, replicas.dataset, replicas.site), protected)


def _cells(scene: InventoryView, dataset: Codes, site: Codes) -> Amounts:
    return dataset.astype(np.int64) * scene.n_sites + site
