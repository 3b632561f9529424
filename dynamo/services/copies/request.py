"""Wishes: what copy requests want, in keys, and the sites that are meant by names and globs."""

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs
from sqlalchemy import select

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import RequestRow
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Group,
    Request,
    Site,
    Transfer,
)
from dynamo.db.transfers import refusals
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import (
    ENDED,
    DatasetStatus,
    Origin,
    RequestKind,
    RequestState,
    SiteStatus,
)
from dynamo.operations.hints import batches
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.leases import Fence
from dynamo.settings import Dealer

_AT_ONCE = 500
"""Datasets that are asked for together."""


@dataclass(frozen=True, slots=True)
class Target:
    """A site that data are wanted at."""

    id: int
    name: str
    ready: bool
    given_up: bool
    """Copies that may as well be elsewhere wait for it no longer."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """What a copy request wants, in keys."""

    request_id: int
    who: int
    dataset: Any
    sites: tuple[Target, ...]
    """Where the data are wanted: those that are meant, or as many of them as are chosen."""
    others: tuple[Target, ...]
    """Those of which the sites that are `missing` are still to be chosen."""
    refusing: tuple[Target, ...]
    """Those of `sites` that do not take it: another one is chosen instead as soon as one can be."""
    refused: tuple[Target, ...]
    """Those that did not take it, so that others were chosen instead."""
    blocks: tuple[str, ...] | None
    group: str | None
    """Who shall own the copies; None = whoever owns the dataset."""
    group_id: int | None
    copies: int | None
    """Of each block among the sites that are meant; None = one at each."""
    consolidate: bool
    spread: bool

    @property
    def by_choice(self) -> bool:
        """Tell whether the Dealer chooses the sites."""
        return self.copies is not None and not self.spread

    @property
    def lacking(self) -> int:
        """Return for how many copies there is no site."""
        return self.n_copies - len(self.sites) if self.by_choice else 0

    @property
    def missing(self) -> int:
        """Return how many sites are still to be chosen, also instead of some that there are."""
        return min(self.lacking + len(self.refusing), len(self.others))

    @property
    def meant(self) -> tuple[Target, ...]:
        """Return all sites that the request names."""
        return self.sites + self.others + self.refused

    @property
    def n_copies(self) -> int:
        """Return how many copies of each block there shall be."""
        return len(self.sites) if self.copies is None else min(self.copies, len(self.meant))


@dataclass(frozen=True, slots=True)
class SiteDirectory:
    """What names in requests stand for."""

    sites: tuple[Target, ...]
    """By name."""
    groups: dict[str, int]

    @classmethod
    def read(cls, work: Work, wanted: Dealer) -> "SiteDirectory":
        """Look everything up."""
        columns = (Site.id, Site.name, Site.status, Site.since, Site.created)
        patience = timedelta(hours=wanted.patience_hours)
        return cls(
            tuple(
                _target(row, work.now - patience)
                for row in work.rows(select(*columns).order_by(Site.name))
            ),
            dict(work.rows(select(Group.name, Group.id))),
        )

    def meant(self, named: Sequence[str]) -> tuple[Target, ...]:
        """Return the sites that names and globs mean, in the order in which they are named."""
        found: dict[str, Target] = {}
        for text in named:
            fits = re.compile(fnmatch.translate(text)).match
            found |= {one.name: one for one in self.sites if one.name == text or fits(one.name)}
        return tuple(found.values())


def _target(row: Any, latest: datetime) -> Target:
    """Look at a site; what is not ready is given up if it has been so since before a moment."""
    ready = row.status == SiteStatus.READY
    away = not ready and (row.since or row.created) <= latest
    return Target(row.id, row.name, ready, away or row.status == SiteStatus.MORGUE)


@retried
def read(ctx: Context, request_id: int) -> CopyRequest | None:
    """Return what an open request wants now; None where there is nothing to do yet."""
    with ctx.begin() as work:
        request = requests.locked(work, request_id, CopyBody)
        if request is None or request.state in ENDED:
            return None
        again = work.now + ctx.again
        dataset = catalogue_names.dataset(work, request.dataset)
        if dataset is None and not request.n_files:
            _wait(work, request_id, again, Reason.DATASET_UNKNOWN, "the dataset has no file yet")
            return None
        if dataset is None or dataset.status == DatasetStatus.DELETED:
            removed = "the dataset was removed"
            requests.end(work, request_id, RequestState.FAILED, Reason.NOT_FOUND, removed)
            return None
        known = SiteDirectory.read(work, ctx.settings.dealer)
        refusing = _refusing(work, ctx.settings.dealer, [(request, dataset.id)])
        wish = made(request, dataset, known, refusing.get(request_id, frozenset()))
        if not wish.meant:
            _wait(work, request_id, again, Reason.SITE_NOT_READY, "no site can take the data now")
            return None
        return wish


def read_all(work: Work, settings: Dealer) -> list[CopyRequest]:
    """Return what all open requests want whose datasets exist, oldest first."""
    return _standing(work, settings)


def read_many(work: Work, settings: Dealer, request_ids: Collection[int]) -> dict[int, CopyRequest]:
    """Return what those of the requests want that are open, by request."""
    if not request_ids:
        return {}
    found = _standing(work, settings, Request.id.in_(request_ids))
    return {wish.request_id: wish for wish in found}


def other_requests(work: Work, settings: Dealer, wish: CopyRequest) -> list[CopyRequest]:
    """Return the other requests for copies of the dataset that stay, those that are done too."""
    others = (Request.dataset == wish.dataset.name, Request.id != wish.request_id)
    stays = (Request.state != RequestState.CANCELLED, requests.not_consolidating())
    return _read(work, settings, *others, *stays)


def _standing(work: Work, settings: Dealer, *which: Any) -> list[CopyRequest]:
    return _read(work, settings, Request.state.not_in(ENDED), *which)


def _read(work: Work, settings: Dealer, *which: Any) -> list[CopyRequest]:
    known = SiteDirectory.read(work, settings)
    columns = (
        *requests.COLUMNS,
        Dataset.id.label("dataset_id"),
        Dataset.partition_id,
        Dataset.group_id,
    )
    rows = work.rows(
        select(*columns)
        .join(Dataset, Dataset.name == Request.dataset)
        .where(Request.kind == RequestKind.COPY, Request.origin == Origin.CALLER, *which)
        .order_by(Request.id)
    )
    wanting = [(requests.of(row), _of_dataset(row)) for row in rows]
    copies = [(row, dataset) for row, dataset in wanting if requests.asks(row, CopyBody)]
    refusing = _refusing(work, settings, [(row, dataset.id) for row, dataset in copies])
    nowhere = frozenset[int]()
    found = [made(row, dataset, known, refusing.get(row.id, nowhere)) for row, dataset in copies]
    return [wish for wish in found if wish.meant]


@dataclass(frozen=True, slots=True)
class _Named:
    """As much of a dataset as a wish needs."""

    id: int
    name: str
    partition_id: int
    group_id: int | None


def _of_dataset(row: Any) -> _Named:
    return _Named(row.dataset_id, row.dataset, row.partition_id, row.group_id)


def made(
    request: RequestRow[CopyBody],
    dataset: Any,
    known: SiteDirectory,
    refusing: Collection[int] = frozenset(),
) -> CopyRequest:
    """Say what a request wants, in keys; `refusing` are sites that do not take it."""
    body = request.body
    group, copies = body.group, body.n_copies
    sites, others, refused = known.meant(body.sites), tuple[Target, ...](), tuple[Target, ...]()
    shy: Collection[int] = ()
    if copies is not None and body.by_choice:
        meant, shy = sites, refusing
        sites = tuple(one for one in known.meant(body.chosen or ()) if not one.given_up)
        rest = [one for one in meant if one not in sites]
        left = body.refused or ()
        refused = tuple(one for one in rest if one.name in left or one.id in refusing)
        others = tuple(one for one in rest if one not in refused)
        if len(sites) < min(copies, len(meant)) and all(one.given_up for one in others):
            others, refused = tuple(rest), ()  # a site that refused is better than none
    return CopyRequest(
        request_id=request.id,
        who=request.owner_id,
        dataset=dataset,
        sites=sites,
        others=others,
        refusing=tuple(one for one in sites if one.id in shy),
        refused=refused,
        blocks=body.block_ids,
        group=group,
        group_id=known.groups.get(group) if group else dataset.group_id,
        copies=copies,
        consolidate=body.consolidate,
        spread=body.spread,
    )


def _refusing(
    work: Work, settings: Dealer, wanting: Sequence[tuple[RequestRow[CopyBody], int]]
) -> dict[int, frozenset[int]]:
    """Return by request the sites that do not take what it wants, where others may be chosen.

    `wanting` are requests with their datasets. Short outages move no data: what the storage of a
    site refuses is waited for as long as a site that is away.
    """
    some = [
        (request.id, dataset_id, request.body.block_ids)
        for request, dataset_id in wanting
        if request.body.by_choice
    ]
    latest = work.now - timedelta(hours=settings.patience_hours)
    refused: dict[int, list[Any]] = {}
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


@dataclass(frozen=True, slots=True)
class Choice:
    """Other sites that a request's copies shall be at, beside those that it had."""

    wish: CopyRequest
    names: frozenset[str]
    instead: frozenset[str] = frozenset()
    """Of those that it had, the ones that did not take it."""

    @property
    def after(self) -> set[str]:
        """Return all sites that it has then."""
        return ({site.name for site in self.wish.sites} - self.instead) | self.names


@retried
def choose(ctx: Context, chosen: Mapping[int, Choice], fence: Fence) -> set[int]:
    """Keep at which other sites the copies of requests are from now on.

    Return the requests for which others were chosen meanwhile, and those that have ended.
    """
    lost = set(chosen)
    with ctx.begin() as work:
        fence(work)
        known = SiteDirectory.read(work, ctx.settings.dealer)
        for request in requests.all_locked(work, chosen, CopyBody):
            if request.state in ENDED:
                continue
            choice = chosen[request.id]
            now = made(request, choice.wish.dataset, known)
            here, before = ({site.name for site in one.sites} for one in (now, choice.wish))
            if here == before:
                refused = choice.instead.union(request.body.refused or ()) - choice.names
                body = structs.replace(
                    request.body,
                    chosen=tuple(sorted(choice.after)),
                    refused=tuple(sorted(refused)) or None,
                )
                requests.change(work, request.id, body)
            if here in (before, choice.after):
                lost.remove(request.id)
    return lost


def of_request(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about, also those still filled."""
    mine = (Block.dataset_id == wish.dataset.id, Block.condemned_by.is_(None))
    return (*mine, *blocks_of(wish))


def blocks_of(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the condition for the blocks that the request names; none where it means all."""
    return (Block.uuid.in_(wish.blocks),) if wish.blocks is not None else ()


def wanted(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about; only closed ones are copied."""
    return (*of_request(wish), Block.closed.is_(True), Block.n_files > 0)


def at_its_sites(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for such blocks, and their replicas at the sites that are meant."""
    return (*wanted(wish), BlockReplica.site_id.in_([site.id for site in wish.sites]))


def filling(wish: CopyRequest) -> Any:
    """Return the condition for transfers that fill what a request wants, whoever sent for them."""
    parts = select(BlockReplica.id).join(Block, Block.id == BlockReplica.block_id)
    unfinished = BlockReplica.complete.is_(False)
    return Transfer.replica_id.in_(parts.where(*at_its_sites(wish), unfinished))
