"""Declaring: what could not be read at a dying site is looked for once more, then declared lost.

Many files that seem bad at once are more often a site that is not mounted, so that a person gives
them up, or `forsaking` after a long time, and only what copies could not read for long. A site may
have come back: what can be read after all is copied. Owners are told as of any lost file.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dynamo.db.catalogue import replicas
from dynamo.db.consistency import incidents
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.evacuation import evacuation, unreadable
from dynamo.db.evacuation.unreadable import Patience, Unread
from dynamo.db.history import Event, record
from dynamo.db.sites import breakers
from dynamo.db.transfers import transfers
from dynamo.db.views.sites import SiteRow
from dynamo.errors import Conflict
from dynamo.inventory.callers import Caller
from dynamo.operations.breakers import Operation
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.context import Context
from dynamo.services.pagination import Item
from dynamo.services.transfers import throttler
from dynamo.storage.protocol import Storage, StorageError

MOST = 200
"""Files that one call gives up at most: each is a transaction of its own."""


def declare(ctx: Context, name: str, caller: Caller) -> Item:
    """Declare files lost that only a dying site has, where they could not be read.

    Return how many, how many can be read again after all, of how many nobody can tell now, and
    whether there may be more. Raises NotFound, and Conflict for a site that is not being emptied.
    """
    site, found, fails = _unread(ctx, name)
    seen = find_losses(ctx, site, found, fails=fails)
    save(ctx, site, seen.back)
    lost = lose(ctx, site, seen.gone, By(caller.name, lambda work, _: _is_dying(work, ctx, site)))
    more = len(found) == MOST
    return {"site": name, "lost": lost, "kept": len(seen.back), "unsure": seen.unsure, "more": more}


def unread(
    work: Work, ctx: Context, site: SiteRow, dying: Collection[int], most: int
) -> tuple[Sequence[Unread], bool]:
    """Return what could be given up, and whether nothing at the site could be read for long."""
    before = work.now - timedelta(hours=ctx.settings.consistency.apart_hours)
    fails = fails_since(work, site.id, before)
    return unreadable.for_long(work, site, dying, Patience(before, fails, work.now), most), fails


def fails_since(work: Work, site_id: int, before: datetime) -> bool:
    """Tell whether nothing could be read at a site since a moment."""
    since = failing_since(work, site_id)
    return since is not None and since <= before


def failing_since(work: Work, site_id: int) -> datetime | None:
    """Return since when nothing can be read at a site; None = something can, or nobody knows."""
    resting = breakers.resting(work, [site_id], Operation.READ)
    return next((rest.since for rest in resting), None)


@dataclass(frozen=True, slots=True)
class LossFindings:
    """What a last look has shown."""

    gone: Sequence[Unread]
    back: Sequence[Unread]
    unsure: int
    """Files of which nobody can tell now."""
    answers: bool
    """The storage says that a file is not there, or another, of which nothing was known so far."""


@dataclass(frozen=True, slots=True)
class By:
    """Who gives files up, and what must still hold when it is done."""

    who: str
    still: Callable[[Work, Unread], bool]


def find_losses(
    ctx: Context, site: SiteRow, found: Sequence[Unread], *, fails: bool
) -> LossFindings:
    """Look for files once more; `fails` = nothing could be read there for long."""
    looks = _Inspection(storage=ctx.storages.at(site.url, site.rules), fails=fails)
    seen = [(one, looks.reads(one)) for one in found]
    gone = [one for one, reads in seen if reads is False]
    back = [one for one, reads in seen if reads]
    return LossFindings(gone, back, len(seen) - len(gone) - len(back), looks.answers)


def save(ctx: Context, site: SiteRow, back: Sequence[Unread]) -> None:
    """Let copies read what can be read again."""
    for one in back:
        _try_again(ctx, site, one)
    if back:
        revive(ctx, site)


@retried
def revive(ctx: Context, site: SiteRow) -> None:
    """Note that a site is not silent any more: what waited for it is tried now."""
    with ctx.begin() as work:
        throttler.works(work, ctx, (site.id, Operation.READ))


def lose(ctx: Context, site: SiteRow, gone: Sequence[Unread], by: By) -> int:
    """Declare files lost; return how many were."""
    if gone:
        _note(ctx, site.name, by.who, len(gone))
    return sum(_give_up(ctx, site, one, by) for one in gone)


_SILENT = 3
_SECONDS = 20
"""How long one call reads files to their ends."""


@dataclass(slots=True, kw_only=True)
class _Inspection:
    """Looks for files once more."""

    storage: Storage
    fails: bool
    """Nothing could be read there for long."""
    silent: int = 0
    """Looks in a row that found no storage."""
    answers: bool = False
    """See `LossFindings`."""
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
            self.answers |= not one.is_known
            return False
        return self._whole(one)

    def _whole(self, one: Unread) -> bool | None:
        """Read to the end: what breaks off there would be tried again for ever."""
        if time.monotonic() > self.until:
            return None
        try:
            return self.storage.adler32(one.lfn) == one.adler32
        except StorageError as error:
            return None if error.reason is Reason.QUEUE_TIMEOUT else False


@retried
def _unread(ctx: Context, name: str) -> tuple[SiteRow, Sequence[Unread], bool]:
    with ctx.begin.reading() as work:
        site = site_lookup.site(work, name)
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        if site.id not in dying:
            raise Conflict(f"{name} is not being emptied: nothing there is given up", Reason.IN_USE)
        return site, *unread(work, ctx, site, dying, MOST)


def _is_dying(work: Work, ctx: Context, site: SiteRow) -> bool:
    return site.id in evacuation.dying_ids(work, ctx.settings.dealer.leaving)


@retried
def _note(ctx: Context, name: str, who: str, n_files: int) -> None:
    with ctx.begin() as work:
        why = f"losses declared: {n_files} files that could not be read"
        record(work, [Event("site-changed", who, site=name, why=why)])


@retried
def _try_again(ctx: Context, site: SiteRow, one: Unread) -> None:
    """Let copies read it now, as nothing bad is known of it any more."""
    with ctx.begin() as work:
        replicas.lock_blocks(work, [one.block_id])
        incidents.end_at(work, site.name, [one.lfn])
        transfers.try_again(work, one.file_id)


@retried
def _give_up(ctx: Context, site: SiteRow, one: Unread, by: By) -> bool:
    with ctx.begin() as work:
        replicas.lock_blocks(work, [one.block_id])
        if not by.still(work, one):
            return False
        _let_go(work, ctx, one)
        file = repair.still_there(work, site.id, one.lfn)
        if file is None:
            return False
        why = f"{one.reason}: {one.error}"
        repair.mend(work, ctx, Bad(file, site.id, site.name, "missing", why))
        repair.give_up_hopeless(work)
        return True


def _let_go(work: Work, ctx: Context, one: Unread) -> None:
    """Let copies that read the file here wait for another source, as they would after a while."""
    pinned = transfers.without_source(work, one.file_id, one.replica_id, ctx.again)
    replicas.pin(work, {one.replica_id: -pinned})
