"""Choices: at which of several sites the copies of a request are.

Until one of these is lost, or does not take them: then another one is chosen instead, and the one
that was left is not chosen again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dynamo.db import requests
from dynamo.db.engine.unit_of_work import retried
from dynamo.dealer.plan import Plan
from dynamo.dealer.requests import RequestVerdict
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import ENDED
from dynamo.operations.hints import batches
from dynamo.services.context import Context
from dynamo.services.copies import chosen_sites, withdrawal
from dynamo.services.copies.chosen_sites import Choice
from dynamo.services.copies.request import CopyRequest, Target
from dynamo.services.dealer.question import Inventory, Requested
from dynamo.services.leases import Fence

AT_ONCE = 100
"""Requests whose sites are kept in one transaction."""


def choose(
    ctx: Context, plan: Plan, inventory: Inventory, requested: Requested, fence: Fence
) -> dict[int, CopyRequest | None]:
    """Keep what was chosen; return by request what it wants now.

    None = another plan was faster: what this one has for the request is not to be carried out.
    """
    verdicts: Mapping[int, RequestVerdict] = {verdict.key: verdict for verdict in plan.verdicts}
    found: dict[int, CopyRequest | None] = {
        request.id: request for request, _ in requested.of.values()
    }
    chosen: dict[int, Choice] = {}
    for key, (request, sites) in requested.of.items():
        if not request.missing or sites != request.others:
            continue
        names = _chosen(plan, inventory, requested, verdicts.get(key), request)
        if names:
            instead = request.refusing[: max(len(names) - request.lacking, 0)]
            left = frozenset(site.name for site in instead)
            chosen[request.id] = Choice(request, frozenset(names), left)
            found[request.id] = _decided(request, names, instead)
    for some in batches(list(chosen), AT_ONCE):
        lost = chosen_sites.choose(ctx, {key: chosen[key] for key in some}, fence)
        found |= dict.fromkeys(lost)
    return found


def _decided(
    request: CopyRequest, names: Collection[str], instead: Collection[Target]
) -> CopyRequest:
    """Move sites from those that may be chosen to those that are, instead of some that were."""
    new = tuple(site for site in request.others if site.name in names)
    rest = tuple(site for site in request.others if site not in new)
    kept = tuple(site for site in request.sites if site not in instead)
    still = tuple(site for site in request.refusing if site not in instead)
    left = request.refused + tuple(instead)
    return replace(request, sites=kept + new, others=rest, refusing=still, refused=left)


@retried
def call_off(ctx: Context, request: CopyRequest) -> None:
    """Stop what is still on its way to sites that others were chosen for; what is whole stays."""
    if request.lacking or not request.by_choice:
        return
    kept = [site.id for site in request.sites]
    with ctx.begin() as work:
        row = requests.get(work, request.id, CopyBody)
        if row is not None and row.state not in ENDED:
            withdrawal.withdraw(work, ctx, row, kept, SYSTEM)


def _chosen(
    plan: Plan,
    inventory: Inventory,
    requested: Requested,
    verdict: RequestVerdict | None,
    request: CopyRequest,
) -> list[str]:
    """Return the sites that get copies and those that have one.

    Where no site takes copies at all nobody was asked, and there is no verdict.
    """
    if verdict is None:
        return []
    going = {action.site for action in verdict.actions}
    having = _having(inventory, request, requested.blocks[request.id])
    open_to = [
        site.name
        for site in request.others
        if site.name not in going and (place := inventory.site(site.id)) in having
        if plan.targets[place]
    ]
    return [*sorted(going), *open_to[: request.missing - len(going)]]


def _having(
    inventory: Inventory, request: CopyRequest, blocks_named: Sequence[int] | None
) -> frozenset[int]:
    """Return the places of the sites that have all that is wanted, or will have."""
    blocks, replicas = inventory.snapshot.blocks, inventory.snapshot.replicas
    rows, first = inventory.snapshot.block_replicas, replicas.first
    mine = [inventory.dataset(request.dataset.id) + end for end in (0, 1)]
    wanted = np.arange(*np.searchsorted(blocks.dataset, mine))
    wanted = wanted[~inventory.open_blocks[wanted]]
    if blocks_named is not None:
        wanted = wanted[np.isin(blocks.ids[wanted], blocks_named)]
    return frozenset(
        int(replicas.site[replica])
        for replica in range(*np.searchsorted(replicas.dataset, mine).tolist())
        if np.isin(wanted, rows.block[first[replica] : first[replica + 1]]).all()
    )
