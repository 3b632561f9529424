"""Transfers at work: claim those that are free, bring their files, record what became of them."""

import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from dynamo.db import requests
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.tables import Transfer
from dynamo.db.transfers import streams, transfers
from dynamo.db.transfers.streams import LinkKey
from dynamo.db.transfers.transfers import ClaimedTransfer
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import DynamoError
from dynamo.inventory.names import within
from dynamo.inventory.states import TransferKind
from dynamo.logs import logger
from dynamo.operations.breakers import TRIAL_FILES
from dynamo.operations.failures import classify
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.leases import Heartbeat, LeaseLost, keeping, new_holder
from dynamo.services.transfers import finisher, late_booking, throttler
from dynamo.services.transfers.finisher import Arrived, Failed, Outcome
from dynamo.services.transfers.throttler import Experience
from dynamo.storage import copier, temporary_names
from dynamo.storage.protocol import Copied, Expected, Source, Storage, StorageError
from dynamo.storage.sources import SiteFile, open_source

log = logger("transfers")

FLUSH_SECONDS = 2.0
"""What has arrived is recorded at least this often, so that a long batch shows its progress."""

SHORT = 2.0
"""So long somebody may hold rows who is only changing them; who holds them longer is silent."""

AT_ONCE = 10_000


def inject(ctx: Context, request_ids: Collection[int]) -> int:
    """Bring the first batch of new injections and send the others to whoever is free."""
    return carry(ctx, _first_batch(ctx, request_ids))


@retried
def _first_batch(ctx: Context, request_ids: Collection[int]) -> Sequence[int]:
    with ctx.begin() as work:
        ids = transfers.of_requests(work, request_ids, AT_ONCE)
        batches = transfers.described(work, ids, ctx.settings.work.batch)
        window = ctx.settings.transfer.window
        work.hint(*batches[1:window])
        later = [operation for batch in batches[window:] for operation in batch.ids]
        if later:
            streams.unsend(work, later)
        return batches[0].ids if batches else ()


def carry(ctx: Context, ids: Sequence[int]) -> int:
    """Bring the files of those transfers that are still free; return how many arrived.

    The claim is committed before any storage is touched, so no lock is held during a call, and a
    claim whose worker falls silent runs out and is taken by another.
    """
    arrived = 0
    for way, members in _ways(ctx, ids).items():
        arrived += _carry(ctx, way, members)
    return arrived


@retried
def _ways(ctx: Context, ids: Sequence[int]) -> dict[LinkKey, list[int]]:
    """Sort what is still free by its ways; hold what the destination does not take now."""
    with ctx.begin() as work:
        barred = transfers.unusable(work, ids)
        for operation, reason in barred.items():
            finisher.bar(work, ctx, operation, reason)
        requests.settle_injections(work, _requests_of(work, barred))
        return streams.by_link(work, [operation for operation in ids if operation not in barred])


def _carry(ctx: Context, way: LinkKey, ids: Sequence[int]) -> int:
    """Bring files on one way as one stream, if there is room for it."""
    holder = new_holder(ctx.settings.lease)
    admission = throttler.enter(ctx, way, ids, holder)
    if not admission.granted:
        return 0
    reached(Point.ADMITTED)
    known = Experience(way)
    claimed: list[ClaimedTransfer] = []
    concerned: set[int] = set()
    try:
        claimed = _claim(ctx, ids[:TRIAL_FILES] if admission.trial else ids, holder)
        concerned = {transfer.request_id for transfer in claimed}
        arrived = _work_on(ctx, holder, known, claimed) if claimed else 0
        concerned |= _later(ctx, set(ids) - {transfer.id for transfer in claimed})
        return arrived
    finally:
        throttler.leave(ctx, known, holder, concerned)


def _work_on(
    ctx: Context, holder: Holder, known: Experience, claimed: Sequence[ClaimedTransfer]
) -> int:
    reached(Point.CLAIMED)
    with keeping(ctx.begin, Transfer, holder, ctx.settings.lease) as heartbeat:
        heartbeat.start([transfer.id for transfer in claimed])
        return _Carrier(ctx, holder, heartbeat, known).carry(claimed)


def _later(ctx: Context, ids: Collection[int]) -> set[int]:
    """Let what was not claimed be sent again when it is its turn; return whose it is.

    The rest of a trial, what waits until it is claimed alone as a worker has died over it, and what
    was passed over as somebody changed its rows at that moment: its message is used up, and without
    this it would wait until that is taken for lost. So it does where its rows stay locked: who
    holds them may be silent, and nobody waits for him.
    """
    whose, left = _noted(ctx, ids)
    until = time.monotonic() + SHORT
    while left and time.monotonic() < until:
        time.sleep(SHORT / 20)
        _, left = _noted(ctx, left)
    return whose


@retried
def _noted(ctx: Context, ids: Collection[int]) -> tuple[set[int], set[int]]:
    """Note what is to be sent again; return whose it is, and what somebody holds locked."""
    if not ids:
        return set(), set()
    with ctx.begin() as work:
        return {row.id for row in streams.owners(work, ids)}, streams.unsend(work, ids)


@retried
def _claim(ctx: Context, ids: Sequence[int], holder: Holder) -> list[ClaimedTransfer]:
    with ctx.begin() as work:
        return transfers.load(work, claims.claim(work, Transfer, ids, holder))


def _requests_of(work: Work, ids: Collection[int]) -> list[int]:
    wanted = select(Transfer.request_id).where(Transfer.id.in_(ids)).distinct()
    return work.scalars(wanted) if ids else []


@dataclass(frozen=True, slots=True)
class _Carrier:
    """One batch under way."""

    ctx: Context
    holder: Holder
    heartbeat: Heartbeat
    known: Experience

    def carry(self, claimed: Sequence[ClaimedTransfer]) -> int:
        """Work through the batch and record in strides."""
        left = deque(claimed)
        arrived = 0
        while left:
            arrived += self._record(self._stride(left))
        return arrived

    def _stride(self, left: deque[ClaimedTransfer]) -> list[Outcome]:
        """Bring files for a while.

        They are made durable together, as syncing each small one costs more.
        """
        results: list[Outcome] = []
        until = time.monotonic() + FLUSH_SECONDS
        try:
            with self._storage(left[0]).batched() as storage:
                while left and time.monotonic() < until:
                    with suppress(LeaseLost):
                        results.append(self._one(storage, left.popleft()))
                        results += _skipped(left, results[-1])
        except DynamoError as failed:
            # the storage cannot be opened, or could not make durable what it had taken
            if results:
                return [self._failed(result.claimed, failed) for result in results]
            untouched = [left.popleft() for _ in range(len(left))]
            return [self._failed(transfer, failed) for transfer in untouched]
        return results

    def _one(self, storage: Storage, transfer: ClaimedTransfer) -> Outcome:
        begun = self.ctx.stopwatch()
        try:
            self.heartbeat.check(transfer.id)
            booked, copied = self._bring(storage, transfer)
        except DynamoError as failed:
            return self._failed(transfer, failed)
        return Arrived(booked, copied.size, copied.adler32, self.ctx.stopwatch() - begun)

    def _bring(self, storage: Storage, transfer: ClaimedTransfer) -> tuple[ClaimedTransfer, Copied]:
        area = self.ctx.settings.injection.area
        expected = self._expected(transfer)

        def alive() -> None:
            self.heartbeat.check(transfer.id)

        if transfer.kind == TransferKind.UPLOAD:
            assert transfer.upload is not None  # noqa: S101 - uploads are registered with it
            return transfer, copier.accept(
                storage, transfer.upload, transfer.lfn, expected, alive, area
            )
        source = self._source(transfer)
        if transfer.block_id is None or transfer.adler32 is None:
            transfer = self._book(transfer, source)
            expected = self._expected(transfer)
        if transfer.lease_no > 1:
            earlier = _earlier(storage, area, transfer.id)
            there = copier.resume(storage, earlier, transfer.lfn, expected, alive)
            if there is not None:
                return transfer, there
        temporary = temporary_names.own(area, transfer.id, transfer.lease_no)
        return transfer, copier.copy(source, storage, temporary, transfer.lfn, expected, alive)

    def _expected(self, transfer: ClaimedTransfer) -> Expected:
        """Return what must arrive.

        In the reserved namespace only Dynamo writes; elsewhere what lies in the place of a file is
        somebody else's, unless it was ours and went bad.
        """
        reserved = within(transfer.lfn, self.ctx.settings.user.namespace)
        return Expected(transfer.size, transfer.adler32, reserved or transfer.is_known_bad)

    def _book(self, transfer: ClaimedTransfer, source: Source) -> ClaimedTransfer:
        """Fix size and checksum of a file whose caller left them out, and book its bytes.

        What was told is compared first: the size of a wrong source must not stand for the file's.
        """
        found = source.stat()
        if found is None:
            raise StorageError(Reason.SOURCE_MISSING, f"there is nothing at {transfer.source_url}")
        if transfer.size is not None and transfer.size != found.size:
            raise StorageError(
                Reason.CHECKSUM_MISMATCH,
                f"the source has {found.size} bytes, {transfer.size} were announced",
            )
        known = None if transfer.size is None else transfer.adler32  # then the copy compares it
        checksum = known or source.adler32()
        if transfer.adler32 not in (None, checksum):
            raise StorageError(
                Reason.CHECKSUM_MISMATCH,
                f"the source has adler32 {checksum}, {transfer.adler32} was announced",
            )
        return late_booking.fix(self.ctx, transfer, found.size, checksum)

    def _source(self, transfer: ClaimedTransfer) -> Source:
        if transfer.kind == TransferKind.PULL:
            assert transfer.source_url is not None  # noqa: S101 - pulls are registered with it
            return open_source(
                transfer.source_url,
                transfer.destination.scratch,
                transfer.destination.sources,
                self.ctx.storages.limits,
            )
        if transfer.source is None:
            raise StorageError(Reason.NO_SOURCE, "no complete copy can be read now")
        return SiteFile(
            self.ctx.storages.at(transfer.source.url, transfer.source.rules), transfer.lfn
        )

    def _storage(self, transfer: ClaimedTransfer) -> Storage:
        return self.ctx.storages.at(transfer.destination.url, transfer.destination.rules)

    def _failed(self, transfer: ClaimedTransfer, failed: DynamoError) -> Failed:
        log.warning(
            "transfer failed",
            transfer=transfer.id,
            lfn=transfer.lfn,
            reason=failed.reason,
            detail=failed.detail,
        )
        return Failed(
            transfer,
            classify(failed.reason, failed.detail),
            failed.detail,
            bad_source=getattr(failed, "corrupt_source", False),
        )

    def _record(self, results: Sequence[Outcome]) -> int:
        reached(Point.BROUGHT)
        recorded = finisher.record(self.ctx, self.holder, results)
        reached(Point.RECORDED)
        self.heartbeat.finished([result.claimed.id for result in results])
        self._learn(results)
        return recorded

    def _learn(self, results: Sequence[Outcome]) -> None:
        """Take in how it went; failures are told at once, so that others stop in time."""
        for result in results:
            if isinstance(result, Arrived):
                self.known.arrived(result.size, result.seconds)
            else:
                self.known.failed(result.reason, result.text)
        if self.known.is_urgent:
            throttler.note_results(self.ctx, self.known)


def _skipped(left: deque[ClaimedTransfer], last: Outcome) -> Sequence[Outcome]:
    """Fail the others too once their destination is silent: other sites need not wait for it."""
    if not isinstance(last, Failed) or last.reason is not Reason.QUEUE_TIMEOUT:
        return ()
    return [Failed(left.popleft(), last.reason, last.text) for _ in range(len(left))]


def _earlier(storage: Storage, area: str, transfer_id: int) -> Sequence[str]:
    """Find what attempts whose end nobody saw have left of this transfer."""
    own = f"{area}/{temporary_names.OWN}"
    for folder in storage.listing(area):
        if folder.path == own:
            return [
                entry.lfn
                for entry in folder.entries
                if entry.lfn.startswith(f"{own}/{transfer_id}.")
            ]  # the folders of the users follow, and may be many
    return ()
