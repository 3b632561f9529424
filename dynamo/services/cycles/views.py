"""Cycles as callers see them, with all that they decided."""

from dynamo.db.cycles import cycles, decisions
from dynamo.db.cycles.cycles import CycleRow
from dynamo.db.cycles.decisions import DecisionRow
from dynamo.db.engine.unit_of_work import Work
from dynamo.errors import NotFound
from dynamo.services import site_lookup
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


def get(ctx: Context, cycle_id: int) -> Item:
    """Return one cycle. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _item(_known(work, cycle_id))


def list_page(ctx: Context, kind: str | None, partition: str | None, place: PageRequest) -> Page:
    """Return a page of cycles, newest first."""
    with ctx.begin.reading() as work:
        rows = cycles.list_page(work, kind, partition, place.span((int,)))
        return page(rows, [_item(row) for row in rows.rows])


def decided(
    ctx: Context, cycle_id: int, site: str | None, dataset: str | None, place: PageRequest
) -> Page:
    """Return a page of what a cycle decided, in the order of the plan. Raises NotFound."""
    with ctx.begin.reading() as work:
        _known(work, cycle_id)
        rows = place.of(work, decisions.listing(cycle_id, site, dataset))
        return page(rows, [_decision(row) for row in rows.rows])


def why(ctx: Context, dataset: str, site: str) -> Item:
    """Return what the newest cycles of each kind decided about a dataset at a site."""
    with ctx.begin.reading() as work:
        site_lookup.site(work, site)
        rows = decisions.about(work, dataset, site)
        if not rows:
            raise NotFound(f"no cycle that is remembered has looked at {dataset} at {site}")
        newest = max(rows, key=lambda row: row.cycle_id)
        return {
            "cycle": newest.cycle_id,
            "partition": newest.partition,
            "at": newest.at,
            "items": [
                {
                    **_decision(row.decision),
                    "kind": row.kind,
                    "cycle": row.cycle_id,
                    "partition": row.partition,
                    "at": row.at,
                }
                for row in rows
            ],
        }


def _known(work: Work, cycle_id: int) -> CycleRow:
    row = cycles.get(work, cycle_id)
    if row is None:
        raise NotFound(f"there is no cycle {cycle_id}")
    return row


def _item(row: CycleRow) -> Item:
    ended = row.ended is not None
    return {
        "id": row.id,
        "kind": row.kind,
        "partition": row.partition,
        "state": row.state,
        "dry_run": row.dry_run,
        "policy": row.version,
        "owner": row.who,
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "reason": row.reason,
        "detail": row.error,
        "summary": row.summary if ended else {},
        "request": row.request_id,
        "links": {
            "self": link(row.id),
            "decisions": f"{link(row.id)}/decisions",
        },
    }


def link(cycle_id: int) -> str:
    """Return the path of a cycle."""
    return f"/v1/cycles/{cycle_id}"


def _decision(row: DecisionRow) -> Item:
    block = None if row.block is None else f"{row.dataset}#{row.block}"
    return {
        "site": row.site,
        "dataset": row.dataset,
        "block": block,
        "action": row.action,
        "line": row.line,
        "text": row.text if row.proposer is None else f"{row.proposer}: {row.text}",
        "values": row.facts,
        "files": row.n_files,
        "bytes": row.bytes,
        "refused": row.refused,
    }
