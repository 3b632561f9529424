"""Deletes temporary files that cancelled or killed transfers have left."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import select

from dynamo.db.consistency.scans import HeldScan
from dynamo.db.engine.unit_of_work import retried
from dynamo.db.sites import switches
from dynamo.db.tables import Transfer
from dynamo.errors import DynamoError
from dynamo.logs import logger
from dynamo.operations.lifecycle import OPEN
from dynamo.services.context import Context
from dynamo.storage import temporary_names

log = logger("consistency")
_CHUNK = 1000


def clean(ctx: Context, site: HeldScan) -> int:
    """Delete old temporary files of a site that no open transfer needs; return their number."""
    before = _before(ctx)
    if before is None:
        return 0
    area = ctx.settings.injection.area
    storage = ctx.storages.at(site.url, site.rules)
    try:
        count = storage.clean(area, before, lambda names: _needed(ctx, site.site_id, names))
    except DynamoError as error:  # the next scan finds the rest
        log.warning("cleaning failed", site=site.site, detail=error.detail)
        return 0
    if count:
        log.info("temporary files removed", site=site.site, files=count)
    return count


@retried
def _before(ctx: Context) -> datetime | None:
    """Return the time before which temporary files are old; None while deletions are stopped."""
    with ctx.begin.reading() as work:
        if switches.stopped(work, switches.DELETIONS):
            return None
        return work.now - timedelta(days=ctx.settings.consistency.temporary_days)


@retried
def _needed(ctx: Context, site_id: int, names: Collection[str]) -> set[str]:
    """Return the names that open transfers still write or verify."""
    area = ctx.settings.injection.area
    owners = {name: temporary_names.owner_of(name, area) for name in names}
    keys = sorted({owner for owner in owners.values() if isinstance(owner, int)})
    is_open = Transfer.state.in_(OPEN)
    with ctx.begin.reading() as work:
        busy: set[int | str | None] = set()
        for start in range(0, len(keys), _CHUNK):
            batch = Transfer.id.in_(keys[start : start + _CHUNK])
            busy |= set(work.scalars(select(Transfer.id).where(batch, is_open)))
        uploads = (Transfer.site_id == site_id, Transfer.upload.is_not(None), is_open)
        busy |= set(work.scalars(select(Transfer.upload).where(*uploads)))
    return {name for name, owner in owners.items() if owner in busy}
