"""Cycles: filed by beat or by an operator, run once each, shown with all that they decided."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from secrets import token_hex

from sqlalchemy import select

from dynamo.db.cycles import cycles, decisions
from dynamo.db.cycles.cycles import CycleRow, HeldCycle, NewCycle
from dynamo.db.cycles.decisions import DecisionRow
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.policies import versions as policy_versions
from dynamo.db.tables import Partition, Policy, Quota
from dynamo.detox.decision_records import DELETE
from dynamo.errors import Conflict, DynamoError, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import SYSTEM, Caller
from dynamo.inventory.states import RequestState
from dynamo.logs import logger
from dynamo.operations.hints import Hint
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services import periodic, site_lookup
from dynamo.services.context import Context
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.services.deletions import condemnation
from dynamo.services.detox import cycle as detox_cycle
from dynamo.services.leases import CycleLost
from dynamo.services.pagination import Item, Page, PageRequest, page
from dynamo.services.policies.policies import in_force, read

log = logger("cycles")
DETOX, DEALER = "detox", "dealer"
RUNS: Mapping[str, Callable[[Context, HeldCycle], Item]] = {
    DETOX: detox_cycle.run,
    DEALER: dealer_cycle.run,
}
"""What a cycle of each kind does; it returns what it is remembered by."""

# --- filed ---------------------------------------------------------------------------------------


def file(ctx: Context, body: schemas.CycleBody, caller: Caller) -> int:
    """File a cycle. Raises Conflict while another one of the partition is carried out."""
    texts = [text for text in (body.policy, body.compare) if text is not None]
    if texts and not body.dry_run:
        raise Invalid("a policy that is not in force is only for a dry run: add dry_run")
    if texts and body.kind != DETOX:
        raise Invalid("the Dealer follows no policy; placement rules are at /v1/rules")
    for text in texts:
        read(ctx, body.partition, text)
    return _file(ctx, body, caller.name)


@retried
def _file(ctx: Context, body: schemas.CycleBody, who: str) -> int:
    with ctx.begin() as work:
        key = work.scalar(select(Partition.id).where(Partition.name == body.partition))
        if key is None:
            raise NotFound(f"there is no partition {body.partition!r}")
        policy = policy_versions.in_force(work, body.partition) if body.kind == DETOX else None
        if policy is None and body.policy is None and body.kind == DETOX:
            raise NotFound(f"the partition {body.partition} has no policy")
        _give_up(work, ctx)
        running = cycles.open_one(work, body.kind, key)
        if running is not None and not body.dry_run:
            detail = f"cycle {running} of {body.partition} is under way"
            raise Conflict(detail, Reason.IN_USE)
        filed = NewCycle(
            body.kind,
            key,
            who,
            policy.id if policy is not None and body.policy is None else None,
            body.policy,
            body.dry_run,
            None if body.compare is None else {"compare": body.compare},
        )
        cycle_id = cycles.file(work, filed)
        work.hint(_hint(cycle_id, body.partition))
        return cycle_id


@retried
def due(ctx: Context) -> bool:
    """File a cycle for each partition with a policy; False = another beat has just done so."""
    with ctx.begin() as work:
        if not periodic.take(work, ctx.settings, DETOX):
            return False
        _give_up(work, ctx)
        governed = select(Policy.id).where(Policy.partition_id == Partition.id).exists()
        for key, name in work.rows(select(Partition.id, Partition.name).where(governed)):
            if cycles.open_one(work, DETOX, key) is None:
                policy = in_force(work, name)
                cycle_id = cycles.file(work, NewCycle(DETOX, key, SYSTEM, policy.id))
                work.hint(_hint(cycle_id, name))
        return True


@retried
def deal(ctx: Context) -> bool:
    """File a cycle of the Dealer for each partition with a quota; False = it has just been done."""
    with ctx.begin() as work:
        if not periodic.take(work, ctx.settings, DEALER):
            return False
        _give_up(work, ctx)
        taking = select(Quota.site_id).where(Quota.partition_id == Partition.id).exists()
        for key, name in work.rows(select(Partition.id, Partition.name).where(taking)):
            if cycles.open_one(work, DEALER, key) is None:
                cycle_id = cycles.file(work, NewCycle(DEALER, key, SYSTEM, None))
                work.hint(_hint(cycle_id, name))
        return True


@retried
def sweep(ctx: Context) -> None:
    """Give up cycles whose workers fell silent, send those again that nobody took."""
    with ctx.begin() as work:
        _give_up(work, ctx)
        for cycle_id in cycles.waiting(work, ctx.again):
            work.hint(_hint(cycle_id, "a partition, that nobody took"))


def _give_up(work: Work, ctx: Context) -> None:
    for row in cycles.silent(work):
        log.warning("cycle given up", cycle=row.id)
        cycles.give_up(work, row.id)
        done = row.summary.get("done", 0)
        decisions.refuse_from(
            work, row.id, done if isinstance(done, int) else 0, DELETE, Reason.WORKER_LOST
        )
        if row.request_id is not None and row.kind == DETOX:
            condemnation.judge(work, row.request_id, ctx.again)


def _hint(cycle_id: int, partition: str) -> Hint:
    return Hint("cycle", (cycle_id,), f"run cycle {cycle_id} of {partition}")


# --- run -----------------------------------------------------------------------------------------


def run(ctx: Context, cycle_ids: Sequence[int]) -> None:
    """Run cycles that wait: look, decide, and unless it is a dry run, carry it out."""
    for cycle_id in cycle_ids:
        held = _claim(ctx, cycle_id)
        if held is not None:
            reached(Point.CYCLE_CLAIMED)
            _run(ctx, held)
            _forget(ctx)


def _run(ctx: Context, held: HeldCycle) -> None:
    try:
        summary = RUNS[held.kind](ctx, held)
    except CycleLost:
        log.warning("cycle lost its lease", cycle=held.id)
    except DynamoError as failed:
        _end(ctx, held, RequestState.FAILED, reason=failed.reason, error=failed.detail[:1000])
    except Exception:
        _end(
            ctx,
            held,
            RequestState.FAILED,
            reason=Reason.INTERNAL,
            error="a fault of Dynamo; see its log",
        )
        raise
    else:
        _end(ctx, held, RequestState.DONE, summary=summary)


@retried
def _claim(ctx: Context, cycle_id: int) -> HeldCycle | None:
    wanted = ctx.settings
    holds = {
        DETOX: timedelta(seconds=wanted.detox.lease_seconds),
        DEALER: timedelta(seconds=wanted.dealer.lease_seconds),
    }
    with ctx.begin() as work:
        return cycles.claim(work, cycle_id, token_hex(12), holds)


@retried
def _end(ctx: Context, held: HeldCycle, state: RequestState, **values: object) -> None:
    with ctx.begin() as work:
        if cycles.end(work, held, state, **values):
            request_id = cycles.looked_at(work, held).request_id
            if request_id is not None and held.kind == DETOX:
                condemnation.judge(work, request_id, ctx.again)


def _forget(ctx: Context) -> None:
    for cycle_id in _old(ctx):
        detox_cycle.saved_at(ctx, cycle_id).unlink(missing_ok=True)
        while not _forget_part(ctx, cycle_id):
            pass


@retried
def _old(ctx: Context) -> list[int]:
    wanted = ctx.settings
    kept = {DETOX: wanted.detox.keep_cycles, DEALER: wanted.dealer.keep_cycles}
    with ctx.begin.reading() as work:
        return cycles.old(work, kept)


@retried
def _forget_part(ctx: Context, cycle_id: int) -> bool:
    with ctx.begin() as work:
        return cycles.forget(work, cycle_id)


# --- shown ---------------------------------------------------------------------------------------


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
