"""A plan of the Dealer as it is kept: what goes where and why, what does not and why not."""

import json
from collections.abc import Iterator

import numpy as np

from dynamo.db.cycles.decisions import NewDecision
from dynamo.dealer.plan import Plan, ProposalOutcome, SiteState
from dynamo.dealer.proposals import ANYWHERE
from dynamo.services.dealer.orders import RequestIndex
from dynamo.services.pagination import Item

COPY, HAND_OVER, REFUSE = "copy", "hand-over", "refuse"


def rows(plan: Plan, wanting: RequestIndex, refusals: int) -> Iterator[NewDecision]:
    """Yield decisions: copies in their order, then what was refused.

    What is there already was never missing, so that it is only counted.
    """
    for position in range(len(plan.copies)):
        yield _copy(plan, wanting, position)
    against = np.flatnonzero(
        ~np.isin(
            plan.outcomes.reason,
            [ProposalOutcome.ACCEPTED, ProposalOutcome.IN_PART, ProposalOutcome.EXISTS],
        )
    )
    for number, place in enumerate(against[:refusals].tolist()):
        yield _refusal(plan, place, len(plan.copies) + number)


def _copy(plan: Plan, wanting: RequestIndex, position: int) -> NewDecision:
    copies, snapshot = plan.copies, plan.asked.snapshot
    pieces = slice(int(copies.first[position]), int(copies.first[position + 1]))
    blocks, missing = copies.block[pieces], copies.row[pieces] < 0
    dataset, site = int(copies.dataset[position]), int(copies.site[position])
    proposer = plan.proposers[int(copies.proposer[position])]
    keys = int(snapshot.datasets.ids[dataset]), int(snapshot.sites.ids[site])
    facts = {
        "proposer": proposer,
        "group": snapshot.groups.labels[int(copies.group[position])],
        "blocks": len(blocks),
        "sent": int(missing.sum()),
        "moves": int(copies.moves[pieces].sum()),
        "requests": sorted({request.id for request, _ in wanting.requests.get(keys, ())}),
    }
    chosen = blocks[missing] if missing.any() else blocks
    return NewDecision(
        position,
        snapshot.sites.labels[site],
        snapshot.datasets.labels[dataset],
        None,
        COPY if missing.any() else HAND_OVER,
        0,
        ProposalOutcome.ACCEPTED.text if missing.any() else "gets another owner",
        int(snapshot.blocks.n_files[chosen].sum()),
        int(snapshot.blocks.size[chosen].sum()),
        json.dumps(facts),
        proposer,
    )


def _refusal(plan: Plan, place: int, position: int) -> NewDecision:
    outcomes, snapshot = plan.outcomes, plan.asked.snapshot
    proposer = plan.proposers[int(outcomes.proposer[place])]
    proposals, number = plan.proposals[proposer], int(outcomes.place[place])
    reason, site = ProposalOutcome(int(outcomes.reason[place])), int(outcomes.site[place])
    dataset = int(proposals.dataset[number])
    blocks = proposals.blocks_of(number)
    whole = bool(proposals.whole[number])
    size = snapshot.datasets.size[dataset] if whole else snapshot.blocks.size[blocks].sum()
    facts = {"proposer": proposer, "reason": reason.word, "blocks": "all" if whole else len(blocks)}
    return NewDecision(
        position,
        "" if site == ANYWHERE else snapshot.sites.labels[site],
        snapshot.datasets.labels[dataset],
        None,
        REFUSE,
        0,
        reason.text,
        int(snapshot.blocks.n_files[blocks].sum()),
        int(size),
        json.dumps(facts),
        proposer,
    )


def summary(plan: Plan) -> Item:
    """Return what a cycle is remembered by."""
    return {
        "sites": [_site(one) for one in plan.sites],
        "proposers": plan.counts,
        "copies": len(plan.copies),
        "blocks": int((plan.copies.row < 0).sum()),
        "bytes": plan.volume,
    }


def _site(one: SiteState) -> Item:
    return {
        "site": one.site,
        "quota": int(one.quota) if np.isfinite(one.quota) else None,
        "used": one.physical,
        "projected": one.projected,
        "sent": one.sent,
        "after": one.after,
    }
