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
from dynamo.services.copies.request import CopyRequest, SiteDirectory, resolved
from dynamo.services.leases import Fence


@dataclass(frozen=True, slots=True)
class Choice:
    """Other sites that a request's copies shall be at, beside those that it had."""

    request: CopyRequest
    names: frozenset[str]
    instead: frozenset[str] = frozenset()
    """Of those that it had, the ones that did not take it."""

    @property
    def after(self) -> set[str]:
        """Return all sites that it has then."""
        return ({site.name for site in self.request.sites} - self.instead) | self.names


@retried
def choose(ctx: Context, chosen: Mapping[int, Choice], fence: Fence) -> set[int]:
    """Keep at which other sites the copies of requests are from now on.

    Return the requests for which others were chosen meanwhile, and those that have ended.
    """
    lost = set(chosen)
    with ctx.begin() as work:
        fence(work)
        known = SiteDirectory.read(work, ctx.settings.dealer)
        for row in requests.all_locked(work, chosen, CopyBody):
            if row.state in ENDED:
                continue
            choice = chosen[row.id]
            now = resolved(row, choice.request.dataset, known)
            here, before = ({site.name for site in one.sites} for one in (now, choice.request))
            if here == before:
                refused = choice.instead.union(row.body.refused or ()) - choice.names
                body = structs.replace(
                    row.body,
                    chosen=tuple(sorted(choice.after)),
                    refused=tuple(sorted(refused)) or None,
                )
                requests.ask_otherwise(work, row.id, body)
            if here in (before, choice.after):
                lost.remove(row.id)
    return lost
