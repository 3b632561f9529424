"""Planning: copy requests are put before the Dealer at once, without waiting for its next cycle.

Only the datasets that are asked for are read, and only those who speak for people are heard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamo.db.engine.unit_of_work import retried
from dynamo.db.sites import switches
from dynamo.dealer.engine import decide
from dynamo.dealer.plan import Plan
from dynamo.services.context import Tools
from dynamo.services.copies import completion as copy_completion
from dynamo.services.copies import consolidation
from dynamo.services.copies import progress as copy_progress
from dynamo.services.copies import request as copy_requests
from dynamo.services.copies.request import Wish
from dynamo.services.dealer import explanation, orders, site_choice
from dynamo.services.dealer import question as dealer_question
from dynamo.services.dealer.orders import Wanting
from dynamo.services.dealer.proposers import PROMPT, voices
from dynamo.services.dealer.question import Aim, Ground, Voiced
from dynamo.services.leases import nobody
from dynamo.services.replication import scheduler
from dynamo.services.replication.scheduler import DEALER, Sent


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Requests of one partition, and all that must be known of their datasets."""

    ground: Ground
    aim: Aim
    wishes: Sequence[Wish]
    said: Voiced
    stopped: bool


def plan(use: Tools, request_ids: Sequence[int]) -> None:
    """Bring copy requests forward.

    Whatever can be copied now is, whatever is gathered is cleaned up behind it.

    It compares what is wanted with what is there, so it may run at any time and as often as
    anybody likes.
    """
    found = {key: wish for key in request_ids if (wish := copy_requests.read(use, key)) is not None}
    for request_id in set(request_ids) - found.keys():
        copy_progress.follow(use, request_id)
    for look in _looks(use, list(found.values())) if found else ():
        _pass(use, look)


@retried
def _looks(use: Tools, some: Sequence[Wish]) -> list[_Look]:
    with use.begin.snapshot() as work:
        stopped = bool(switches.stopped(work, DEALER))
        ground = dealer_question.narrow(work, {wish.dataset.id for wish in some})
        known = set(ground.snapshot.datasets.ids.tolist())
        there = [wish for wish in some if wish.dataset.id in known]
        homes: dict[str, list[Wish]] = {}
        for wish, home in zip(there, dealer_question.home_of(ground, there), strict=True):
            homes.setdefault(home, []).append(wish)
        return [
            _Look(
                ground,
                Aim(home, min(wish.request_id for wish in wanted)),
                wanted,
                dealer_question.voiced(work, ground, wanted, use.settings),
                stopped,
            )
            for home, wanted in sorted(homes.items())
        ]


def _pass(use: Tools, look: _Look) -> None:
    """Put requests before the Dealer, carry out what it says, and tell their owners."""
    ground, settings = look.ground, use.settings
    groups = list(ground.snapshot.groups.labels)[1:]
    question = dealer_question.question(settings, ground, look.aim, look.said)
    decided = decide(question, voices(settings.dealer, groups, PROMPT))
    now: dict[int, Wish | None] = {wish.request_id: wish for wish in look.wishes}
    sent = None
    if not look.stopped:
        now |= site_choice.choose(use, decided, ground, look.said, nobody)
        sent = _carry_out(use, look, decided, now)
    why = explanation.excuses(decided, ground, look.said, now, sent)
    for request_id, wish in now.items():
        if wish is None:
            continue
        excuse = why.get(request_id)
        if not look.stopped:
            site_choice.call_off(use, wish)
            lacking = copy_completion.complete(use, wish)
            excuse = excuse or lacking
        stays = consolidation.clean_up(use, wish) if wish.consolidate else None
        copy_progress.judge(use, wish, excuse, stays)


def _carry_out(use: Tools, look: _Look, decided: Plan, now: Mapping[int, Wish | None]) -> Sent:
    wanting = Wanting.of(look.said).without([key for key, wish in now.items() if wish is None])
    # what has no request is left to the next cycle
    enlisted = orders.enlist(decided, look.ground, wanting).asked()
    sent = scheduler.send(use, enlisted.errands)
    scheduler.change(use, enlisted.changes, sent)
    return sent
