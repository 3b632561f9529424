"""Makes one copy per site and dataset of what was accepted; priority settles overlaps."""

from dataclasses import dataclass

import numpy as np

from dynamo.dealer.cost import OrderedProposals
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.placement import Placements
from dynamo.dealer.plan import Copies
from dynamo.inventory.snapshot import Amounts, Codes
from dynamo.policy.image import Places, spread


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Blocks that were accepted, and in which proposal, the most important first."""

    turn: Places
    block: Codes


def combined(
    view: InventoryView,
    ordered: OrderedProposals,
    placed: Placements,
    priorities: tuple[float, ...],
) -> Copies:
    """Combine accepted proposals: the most important one wins, others add blocks to it."""
    accepted = np.array(placed.accepted, np.intp)
    urgency = np.array(priorities)[ordered.proposer[accepted]] if len(accepted) else np.zeros(0)
    accepted = accepted[np.lexsort((accepted, ordered.proposer[accepted], urgency))]
    dataset, site = ordered.proposals.dataset[accepted], placed.site[accepted]
    cells, first_turn, cell = np.unique(
        site.astype(np.int64) * view.n_datasets + dataset, return_index=True, return_inverse=True
    )
    pieces = _pieces(view, ordered, placed, accepted)
    order = np.lexsort((pieces.turn, pieces.block, cell[pieces.turn]))
    of, block = cell[pieces.turn][order], pieces.block[order]
    keep = (np.diff(of, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0)
    of, block, turn = of[keep], block[keep], pieces.turn[order][keep]
    row = _rows(view, dataset[turn], site[turn], block)
    winner = accepted[first_turn]
    partial = np.isin(winner, np.array(list(placed.portion), np.intp))
    first = np.zeros(len(cells) + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=len(cells)), out=first[1:])
    return Copies(
        dataset=dataset[first_turn],
        site=site[first_turn],
        group=ordered.proposals.group[winner],
        growing=ordered.proposals.whole[winner] & ~partial,
        proposer=ordered.proposer[winner],
        first=first,
        block=block.astype(np.int32),
        owner=ordered.proposals.group[accepted[turn]],
        row=row,
        moves=np.where(row < 0, view.snapshot.blocks.size[block], 0),
    )


def _pieces(
    view: InventoryView, ordered: OrderedProposals, placed: Placements, accepted: Places
) -> _Pieces:
    proposals = ordered.proposals
    partial = np.isin(accepted, np.array(list(placed.portion), np.intp))
    whole = np.flatnonzero(proposals.whole[accepted] & ~partial)
    dataset = proposals.dataset[accepted[whole]]
    block, of = spread(view.blocks_from[dataset], view.blocks_from[dataset + 1])
    if view.settled is not None:
        block, of = block[view.settled[block]], of[view.settled[block]]
    listed = np.flatnonzero(~proposals.whole[accepted] & ~partial)
    at, which = spread(proposals.first[accepted[listed]], proposals.first[accepted[listed] + 1])
    portions = [placed.portion[place] for place in accepted[partial].tolist()]
    turns = np.repeat(np.flatnonzero(partial), [len(portion) for portion in portions])
    return _Pieces(
        turn=np.concatenate([whole[of], listed[which], turns]).astype(np.intp),
        block=np.concatenate([block, proposals.block[at], *portions]).astype(np.int32),
    )


def _rows(view: InventoryView, dataset: Codes, site: Codes, block: Codes) -> Codes:
    """Return the block replicas that are at the sites already, -1 where there is none."""
    replicas, rows = view.snapshot.replicas, view.snapshot.block_replicas
    cells = replicas.dataset.astype(np.int64) * view.n_sites + replicas.site
    replica = _found(cells, dataset.astype(np.int64) * view.n_sites + site)
    known = np.flatnonzero(replica >= 0)
    found = np.full(len(block), -1, np.int32)
    if len(known):
        n_blocks = len(view.snapshot.blocks.ids)
        keys = rows.replica.astype(np.int64) * n_blocks + rows.block
        found[known] = _found(keys, replica[known] * n_blocks + block[known])
    return found


def _found(keys: Amounts, wanted: Amounts) -> Amounts:
    """Return where sorted keys have the wanted ones, -1 where they do not."""
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    return np.where(keys[at] == wanted, at, -1) if len(keys) else np.full(len(wanted), -1)
