"""Planning: copy requests are put before the Dealer at once, without waiting for its next cycle.

Only the datasets that are asked for are read, and only those who speak for people are heard.
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
from dynamo.services.dealer.proposers import PROMPT, voices
from dynamo.services.dealer.question import Aim, Inventory, Requested
from dynamo.services.leases import nobody
from dynamo.services.replication import scheduler
from dynamo.services.replication.scheduler import DEALER, Sent


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Requests of one partition, and all that must be known of their datasets."""

    ground: Inventory
    aim: Aim
    wishes: Sequence[CopyRequest]
    said: Requested
    stopped: bool


def plan(ctx: Context, request_ids: Sequence[int]) -> None:
    """Bring copy requests forward.

    Whatever can be copied now is, whatever is gathered is cleaned up behind it.

    It compares what is wanted with what is there, so it may run at any time and as often as
    anybody likes.
    """
    found = {key: wish for key in request_ids if (wish := copy_queries.read(ctx, key)) is not None}
    for request_id in set(request_ids) - found.keys():
        copy_progress.follow(ctx, request_id)
    for look in _looks(ctx, list(found.values())) if found else ():
        _pass(ctx, look)


@retried
def _looks(ctx: Context, some: Sequence[CopyRequest]) -> list[_Pass]:
    with ctx.begin.snapshot() as work:
        stopped = bool(switches.stopped(work, DEALER))
        ground = dealer_question.narrow(work, {wish.dataset.id for wish in some})
        known = set(ground.snapshot.datasets.ids.tolist())
        there = [wish for wish in some if wish.dataset.id in known]
        destinations: dict[str, list[CopyRequest]] = {}
        for wish, destination in zip(there, dealer_question.home_of(ground, there), strict=True):
            destinations.setdefault(destination, []).append(wish)
        return [
            _Pass(
                ground,
                Aim(destination, min(wish.request_id for wish in wanted)),
                wanted,
                dealer_question.voiced(work, ground, wanted, ctx.settings),
                stopped,
            )
            for destination, wanted in sorted(destinations.items())
        ]


def _pass(ctx: Context, look: _Pass) -> None:
    """Put requests before the Dealer, carry out what it says, and tell their owners."""
    ground, settings = look.ground, ctx.settings
    groups = list(ground.snapshot.groups.labels)[1:]
    question = dealer_question.question(settings, ground, look.aim, look.said)
    decided = decide(question, voices(settings.dealer, groups, PROMPT))
    now: dict[int, CopyRequest | None] = {wish.request_id: wish for wish in look.wishes}
    sent = None
    if not look.stopped:
        now |= site_choice.choose(ctx, decided, ground, look.said, nobody)
        sent = _carry_out(ctx, look, decided, now)
    why = explanation.excuses(decided, ground, look.said, now, sent)
    for request_id, wish in now.items():
        if wish is None:
            continue
        excuse = why.get(request_id)
        if not look.stopped:
            site_choice.call_off(ctx, wish)
            lacking = copy_completion.complete(ctx, wish)
            excuse = excuse or lacking
        stays = consolidation.clean_up(ctx, wish) if wish.consolidate else None
        copy_progress.judge(ctx, wish, excuse, stays)


def _carry_out(
    ctx: Context, look: _Pass, decided: Plan, now: Mapping[int, CopyRequest | None]
) -> Sent:
    wanting = RequestIndex.of(look.said).without([key for key, wish in now.items() if wish is None])
    # what has no request is left to the next cycle
    enlisted = orders.enlist(decided, look.ground, wanting).asked()
    sent = scheduler.schedule(ctx, enlisted.copy_orders)
    scheduler.change(ctx, enlisted.changes, sent)
    return sent
