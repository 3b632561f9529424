"""Sites: properties and usage, and changes by operators."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import breakers
from dynamo.db.sites import sites as site_rows
from dynamo.db.sites.sites import LockedSite
from dynamo.db.views import sites
from dynamo.db.views.sites import SiteRow
from dynamo.errors import Fault, Forbidden, Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.globs import Glob
from dynamo.inventory.states import SiteKind, SiteStatus
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.accounts.unique_share import Share
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page
from dynamo.services.sites import status as site_status

Values = dict[str, object]

_NEW: Mapping[str, object] = {
    "kind": SiteKind.DISK,
    "status": SiteStatus.READY,
    "rules": {},
    "scratch": [],
    "sources": [],
}
"""Default properties of a site."""


def get(ctx: Context, name: str) -> Item:
    """Return one site. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _shown(ctx, work, name)


def list_page(ctx: Context, name: Glob | None, place: PageRequest) -> Page:
    """Return a page of sites by name."""
    with ctx.begin.reading() as work:
        rows_ = place.of(work, sites.listing(work, name))
        return page(rows_, _items(ctx, work, rows_.rows))


@retried
def update(ctx: Context, name: str, body: schemas.SiteBody, caller: Caller) -> Item:
    """Register a site, or change the named fields; a site contact may change the status only."""
    values = _values(name, body)
    with ctx.begin() as work:
        row = site_rows.locked(work, name)
        _check_caller(caller, name, values)
        if row is None:
            key = _add(ctx, work, name, body, values)
        else:
            key = row.id
            _check_endpoint(ctx, row, body)
            by_hand = {"since": work.now, "set_by": None} if "status" in values else {}
            site_rows.change(work, key, {**values, **by_hand})
        if values.get("status") == SiteStatus.READY:
            breakers.close(work, [key])
            site_rows.wake_back(work, key)
        if values.get("status") == SiteStatus.MORGUE:
            work.hint(Hint("evacuate", (), f"empty {name}"))
        changes = ", ".join(f"{field}: {value}" for field, value in sorted(values.items()))
        record(work, [Event("site-changed", caller.name, site=name, why=changes)])
        return _shown(ctx, work, name)


@retried
def set_quota(
    ctx: Context, name: str, partition: str, body: schemas.QuotaBody, caller: Caller
) -> Item:
    """Set the bytes that a partition may fill at a site; files that waited for space continue."""
    with ctx.begin() as work:
        site = site_rows.locked(work, name) if names.is_site(name) else None
        if site is None:
            raise NotFound(f"there is no site {name!r}", Reason.SITE_UNKNOWN)
        key = site_rows.partition_id(work, partition) if names.is_site(partition) else None
        if key is None:
            raise NotFound(f"there is no partition {partition!r}")
        site_rows.set_quota(work, site.id, key, body.limit)
        site_rows.wake_site(work, site.id, [Reason.STORAGE_FULL, Reason.NO_QUOTA])
        why = f"quota of {partition}: {'unlimited' if body.limit is None else body.limit}"
        record(work, [Event("quota-changed", caller.name, site=name, why=why)])
        return _quota(ctx, work, name, partition)


def quota(ctx: Context, name: str, partition: str) -> Item:
    """Return the quota of a partition at a site. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _quota(ctx, work, name, partition)


def _quota(ctx: Context, work: Work, name: str, partition: str) -> Item:
    site_id = site_lookup.site(work, name).id
    for item in _quotas(ctx, work, [site_id]).get(site_id, ()):
        if item["partition"] == partition:
            return {"site": name, **item}
    raise NotFound(f"the partition {partition!r} has no quota at {name}", Reason.NO_QUOTA)


def _shown(ctx: Context, work: Work, name: str) -> Item:
    return _items(ctx, work, [site_lookup.site(work, name)])[0]


def _items(ctx: Context, work: Work, rows: Sequence[SiteRow]) -> list[Item]:
    site_ids = [row.id for row in rows]
    quotas = _quotas(ctx, work, site_ids)
    states = site_status.of(ctx, work, site_ids)
    return [{**_item(row), **states[row.id], "quotas": quotas.get(row.id, [])} for row in rows]


def _quotas(ctx: Context, work: Work, site_ids: Sequence[int]) -> dict[int, list[Item]]:
    unique = sites.unique_bytes(work, site_ids[0] if len(site_ids) == 1 else None)
    quotas: dict[int, list[Item]] = {}
    for quota in sites.quotas(work, site_ids):
        share = Share.of(quota, unique)
        shown = {"partition": quota.partition, **share.item(ctx.settings.user)}
        quotas.setdefault(quota.site_id, []).append(shown)
    return quotas


def _item(row: SiteRow) -> Item:
    return {
        "name": row.name,
        "kind": row.kind,
        "status": row.status,
        "url": row.url,
        "rules": row.rules,
        "scratch": row.scratch,
        "sources": row.sources,
        "created": row.created,
        "since": row.since or row.created,
        "set_by": row.set_by or "operator",
        "max_streams": row.max_streams,
        "max_link_streams": row.max_link_streams,
    }


def _values(name: str, body: schemas.SiteBody) -> Values:
    """Return the fields that the body names. Raises Invalid."""
    if not names.is_site(name):
        raise Invalid(f"{name!r} is not a site name", Reason.NAME_INVALID)
    if body.name is not None and body.name != name:
        raise Invalid("a site keeps its name", faults=[Fault("/name", f"is not {name}")])
    fields = ("kind", "status", "url", "rules", "scratch", "sources")
    values = {field: getattr(body, field) for field in fields}
    lists = {field: list(values[field]) for field in ("scratch", "sources") if values[field]}
    limits = {field: getattr(body, field) for field in ("max_streams", "max_link_streams")}
    named = {field: value for field, value in limits.items() if value is not UNSET}
    set_ = {field: value for field, value in {**values, **lists}.items() if value is not None}
    return set_ | named


def _check_caller(caller: Caller, name: str, values: Values) -> None:
    if caller.may_operate:
        return
    if caller.site != name:
        raise Forbidden(f"{name} is not your site")
    if set(values) - {"status"}:
        raise Forbidden("a site contact may change the status only; other fields are for operators")


def _add(ctx: Context, work: Work, name: str, body: schemas.SiteBody, values: Values) -> int:
    if not body.url:
        raise Invalid("a new site needs a url", faults=[Fault("/url", "is missing")])
    ctx.storages.check(body.url, body.rules or {})
    return site_rows.add(work, {"name": name, **_NEW, **values})


def _check_endpoint(ctx: Context, site: LockedSite, body: schemas.SiteBody) -> None:
    """Refuse an endpoint without a usable storage."""
    if body.url is not None or body.rules is not None:
        url = site.url if body.url is None else body.url
        ctx.storages.check(url, site.rules if body.rules is None else body.rules)
