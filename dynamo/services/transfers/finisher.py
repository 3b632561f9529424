"""What became of transfers, recorded.

Arrived files are counted, failures are tried again, held or given up.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.replicas import CompletedReplica
from dynamo.db.consistency import incidents
from dynamo.db.consistency.incidents import Report
from dynamo.db.deletions import condemnation, dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event
from dynamo.db.history import record as write_history
from dynamo.db.requests import Tallies
from dynamo.db.tables import Block, Dataset, Request, Site, Transfer
from dynamo.db.transfers import source_selection, transfers
from dynamo.db.transfers.transfers import ClaimedTransfer
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import ENDED, IncidentKind, RequestKind, TransferKind
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State, Verdict, after_failure
from dynamo.reasons import NOTHING_UPLOADED, Blame, Reason
from dynamo.services.context import Context

_ALL_ENDED = {
    "not_before": None,
    "lease_owner": None,
    "lease_until": None,
    "source_id": None,
    "reason": None,
    "error": None,
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that lies in its place, verified."""

    claimed: ClaimedTransfer
    size: int
    adler32: str
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that did not arrive this time."""

    claimed: ClaimedTransfer
    reason: Reason
    text: str
    bad_source: bool = False
    """The bytes at the source are the wrong ones."""


Outcome = Arrived | Failed


@retried
def record(ctx: Context, holder: Holder, results: Sequence[Outcome]) -> int:
    """Record the results of claims that are still ours; return how many files arrived.

    A worker that was taken for dead and wakes up finds its claims gone and records nothing.
    """
    if not results:
        return 0
    with ctx.begin() as work:
        replica_rows.lock_blocks(
            work, {r.claimed.block_id for r in results if r.claimed.block_id is not None}
        )
        mine = claims.held_by(
            work, Transfer, {r.claimed.id: r.claimed.lease_no for r in results}, holder
        )
        arrived = [r for r in results if isinstance(r, Arrived) and r.claimed.id in mine]
        for failed in results:
            if isinstance(failed, Failed) and failed.claimed.id in mine:
                _record_failure(work, ctx, failed)
        complete = _record_arrivals(work, arrived)
        requests.settle_injections(work, {r.claimed.request_id for r in results})
        failed_ones = {r.claimed.dataset_id for r in results if isinstance(r, Failed)}
        _announce(work, failed_ones | {replica.dataset_id for replica in complete})
        return len(arrived)


def bar(work: Work, ctx: Context, transfer_id: int, reason: Reason) -> None:
    """Hold a due transfer whose destination takes nothing now.

    It goes on by itself when the site is back.
    """
    transitions.move_where(
        work,
        Transfer,
        (Transfer.id == transfer_id, Transfer.not_before <= work.now),
        State.HELD,
        from_=(State.QUEUED,),
        not_before=work.now + ctx.patience.daily,
        reason=reason,
        error="the destination takes nothing now",
        updated=work.now,
    )


def _record_arrivals(work: Work, arrived: Sequence[Arrived]) -> list[CompletedReplica]:
    """Count what arrived; return the replicas that are complete with it."""
    if not arrived:
        return []
    files: dict[int, list[tuple[int, int]]] = {}
    tallies = Tallies()
    for one in arrived:
        assert one.claimed.replica_id is not None  # noqa: S101 - booked before it was copied
        files.setdefault(one.claimed.replica_id, []).append((one.claimed.file_id, one.size))
        tallies[one.claimed.request_id].done += 1
        tallies[one.claimed.request_id].bytes_done += one.size
    replica_rows.arrive(work, files)
    replica_rows.pin(
        work,
        {
            key: -n
            for key, n in Counter(
                a.claimed.source_id for a in arrived if a.claimed.source_id
            ).items()
        },
    )
    places = transfers.partition_of(work, files)
    used: Counter[tuple[int, int]] = Counter()
    for replica, members in files.items():
        used[places[replica]] += sum(size for _, size in members)
    accounting.shift(work, {place: (0, size) for place, size in used.items()})
    # InnoDB locks a transfer's request for reading when its state changes: two batches that both
    # did so and then count in the request would be a deadlock, if the quota did not come first
    _end_transfers(work, arrived)
    requests.count(work, tallies)
    _write_arrivals(work, arrived)
    complete = replica_rows.settle(
        work, {a.claimed.block_id for a in arrived if a.claimed.block_id is not None}
    )
    _write_complete(work, complete)
    return complete


def _end_transfers(work: Work, arrived: Sequence[Arrived]) -> None:
    copies = [one.claimed.id for one in arrived if one.claimed.kind == TransferKind.COPY]
    others = [one.claimed.id for one in arrived if one.claimed.kind != TransferKind.COPY]
    # a copy's row has said all it had to say; an injection's stays, as its request shows its files
    if copies:
        work.changed(delete(Transfer).where(Transfer.id.in_(copies)))
    transitions.move(work, Transfer, others, State.DONE, updated=work.now, **_ALL_ENDED)


def _record_failure(work: Work, ctx: Context, failed: Failed) -> None:
    claimed = failed.claimed
    if failed.reason in NOTHING_UPLOADED and _confirmed_meanwhile(work, claimed):
        at_once = Verdict(State.QUEUED, work.now)
        claims.put_back(work, Transfer, claimed.id, at_once, failed.reason, failed.text)
        return
    expired = claimed.expires is not None and claimed.expires <= work.now
    if expired and failed.reason in NOTHING_UPLOADED:
        order = Order(claimed.request_id, Reason.BOOKING_EXPIRED, SYSTEM)
        requests.change(
            work,
            claimed.request_id,
            reason=Reason.BOOKING_EXPIRED,
            detail=f"{claimed.lfn} was not uploaded in time",
        )
        condemnation.drop(work, [claimed.file_id], order)
        dispatch.announce(work, claimed.request_id, ctx.settings.work.batch)
        return
    reason = failed.reason
    if claimed.kind == TransferKind.COPY and not _has_source(work, failed):
        reason = Reason.NO_SOURCE
    verdict = after_failure(reason, claimed.attempts, work.now, ctx.patience, ctx.dice)
    if verdict.state == State.HELD and _given_up(work, ctx, claimed):
        verdict = Verdict(State.FAILED, None)
        tallies = Tallies()
        tallies[claimed.request_id].failed += 1
        requests.count(work, tallies)
        _unpin(work, claimed)
    claims.put_back(work, Transfer, claimed.id, verdict, reason, failed.text)


def _confirmed_meanwhile(work: Work, claimed: ClaimedTransfer) -> bool:
    """Tell whether the job has said since the claim that the bytes are there."""
    if claimed.kind != TransferKind.UPLOAD:
        return False
    # as it is now, not as this transaction first saw it
    mine = select(Transfer.confirmed, Transfer.not_before).where(Transfer.id == claimed.id)
    confirmed, not_before = work.only(mine.with_for_update())
    return confirmed and not_before is None


def _has_source(work: Work, failed: Failed) -> bool:
    """Tell whether a copy has something to read; a source that fails is changed for another."""
    claimed = failed.claimed
    if claimed.source is not None:
        if failed.bad_source or failed.reason is Reason.SOURCE_MISSING:
            _report_source(work, failed)
        elif failed.reason.blame is not Blame.SOURCE:
            return True
    assert claimed.block_id is not None  # noqa: S101 - only files of closed blocks are copied
    return source_selection.change(work, claimed.id, claimed.block_id, claimed.lfn, claimed.site_id)


def _given_up(work: Work, ctx: Context, claimed: ClaimedTransfer) -> bool:
    created = work.value(select(Transfer.created).where(Transfer.id == claimed.id))
    old = bool((work.now - created).total_seconds() > ctx.settings.retry.give_up_days * 86400)
    return old and not _stands(work, claimed.request_id)


def _stands(work: Work, request_id: int) -> bool:
    """Tell whether a copy is wanted as long as its dataset grows.

    Its request cannot end before, and nobody else would try it again.
    """
    request = requests.get(work, request_id, CopyBody)
    if request is None or request.state in ENDED or request.body.blocks is not None:
        return False
    return bool(work.scalar(select(Dataset.is_open).where(Dataset.name == request.dataset)))


def _unpin(work: Work, claimed: ClaimedTransfer) -> None:
    source = work.scalar(select(Transfer.source_id).where(Transfer.id == claimed.id))
    if source is not None:
        replica_rows.pin(work, {source: -1})
        work.changed(update(Transfer).where(Transfer.id == claimed.id).values(source_id=None))


def _report_source(work: Work, failed: Failed) -> None:
    """Note for the consistency check that a copy is bad; it is not read again."""
    claimed = failed.claimed
    assert claimed.source is not None  # noqa: S101 - asked by the caller
    gone = failed.reason is Reason.SOURCE_MISSING
    kind = IncidentKind.MISSING if gone else IncidentKind.CORRUPT
    site = claimed.source.name
    if incidents.report(work, Report(claimed.lfn, site, kind, failed.text)):
        event = Event(f"source-{kind}", SYSTEM, lfn=claimed.lfn, site=site, why=failed.text)
        write_history(work, [event])


def _write_arrivals(work: Work, arrived: Sequence[Arrived]) -> None:
    counts: dict[tuple[int, str, int, str], list[int]] = {}
    for one in arrived:
        claimed = one.claimed
        assert claimed.block_id is not None  # noqa: S101 - booked before it was copied
        key = (claimed.block_id, claimed.destination.name, claimed.request_id, claimed.kind)
        counts.setdefault(key, []).append(one.size)
    names = _block_names(work, {key[0] for key in counts})
    write_history(
        work,
        [
            Event(
                "arrived",
                SYSTEM,
                dataset=names[block][0],
                block=names[block][1],
                site=site,
                n_files=len(sizes),
                bytes=sum(sizes),
                request_id=request_id,
                why=kind,
            )
            for (block, site, request_id, kind), sizes in counts.items()
        ],
    )


def _write_complete(work: Work, replicas: Sequence[CompletedReplica]) -> None:
    if not replicas:
        return
    names = _block_names(work, {replica.block_id for replica in replicas})
    named = select(Site.id, Site.name).where(Site.id.in_([r.site_id for r in replicas]))
    sites = dict(work.rows(named))
    events = [
        Event(
            "complete",
            SYSTEM,
            *names[r.block_id],
            site=sites[r.site_id],
        )
        for r in replicas
    ]
    write_history(work, events)


def _block_names(work: Work, block_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return the dataset and the id of blocks."""
    named = select(Block.id, Dataset.name, Block.uuid).join(Dataset, Dataset.id == Block.dataset_id)
    rows = work.rows(named.where(Block.id.in_(block_ids))) if block_ids else ()
    return {key: (dataset, uuid) for key, dataset, uuid in rows}


def _announce(work: Work, dataset_ids: Collection[int]) -> None:
    """Tell the closures and copies that wait for these datasets to look again."""
    if not dataset_ids:
        return
    waiting = work.rows(
        select(Request.id, Request.kind)
        .join(Dataset, Dataset.name == Request.dataset)
        .where(
            Dataset.id.in_(dataset_ids),
            Request.kind.in_((RequestKind.CLOSURE, RequestKind.COPY)),
            Request.state.in_(("queued", "running", "held")),
        )
    )
    for kind, task in ((RequestKind.CLOSURE, "close"), (RequestKind.COPY, "plan")):
        ids = tuple(sorted(key for key, of_kind in waiting if of_kind == kind))
        if ids:
            work.hint(
                Hint(
                    task,
                    ids,
                    f"{task} what waits for arrivals, requests {', '.join(map(str, ids[:5]))}",
                )
            )
