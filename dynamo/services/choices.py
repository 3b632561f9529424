"""Choices: at which of several sites the copies of a request are, until one of these is lost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dynamo.db import requests
from dynamo.db.work import retried
from dynamo.dealer.plan import Plan
from dynamo.dealer.wishes import Verdict, WishState
from dynamo.inventory.states import ENDED
from dynamo.services import cancelling, wishes
from dynamo.services.asking import Ground, Voiced
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish

SYSTEM = "dynamo"


def choose(use: Tools, plan: Plan, ground: Ground, said: Voiced) -> dict[int, Wish | None]:
    """Keep what was chosen; return by request what it wants now.

    None = another plan was faster: what this one has for the request is not to be carried out.
    """
    verdicts: Mapping[int, Verdict] = {verdict.key: verdict for verdict in plan.verdicts}
    found: dict[int, Wish | None] = {wish.request_id: wish for wish, _ in said.of.values()}
    for key, (wish, sites) in said.of.items():
        if not wish.missing or sites != wish.others:
            continue
        names = _chosen(plan, ground, said, verdicts.get(key), wish)
        if names:
            kept = wishes.choose(use, wish, names)
            found[wish.request_id] = _decided(wish, names) if kept else None
    return found


def _decided(wish: Wish, names: Collection[str]) -> Wish:
    """Move sites from those that may be chosen to those that are."""
    new = tuple(site for site in wish.others if site.name in names)
    rest = tuple(site for site in wish.others if site not in new)
    return replace(wish, sites=wish.sites + new, others=rest)


@retried
def call_off(use: Tools, wish: Wish) -> None:
    """Stop what is still on its way to sites that others were chosen for; what is whole stays."""
    if wish.missing or not wish.by_choice:
        return
    kept = [site.id for site in wish.sites]
    with use.begin() as work:
        request = requests.get(work, wish.request_id)
        if request.state not in ENDED:
            cancelling.withdraw(work, use, request, kept, SYSTEM)


def _chosen(
    plan: Plan, ground: Ground, said: Voiced, verdict: Verdict | None, wish: Wish
) -> list[str]:
    """Return the sites that get copies and those that have one; none if it could not be met.

    Where no site takes copies at all nobody was asked, and there is no verdict.
    """
    if verdict is None or verdict.state is WishState.REJECTED:
        return []
    going = {action.site for action in verdict.actions}
    open_to = [
        site.name
        for site in wish.others
        if site.name not in going
        and plan.targets[ground.site(site.id)]
        and _has(ground, wish, site.id, said.blocks[wish.request_id])
    ]
    return [*sorted(going), *open_to[: wish.missing - len(going)]]


def _has(ground: Ground, wish: Wish, site_id: int, blocks_named: Sequence[int] | None) -> bool:
    """Tell whether a site has all that is wanted, or will have."""
    blocks, rows = ground.snapshot.blocks, ground.snapshot.block_replicas
    dataset, site = ground.dataset(wish.dataset.id), ground.site(site_id)
    wanted = np.flatnonzero((blocks.dataset == dataset) & ~ground.open_blocks)
    here = rows.block[ground.snapshot.replicas.site[rows.replica] == site]
    named = wanted if blocks_named is None else wanted[np.isin(blocks.ids[wanted], blocks_named)]
    return bool(np.isin(named, here).all())
