"""Condition of sites: breakers, probes, downtimes and streams."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import SQLColumnExpression, func, select

from dynamo.clock import rfc3339
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers
from dynamo.db.sites.breakers import Rest
from dynamo.db.tables import Downtime, Probe, Stream
from dynamo.operations.breakers import Position
from dynamo.services.context import Context
from dynamo.services.pagination import Item


def of(ctx: Context, work: Work, site_ids: Sequence[int]) -> dict[int, Item]:
    """Return, by site, open and half-open breakers, the last probe, downtimes and streams."""
    rests: dict[int, list[Item]] = {}
    for rest in breakers.resting(work, site_ids):
        rests.setdefault(rest.site_id, []).append(_rest(rest))
    probes = {
        row.site_id: _probe(row)
        for row in work.read(_Probe, _PROBES.where(Probe.site_id.in_(site_ids)))
    }
    down: dict[int, list[Item]] = {}
    for row in _downtimes(work, site_ids):
        downtime: Item = {"begins": rfc3339(row.begins), "ends": rfc3339(row.ends), "why": row.why}
        down.setdefault(row.site_id, []).append(downtime)
    into, out_of = (_streams(work, end, site_ids) for end in (Stream.site_id, Stream.source_id))
    most = ctx.settings.site_streams
    return {
        site: {
            "breakers": rests.get(site, []),
            "probe": probes.get(site),
            "downtimes": down.get(site, []),
            "streams": {"in": into.get(site, 0), "out": out_of.get(site, 0), "default": most},
        }
        for site in site_ids
    }


def _rest(rest: Rest) -> Item:
    until = rfc3339(rest.until)
    text = f"{rest.operation} breaker open until {until}"
    if rest.position is Position.HALF_OPEN:
        text = f"{rest.operation} breaker half-open: a few files are tried"
    return {
        "operation": rest.operation,
        "state": rest.position,
        "until": until,
        "reason": rest.reason,
        "detail": f"{text}: {rest.detail}",
    }


class _Probe(NamedTuple):
    site_id: int
    at: datetime
    usable: bool
    streak: int
    reason: str | None
    detail: str | None
    free: int | None


_PROBES = select(
    Probe.site_id,
    Probe.at,
    Probe.usable,
    Probe.streak,
    Probe.reason,
    Probe.detail,
    Probe.free,
)


def _probe(row: _Probe) -> Item:
    return {
        "at": rfc3339(row.at),
        "usable": row.usable,
        "in_a_row": row.streak,
        "reason": row.reason,
        "detail": row.detail,
        "free": row.free,
    }


class _Downtime(NamedTuple):
    site_id: int
    begins: datetime
    ends: datetime
    why: str | None


def _downtimes(work: Work, site_ids: Sequence[int]) -> list[_Downtime]:
    wanted = (Downtime.site_id.in_(site_ids), Downtime.ends > work.now)
    columns = (Downtime.site_id, Downtime.begins, Downtime.ends, Downtime.why)
    return work.read(_Downtime, select(*columns).where(*wanted).order_by(Downtime.begins))


def _streams(work: Work, end: SQLColumnExpression[int], site_ids: Sequence[int]) -> dict[int, int]:
    at_sites = (end.in_(site_ids), Stream.until > work.now)
    return dict(work.rows(select(end, func.count()).where(*at_sites).group_by(end)))
