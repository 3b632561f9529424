"""One cycle: ask the proposers, merge what they want, place it, combine it into copies."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dynamo.dealer.copy_list import combined
from dynamo.dealer.cost import OrderedProposals
from dynamo.dealer.existing_copies import ExistingCopies
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.placement import Placements, Placer
from dynamo.dealer.plan import Outcomes, Plan, SiteState
from dynamo.dealer.proposals import DEFAULT_GROUP, Proposals, joined
from dynamo.dealer.proposer import WeightedProposer, participants
from dynamo.dealer.question import Question
from dynamo.dealer.request_state import settled
from dynamo.dealer.screening import screened
from dynamo.dealer.turns import drawn
from dynamo.inventory.snapshot import Codes
from dynamo.policy.image import Places


def decide(asked: Question, proposers: Mapping[str, WeightedProposer]) -> Plan:
    """Decide what is copied.

    Raises Invalid where the snapshot lacks a partition or group, or a condition or priority is
    wrong.
    """
    view = InventoryView(asked)
    taking_part = participants(proposers)
    chances = np.random.default_rng(asked.cycle).spawn(len(taking_part) + 2)
    proposals = proposed(view, taking_part, chances[2:])
    merged = merge(view, proposals, taking_part, chances[0])
    placed = Placer(view, merged, chances[1]).run()
    priorities = tuple(weighted.priority for weighted in taking_part.values())
    copies = combined(view, merged, placed, priorities)
    verdicts = [verdict for one in proposals.values() for verdict in one.verdicts]
    return Plan(
        asked=asked,
        targets=view.targets,
        proposers=tuple(taking_part),
        proposals=proposals,
        outcomes=Outcomes(merged.proposer, merged.place, placed.site, placed.reason),
        copies=copies,
        verdicts=settled(view, verdicts, copies),
        sites=_sites(view, placed),
    )


def proposed(
    view: InventoryView,
    proposers: Mapping[str, WeightedProposer],
    chances: list[np.random.Generator],
) -> dict[str, Proposals]:
    """Ask everybody; where no site takes copies, nobody is asked."""
    if not view.targets.any():
        return {}
    pairs = zip(proposers.items(), chances, strict=True)
    return {name: weighted.proposer.propose(view, rng) for (name, weighted), rng in pairs}


def merge(
    view: InventoryView,
    proposals: Mapping[str, Proposals],
    proposers: Mapping[str, WeightedProposer],
    rng: np.random.Generator,
) -> OrderedProposals:
    """Put all proposals into the order of their turns."""
    lists = list(proposals.values())
    counts = [len(one) for one in lists]
    proposer = drawn(counts, [proposers[name].priority for name in proposals], rng)
    place = _counted(proposer, len(lists))
    begins = np.cumsum([0, *counts])[:-1].astype(np.intp)
    everything = joined(lists).take(begins[proposer] + place)
    group = np.where(everything.group == DEFAULT_GROUP, view.group, everything.group)
    everything = replace(everything, group=group.astype(np.int32))
    stock = ExistingCopies.of(view, everything)
    return OrderedProposals(
        proposals=everything,
        proposer=proposer,
        place=place.astype(np.int32),
        ranked=tuple(one.ranked for one in lists),
        divisible=tuple(one.divisible for one in lists),
        once=tuple(one.once for one in lists),
        stock=stock,
        screened=screened(view, everything, stock),
    )


def _counted(proposer: Codes, n_proposers: int) -> Places:
    """Return how many turns the same proposer had before each turn."""
    place = np.zeros(len(proposer), np.intp)
    for one in range(n_proposers):
        own = np.flatnonzero(proposer == one)
        place[own] = np.arange(len(own))
    return place


def _sites(view: InventoryView, placed: Placements) -> tuple[SiteState, ...]:
    filling = view.filling
    return tuple(
        SiteState(
            site=view.snapshot.sites.labels[place],
            quota=float(filling.quota[place]),
            physical=int(filling.physical[place]),
            projected=int(filling.projected[place]),
            sent=int(placed.sent[place]),
            reowned=int(placed.reowned[place]),
        )
        for place in np.flatnonzero(view.targets).tolist()
    )
