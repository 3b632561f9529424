"""Daily activity: jobs read and write, production adds data, sites fail and come back."""

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
from dynamo.simulation.agenda import Act, Agenda
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
"""The group that owns official data on disk."""
AT_ONCE = 200
"""Datasets, or reports, per call."""
DAY = timedelta(days=1)


@dataclass(slots=True)
class Workload:
    """The activity of each day; the same seed gives the same events."""

    ctx: Context
    agenda: Agenda
    network: Network
    scenario: Scenario
    interest: Interest
    names: list[str]
    """Official datasets, in the order of `interest`."""
    random: np.random.Generator
    dice: Random
    n_read: int = 0
    n_found: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Refused output, and data without space, by reason."""
    _made: int = 0

    def day(self) -> None:
        """Schedule the events of a day."""
        self._during_the_day(self.produce, int(self._poisson(self._growth)))
        self._during_the_day(self.hand_over, int(self._poisson(self.scenario.jobs)))
        outages = self._poisson(self.scenario.failures * len(self.network.places))
        self._during_the_day(self.fail, int(outages))
        self.agenda.at(self.agenda.now + DAY * 0.95, self.read)

    def _during_the_day(self, act: Act, n: int) -> None:
        for share in sorted(self.random.random(n).tolist()):
            self.agenda.at(self.agenda.now + DAY * (0.9 * share), act)

    def _poisson(self, mean: float) -> int:
        return int(self.random.poisson(mean))

    @property
    def _growth(self) -> float:
        return self.scenario.growth * self.scenario.datasets

    # --- production ------------------------------------------------------------------------------

    def produce(self) -> None:
        """Write a new dataset at a disk site, and request its copy on tape."""
        self._made += 1
        name = f"/Primary{self._made % 50}/New{self._made:05d}-v1/AOD"
        if not self.write(name, simulation_scenario.blocks(self.random)):
            self.refused[Reason.STORAGE_FULL] = self.refused.get(Reason.STORAGE_FULL, 0) + 1
            return
        if tapes := self._ready("tape"):
            tape = str(self.random.choice(tapes))
            copies_submission.file(self.ctx, schemas.Copy(dataset=name, site=tape), PRODUCER)

    def write(self, name: str, sizes: tuple[int, ...]) -> bool:
        """Write official data to a disk with space; return False if none has space."""
        room = self._room(name, sum(sizes))
        if not room:
            return False
        share = np.array(list(room.values()))
        disk = str(self.random.choice(list(room), p=share / share.sum()))
        place(self.ctx, self.network, [SimulatedDataset(name, sizes, (disk,))])
        self.names.append(name)
        self.interest.add(1)
        return True

    def _room(self, name: str, size: int) -> dict[str, float]:
        """Return the disks with space for a dataset, and their space in bytes.

        Registration of official data does not check quotas, so production checks them.
        """
        disks = self.disks()
        with self.ctx.begin.reading() as work:
            known = directory(work, self.ctx.settings, ())
            group_id = known.group(GROUP)
            planned = {site: (name, known.sites[site], group_id) for site in disks}
            partition_of = destinations(
                work, known, dict.fromkeys(planned.values(), DatasetStatus.VALID)
            )
            space = {
                site: self._left(work, (key[1], partition_of[key])) for site, key in planned.items()
            }
        if np.inf in space.values():  # an unlimited disk takes it
            return {site: 1.0 for site, room in space.items() if room == np.inf}
        return {site: room for site, room in space.items() if room >= max(size, 1)}

    def _left(self, work: Work, at: accounting.QuotaKey) -> float:
        """Return the bytes up to the Dealer's limit."""
        known, quota = accounting.limit(work, at)
        room = accounting.room(work, at)
        if quota is None or room is None:
            return np.inf if known else 0.0
        return room - quota * max(0.0, 1 - self.ctx.settings.dealer.occupancy)

    def hand_over(self) -> None:
        """Inject and confirm the output of a user's job; two days later it is consolidated."""
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
        except DynamoError as error:
            self.refused[error.reason] = self.refused.get(error.reason, 0) + 1
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
        """Close a dataset and request its copy at one site, unless it is closed."""
        with self.ctx.begin.reading() as work:
            is_open = work.scalar(select(Dataset.is_open).where(Dataset.name == dataset))
        if is_open:
            closure.file(self.ctx, schemas.Closure(dataset=dataset), user)
            copies_submission.file(self.ctx, schemas.Copy(dataset=dataset, site=home), user)

    # --- access ----------------------------------------------------------------------------------

    def read(self) -> None:
        """Report drawn accesses of a day, and jobs that wait for data without a disk copy."""
        drawn = self.interest.day(self.scenario.accesses * len(self.names))
        readable = self._readable()
        reports, waiting = [], []
        for index in np.flatnonzero(drawn):
            name, n = self.names[index], int(drawn[index])
            at_sites = readable.get(name, ())
            self.n_read += n
            if at_sites:
                self.n_found += n
                site = at_sites[int(self.random.integers(len(at_sites)))]
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
        """Return the ready disk sites at which each dataset is complete."""
        complete_blocks = (
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
        counts: dict[tuple[str, str], int] = {}
        with self.ctx.begin.snapshot() as work:
            for name in work.scalars(
                select(Dataset.name).join(Block, Block.dataset_id == Dataset.id)
            ):
                n_blocks[name] = n_blocks.get(name, 0) + 1
            for place in work.rows(complete_blocks):
                counts[place[:2]] = counts.get(place[:2], 0) + 1
        at_sites: dict[str, list[str]] = {}
        for (name, site), n in sorted(counts.items()):
            if n == n_blocks.get(name):
                at_sites.setdefault(name, []).append(site)
        return at_sites

    # --- outages ---------------------------------------------------------------------------------

    def fail(self) -> None:
        """Stop a site: mostly for hours, sometimes for days, rarely for ever."""
        up = sorted(url for url, place in self.network.places.items() if not place.down)
        if len(up) <= max(2, len(self.network.places) // 2):
            return
        failed = self.network.at(str(self.random.choice(up)))
        failed.down = True
        mean_days = float(self.random.choice([0.2, 2.0, 1000.0], p=[0.7, 0.28, 0.02]))

        def back() -> None:
            failed.down = False

        self.agenda.at(self.agenda.now + DAY * float(self.random.exponential(mean_days)), back)

    def disks(self) -> list[str]:
        """Return the ready disk sites."""
        return self._ready("disk")

    def _ready(self, kind: str) -> list[str]:
        ready = (Site.status == "ready", Site.kind == kind)
        with self.ctx.begin.reading() as work:
            return work.scalars(select(Site.name).where(*ready).order_by(Site.name))


def place(ctx: Context, network: Network, data: Sequence[SimulatedDataset]) -> None:
    """Put official data into the storages and register them."""
    with ctx.begin.reading() as work:
        urls = dict(work.rows(select(Site.name, Site.url)))
    for start in range(0, len(data), AT_ONCE):
        batch = data[start : start + AT_ONCE]
        for dataset in batch:
            for number, size in enumerate(dataset.sizes):
                for site in dataset.sites:
                    network.at(urls[site]).files[_lfn(dataset, number)] = Copied(size, SUM)
        registration.register(ctx, [_stated(dataset) for dataset in batch], PRODUCER)


def _stated(dataset: SimulatedDataset) -> schemas.OfficialDataset:
    replicas = tuple(schemas.OfficialReplica(site=site) for site in dataset.sites)
    blocks = tuple(
        schemas.OfficialBlock(
            name=f"block{number:03d}",
            files=(schemas.OfficialFile(lfn=_lfn(dataset, number), size=size, adler32=SUM),),
            replicas=replicas,
            open=False,
        )
        for number, size in enumerate(dataset.sizes)
    )
    return schemas.OfficialDataset(name=dataset.name, group=GROUP, blocks=blocks, open=False)


def _lfn(dataset: SimulatedDataset, number: int) -> str:
    return f"/store{dataset.name}/{number:03d}.root"
