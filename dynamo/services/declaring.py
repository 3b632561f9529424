"""Declaring: an operator confirms that what could not be read at a dying site is lost.

Many files that seem bad at once are more often a site that is not mounted, so that nobody but a
person gives them up, and only what copies could not read for long. Each is looked for once more: a
site may have come back. Their owners are told as of any lost file.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dynamo.db import breakers, evacuation, incidents, placing, transfers
from dynamo.db.evacuation import Patience, Unread
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
from dynamo.storage.protocol import Storage, StorageError

MOST = 200
"""Files that one call gives up at most: each is a transaction of its own."""


def declare(use: Tools, name: str, caller: Caller) -> Item:
    """Declare files lost that only a dying site has, where they could not be read.

    Return how many, how many can be read again after all, of how many nobody can tell now, and
    whether there may be more. Raises NotFound, and Conflict for a site that is not being emptied.
    """
    site, found, fails = _unread(use, name)
    look = _Look(storage=use.storages.at(site.url, site.rules), fails=fails)
    seen = [(one, look.reads(one)) for one in found]
    gone = [one for one, reads in seen if reads is False]
    back = [one for one, reads in seen if reads]
    for one in back:
        _try_again(use, site, one)
    if gone:
        _note(use, name, caller, len(gone))
    lost = sum(_give_up(use, site, one) for one in gone)
    unsure = len(found) - len(gone) - len(back)
    more = len(found) == MOST
    return {"site": name, "lost": lost, "kept": len(back), "unsure": unsure, "more": more}


def unread(
    work: Work, use: Tools, site: Any, dying: Collection[int], most: int
) -> tuple[Sequence[Unread], bool]:
    """Return what could be given up, and whether nothing at the site could be read for long."""
    before = work.now - timedelta(hours=use.settings.consistency.apart_hours)
    resting = breakers.resting(work, [site.id], Operation.READ)
    fails = any(rest.since is not None and rest.since <= before for rest in resting)
    return evacuation.unread(work, site, dying, Patience(before, fails), most), fails


_SILENT = 3
_SECONDS = 20
"""How long one call reads files to their ends."""


@dataclass(slots=True, kw_only=True)
class _Look:
    """Looks for files once more."""

    storage: Storage
    fails: bool
    """Nothing could be read there for long."""
    silent: int = 0
    """Looks in a row that found no storage."""
    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    def reads(self, one: Unread) -> bool | None:
        """Tell whether a file can be read after all; None = nobody can tell now.

        Where the storage does not answer, only what has failed for long is gone with it.
        """
        silence = False if self.fails or one.settled else None
        if self.silent >= _SILENT:
            return silence
        try:
            found = self.storage.stat(one.lfn)
        except StorageError:
            self.silent += 1
            return silence
        self.silent = 0
        if found is None or found.size != one.size or one.corrupt:
            return False
        return self._whole(one)

    def _whole(self, one: Unread) -> bool | None:
        """Read to the end: what breaks off there would be tried again for ever."""
        if time.monotonic() > self.until:
            return None
        try:
            return self.storage.adler32(one.lfn) == one.adler32
        except StorageError as error:
            return None if error.reason == "queue-timeout" else False


@retried
def _unread(use: Tools, name: str) -> tuple[Any, Sequence[Unread], bool]:
    with use.begin.reading() as work:
        site = sites.one(work, name) if names.is_site(name) else None
        if site is None:
            raise NotFound(f"there is no site {name!r}", "site-unknown")
        dying = evacuation.dying_ids(work, use.settings.dealer.leaving)
        if site.id not in dying:
            raise Conflict(f"{name} is not being emptied: nothing there is given up", "in-use")
        return site, *unread(work, use, site, dying, MOST)


@retried
def _note(use: Tools, name: str, caller: Caller, n_files: int) -> None:
    with use.begin() as work:
        why = f"losses declared: {n_files} files that could not be read"
        record(work, [Event("site-changed", caller.name, site=name, why=why)])


@retried
def _try_again(use: Tools, site: Any, one: Unread) -> None:
    """Let copies read it now, as nothing bad is known of it any more."""
    with use.begin() as work:
        placing.lock_blocks(work, [one.block_id])
        incidents.end_at(work, site.name, [one.lfn])
        transfers.try_again(work, one.file_id)


@retried
def _give_up(use: Tools, site: Any, one: Unread) -> bool:
    with use.begin() as work:
        placing.lock_blocks(work, [one.block_id])
        _let_go(work, use, one)
        file = mending.still_there(work, site.id, one.lfn)
        if file is None:
            return False
        why = f"{one.reason}: {one.error}"
        mending.mend(work, use, Bad(file, site.id, site.name, "missing", why))
        mending.give_up_hopeless(work, use)
        return True


def _let_go(work: Work, use: Tools, one: Unread) -> None:
    """Let copies that read the file here wait for another source, as they would after a while."""
    pinned = transfers.without_source(work, one.file_id, one.replica_id, use.again)
    placing.pin(work, {one.replica_id: -pinned})
