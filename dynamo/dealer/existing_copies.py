"""What of each proposal is at which site already, there or on its way."""

from dataclasses import dataclass

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.inventory.snapshot import Amounts, Codes, Column, Flags
from dynamo.policy.image import Places, spread


@dataclass(frozen=True, slots=True, eq=False)
class ExistingCopies:
    """Columns by proposal and site, only where there is anything at all of it."""

    first: Amounts
    """Where the entries of a proposal begin; one entry more than proposals."""
    site: Codes
    n: Amounts
    """Blocks of the proposal at the site."""
    size: Amounts
    """What they take when complete."""
    owned: Flags
    """All of them belong to the proposal's group."""
    outside: Amounts
    """Bytes of those that a change of owner may bring into the partition."""
    arriving: Amounts
    """As much of that as is still on its way."""
    wanted: Amounts
    """Per proposal: how many blocks it is about."""
    bytes: Amounts
    """Per proposal: what they take."""

    @classmethod
    def of(cls, view: InventoryView, proposals: Proposals) -> "ExistingCopies":
        """Look up everything at once. Groups must be filled in."""
        entries = [_of_datasets(view, proposals), _of_blocks(view, proposals)]
        of, site, n, size, owned, outside, arriving = (
            np.concatenate(columns) for columns in zip(*entries, strict=True)
        )
        order = np.lexsort((site, of))
        first = np.zeros(len(proposals) + 1, np.int64)
        np.cumsum(np.bincount(of, minlength=len(proposals)), out=first[1:])
        wanted, total = _sizes(view, proposals)
        return cls(
            first=first,
            site=site[order].astype(np.int32),
            n=n[order],
            size=size[order],
            owned=owned[order].astype(np.bool_),
            outside=outside[order],
            arriving=arriving[order],
            wanted=wanted,
            bytes=total,
        )

    @property
    def proposal(self) -> Places:
        """Return which proposal each entry belongs to."""
        return np.repeat(np.arange(len(self.wanted)), np.diff(self.first))


def _sizes(view: InventoryView, proposals: Proposals) -> tuple[Amounts, Amounts]:
    listed = np.zeros(len(proposals), np.int64)
    pieces, which = spread(proposals.first[:-1], proposals.first[1:])
    np.add.at(listed, which, view.snapshot.blocks.size[proposals.block[pieces]])
    wanted = np.where(proposals.whole, view.n_blocks[proposals.dataset], np.diff(proposals.first))
    return wanted, np.where(proposals.whole, view.dataset_bytes[proposals.dataset], listed)


def _of_datasets(view: InventoryView, proposals: Proposals) -> tuple[Column, ...]:
    of = np.flatnonzero(proposals.whole)
    dataset = proposals.dataset[of]
    replica, which = spread(view.replicas_from[dataset], view.replicas_from[dataset + 1])
    filled = view.n_rows[replica] > 0
    replica, of = replica[filled], of[which[filled]]
    group, first = proposals.group[of], view.snapshot.replicas.first
    owned = view.owner[replica] == group
    foreign = np.flatnonzero(~owned)
    row, which = spread(first[replica[foreign]], first[replica[foreign] + 1])
    entry = foreign[which]
    incoming, arriving = _brought_in(view, row, group[entry])
    return (
        of,
        view.snapshot.replicas.site[replica],
        view.n_rows[replica],
        view.replica_bytes[replica],
        owned,
        _total(entry, incoming, len(of)),
        _total(entry, arriving, len(of)),
    )


def _of_blocks(view: InventoryView, proposals: Proposals) -> tuple[Column, ...]:
    pieces, of = spread(proposals.first[:-1], proposals.first[1:])
    if not len(pieces):
        return tuple(np.zeros(0, np.int64) for _ in range(7))
    order, begins = view.rows_by_block
    block = proposals.block[pieces]
    at, which = spread(begins[block], begins[block + 1])
    row, of = order[at], of[which]
    key = of.astype(np.int64) * view.n_sites + view.row_site[row]
    places, entry = np.unique(key, return_inverse=True)
    count = len(places)
    rows = view.snapshot.block_replicas
    foreign = rows.group[row] != proposals.group[of]
    incoming, arriving = _brought_in(view, row, proposals.group[of])
    return (
        places // view.n_sites,
        places % view.n_sites,
        np.bincount(entry, minlength=count),
        _total(entry, view.row_bytes[row], count),
        np.bincount(entry[foreign], minlength=count) == 0,
        _total(entry, incoming, count),
        _total(entry, arriving, count),
    )


def _brought_in(view: InventoryView, row: Places, group: Codes) -> tuple[Amounts, Amounts]:
    """Return what a change of owner may bring into the partition, and how much of it is to come."""
    changing = (view.snapshot.block_replicas.group[row] != group) & ~view.held[row]
    if view.counted is not None:
        changing &= view.counted[row]
    size, arriving = view.row_bytes[row], view.row_arriving[row]
    return np.where(changing, size, 0), np.where(changing, arriving, 0)


def _total(entry: Places, amounts: Amounts, count: int) -> Amounts:
    total = np.zeros(count, np.int64)
    np.add.at(total, entry, amounts)
    return total
