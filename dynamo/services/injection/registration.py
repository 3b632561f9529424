"""Registering: new files get their rows, a place in a block and in the quotas, and a transfer."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dynamo.db import requests
from dynamo.db.catalogue import accounting, block_filling
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue.names import DatasetRow
from dynamo.db.catalogue.replicas import Destination
from dynamo.db.engine import bulk_insert, transitions
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.db.history import Event, record
from dynamo.db.requests import NewRequest
from dynamo.db.tables import Transfer
from dynamo.errors import Conflict
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import TransferKind
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services.accounts import unique_share
from dynamo.services.accounts.charging import charge, limit
from dynamo.services.context import Context
from dynamo.services.injection import validation
from dynamo.services.injection.site_selection import Candidate, choose
from dynamo.settings import Settings


@dataclass(frozen=True, slots=True)
class Batch:
    """One call: the dataset's row, who calls, what is wanted."""

    dataset: DatasetRow
    caller: Caller
    wanted: schemas.Injection

    @property
    def sites(self) -> list[str]:
        """Return the sites that the caller named, in order."""
        return [self.wanted.site] if isinstance(self.wanted.site, str) else list(self.wanted.site)


_Keyed = list[tuple[int, schemas.InjectedFile]]
"""Files with the keys of their rows."""


@dataclass(frozen=True, slots=True)
class Registered:
    """New files that have their rows: at which site they will lie, in the order of their keys."""

    request_id: int
    site: Candidate
    files: Sequence[schemas.InjectedFile]
    uploads: dict[str, str]
    """The temporary names of those files that their job writes itself."""


def register(
    work: Work, ctx: Context, batch: Batch, fresh: Sequence[schemas.InjectedFile], filed: NewRequest
) -> Registered:
    """Register new files and their request, book their bytes at the first site that can take them.

    A row that refers to another one locks it against change until the end, and two calls that both
    hold such a lock and then want to change the row are a deadlock. So dataset, quota and user are
    changed, in this order, before anything refers to them.
    """
    dataset = batch.dataset
    if not dataset.is_open:
        raise Conflict(f"{dataset.name} is closed; it takes no more files", Reason.DATASET_CLOSED)
    sized = [new for new in fresh if new.size is not None]
    unsized = [new for new in fresh if new.size is None]
    placing = {new.lfn for new in fresh}
    size = sum(new.size or 0 for new in sized)
    alarming = unique_share.alarming(work, ctx.settings.user, dataset.partition_id)
    site = choose(work, batch.sites, dataset.partition_id, size, alarming)
    validation.check_sources(
        [(n, new) for n, new in enumerate(batch.wanted.files) if new.lfn in placing], site
    )
    if not accounting.grow_open(work, dataset.id, len(fresh), size):
        raise Again("the dataset was closed meanwhile")
    destination = Destination(dataset.id, site.id, dataset.partition_id, dataset.group_id)
    shares = block_filling.fill(
        work, destination, [new.size or 0 for new in sized], limit(ctx.settings)
    )
    added: list[tuple[int | None, _Keyed]] = [
        (one.replica_id, _add_files(work, dataset.id, one.block_id, sized[one.start : one.stop]))
        for one in shares
    ]
    if unsized:
        added.append((None, _add_files(work, dataset.id, None, unsized)))
    if not accounting.book(work, (site.id, dataset.partition_id), size):
        raise Again("the site filled up meanwhile")
    charge(work, dataset.owner_id, len(fresh), size)
    request_id = requests.add(work, filed)
    transfers = Transfers(work, ctx.settings, request_id, site, batch.caller.name)
    uploads = {new.lfn: transfers.upload() for new in fresh if new.source is None}
    for replica_id, files in added:
        transfers.add(replica_id, files, uploads)
    event = Event(
        "injected",
        batch.caller.name,
        dataset=dataset.name,
        site=site.name,
        n_files=len(fresh),
        bytes=size,
        request_id=request_id,
    )
    record(work, [event])
    return Registered(request_id, site, [*sized, *unsized], uploads)


def _add_files(
    work: Work, dataset_id: int, block_id: int | None, files: Sequence[schemas.InjectedFile]
) -> _Keyed:
    told = [(new.lfn, new.size, new.adler32) for new in files]
    keys = catalogue_names.add_files(work, dataset_id, block_id, told)
    return list(zip(keys, files, strict=True))


@dataclass(frozen=True, slots=True)
class Transfers:
    """Makes the transfers of a call."""

    work: Work
    settings: Settings
    request_id: int
    site: Candidate
    user: str

    def add(
        self,
        replica_id: int | None,
        files: Sequence[tuple[int, schemas.InjectedFile]],
        uploads: dict[str, str],
    ) -> None:
        """Add those of new files (with their keys) to one replica."""
        pulled = [(key, new.source) for key, new in files if new.source is not None]
        booked = [(key, uploads[new.lfn]) for key, new in files if new.source is None]
        for column, rows in (("source_url", pulled), ("upload", booked)):
            if rows:
                shared = {
                    "request_id": self.request_id,
                    "site_id": self.site.id,
                    "replica_id": replica_id,
                    "lease_no": 0,
                    "created": self.work.now,
                    "state": transitions.start(Transfer, State.QUEUED),
                    **self.fresh(pull=rows is pulled),
                }
                bulk_insert.insert(self.work, Transfer, shared, ("file_id", column), rows)

    def fresh(self, *, pull: bool) -> dict[str, object]:
        """Return the values of a queued transfer that nobody has tried yet."""
        now = self.work.now
        expires = now + timedelta(hours=self.settings.injection.booking_hours)
        return {
            "kind": TransferKind.PULL if pull else TransferKind.UPLOAD,
            "confirmed": pull,
            "expires": None if pull else expires,
            "attempts": 0,
            "lost": 0,
            # a booking is looked at when it expires, or as soon as the job confirms it
            "not_before": now if pull else expires,
            "hinted": now,
            "updated": now,
        }

    def upload(self) -> str:
        """Make a name in the incoming area that nobody can guess."""
        return f"{self.settings.injection.area}/{self.user}/{secrets.token_hex(16)}"
