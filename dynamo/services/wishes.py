"""Wishes: what copy requests want, in keys, and the sites that are meant by names and globs."""

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from dynamo.db import registry, requests
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Group,
    Request,
    Site,
)
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ENDED, DatasetStatus, RequestKind, RequestState, SiteStatus
from dynamo.services.tools import Tools


@dataclass(frozen=True, slots=True)
class Target:
    """A site that data are wanted at."""

    id: int
    name: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What a copy request wants, in keys."""

    request_id: int
    who: int
    dataset: Any
    sites: tuple[Target, ...]
    """Those that are meant; where `copies` of them are still to be chosen, all that may be."""
    blocks: tuple[str, ...] | None
    group: str | None
    """Who shall own the copies; None = whoever owns the dataset."""
    group_id: int | None
    copies: int | None
    """Of each block among the sites; None = one at each site."""
    consolidate: bool
    spread: bool

    @property
    def undecided(self) -> bool:
        """Tell whether the Dealer has still to choose among the sites."""
        return self.copies is not None and not self.spread

    @property
    def n_copies(self) -> int:
        """Return how many copies of each block there shall be."""
        return len(self.sites) if self.copies is None else min(self.copies, len(self.sites))


@dataclass(frozen=True, slots=True)
class Directory:
    """What names in requests stand for."""

    sites: tuple[Target, ...]
    """By name."""
    groups: dict[str, int]

    @classmethod
    def read(cls, work: Work) -> "Directory":
        """Look everything up."""
        rows = work.rows(select(Site.id, Site.name, Site.status).order_by(Site.name))
        return cls(
            tuple(Target(row.id, row.name, row.status == SiteStatus.READY) for row in rows),
            dict(work.rows(select(Group.name, Group.id))),
        )

    def meant(self, named: Sequence[str]) -> tuple[Target, ...]:
        """Return the sites that names and globs mean, in the order in which they are named."""
        found: dict[str, Target] = {}
        for text in named:
            fits = re.compile(fnmatch.translate(text)).match
            found |= {one.name: one for one in self.sites if one.name == text or fits(one.name)}
        return tuple(found.values())


@retried
def read(use: Tools, request_id: int) -> Wish | None:
    """Return what an open request wants now; None where there is nothing to do yet."""
    with use.begin() as work:
        request = requests.locked(work, request_id)
        if request is None or request.state in ENDED or request.body.get("cycle") is not None:
            return None
        again = work.now + use.again
        dataset = registry.dataset(work, request.dataset)
        if dataset is None and not request.n_files:
            _wait(work, request_id, again, "dataset-unknown", "the dataset has no file yet")
            return None
        if dataset is None or dataset.status == DatasetStatus.DELETED:
            removed = "the dataset was removed"
            requests.end(work, request_id, RequestState.FAILED, "not-found", removed)
            return None
        wish = made(request, dataset, Directory.read(work))
        if not wish.sites:
            _wait(work, request_id, again, "site-not-ready", "no site can take the data now")
            return None
        return wish


def every(work: Work) -> list[Wish]:
    """Return what all open requests want whose datasets exist, oldest first."""
    known = Directory.read(work)
    columns = (
        *Request.__table__.columns,
        Dataset.id.label("dataset_id"),
        Dataset.partition_id,
        Dataset.group_id,
    )
    rows = work.rows(
        select(*columns)
        .join(Dataset, Dataset.name == Request.dataset)
        .where(Request.kind == RequestKind.COPY, Request.state.not_in(ENDED))
        .order_by(Request.id)
    )
    found = [made(row, _of_dataset(row), known) for row in rows]
    return [wish for wish in found if wish.sites]


@dataclass(frozen=True, slots=True)
class _Named:
    """As much of a dataset as a wish needs."""

    id: int
    name: str
    partition_id: int
    group_id: int | None


def _of_dataset(row: Any) -> _Named:
    return _Named(row.dataset_id, row.dataset, row.partition_id, row.group_id)


def made(request: Any, dataset: Any, known: Directory) -> Wish:
    """Say what a request wants, in keys."""
    body = request.body
    chosen = body.get("chosen")
    group = body.get("group")
    blocks = body.get("blocks")
    spread = bool(body.get("spread"))
    copies = body.get("copies") or (1 if spread else None)
    return Wish(
        request_id=request.id,
        who=request.owner_id,
        dataset=dataset,
        sites=known.meant(body["sites"] if chosen is None else chosen),
        blocks=tuple(name.partition("#")[2] for name in blocks) if blocks else None,
        group=group,
        group_id=known.groups.get(group) if group else dataset.group_id,
        copies=copies if chosen is None and not body.get("consolidate") else None,
        consolidate=bool(body.get("consolidate")),
        spread=spread,
    )


def _wait(work: Work, request_id: int, again: datetime, reason: str, detail: str) -> None:
    requests.put(
        work,
        request_id,
        state=RequestState.HELD,
        reason=reason,
        detail=detail,
        not_before=again,
    )


@retried
def choose(use: Tools, request_id: int, names: Collection[str]) -> bool:
    """Keep at which of the sites the copies are from now on; False = others were chosen before."""
    with use.begin() as work:
        request = requests.locked(work, request_id)
        if request is None or request.state in ENDED:
            return False
        before = request.body.get("chosen")
        if before is not None:
            return sorted(before) == sorted(names)
        return requests.put(work, request_id, body={**request.body, "chosen": sorted(names)})


def of_wish(wish: Wish) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about, also those still filled."""
    some = (Block.uuid.in_(wish.blocks),) if wish.blocks is not None else ()
    return (Block.dataset_id == wish.dataset.id, Block.condemned_by.is_(None), *some)


def wanted(wish: Wish) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about; only closed ones are copied."""
    return (*of_wish(wish), Block.closed.is_(True), Block.n_files > 0)


def at_its_sites(wish: Wish) -> tuple[Any, ...]:
    """Return the conditions for such blocks, and their replicas at the sites that are meant."""
    return (*wanted(wish), BlockReplica.site_id.in_([site.id for site in wish.sites]))
