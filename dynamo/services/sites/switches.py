"""Stop switches: their states, with author and reason."""

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import sites, switches
from dynamo.db.sites.sites import SwitchRow
from dynamo.errors import NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.pagination import Item

NAMES = (switches.DELETIONS, "detox", "dealer", switches.CONSISTENCY, switches.INJECTION)
"""Switches besides those of single sites."""


def list_all(ctx: Context) -> list[Item]:
    """Return all switches, also those that were never set."""
    with ctx.begin.reading() as work:
        set_switches = sites.switches(work)
        return [_item(name, set_switches.get(name)) for name in sorted({*NAMES, *set_switches})]


def get(ctx: Context, name: str) -> Item:
    """Return one switch. Raises NotFound."""
    with ctx.begin.reading() as work:
        _check(work, name)
        return _item(name, sites.switches(work).get(name))


@retried
def update(ctx: Context, name: str, body: schemas.SwitchBody, caller: Caller) -> Item:
    """Stop or start the activity of a switch, in force from the commit on."""
    with ctx.begin() as work:
        site_id = _check(work, name)
        values = {"stopped": body.stopped, "who": caller.name, "why": body.why}
        sites.set_switch(work, name, values)
        if not body.stopped:
            sites.wake_site(work, site_id, [Reason.SWITCHED_OFF, Reason.SITE_NOT_READY])
        event_name = "switch-stopped" if body.stopped else "switch-released"
        why = f"{name}: {body.why}" if body.why else name
        site = name.removeprefix(switches.of_site("")) if site_id is not None else None
        record(work, [Event(event_name, caller.name, site=site, why=why)])
        return _item(name, sites.switches(work)[name])


def _check(work: Work, name: str) -> int | None:
    """Return the site's key for the switch of a site, else None. Raises NotFound."""
    if name in NAMES:
        return None
    site = name.removeprefix(switches.of_site(""))
    if site != name and names.is_site(site):
        row = sites.locked(work, site)
        if row is not None:
            return row.id
    known = ", ".join(NAMES)
    raise NotFound(f"there is no switch {name!r}; there are {known} and site:<name>")


def _item(name: str, row: SwitchRow | None) -> Item:
    if row is None:
        return {"name": name, "stopped": False, "who": None, "why": None, "at": None}
    state = {"stopped": row.stopped, "who": row.who, "why": row.why, "at": row.at}
    return {"name": name, **state}
