"""Relieves sites with too much protected data: last copies get a second home."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.dealer.protections import Protections
from dynamo.inventory.snapshot import TAPE, Amounts, Codes, Flags, Numbers

EVEN = 0.05
"""Difference of protected fractions that is even enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """Proposes last copies at the fullest sites, small ones first; Detox deletes the originals."""

    target_reasons: Mapping[str, int] = field(default_factory=dict)
    """By the text of the condition that protects: how many copies are at most last copies."""
    max_dataset_size: float = 75e12
    """Bytes; 0 = any."""
    max_cycle_volume: float = 35e12
    """Bytes that one cycle proposes; 0 = any."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:  # noqa: ARG002 - leaves nothing to chance
        """Go from the site with the largest protected fraction to the next until all are even."""
        last = view.asked.protections
        if last is None:
            return Proposals.of_datasets(np.zeros(0, np.int32))
        quota = _quota(view)
        fractions = self._fractions(view, last)
        queues = self._last_copies(view, last)
        chosen: list[int] = []
        volume, most = 0, self.max_cycle_volume or math.inf
        while fractions:
            fullest = max(fractions, key=lambda site: (fractions[site], -site))
            if fractions[fullest] - min(fractions.values()) < EVEN:
                break
            if not queues.get(fullest):
                del fractions[fullest]
                continue
            dataset = queues[fullest].popleft()
            size = int(view.dataset_bytes[dataset])
            if size > most:
                continue
            if volume + size > most:
                break
            volume += size
            chosen.append(dataset)
            fractions[fullest] -= size / float(quota[fullest])
        return Proposals.of_datasets(np.array(chosen, np.int32))

    def _fractions(self, view: InventoryView, last: Protections) -> dict[int, float]:
        """Return protected bytes ÷ quota of the sites about which Detox decided anything."""
        quota = _quota(view)
        sites = np.unique(last.site[last.site >= 0])
        protected = np.zeros(view.n_sites, np.int64)
        counted = last.protected & (last.site >= 0)
        np.add.at(protected, last.site[counted], last.size[counted])
        limited = sites[np.isfinite(quota[sites]) & (quota[sites] > 0)]
        return {site: float(protected[site]) / float(quota[site]) for site in limited.tolist()}

    def _last_copies(self, view: InventoryView, last: Protections) -> dict[int, deque[int]]:
        """Return by site the datasets that are protected because there are too few copies."""
        few = np.array([*(self._copies(reason) for reason in last.reasons), -1])
        mine = np.flatnonzero(last.protected & (last.site >= 0) & (last.dataset >= 0))
        dataset, site, size = last.dataset[mine], last.site[mine], last.size[mine]
        rescued = _nonpartial(view)[dataset] <= few[last.reason[mine]]
        if self.max_dataset_size > 0:
            rescued &= size <= self.max_dataset_size
        rescued &= _present(view, dataset, site) & (view.n_blocks[dataset] > 0)
        order = np.lexsort((dataset, size, site))
        order = order[rescued[order]]
        queues: dict[int, dict[int, None]] = {}
        for place, one in zip(site[order].tolist(), dataset[order].tolist(), strict=True):
            queues.setdefault(place, {})[one] = None
        return {place: deque(datasets) for place, datasets in queues.items()}

    def _copies(self, reason: str) -> int:
        wanted = " ".join(reason.split())
        return next(
            (n for text, n in self.target_reasons.items() if " ".join(text.split()) == wanted), -1
        )


def _quota(view: InventoryView) -> Numbers:
    return view.asked.partitions.quota(view.snapshot, view.asked.partition)


def _nonpartial(view: InventoryView) -> Amounts:
    """Count per dataset the copies in the partition that are not on tape and not a mere part.

    One with all blocks of which some are on their way is none yet, but will be: it counts.
    """
    replicas = view.snapshot.replicas
    off_tape = view.snapshot.sites.kind[replicas.site] != TAPE
    partial = ~view.has_all & (view.n_complete == view.n_rows)
    counted = off_tape & ~partial & (view.n_held > 0)
    return np.bincount(replicas.dataset[counted], minlength=view.n_datasets)


def _present(view: InventoryView, dataset: Codes, site: Codes) -> Flags:
    """Tell which datasets are still at their sites."""
    replicas = view.snapshot.replicas
    there = replicas.dataset.astype(np.int64) * view.n_sites + replicas.site
    return np.isin(dataset.astype(np.int64) * view.n_sites + site, there)
