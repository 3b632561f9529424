"""Copy requests in keys: the sites that are meant by names and globs, and those that are chosen."""

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import RequestRow
from dynamo.db.tables import (
    Group,
    Site,
)
from dynamo.inventory.request_bodies import CopyBody
from dynamo.inventory.states import (
    SiteStatus,
)
from dynamo.settings import Dealer


@dataclass(frozen=True, slots=True)
class Target:
    """A site that data are wanted at."""

    id: int
    name: str
    ready: bool
    given_up: bool
    """Copies that may as well be elsewhere wait for it no longer."""


class WantedDataset(Protocol):
    """As much of a dataset as a request needs."""

    @property
    def id(self) -> int:
        """Return its key."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def partition_id(self) -> int:
        """Return the partition that it counts against."""

    @property
    def group_id(self) -> int | None:
        """Return the group that owns it."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """What a copy request wants, in keys."""

    id: int
    who: int
    dataset: WantedDataset
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


class _Site(NamedTuple):
    id: int
    name: str
    status: str
    since: datetime | None
    created: datetime


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
                for row in work.read(_Site, select(*columns).order_by(Site.name))
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


def _target(row: _Site, latest: datetime) -> Target:
    """Look at a site; what is not ready is given up if it has been so since before a moment."""
    ready = row.status == SiteStatus.READY
    away = not ready and (row.since or row.created) <= latest
    return Target(row.id, row.name, ready, away or row.status == SiteStatus.MORGUE)


def resolved(
    request: RequestRow[CopyBody],
    dataset: WantedDataset,
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
        id=request.id,
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
