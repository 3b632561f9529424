"""The sites at which the copies of a request are, where the Dealer chooses them."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from dynamo.db import requests
from dynamo.db.engine.unit_of_work import retried
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import (
    ENDED,
)
from dynamo.services.context import Context
from dynamo.services.copies.request import CopyRequest, SiteDirectory, made
from dynamo.services.leases import Fence


@dataclass(frozen=True, slots=True)
class Choice:
    """Other sites that a request's copies shall be at, beside those that it had."""

    wish: CopyRequest
    names: frozenset[str]
    instead: frozenset[str] = frozenset()
    """Of those that it had, the ones that did not take it."""

    @property
    def after(self) -> set[str]:
        """Return all sites that it has then."""
        return ({site.name for site in self.wish.sites} - self.instead) | self.names


@retried
def choose(ctx: Context, chosen: Mapping[int, Choice], fence: Fence) -> set[int]:
    """Keep at which other sites the copies of requests are from now on.

    Return the requests for which others were chosen meanwhile, and those that have ended.
    """
    lost = set(chosen)
    with ctx.begin() as work:
        fence(work)
        known = SiteDirectory.read(work, ctx.settings.dealer)
        for request in requests.all_locked(work, chosen, CopyBody):
            if request.state in ENDED:
                continue
            choice = chosen[request.id]
            now = made(request, choice.wish.dataset, known)
            here, before = ({site.name for site in one.sites} for one in (now, choice.wish))
            if here == before:
                refused = choice.instead.union(request.body.refused or ()) - choice.names
                body = structs.replace(
                    request.body,
                    chosen=tuple(sorted(choice.after)),
                    refused=tuple(sorted(refused)) or None,
                )
                requests.change(work, request.id, body)
            if here in (before, choice.after):
                lost.remove(request.id)
    return lost
