"""Choices: at which of several sites the copies of a request are, from the first plan on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dynamo.dealer.plan import Plan
from dynamo.dealer.wishes import Verdict, WishState
from dynamo.services import wishes
from dynamo.services.asking import Ground, Voiced
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish


def choose(use: Tools, plan: Plan, ground: Ground, said: Voiced) -> dict[int, Wish | None]:
    """Keep what was chosen; return by request what it wants now.

    None = another plan was faster: what this one has for the request is not to be carried out.
    """
    verdicts: Mapping[int, Verdict] = {verdict.key: verdict for verdict in plan.verdicts}
    found: dict[int, Wish | None] = {}
    for key, (wish, _) in said.of.items():
        if not wish.undecided:
            found[wish.request_id] = wish
            continue
        names = _chosen(plan, ground, said, verdicts.get(key), wish)
        if names is None:
            found[wish.request_id] = wish
        elif wishes.choose(use, wish.request_id, names):
            sites = tuple(site for site in wish.sites if site.name in names)
            found[wish.request_id] = replace(wish, sites=sites, copies=None)
        else:
            found[wish.request_id] = None
    return found


def _chosen(
    plan: Plan, ground: Ground, said: Voiced, verdict: Verdict | None, wish: Wish
) -> list[str] | None:
    """Return the sites that get copies and those that have one; None = it could not be met.

    Where no site takes copies at all nobody was asked, and there is no verdict.
    """
    if verdict is None or verdict.state is WishState.REJECTED:
        return None
    going = {action.site for action in verdict.actions}
    open_to = [
        site.name
        for site in wish.sites
        if site.name not in going
        and plan.targets[ground.site(site.id)]
        and _has(ground, wish, site.id, said.blocks[wish.request_id])
    ]
    return [*sorted(going), *open_to[: wish.n_copies - len(going)]]


def _has(ground: Ground, wish: Wish, site_id: int, blocks_named: Sequence[int] | None) -> bool:
    """Tell whether a site has all that is wanted, or will have."""
    blocks, rows = ground.snapshot.blocks, ground.snapshot.block_replicas
    dataset, site = ground.dataset(wish.dataset.id), ground.site(site_id)
    wanted = np.flatnonzero((blocks.dataset == dataset) & ~ground.open_blocks)
    here = rows.block[ground.snapshot.replicas.site[rows.replica] == site]
    named = wanted if blocks_named is None else wanted[np.isin(blocks.ids[wanted], blocks_named)]
    return bool(np.isin(named, here).all())
