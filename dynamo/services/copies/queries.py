"""Copy requests as they are read from their rows."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import RequestRow
from dynamo.db.tables import (
    Dataset,
    Request,
)
from dynamo.db.transfers import refusals
from dynamo.db.transfers.refusals import RefusedBlock
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import (
    ENDED,
    DatasetStatus,
    Origin,
    RequestKind,
    RequestState,
)
from dynamo.operations.hints import batches
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.copies.request import CopyRequest, SiteDirectory, resolved
from dynamo.settings import Dealer

_AT_ONCE = 500
"""Datasets that are asked for together."""


@retried
def read(ctx: Context, request_id: int) -> CopyRequest | None:
    """Return what an open request wants now; None where there is nothing to do yet."""
    with ctx.begin() as work:
        row = requests.locked(work, request_id, CopyBody)
        if row is None or row.state in ENDED:
            return None
        again = work.now + ctx.again
        dataset = catalogue_names.dataset(work, row.dataset)
        if dataset is None and not row.n_files:
            _wait(work, request_id, again, Reason.DATASET_UNKNOWN, "the dataset has no file yet")
            return None
        if dataset is None or dataset.status == DatasetStatus.DELETED:
            removed = "the dataset was removed"
            requests.end(work, request_id, RequestState.FAILED, Reason.NOT_FOUND, removed)
            return None
        known = SiteDirectory.read(work, ctx.settings.dealer)
        refusing = _refusing(work, ctx.settings.dealer, [(row, dataset.id)])
        request = resolved(row, dataset, known, refusing.get(request_id, frozenset()))
        if not request.meant:
            _wait(work, request_id, again, Reason.SITE_NOT_READY, "no site can take the data now")
            return None
        return request


def read_all(work: Work, settings: Dealer) -> list[CopyRequest]:
    """Return what all open requests want whose datasets exist, oldest first."""
    return _standing(work, settings)


def read_many(work: Work, settings: Dealer, request_ids: Collection[int]) -> dict[int, CopyRequest]:
    """Return what those of the requests want that are open, by request."""
    if not request_ids:
        return {}
    found = _standing(work, settings, Request.id.in_(request_ids))
    return {request.id: request for request in found}


def other_requests(work: Work, settings: Dealer, request: CopyRequest) -> list[CopyRequest]:
    """Return the other requests for copies of the dataset that stay, those that are done too."""
    others = (Request.dataset == request.dataset.name, Request.id != request.id)
    stays = (Request.state != RequestState.CANCELLED, requests.not_consolidating())
    return _read(work, settings, *others, *stays)


def _standing(work: Work, settings: Dealer, *which: Condition) -> list[CopyRequest]:
    return _read(work, settings, Request.state.not_in(ENDED), *which)


def _read(work: Work, settings: Dealer, *which: Condition) -> list[CopyRequest]:
    known = SiteDirectory.read(work, settings)
    columns = (Dataset.id, Dataset.name, Dataset.partition_id, Dataset.group_id)
    rows = work.rows(
        requests.STORED.add_columns(*columns)
        .join(Dataset, Dataset.name == Request.dataset)
        .where(Request.kind == RequestKind.COPY, Request.origin == Origin.CALLER, *which)
        .order_by(Request.id)
    )
    wanting = [(requests.of(row), _Named._make(row[requests.WIDTH :])) for row in rows]
    copies = [(row, dataset) for row, dataset in wanting if requests.asks(row, CopyBody)]
    refusing = _refusing(work, settings, [(row, dataset.id) for row, dataset in copies])
    nowhere = frozenset[int]()
    found = [
        resolved(row, dataset, known, refusing.get(row.id, nowhere)) for row, dataset in copies
    ]
    return [request for request in found if request.meant]


class _Named(NamedTuple):
    """As much of a dataset as a request needs."""

    id: int
    name: str
    partition_id: int
    group_id: int | None


def _refusing(
    work: Work, settings: Dealer, wanting: Sequence[tuple[RequestRow[CopyBody], int]]
) -> dict[int, frozenset[int]]:
    """Return by request the sites that do not take what it wants, where others may be chosen.

    `wanting` are requests with their datasets. Short outages move no data: what the storage of a
    site refuses is waited for as long as a site that is away.
    """
    some = [
        (row.id, dataset_id, row.body.block_ids)
        for row, dataset_id in wanting
        if row.body.by_choice
    ]
    latest = work.now - timedelta(hours=settings.patience_hours)
    refused: dict[int, list[RefusedBlock]] = {}
    for batch in batches(sorted({dataset_id for _, dataset_id, _ in some}), _AT_ONCE):
        for row in refusals.standing(work, batch, latest):
            refused.setdefault(row.dataset_id, []).append(row)
    return {
        key: frozenset(
            row.site_id for row in refused[dataset_id] if blocks is None or row.uuid in blocks
        )
        for key, dataset_id, blocks in some
        if dataset_id in refused
    }


def _wait(work: Work, request_id: int, again: datetime, reason: Reason, detail: str) -> None:
    requests.move(
        work, request_id, RequestState.HELD, reason=reason, detail=detail, not_before=again
    )
