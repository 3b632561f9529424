"""Planning: copy requests are put before the Dealer at once, without waiting for its next cycle.

Only the datasets that are asked for are read, and only proposers that serve requests take part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamo.db.engine.unit_of_work import retried
from dynamo.db.sites import switches
from dynamo.dealer.engine import decide
from dynamo.dealer.plan import Plan
from dynamo.services.context import Context
from dynamo.services.copies import completion as copy_completion
from dynamo.services.copies import consolidation
from dynamo.services.copies import progress as copy_progress
from dynamo.services.copies import queries as copy_queries
from dynamo.services.copies.request import CopyRequest
from dynamo.services.dealer import explanation, orders, site_choice
from dynamo.services.dealer import question as dealer_question
from dynamo.services.dealer.orders import RequestIndex
from dynamo.services.dealer.proposers import PROMPT, weighted_proposers
from dynamo.services.dealer.question import Aim, Inventory, Requested
from dynamo.services.leases import nobody
from dynamo.services.replication import scheduler
from dynamo.services.replication.scheduler import DEALER, Sent


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Requests of one partition, and all that must be known of their datasets."""

    inventory: Inventory
    aim: Aim
    copy_requests: Sequence[CopyRequest]
    requested: Requested
    stopped: bool


def plan(ctx: Context, request_ids: Sequence[int]) -> None:
    """Bring copy requests forward.

    Whatever can be copied now is, whatever is gathered is cleaned up behind it.

    It compares what is wanted with what is there, so it may run at any time and as often as
    anybody likes.
    """
    found = {
        key: request for key in request_ids if (request := copy_queries.read(ctx, key)) is not None
    }
    for request_id in set(request_ids) - found.keys():
        copy_progress.follow(ctx, request_id)
    for look in _looks(ctx, list(found.values())) if found else ():
        _pass(ctx, look)


@retried
def _looks(ctx: Context, some: Sequence[CopyRequest]) -> list[_Pass]:
    with ctx.begin.snapshot() as work:
        stopped = bool(switches.stopped(work, DEALER))
        inventory = dealer_question.narrow(work, {request.dataset.id for request in some})
        known = set(inventory.snapshot.datasets.ids.tolist())
        there = [request for request in some if request.dataset.id in known]
        destinations: dict[str, list[CopyRequest]] = {}
        for request, destination in zip(
            there, dealer_question.home_of(inventory, there), strict=True
        ):
            destinations.setdefault(destination, []).append(request)
        return [
            _Pass(
                inventory,
                Aim(destination, min(request.id for request in wanted)),
                wanted,
                dealer_question.requested_of(work, inventory, wanted, ctx.settings),
                stopped,
            )
            for destination, wanted in sorted(destinations.items())
        ]


def _pass(ctx: Context, look: _Pass) -> None:
    """Put requests before the Dealer, carry out what it says, and tell their owners."""
    inventory, settings = look.inventory, ctx.settings
    groups = list(inventory.snapshot.groups.labels)[1:]
    question = dealer_question.question(settings, inventory, look.aim, look.requested)
    decided = decide(question, weighted_proposers(settings.dealer, groups, PROMPT))
    now: dict[int, CopyRequest | None] = {request.id: request for request in look.copy_requests}
    sent = None
    if not look.stopped:
        now |= site_choice.choose(ctx, decided, inventory, look.requested, nobody)
        sent = _carry_out(ctx, look, decided, now)
    why = explanation.explain(decided, inventory, look.requested, now, sent)
    for request_id, request in now.items():
        if request is None:
            continue
        waits_for = why.get(request_id)
        if not look.stopped:
            site_choice.call_off(ctx, request)
            lacking = copy_completion.complete(ctx, request)
            waits_for = waits_for or lacking
        stays = consolidation.clean_up(ctx, request) if request.consolidate else None
        copy_progress.judge(ctx, request, waits_for, stays)


def _carry_out(
    ctx: Context, look: _Pass, decided: Plan, now: Mapping[int, CopyRequest | None]
) -> Sent:
    wanting = RequestIndex.of(look.requested).without(
        [key for key, request in now.items() if request is None]
    )
    # what has no request is left to the next cycle
    enlisted = orders.enlist(decided, look.inventory, wanting).asked()
    sent = scheduler.schedule(ctx, enlisted.copy_orders)
    scheduler.change(ctx, enlisted.changes, sent)
    return sent
