"""Rebooking: a job comes again with files that are registered and have not come.

The first life may have been at another site, or have named a source that is gone with it: what is
registered follows the job. What may hold the right bytes already stays where it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting, block_filling
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.names import Arrival, KnownFile
from dynamo.db.catalogue.replicas import Destination
from dynamo.db.deletions import condemnation, purge
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.db.history import Event, record
from dynamo.db.requests import Tallies
from dynamo.db.tables import Deletion, File, Transfer
from dynamo.db.transfers import transfers
from dynamo.errors import Conflict, Fault
from dynamo.inventory import schemas
from dynamo.inventory.states import TransferKind
from dynamo.operations.failures import proves_nothing_uploaded
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services.accounts import unique_share
from dynamo.services.accounts.charging import charge, limit
from dynamo.services.context import Context
from dynamo.services.injection import validation
from dynamo.services.injection.registration import Batch, Transfers
from dynamo.services.injection.site_selection import Candidate, candidate_at, choose

GIVEN_UP = frozenset({State.FAILED, State.CANCELLED})
"""Files in these states count as failed in the request that was to bring them."""
_NOT_IN_HAND = GIVEN_UP | {State.QUEUED, State.HELD}


@dataclass(frozen=True, slots=True)
class Rebooked:
    """What has been queued anew."""

    requests: frozenset[int] = frozenset()
    """Those that have work again."""
    uploads: Sequence[tuple[Candidate, str]] = ()
    """Where jobs will write: one of the addresses at each site."""
    elsewhere: Sequence[int] = ()
    """The transfers whose old address, or source, is not looked at any more."""


@dataclass(frozen=True)
class _Waiting:
    """A file of the call that is registered and has not come."""

    number: int
    new: schemas.InjectedFile
    row: KnownFile
    arrival: Arrival
    """The transfer that is to bring it."""
    site: Candidate
    """Where it is to come to, as registered."""
    is_elsewhere: bool
    """The caller does not name that site."""

    @cached_property
    def keeps_its_address(self) -> bool:
        """Tell whether the right bytes may lie at its upload address.

        Unless the job has said so, only who would write to the same site has use for them.
        """
        arrival = self.arrival
        if arrival.kind != TransferKind.UPLOAD or arrival.state in GIVEN_UP:
            return False
        here = not self.is_elsewhere and self.new.source is None
        return not self.is_refuted and (arrival.confirmed or here)

    @property
    def is_refuted(self) -> bool:
        """Tell whether nothing right lay at its upload address when somebody looked."""
        arrival = self.arrival
        if arrival.kind != TransferKind.UPLOAD:
            return False
        return proves_nothing_uploaded(arrival.reason, arrival.not_before, arrival.updated)

    @cached_property
    def changes(self) -> bool:
        """Tell whether it is to be queued anew: it rests, or the caller names another way."""
        if self.arrival.state in {State.HELD, *GIVEN_UP}:
            return True
        other = self.is_elsewhere or self.new.source != self.arrival.source_url or self.is_refuted
        return other and not self.keeps_its_address

    @property
    def goes_on(self) -> bool:
        """Tell whether a job is told again to write where nobody has written for certain."""
        return self.keeps_its_address and not (self.changes or self.arrival.confirmed)

    @property
    def moves(self) -> bool:
        """Tell whether it goes to another site."""
        return self.is_elsewhere and not self.keeps_its_address

    @property
    def is_placed_anew(self) -> bool:
        """Tell whether it gets a place in a block now; a pull without one gets it with its size."""
        if self.row.block_id is not None:
            return self.moves
        return self.new.source is None

    @property
    def size(self) -> int:
        """Return its bytes, as registered or as they are told now."""
        return self.row.size if self.row.size is not None else self.new.size or 0


def rebook(work: Work, ctx: Context, batch: Batch, known: Mapping[str, KnownFile]) -> Rebooked:
    """Let known files that have not come be brought as the caller says now."""
    waiting = _waiting(work, batch, known)
    changing = [one for one in waiting if one.changes]
    going_on = [one for one in waiting if one.goes_on]
    _check_idle([*changing, *going_on])
    if changing:
        _lock(work, batch, changing)
    _learn(work, waiting)
    uploads = _go_on(work, ctx, batch, going_on)
    if not changing:
        return Rebooked(uploads=uploads)
    transfers.forget_losses(work, {one.row.id: one.arrival.id for one in changing})
    places = _destinations(work, ctx, batch, changing)
    for site, some in places:
        make = Transfers(work, ctx.settings, 0, site, batch.caller.name)
        replicas = _place(work, ctx, batch, site, [one for one in some if one.is_placed_anew])
        names = [_queue(make, one, replicas) for one in some]
        uploads += [(site, name) for name in names if name is not None][:1]
        _record_event(work, batch, site, [one for one in some if one.moves])
    _count(work, changing)
    _leave(work, _blocks([one for one in changing if one.moves]))
    elsewhere = [one.arrival.id for one in changing if not one.keeps_its_address]
    return Rebooked(frozenset(one.arrival.request_id for one in changing), uploads, elsewhere)


def sign(work: Work, rebooked: Rebooked, request_id: int) -> None:
    """Note which injection was told the new addresses: who knows an older one cannot confirm it."""
    again = update(Transfer).where(Transfer.id.in_(rebooked.elsewhere))
    work.changed(again.values(rebooked_by=request_id))


def is_overtaken(rebooked_by: int | None, request_id: int) -> bool:
    """Tell whether a later injection than this was told another address of a transfer."""
    return rebooked_by is not None and rebooked_by > request_id


def _waiting(work: Work, batch: Batch, known: Mapping[str, KnownFile]) -> list[_Waiting]:
    rows = [(n, new, known.get(new.lfn)) for n, new in enumerate(batch.wanted.files)]
    open_ones = [
        (n, new, row, row.arrival)
        for n, new, row in rows
        if row is not None and row.arrival is not None and row.arrival.state != State.DONE
    ]
    sites = {key: candidate_at(work, key) for key in {one.site_id for *_, one in open_ones}}
    return [
        _Waiting(n, new, row, one, site := sites[one.site_id], site.name not in batch.sites)
        for n, new, row, one in open_ones
    ]


def _learn(work: Work, waiting: Sequence[_Waiting]) -> None:
    """Keep sizes and checksums that are told only now: else whatever the source holds is taken."""
    for one in waiting:
        told = {"size": one.new.size, "adler32": one.new.adler32}
        news = {
            name: value
            for name, value in told.items()
            if value is not None and getattr(one.row, name) is None
        }
        unknown = (getattr(File, name).is_(None) for name in news)
        learned = update(File).where(File.id == one.row.id, *unknown).values(**news)
        if news and work.changed(learned) != 1:
            raise Again("the source was read meanwhile")


def _go_on(
    work: Work, ctx: Context, batch: Batch, some: Sequence[_Waiting]
) -> list[tuple[Candidate, str]]:
    """Book upload addresses for the whole time again, and return one at each site."""
    found = {one.site.id: (one.site, one.arrival.upload) for one in some}
    for site, _ in found.values():
        ids = [one.arrival.id for one in some if one.site.id == site.id]
        fresh = Transfers(work, ctx.settings, 0, site, batch.caller.name).fresh(pull=False)
        unconfirmed = (Transfer.state == State.QUEUED, Transfer.confirmed.is_(False))
        again = update(Transfer).where(Transfer.id.in_(ids), *unconfirmed)
        times = {name: fresh[name] for name in ("expires", "not_before", "updated")}
        if work.changed(again.values(times)) != len(ids):
            raise Again("a transfer changed meanwhile")
    return [(site, upload) for site, upload in found.values() if upload is not None]


def _check_idle(changing: Sequence[_Waiting]) -> None:
    """Refuse what a worker has in hand at this moment. Raises Conflict."""
    faults = [
        Fault(f"/files/{one.number}", f"is being brought to {one.site.name}", one.new.lfn)
        for one in changing
        if one.arrival.state == State.ACTIVE
    ]
    if faults:
        raise Conflict(
            "some files are being brought elsewhere, or from another source, at this moment;"
            " ask again in a minute",
            Reason.IN_USE,
            faults=faults,
        )


def _lock(work: Work, batch: Batch, changing: Sequence[_Waiting]) -> None:
    """Lock what is changed, in the order that all keep; nothing may have moved meanwhile."""
    if any(one.is_placed_anew for one in changing):
        accounting.grow(work, batch.dataset.id, 0, 0)
    replica_rows.lock_blocks(work, _blocks(changing))
    states = {one.arrival.id: one.arrival.state for one in changing}
    locked = select(Transfer.id, Transfer.state).where(Transfer.id.in_(states))
    if dict(work.rows(locked.order_by(Transfer.id).with_for_update())) != states:
        raise Again("a transfer changed meanwhile")


def _blocks(some: Sequence[_Waiting]) -> set[int]:
    return {one.row.block_id for one in some if one.row.block_id is not None}


def _destinations(
    work: Work, ctx: Context, batch: Batch, changing: Sequence[_Waiting]
) -> list[tuple[Candidate, list[_Waiting]]]:
    """Sort the files by where they come to: where they were to come to, or the site chosen now."""
    places: dict[int, tuple[Candidate, list[_Waiting]]] = {}
    moving = [one for one in changing if one.moves]
    if moving:
        _check_not_leaving(work, moving)
        partition = batch.dataset.partition_id
        alarming = unique_share.alarming(work, ctx.settings.user, partition)
        chosen = choose(work, batch.sites, partition, sum(one.size for one in moving), alarming)
        places[chosen.id] = (chosen, moving)
    for one in changing:
        if not one.moves:
            places.setdefault(one.site.id, (one.site, []))[1].append(one)
    for site, some in places.values():
        told = [one for one in some if not one.keeps_its_address]
        validation.check_sources([(one.number, one.new) for one in told], site)
    return list(places.values())


def _check_not_leaving(work: Work, moving: Sequence[_Waiting]) -> None:
    """Refuse files whose replica is being deleted somewhere: it could be deleted after it came."""
    ids = {one.row.id: one for one in moving}
    leaving = work.scalars(select(Deletion.file_id).where(Deletion.file_id.in_(ids)).distinct())
    if leaving:
        faults = [
            Fault(f"/files/{ids[key].number}", "its replica is being deleted", ids[key].new.lfn)
            for key in leaving
        ]
        raise Conflict(
            "some files are leaving a site; rescue them or wait until they are gone",
            Reason.BEING_DELETED,
            faults=faults,
        )


# --- places --------------------------------------------------------------------------------------


def _place(
    work: Work, ctx: Context, batch: Batch, site: Candidate, some: Sequence[_Waiting]
) -> dict[int, int]:
    """Give files a place in a block at a site, instead of any that they have; return replicas."""
    if not some:
        return {}
    dataset = batch.dataset
    _take_out(work, site, [one.row.id for one in some if one.row.block_id is not None])
    late = [one.size for one in some if one.row.block_id is None]
    accounting.grow(work, dataset.id, 0, sum(late))
    destination = Destination(dataset.id, site.id, dataset.partition_id, dataset.group_id)
    replicas: dict[int, int] = {}
    for share in block_filling.fill(
        work, destination, [one.size for one in some], limit(ctx.settings)
    ):
        if not dataset.is_open:
            # registered before the closure: it still gets its place, in a block that closes with it
            block_filling.close(work, [share.block_id])
        members = some[share.start : share.stop]
        _put_in(work, share.block_id, members)
        replicas |= {one.row.id: share.replica_id for one in members}
    if not accounting.book(work, (site.id, dataset.partition_id), sum(one.size for one in some)):
        raise Again("the site filled up meanwhile")
    charge(work, dataset.owner_id, 0, sum(late))
    return replicas


def _take_out(work: Work, site: Candidate, file_ids: Sequence[int]) -> None:
    """Take files out of their blocks; nobody waits at other sites for what comes to this one."""
    condemnation.displace(work, file_ids)
    transfers.forget_ended(work, site.id, file_ids)


def _put_in(work: Work, block_id: int, members: Sequence[_Waiting]) -> None:
    ids = [one.row.id for one in members]
    placed = {"block_id": block_id, "added": work.now}
    work.changed(update(File).where(File.id.in_(ids)).values(placed))


def _leave(work: Work, block_ids: Collection[int]) -> None:
    """Complete what lacked only files that have left; forget closed blocks that are empty now."""
    replica_rows.settle(work, block_ids)
    purge.forget_blocks(work, block_ids)


# --- transfers -----------------------------------------------------------------------------------


def _queue(make: Transfers, one: _Waiting, replicas: dict[int, int]) -> str | None:
    """Queue a transfer that nobody holds; return the upload address that it has got."""
    work, kept = make.work, one.keeps_its_address
    values = make.fresh(pull=one.new.source is not None and not kept)
    upload = None
    if kept:
        values |= {"confirmed": one.arrival.confirmed, "not_before": work.now}
    else:
        upload = make.upload() if one.new.source is None else None
        values |= {"source_url": one.new.source, "upload": upload, "site_id": make.site.id}
        values |= {"reason": None, "error": None}
    if one.row.id in replicas:
        values["replica_id"] = replicas[one.row.id]
    transitions.move(work, Transfer, [one.arrival.id], State.QUEUED, from_=_NOT_IN_HAND, **values)
    return upload


def _count(work: Work, changing: Sequence[_Waiting]) -> None:
    tallies = Tallies()
    for one in changing:
        if one.arrival.state in GIVEN_UP:
            tallies[one.arrival.request_id].failed -= 1
    requests.count(work, tallies)


def _record_event(work: Work, batch: Batch, site: Candidate, moved: Sequence[_Waiting]) -> None:
    """Note in the history which files come to another site."""
    for before in sorted({one.site.name for one in moved}):
        sizes = [one.size for one in moved if one.site.name == before]
        event = Event(
            "rebooked",
            batch.caller.name,
            dataset=batch.dataset.name,
            site=site.name,
            n_files=len(sizes),
            bytes=sum(sizes),
            why=f"the job came again; before, it was at {before}",
        )
        record(work, [event])
