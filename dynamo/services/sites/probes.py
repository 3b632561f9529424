"""Probes: whether a site's storage works for transfers and deletions."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import retried
from dynamo.db.sites import sites
from dynamo.db.tables import Site
from dynamo.errors import NotFound
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.context import Context
from dynamo.services.deletions import reaper
from dynamo.services.pagination import Item
from dynamo.storage import probe as storage_probe
from dynamo.storage.probe import ProbedStorage, ProbeStep, is_usable
from dynamo.storage.protocol import Storage, StorageError

_LOOKED_FOR = 11
"""Number of blocks of which a file is looked for; fewer blocks prove nothing."""


def probe(ctx: Context, site_id: int) -> list[ProbeStep]:
    """Probe a site with a small file and return the steps; nothing is recorded.

    Works for a site in any status; the context sets the deadline of the storage. Raises NotFound,
    and Invalid for a site without a usable storage.
    """
    settings = ctx.settings
    parameters = ProbedStorage(
        settings.injection.area,
        settings.user.namespace,
        settings.work.third_party_bytes,
        lambda: _moment(ctx),
        reaper.delete_probe,
        _expected(ctx, site_id),
    )
    return storage_probe.probe(_storage(ctx, site_id), parameters)


@retried
def _expected(ctx: Context, site_id: int) -> list[str]:
    """Return files of which at least one must be at the site, if its disk is mounted."""
    with ctx.begin.reading() as work:
        names = sites.sample(work, site_id, _LOOKED_FOR)
    return names if len(names) == _LOOKED_FOR else []


def free(ctx: Context, site_id: int) -> int | None:
    """Return the free bytes of a site's storage; None if it cannot tell."""
    try:
        return _storage(ctx, site_id).free()
    except StorageError:
        return None


def _storage(ctx: Context, site_id: int) -> Storage:
    with ctx.begin.reading() as work:
        row = work.row(select(Site.url, Site.rules).where(Site.id == site_id))
    if row is None:
        raise NotFound(f"there is no site with the key {site_id}", Reason.SITE_UNKNOWN)
    return ctx.storages.at(*row)


def check(ctx: Context, name: str) -> list[ProbeStep]:
    """Probe a site; return the result as JSON values. Raises NotFound."""
    with ctx.begin.reading() as work:
        site_id = site_lookup.site(work, name).id
    return probe(ctx, site_id)


def item(name: str, steps: Sequence[ProbeStep]) -> Item:
    """Return what callers see of how it went."""
    return {
        "site": name,
        "usable": is_usable(steps),
        "steps": [
            {
                "step": step.name,
                "outcome": step.outcome.value,
                "seconds": step.seconds,
                "reason": step.reason,
                "detail": step.detail,
            }
            for step in steps
        ],
    }


@retried
def _moment(ctx: Context) -> datetime:
    with ctx.begin.reading() as work:
        return work.now
