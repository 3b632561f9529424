"""A collaboration's days: jobs read and write, production adds data, sites fail and come back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import numpy as np
from sqlalchemy import select

from dynamo.db.catalogue import accounting, good_copies
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Site
from dynamo.errors import DynamoError
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import DatasetStatus, RequestKind, Role
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.copies import submission as copies_submission
from dynamo.services.injection import closure
from dynamo.services.injection import submission as injection_submission
from dynamo.services.official import registration
from dynamo.services.official.lookup import destinations, directory
from dynamo.services.popularity import accesses, demands
from dynamo.services.requests import views as request_views
from dynamo.simulation import scenario as simulation_scenario
from dynamo.simulation.agenda import Agenda
from dynamo.simulation.scenario import Interest, Scenario, SimulatedDataset
from dynamo.simulation.storage import MARK, Network
from dynamo.storage.protocol import Copied

BATCH = Caller("batch", frozenset({Role.OPERATOR}))
PRODUCER = Caller("production", frozenset({Role.PRODUCTION}))
USERS = 10
OUTPUT = 5 * 10**9
"""Bytes of a job's output file."""
SUM = "00000001"
GROUP = "analysis"
"""Who owns official data on disk."""
AT_ONCE = 200
"""Datasets, and reports, in one call."""
DAY = timedelta(days=1)


@dataclass(slots=True)
class Workload:
    """What happens by itself, day after day; the same seed makes the same things happen."""

    ctx: Context
    agenda: Agenda
    network: Network
    scenario: Scenario
    interest: Interest
    names: list[str]
    """Official datasets, as `interest` counts them."""
    random: np.random.Generator
    dice: Random
    n_read: int = 0
    n_found: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Output that no site took, and data for which no disk had room, by reason."""
    _made: int = 0

    def day(self) -> None:
        """Spread what happens today over the day."""
        self._during_the_day(self.produce, int(self._poisson(self._growth)))
        self._during_the_day(self.hand_over, int(self._poisson(self.scenario.jobs)))
        outages = self._poisson(self.scenario.failures * len(self.network.places))
        self._during_the_day(self.fail, int(outages))
        self.agenda.at(self.agenda.now + DAY * 0.95, self.read)

    def _during_the_day(self, act: Any, n: int) -> None:
        for share in sorted(self.random.random(n).tolist()):
            self.agenda.at(self.agenda.now + DAY * (0.9 * share), act)

    def _poisson(self, mean: float) -> int:
        return int(self.random.poisson(mean))

    @property
    def _growth(self) -> float:
        return self.scenario.growth * self.scenario.datasets

    # --- data come -------------------------------------------------------------------------------

    def produce(self) -> None:
        """Let a new dataset be written at a disk site, and ask for its copy on tape."""
        self._made += 1
        name = f"/Primary{self._made % 50}/New{self._made:05d}-v1/AOD"
        if not self.write(name, simulation_scenario.blocks(self.random)):
            self.refused[Reason.STORAGE_FULL] = self.refused.get(Reason.STORAGE_FULL, 0) + 1
            return
        if tapes := self._ready("tape"):
            there = str(self.random.choice(tapes))
            copies_submission.file(self.ctx, schemas.Copy(dataset=name, site=there), PRODUCER)

    def write(self, name: str, sizes: tuple[int, ...]) -> bool:
        """Write official data at a disk that has room for them; False = none has."""
        room = self._room(name, sum(sizes))
        if not room:
            return False
        share = np.array(list(room.values()))
        here = str(self.random.choice(list(room), p=share / share.sum()))
        place(self.ctx, self.network, [SimulatedDataset(name, sizes, (here,))])
        self.names.append(name)
        self.interest.add(1)
        return True

    def _room(self, name: str, size: int) -> dict[str, float]:
        """Return the disks that have room for a dataset, and how much, as production looks it up.

        Nothing refuses data that are registered where they lie: a quota would be passed by them.
        """
        disks = self.disks()
        with self.ctx.begin.reading() as work:
            known = directory(work, self.ctx.settings, ())
            group_id = known.group(GROUP)
            there = {site: (name, known.sites[site], group_id) for site in disks}
            lies = destinations(work, known, dict.fromkeys(there.values(), DatasetStatus.VALID))
            left = {
                site: self._left(work, (whose[1], lies[whose])) for site, whose in there.items()
            }
        if np.inf in left.values():  # no limit: there it goes
            return {site: 1.0 for site, room in left.items() if room == np.inf}
        return {site: room for site, room in left.items() if room >= max(size, 1)}

    def _left(self, work: Work, at: accounting.QuotaKey) -> float:
        """Return the bytes up to where the Dealer would stop as well."""
        known, quota = accounting.limit(work, at)
        room = accounting.room(work, at)
        if quota is None or room is None:
            return np.inf if known else 0.0
        return room - quota * max(0.0, 1 - self.ctx.settings.dealer.occupancy)

    def hand_over(self) -> None:
        """Let a user's job write its output and confirm it; two days later it is gathered."""
        disks = self.disks()
        if not disks:
            return
        self._made += 1
        number = int(self.random.integers(USERS))
        user = Caller(f"user{number}", frozenset({Role.USER}))
        dataset = f"/Jobs/{user.name}-day{self._today}/USER"
        order = self.random.permutation(disks).tolist()
        files = [
            schemas.InjectedFile(
                lfn=f"/store/user/dynamo/{user.name}/day{self._today}/{self._made}_{part}.root",
                size=OUTPUT,
                adler32=SUM,
            )
            for part in range(3)
        ]
        wanted = schemas.Injection(dataset=dataset, site=tuple(order[:3]), files=tuple(files))
        try:
            request_id = injection_submission.file(self.ctx, wanted, user)
        except DynamoError as failed:
            self.refused[failed.reason] = self.refused.get(failed.reason, 0) + 1
            return
        self._upload(request_id)
        injection_submission.uploaded(self.ctx, request_id, None, user)
        home = disks[number % len(disks)]
        self.agenda.at(self.agenda.now + 2 * DAY, lambda: self._gather(dataset, home, user))

    @property
    def _today(self) -> int:
        return self.agenda.now.toordinal()

    def _upload(self, request_id: int) -> None:
        shown: Any = request_views.get(self.ctx, RequestKind.INJECTION, request_id)
        for file in shown["files"]:
            url, _, name = file["upload_url"].partition(MARK)
            self.network.at(url).files[name] = Copied(OUTPUT, SUM)

    def _gather(self, dataset: str, home: str, user: Caller) -> None:
        """Close a dataset and have it brought to one site, unless that was asked for already."""
        with self.ctx.begin.reading() as work:
            row = work.row(select(Dataset.is_open).where(Dataset.name == dataset))
        if row is not None and row.is_open:
            closure.file(self.ctx, schemas.Closure(dataset=dataset), user)
            copies_submission.file(self.ctx, schemas.Copy(dataset=dataset, site=home), user)

    # --- data are read ---------------------------------------------------------------------------

    def read(self) -> None:
        """Draw today's accesses, report them, and the jobs that found no data on any disk."""
        drawn = self.interest.day(self.scenario.accesses * len(self.names))
        readable = self._readable()
        reports, waiting = [], []
        for place_ in np.flatnonzero(drawn):
            name, n = self.names[place_], int(drawn[place_])
            at = readable.get(name, ())
            self.n_read += n
            if at:
                self.n_found += n
                site = at[int(self.random.integers(len(at)))]
                reports.append(
                    schemas.AccessReport(
                        dataset=name,
                        site=site,
                        date=self.agenda.now.date(),
                        accesses=n,
                        cpu_seconds=n * 3600.0,
                    )
                )
            else:
                waiting.append(schemas.DemandReport(dataset=name, jobs=n, since=self.agenda.now))
        for start in range(0, len(reports), AT_ONCE):
            accesses.report(self.ctx, reports[start : start + AT_ONCE])
        for start in range(0, len(waiting), AT_ONCE):
            demands.report(self.ctx, waiting[start : start + AT_ONCE], BATCH)

    def _readable(self) -> dict[str, list[str]]:
        """Return at which ready disk sites there are good copies of all blocks of a dataset."""
        there = (
            select(Dataset.name, Site.name.label("site"), Dataset.id, BlockReplica.block_id)
            .join(BlockReplica, BlockReplica.dataset_id == Dataset.id)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(
                Site.kind == "disk",
                Site.status == "ready",
                good_copies.of_block(),
                Dataset.owner_id.is_(None),
            )
        )
        n_blocks: dict[str, int] = {}
        found: dict[tuple[str, str], int] = {}
        with self.ctx.begin.snapshot() as work:
            for name in work.scalars(
                select(Dataset.name).join(Block, Block.dataset_id == Dataset.id)
            ):
                n_blocks[name] = n_blocks.get(name, 0) + 1
            for row in work.rows(there):
                found[row.name, row.site] = found.get((row.name, row.site), 0) + 1
        at: dict[str, list[str]] = {}
        for (name, site), n in sorted(found.items()):
            if n == n_blocks.get(name):
                at.setdefault(name, []).append(site)
        return at

    # --- sites fail ------------------------------------------------------------------------------

    def fail(self) -> None:
        """Let a site fall silent: mostly for hours, sometimes for days, now and then for good."""
        up = sorted(url for url, one in self.network.places.items() if not one.down)
        if len(up) <= max(2, len(self.network.places) // 2):
            return
        found = self.network.at(str(self.random.choice(up)))
        found.down = True
        lasts = float(self.random.choice([0.2, 2.0, 1000.0], p=[0.7, 0.28, 0.02]))

        def back() -> None:
            found.down = False

        self.agenda.at(self.agenda.now + DAY * float(self.random.exponential(lasts)), back)

    def disks(self) -> list[str]:
        """Return the disk sites that are ready."""
        return self._ready("disk")

    def _ready(self, kind: str) -> list[str]:
        ready = (Site.status == "ready", Site.kind == kind)
        with self.ctx.begin.reading() as work:
            return work.scalars(select(Site.name).where(*ready).order_by(Site.name))


def place(ctx: Context, network: Network, data: Sequence[SimulatedDataset]) -> None:
    """Enter official data where they lie already: into the storages and into the inventory."""
    with ctx.begin.reading() as work:
        urls = {row.name: row.url for row in work.rows(select(Site.name, Site.url))}
    for start in range(0, len(data), AT_ONCE):
        some = data[start : start + AT_ONCE]
        for one in some:
            for number, size in enumerate(one.sizes):
                for site in one.sites:
                    network.at(urls[site]).files[_lfn(one, number)] = Copied(size, SUM)
        registration.register(ctx, [_stated(one) for one in some], PRODUCER)


def _stated(one: SimulatedDataset) -> schemas.OfficialDataset:
    at = tuple(schemas.OfficialReplica(site=site) for site in one.sites)
    blocks = tuple(
        schemas.OfficialBlock(
            name=f"block{number:03d}",
            files=(schemas.OfficialFile(lfn=_lfn(one, number), size=size, adler32=SUM),),
            replicas=at,
            open=False,
        )
        for number, size in enumerate(one.sizes)
    )
    return schemas.OfficialDataset(name=one.name, group=GROUP, blocks=blocks, open=False)


def _lfn(one: SimulatedDataset, number: int) -> str:
    return f"/store{one.name}/{number:03d}.root"
