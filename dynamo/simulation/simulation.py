"""Runs a simulation: builds or copies an inventory, runs day by day, and measures."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from dynamo.db import schema
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Partition
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import RequestState, Role
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.policies import policies
from dynamo.services.sites import sites
from dynamo.settings import Settings
from dynamo.simulation import inventory as simulated_inventory
from dynamo.simulation import metrics
from dynamo.simulation import scenario as simulation_scenario
from dynamo.simulation.agenda import Agenda
from dynamo.simulation.campaigns import Campaign, Planned, plan
from dynamo.simulation.metrics import Day, Evening, Left, Traffic, Unfit
from dynamo.simulation.pace import paced, simulated_periods
from dynamo.simulation.pools import Pools
from dynamo.simulation.scenario import Interest, Scenario
from dynamo.simulation.standing import RequestStanding
from dynamo.simulation.storage import Imagination, Network
from dynamo.simulation.workload import Workload, place
from dynamo.task_runner import TaskRunner

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
OPERATOR = Caller("operator", frozenset({Role.OPERATOR}))
SHARES = {"Analysis": 0.85, "User": 0.10, "Production": 0.05}
"""Fractions of a simulated disk per partition."""
TAPE = "Tape"
"""The partition of tape, unlimited."""
RATE = 2e9
"""Bytes per second into a site, and out of it, for a copied inventory."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings and policies to try."""

    name: str
    settings: Settings
    policies: Mapping[str, str] = field(default_factory=dict)
    """Partition → text, instead of the policy in force."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a configuration."""

    name: str
    days: Sequence[Day]
    left: Sequence[Left]
    """Data that policies deleted from disks."""
    unfit: Sequence[Unfit]
    """Copies of the campaigns that are not done."""
    refused: Mapping[str, int]
    """Refused output of jobs, and data without space, by reason."""
    operator_actions: int
    """Number of distinct matters that needed a person."""


Progress = Callable[[int], None]
"""Called with the number of days since the last call."""


def simulate(
    scenario: Scenario,
    configuration: Configuration,
    progress: Progress,
    *,
    source: UnitOfWork | None = None,
    campaigns: Sequence[Campaign] = (),
) -> Outcome:
    """Run the days of a scenario, from a drawn or a copied inventory.

    Raises Invalid for a wrong policy. Nothing outside of a temporary folder changes.
    """
    with _world(scenario, configuration, source) as (life, pools):
        for partition, text in configuration.policies.items():
            policies.update(pools.runner.ctx, partition, schemas.PolicyBody(text=text), OPERATOR)
        planned = plan(life, campaigns)
        return _live(life, pools, progress, configuration.name, planned)


@contextmanager
def _world(
    scenario: Scenario, configuration: Configuration, source: UnitOfWork | None
) -> Iterator[tuple[Workload, Pools]]:
    random, dice = np.random.default_rng(scenario.seed), Random(scenario.seed)
    rates: dict[str, float] = {}

    def rate(source: str, destination: str) -> float:
        return min(rates.get(source, RATE), rates.get(destination, RATE))

    network = Network(rate, dice, scenario.faults)
    agenda = Agenda(BEGIN)
    pools = Pools(agenda, network)
    with tempfile.TemporaryDirectory(prefix="dynamo-simulation-") as folder:
        path = Path(folder)
        engine = connect(f"sqlite:///{path / 'inventory.db'}")
        try:
            schema.upgrade(engine)
            begin = UnitOfWork(engine, pools.publish, lambda _: agenda.now)
            settings = paced(configuration.settings, path)
            storages = Imagination(settings.injection.area, network)
            ctx = Context(begin, settings, storages, lambda: network.seconds, Random(scenario.seed))
            pools.runner = TaskRunner.of(ctx)
            if source is None:
                _seed(ctx)
                interest, names = _drawn(ctx, network, scenario, random, rates)
            else:
                agenda.now = simulated_inventory.moment(source)
                interest, names = simulated_inventory.take(source, ctx, network, random)
            yield Workload(ctx, agenda, network, scenario, interest, names, random, dice), pools
        finally:
            engine.dispose()


def _seed(ctx: Context) -> None:
    """Add the content of a fresh system, and a partition for tape."""
    with ctx.begin() as work:
        schema.seed(work)
        work.add(Partition, name=TAPE, definition="site.storage_type == MSS")


def _drawn(
    ctx: Context,
    network: Network,
    scenario: Scenario,
    random: np.random.Generator,
    rates: dict[str, float],
) -> tuple[Interest, list[str]]:
    """Register drawn sites and data; the sites get disks on which the data take their fraction."""
    places = simulation_scenario.sites(scenario, random)
    data = simulation_scenario.datasets(scenario, places, random)
    disks = {site.name: site.weight for site in places if site.kind == "disk"}
    used = sum(item.bytes * sum(site in disks for site in item.sites) for item in data)
    whole = used / scenario.fill / SHARES["Analysis"] / sum(disks.values())
    for entry in places:
        rates[entry.url] = entry.rate
        network.at(entry.url)
        body = schemas.SiteBody(kind=entry.kind, url=entry.url)  # type: ignore[arg-type]
        sites.update(ctx, entry.name, body, OPERATOR)
        shares: Mapping[str, float | None] = SHARES if entry.kind == "disk" else {TAPE: None}
        for partition, share in shares.items():
            limit = None if share is None else int(whole * entry.weight * share)
            quota = schemas.QuotaBody(limit=limit)
            sites.set_quota(ctx, entry.name, partition, quota, OPERATOR)
    place(ctx, network, data)
    return Interest.drawn(len(data), random), [item.name for item in data]


def _live(life: Workload, pools: Pools, progress: Progress, name: str, planned: Planned) -> Outcome:
    agenda, network = life.agenda, life.network
    begun = agenda.now
    for task, period in simulated_periods(pools.runner.ctx.settings).items():
        agenda.every(period, partial(pools.runner.run, task))
    days: list[Day] = []
    gone: list[Left] = []
    standing = RequestStanding()
    for day in range(1, life.scenario.days + 1):
        began = agenda.now
        life.day()
        agenda.until(began + timedelta(days=1))
        traffic = Traffic(life.n_read, life.n_found, network.moved, network.deleted)
        life.n_read = life.n_found = network.moved = network.deleted = 0
        evening = Evening(began, standing, network.silent())
        days.append(metrics.measure(pools.runner.ctx, day, traffic, evening))
        with pools.runner.ctx.begin.reading() as work:
            gone += metrics.left(work, began, day)
        progress(1)
    with pools.runner.ctx.begin.reading() as work:
        unfit = metrics.unfit(work, planned.names, begun)
    unfit += [
        Unfit(
            name, 1 + (since - begun).days, size, 0, RequestState.QUEUED, {Reason.STORAGE_FULL: 1}
        )
        for name, (since, size) in planned.waiting.items()
    ]
    matters = {need.matter for day in days for need in day.needs}
    return Outcome(name, days, gone, unfit, dict(life.refused), len(matters))
