"""Copies what waiting jobs want and what is read: the more, the more copies."""

from dataclasses import dataclass

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.inventory.snapshot import Amounts, Flags, Numbers
from dynamo.policy.reader import read_condition
from dynamo.policy.variables import Scope

WAITING = "request_weight"
READ = "recent_accesses"
SIGNS = (WAITING, READ)
"""The attributes that tell what is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """Proposes as many copies as the demand for a dataset asks for, the most wanted first."""

    source_groups: tuple[str, ...] = ()
    """A block of the dataset must belong to one of them; none = to anybody."""
    max_dataset_size: float = 50e12
    """Bytes; 0 = any."""
    max_replication: int = 10
    threshold: float = 1.75
    """Weight of waiting jobs that makes one copy."""
    access_worth: float = 0.01
    """What an access of the last days counts for, in waiting jobs; 0 = only who waits counts."""
    condition: str | None = None
    """A policy condition that one of the dataset's replicas must fit."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Propose a first copy of each, then a second of those that need one, and so on."""
        wanted = self._wanted(view)
        lacking = np.where(self._eligible(view, wanted), self._lacking(view, wanted), 0)
        datasets = np.flatnonzero(lacking > 0)
        datasets = datasets[np.argsort(-wanted[datasets], kind="stable")]
        turns = lacking[datasets]
        rank = np.repeat(np.arange(len(datasets)), turns)
        turn = np.arange(len(rank)) - np.repeat(np.cumsum(turns) - turns, turns)
        return Proposals.of_datasets(datasets[rank[np.lexsort((rank, turn))]])

    def _wanted(self, view: InventoryView) -> Numbers:
        """Return how much each dataset is wanted, in waiting jobs; what nobody tells is nothing."""
        nothing = np.zeros(view.n_datasets)
        waiting, read = (
            view.snapshot.attributes.get(name, nothing).astype(np.float64) for name in SIGNS
        )
        return waiting + self.access_worth * read

    def _lacking(self, view: InventoryView, wanted: Numbers) -> Amounts:
        """Return how many copies more there should be; those on their way and on tape count."""
        copies = np.bincount(view.snapshot.replicas.dataset, minlength=view.n_datasets)
        asked = np.minimum(np.ceil(wanted / self.threshold), self.max_replication)
        return np.maximum(asked - copies, 0).astype(np.int64)

    def _eligible(self, view: InventoryView, wanted: Numbers) -> Flags:
        possible = (wanted > 0) & (view.n_blocks > 0)
        if self.max_dataset_size > 0:
            possible &= view.dataset_bytes <= self.max_dataset_size
        if self.source_groups:
            possible &= self._owned(view)
        if self.condition is not None:
            possible &= _fitting(view, self.condition)
        return possible

    def _owned(self, view: InventoryView) -> Flags:
        groups = np.zeros(len(view.snapshot.groups.ids), np.bool_)
        for name in self.source_groups:
            place = view.snapshot.groups.labels.find(name)
            if place >= 0:
                groups[place] = True
        rows = view.snapshot.block_replicas
        found = np.zeros(view.n_datasets, np.bool_)
        found[view.snapshot.replicas.dataset[rows.replica[groups[rows.group]]]] = True
        return found


def _fitting(view: InventoryView, condition: str) -> Flags:
    """Tell of which datasets a replica fits."""
    fitting = view.fitting(read_condition(condition, Scope.REPLICA))
    found = np.zeros(view.n_datasets, np.bool_)
    found[view.snapshot.replicas.dataset[fitting]] = True
    return found
