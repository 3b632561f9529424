"""Cycles are filed, by beat or by an operator, and given up when their workers fall silent."""

from sqlalchemy import select

from dynamo.db.cycles import cycles, decisions
from dynamo.db.cycles.cycles import NewCycle
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.policies import versions as policy_versions
from dynamo.db.tables import Partition, Policy, Quota
from dynamo.detox.decision_records import DELETE
from dynamo.errors import Conflict, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import SYSTEM, Caller
from dynamo.inventory.states import CycleKind
from dynamo.logs import logger
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.services import periodic
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation
from dynamo.services.policies.policies import in_force, read

log = logger("cycles")
DETOX, DEALER = CycleKind.DETOX, CycleKind.DEALER


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
