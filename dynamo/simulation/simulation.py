"""A simulation from its beginning to its end: built or copied, lived day by day, looked at."""

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
from dynamo.db.engine.unit_of_work import UnitOfWork, connect
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
from dynamo.simulation.interventions import RequestStanding
from dynamo.simulation.metrics import Day, Evening, Left, Traffic, Unfit
from dynamo.simulation.pace import paced, simulated_periods
from dynamo.simulation.pools import Pools
from dynamo.simulation.scenario import Interest, Scenario
from dynamo.simulation.storage import Imagination, Network
from dynamo.simulation.workload import Workload, place
from dynamo.task_runner import TaskRunner

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
OPERATOR = Caller("operator", frozenset({Role.OPERATOR}))
SHARES = {"Analysis": 0.85, "User": 0.10, "Production": 0.05}
"""How the quotas of a simulated disk are divided."""
TAPE = "Tape"
"""The partition that tape counts against; without a limit."""
RATE = 2e9
"""Bytes a second into a site, and out of it, of an inventory that is copied."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is tried: settings and policies."""

    name: str
    settings: Settings
    policies: Mapping[str, str] = field(default_factory=dict)
    """Partition → text, instead of what is in force."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a configuration has led to."""

    name: str
    days: Sequence[Day]
    left: Sequence[Left]
    """What policies have removed from disks."""
    unfit: Sequence[Unfit]
    """Copies of the campaigns that have not come to their end."""
    refused: Mapping[str, int]
    """Output of jobs that no site took, and data that found no room, by reason."""
    operator_actions: int
    """How many things a person had to look at: sites, each with a reason, and the like."""


Progress = Callable[[int], None]
"""Is told how many days have passed since it was last told."""


def simulate(
    scenario: Scenario,
    configuration: Configuration,
    progress: Progress,
    *,
    source: UnitOfWork | None = None,
    campaigns: Sequence[Campaign] = (),
) -> Outcome:
    """Live through the days of a scenario, beginning with a drawn inventory or a copied one.

    Raises Invalid for a policy that is wrong; nothing outside of a temporary folder is changed.
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

    def rate(one: str, other: str) -> float:
        return min(rates.get(one, RATE), rates.get(other, RATE))

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
    """Add what a fresh system has, and a partition for tape."""
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
    """Draw sites and data, and give the sites disks on which the data take their share."""
    places = simulation_scenario.sites(scenario, random)
    data = simulation_scenario.datasets(scenario, places, random)
    disks = {one.name: one.weight for one in places if one.kind == "disk"}
    used = sum(one.bytes * sum(site in disks for site in one.sites) for one in data)
    whole = used / scenario.fill / SHARES["Analysis"] / sum(disks.values())
    for one in places:
        rates[one.url] = one.rate
        network.at(one.url)
        body = schemas.SiteBody(kind=one.kind, url=one.url)  # type: ignore[arg-type]
        sites.update(ctx, one.name, body, OPERATOR)
        shares: Mapping[str, float | None] = SHARES if one.kind == "disk" else {TAPE: None}
        for partition, share in shares.items():
            limit = None if share is None else int(whole * one.weight * share)
            quota = schemas.QuotaBody(limit=limit)
            sites.set_quota(ctx, one.name, partition, quota, OPERATOR)
    place(ctx, network, data)
    return Interest.drawn(len(data), random), [one.name for one in data]


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
