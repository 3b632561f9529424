"""The port of all reasons to copy, and how loudly each speaks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, cast

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.errors import Invalid

GROUP = "dynamo.proposers"
"""The entry points of proposers."""

PRIORITIES: Mapping[str, float] = {
    "requests": 1,
    "subscriptions": 1,
    "enforcer": 2,
    "undertaker": 2,
    "popularity": 3,
    "balancer": 3,
}
"""What holds where nothing else is configured, by the name of the entry point."""


class Proposer(Protocol):
    """A reason to copy."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:
        """Return what shall be copied, the most important first; chance comes from `rng` only."""


@dataclass(frozen=True, slots=True)
class WeightedProposer:
    """A proposer and its priority: half the number, twice as often; 0 silences all others."""

    proposer: Proposer
    priority: float = 1.0


def participants(proposers: Mapping[str, WeightedProposer]) -> dict[str, WeightedProposer]:
    """Return the proposers that take part, by name: those of priority 0 alone, if there are any.

    Raises Invalid for a priority below 0 or one that is no number.
    """
    wrong = [name for name, proposer in proposers.items() if not 0 <= proposer.priority < math.inf]
    if wrong:
        raise Invalid(f"a priority is a number from 0: {', '.join(sorted(wrong))}")
    absolute = {name for name, proposer in proposers.items() if proposer.priority == 0}
    return {name: proposers[name] for name in sorted(absolute or proposers)}


def installed() -> dict[str, type[Proposer]]:
    """Return the classes of all proposers by name; their fields are what can be configured."""
    return {
        point.name: cast("type[Proposer]", point.load())
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)
    }
