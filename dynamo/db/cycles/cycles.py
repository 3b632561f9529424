"""Cycles in rows: filed, claimed, held under a lease, ended, forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Nullable, delete, func, select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.pagination import PageRows, Span, cut
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Cycle, Decision, Partition, Policy
from dynamo.db.tables.types import Json
from dynamo.inventory.states import RequestState
from dynamo.logs import trace
from dynamo.reasons import Reason


class CycleRow(NamedTuple):
    """A cycle, with the names of what it is about."""

    id: int
    kind: str
    partition: str
    state: str
    dry_run: bool
    version: int | None
    """Of the policy that it follows; None for one that is only tried, and for the Dealer."""
    who: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    reason: str | None
    error: str | None
    summary: Json
    request_id: int | None
    partition_id: int
    text: str | None
    """The policy that is only tried."""
    seed: int


_SHOWN = (
    select(
        Cycle.id,
        Cycle.kind,
        Partition.name.label("partition"),
        Cycle.state,
        Cycle.dry_run,
        Nullable(Policy.version),
        Cycle.who,
        Cycle.created,
        Cycle.started,
        Cycle.ended,
        Cycle.reason,
        Cycle.error,
        Cycle.summary,
        Cycle.request_id,
        Cycle.partition_id,
        Cycle.text,
        Cycle.seed,
    )
    .join(Partition, Partition.id == Cycle.partition_id)
    .outerjoin(Policy, Policy.id == Cycle.policy_id)
)
OPEN = (RequestState.QUEUED, RequestState.RUNNING)
_FORGOTTEN_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class NewCycle:
    """A cycle that is about to be registered."""

    kind: str
    partition_id: int
    who: str
    policy_id: int | None
    text: str | None = None
    dry_run: bool = False
    summary: Mapping[str, object] | None = None
    """What is to be compared, for dry runs."""


@dataclass(frozen=True, slots=True)
class HeldCycle:
    """A cycle that is ours: who wants to write for it says so in the same transaction."""

    id: int
    kind: str
    owner: str
    lease_no: int
    hold: timedelta


def key_of(kind: str, partition_id: int) -> str:
    """Return what is unique while a cycle runs that carries its plan out."""
    return f"{kind}@{partition_id}"


def file(work: Work, filed: NewCycle) -> int:
    """Register a cycle; of those that carry their plans out, the second at once is refused."""
    key = None if filed.dry_run else key_of(filed.kind, filed.partition_id)
    number = (work.scalar(select(func.max(Cycle.id))) or 0) + 1
    return work.add(
        Cycle,
        kind=filed.kind,
        partition_id=filed.partition_id,
        policy_id=filed.policy_id,
        text=filed.text,
        dry_run=filed.dry_run,
        state=transitions.start(Cycle, RequestState.QUEUED),
        running_key=key,
        seed=number,
        who=filed.who,
        trace=trace(),
        created=work.now,
        lease_no=0,
        summary=dict(filed.summary or {}),
    )


def open_one(work: Work, kind: str, partition_id: int) -> int | None:
    """Return the cycle that waits or runs to be carried out for a partition, or None."""
    return work.scalar(select(Cycle.id).where(Cycle.running_key == key_of(kind, partition_id)))


def claim(
    work: Work, cycle_id: int, owner: str, holds: Mapping[str, timedelta]
) -> HeldCycle | None:
    """Take a cycle that waits, for as long as its kind is held; None = somebody else did."""
    kind = work.scalar(select(Cycle.kind).where(Cycle.id == cycle_id))
    if kind is None:
        return None
    hold = holds[kind]
    mine: dict[str, Any] = {
        "started": work.now,
        "lease_owner": owner,
        "lease_no": Cycle.lease_no + 1,
        "lease_until": work.now + hold,
    }
    if not transitions.move(work, Cycle, [cycle_id], RequestState.RUNNING, **mine):
        return None
    lease_no = work.value(select(Cycle.lease_no).where(Cycle.id == cycle_id))
    return HeldCycle(cycle_id, kind, owner, lease_no, hold)


def keep(work: Work, held: HeldCycle, **values: object) -> bool:
    """Renew the lease and note how far the cycle is; False = it is not ours any more."""
    until = work.now + held.hold
    return work.changed(update(Cycle).where(*_mine(held)).values(lease_until=until, **values)) == 1


def end(work: Work, held: HeldCycle, state: RequestState, **values: Any) -> bool:
    """End a cycle for good; False = it was not ours any more."""
    return transitions.move_where(work, Cycle, _mine(held), state, **_ended(work), **values) == 1


class SilentCycle(NamedTuple):
    """A cycle whose worker fell silent."""

    id: int
    kind: str
    request_id: int | None
    summary: Json


def silent(work: Work) -> list[SilentCycle]:
    """Lock and return the cycles whose worker fell silent."""
    lost = (Cycle.state == RequestState.RUNNING, Cycle.lease_until < work.now)
    wanted = select(Cycle.id, Cycle.kind, Cycle.request_id, Cycle.summary).where(*lost)
    return work.read(SilentCycle, work.skip_locked(wanted))


def give_up(work: Work, cycle_id: int) -> None:
    """End a cycle whose worker fell silent; what it has condemned goes on."""
    text = "its worker fell silent; what it condemned goes on"
    said = {"reason": Reason.WORKER_LOST, "error": text, **_ended(work)}
    transitions.move(work, Cycle, [cycle_id], RequestState.FAILED, **said)


def waiting(work: Work, patience: timedelta) -> list[int]:
    """Return cycles that nobody took although they were filed a while ago."""
    late = (Cycle.state == RequestState.QUEUED, Cycle.created < work.now - patience)
    return work.scalars(select(Cycle.id).where(*late).order_by(Cycle.id))


def get(work: Work, cycle_id: int) -> CycleRow | None:
    """Return a cycle with the names of what it is about, or None."""
    return work.read_one(CycleRow, _SHOWN.where(Cycle.id == cycle_id))


def looked_at(work: Work, held: HeldCycle) -> CycleRow:
    """Return a cycle that is ours, with the names of what it is about."""
    return work.read_existing(CycleRow, _SHOWN.where(Cycle.id == held.id))


def list_page(
    work: Work, kind: str | None, partition: str | None, span: Span
) -> PageRows[CycleRow]:
    """Return a page of cycles, newest first."""
    wanted = _SHOWN
    if kind is not None:
        wanted = wanted.where(Cycle.kind == kind)
    if partition is not None:
        key = select(Partition.id).where(Partition.name == partition).scalar_subquery()
        wanted = wanted.where(Cycle.partition_id == key)
    if span.after is not None:
        wanted = wanted.where(Cycle.id < span.after[0])
    newest = wanted.order_by(Cycle.id.desc()).limit(span.limit + 1)
    return cut(work.read(CycleRow, newest), span)


def old(work: Work, kept: Mapping[str, int]) -> list[int]:
    """Return the ended cycles that have so many newer ones of their kind and partition."""
    rows = work.rows(
        select(Cycle.id, Cycle.kind, Cycle.partition_id, Cycle.state).order_by(Cycle.id.desc())
    )
    seen: dict[tuple[str, int], int] = {}
    found = []
    for cycle_id, kind, partition_id, state in rows:
        place = (kind, partition_id)
        seen[place] = seen.get(place, 0) + 1
        if seen[place] > kept[kind] and state not in OPEN:
            found.append(cycle_id)
    return found


def forget(work: Work, cycle_id: int) -> bool:
    """Forget a cycle, its decisions first, a part at a time; False = there is more."""
    some_of = select(Decision.id).where(Decision.cycle_id == cycle_id).limit(_FORGOTTEN_AT_ONCE)
    ids = work.scalars(some_of)
    if ids:
        work.changed(
            delete(Decision).where(
                Decision.cycle_id == cycle_id, Decision.id.between(min(ids), max(ids))
            )
        )
        return False
    work.changed(delete(Cycle).where(Cycle.id == cycle_id))
    return True


def _mine(held: HeldCycle) -> Conditions:
    return (
        Cycle.id == held.id,
        Cycle.state == RequestState.RUNNING,
        Cycle.lease_owner == held.owner,
        Cycle.lease_no == held.lease_no,
    )


def _ended(work: Work) -> dict[str, Any]:
    return {"running_key": None, "lease_until": None, "ended": work.now}
