"""Gives what some groups own to the group that the cycle copies for; no byte moves."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Item, ProposalBuilder, Proposals


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Proposes every replica with a block of one of the groups, at its own site."""

    from_groups: tuple[str, ...] = ()

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Propose what of each replica is in the partition: the dataset if it is all, else blocks.

        Raises Invalid for a group that does not exist.
        """
        replicas, rows = view.snapshot.replicas, view.snapshot.block_replicas
        given = np.zeros(len(view.snapshot.groups.ids), np.bool_)
        for name in self.from_groups:
            given[view.group_named(name)] = True
        concerned = view.per_replica(view.held & given[rows.group]) > 0
        found = ProposalBuilder()
        for replica in np.flatnonzero(concerned).tolist():
            dataset, site = int(replicas.dataset[replica]), int(replicas.site[replica])
            held = view.rows_of(replica)
            blocks = tuple(rows.block[held[view.held[held]]].tolist())
            whole = len(blocks) == int(view.n_blocks[dataset])
            found.add(Item(dataset, None if whole else blocks, site))
        return replace(found.proposals(), ranked=False)
