"""Declaring: an operator confirms that what could not be read at a dying site is lost.

Many files that seem bad at once are more often a site that is not mounted, so that nobody but a
person gives them up. Their owners are told as of any lost file.
"""

from collections.abc import Sequence
from typing import Any

from dynamo.db import breakers, evacuation, placing, transfers
from dynamo.db.evacuation import Unread
from dynamo.db.history_log import Event, record
from dynamo.db.reads import sites
from dynamo.db.work import Work, retried
from dynamo.errors import Conflict, NotFound
from dynamo.inventory import names
from dynamo.inventory.callers import Caller
from dynamo.operations.breakers import Operation
from dynamo.services import mending
from dynamo.services.mending import Bad
from dynamo.services.pages import Item
from dynamo.services.tools import Tools

MOST = 200
"""Files that one call gives up at most: each is a transaction of its own."""


def declare(use: Tools, name: str, caller: Caller) -> Item:
    """Declare files lost that only a dying site has, where they could not be read.

    Return how many, and whether there may be more. Raises NotFound, and Conflict for a site that
    is not being emptied.
    """
    site, unread = _unread(use, name, caller)
    lost = sum(_give_up(use, site, one) for one in unread)
    return {"site": name, "lost": lost, "more": len(unread) == MOST}


@retried
def _unread(use: Tools, name: str, caller: Caller) -> tuple[Any, Sequence[Unread]]:
    with use.begin() as work:
        site = sites.one(work, name) if names.is_site(name) else None
        if site is None:
            raise NotFound(f"there is no site {name!r}", "site-unknown")
        dying = evacuation.dying_ids(work, use.settings.dealer.leaving)
        if site.id not in dying:
            raise Conflict(f"{name} is not being emptied: nothing there is given up", "in-use")
        fails = bool(breakers.resting(work, [site.id], Operation.READ))
        found = evacuation.unread(work, site, dying, MOST, fails=fails)
        if found:
            why = f"losses declared: {len(found)} files that could not be read"
            record(work, [Event("site-changed", caller.name, site=name, why=why)])
        return site, found


@retried
def _give_up(use: Tools, site: Any, unread: Unread) -> bool:
    with use.begin() as work:
        placing.lock_blocks(work, [unread.block_id])
        _let_go(work, use, unread)
        file = mending.still_there(work, site.id, unread.lfn)
        if file is None:
            return False
        why = f"{unread.reason}: {unread.error}"
        mending.mend(work, use, Bad(file, site.id, site.name, "missing", why))
        mending.give_up_hopeless(work, use)
        return True


def _let_go(work: Work, use: Tools, unread: Unread) -> None:
    """Let copies that read the file here wait for another source, as they would after a while."""
    pinned = transfers.without_source(work, unread.file_id, unread.replica_id, use.again)
    placing.pin(work, {unread.replica_id: -pinned})
