"""A pool dies at each named point; another finishes its work, once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, func, select

import celeryconfig
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import History, Transfer
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State
from dynamo.points import Point
from dynamo.queues.publisher import publisher, quick_app
from dynamo.running import programs
from tests.faults.crew import Crew, crew
from tests.faults.endings import described, seen
from tests.faults.plant import SETTINGS
from tests.faults.stories import (
    BAD,
    CLEAN,
    CLOSURE,
    CYCLE,
    DARK,
    DELETE,
    EVACUATE,
    EXPIRY,
    FILES,
    GATHER,
    LOST,
    MISSING,
    PROBE,
    PULL,
    RELEASE,
    REMOVE,
    STORIES,
    UPLOAD,
    Story,
    Told,
    outputs,
    rests,
)
from tests.servers import Broker, MariaDB
from tests.services.world import World, build

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crew")]

Settings = dict[str, dict[str, Any]]

MERGED: Settings = {
    **SETTINGS,
    "block": {"max_files": 3},
    # on a busy machine those who live look dead now and then: that alone must hold nothing
    "lease": {"seconds": 0.7, "heartbeat": 0.15, "lost": 100},
    "work": {"sweep_seconds": 0.1, "hint_seconds": 0.4, "batch": 40},
    "detox": {"lease_seconds": 0.7},
    "consistency": {"lease_seconds": 0.7},
    "site": {"evacuate_minutes": 0.01},
    "retry": {"first_seconds": 0.2, "longest_seconds": 0.5, "daily_seconds": 3600},
}
FRAGILE = {**MERGED, "lease": {"seconds": 3, "heartbeat": 0.2, "lost": 3}}
"""Three deaths hold the work, and who lives is late by seconds before it looks dead."""

SITES = ("T2_A", "T2_B", "T2_C")


class Address(NamedTuple):
    """URLs of servers."""

    database: str
    broker: str


@dataclass
class Stage:
    """A world whose messages are kept while it is prepared, and sent to real pools then."""

    world: World
    crew: Crew
    send: Callable[[Sequence[Hint]], None]
    live: bool = field(default=False)

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send messages, or keep them for pools in this process."""
        if self.live:
            self.send(hints)
        else:
            self.world.published.extend(hints)

    def until(self, holds: Callable[[], object], look: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, f"it did not come true\n{self.crew.logs}"
            look()
            time.sleep(0.02)

    def sweep(self) -> None:
        """Find what is lost, as beat does every half minute."""
        self.world.run("sweep")


@pytest.fixture(scope="module")
def address(mariadb_server: MariaDB, _mariadb_schema: str, _redis_server: Broker) -> Address:
    """Where pools find the inventory and their messages."""
    return Address(mariadb_server.url(_mariadb_schema), _redis_server.url)


@pytest.fixture(scope="module")
def pools(address: Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """What starts pools for all tests here."""
    with crew_at(address, tmp_path_factory.mktemp("crew"), MERGED) as made:
        yield made


@pytest.fixture
def fragile_pools(address: Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """What starts pools of which three may die."""
    with crew_at(address, tmp_path_factory.mktemp("fragile"), FRAGILE) as made:
        yield made


@pytest.fixture
def stage(pools: Crew, _mariadb: Engine, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Three sites."""
    yield staged(pools, _mariadb, redis_url, tmp_path, MERGED)
    pools.kill()
    pools.disarm()


@pytest.fixture
def fragile_stage(
    fragile_pools: Crew, _mariadb: Engine, redis_url: str, tmp_path: Path
) -> Iterator[Stage]:
    """Three sites, whose pools hold what costs three of them."""
    yield staged(fragile_pools, _mariadb, redis_url, tmp_path, FRAGILE)
    fragile_pools.kill()


def crew_at(address: Address, folder: Path, settings: Settings) -> AbstractContextManager[Crew]:
    """Get ready to start pools with these settings."""
    env = {
        f"DYNAMO_{section}_{name}".upper(): str(value)
        for section, fields in settings.items()
        for name, value in fields.items()
    }
    return crew(folder, programs.environment(env, folder, address.database, address.broker))


def staged(pools: Crew, engine: Engine, broker: str, folder: Path, settings: Settings) -> Stage:
    """Build a world of three sites with these settings."""
    app = quick_app(celeryconfig)
    app.conf.broker_url = broker
    kept: list[Hint] = []
    found: list[Stage] = []
    begin = UnitOfWork(engine, lambda hints: found[0].publish(hints) if found else None)
    world = build(begin, folder, kept, **settings)
    found.append(Stage(world, pools, publisher(app)))
    for site in SITES:
        world.site(site)
    return found[0]


DEATHS = [
    (Point.ADMITTED, PULL),
    (Point.CLAIMED, PULL),
    (Point.SIZED, PULL),
    (Point.WRITTEN, PULL),
    (Point.PLACED, PULL),
    (Point.BROUGHT, PULL),
    (Point.RECORDED, PULL),
    (Point.SWEPT, LOST),
    (Point.ADOPTED, UPLOAD),
    (Point.PLACED, UPLOAD),
    (Point.BROUGHT, EXPIRY),
    (Point.BLOCK_CLOSED, CLOSURE),
    (Point.SENT, GATHER),
    (Point.GATHERED, GATHER),
    (Point.COMMITTED, DELETE),
    (Point.CONDEMNED, DELETE),
    (Point.DELETION_CLAIMED, DELETE),
    (Point.DELETED, DELETE),
    (Point.CYCLE_CLAIMED, CYCLE),
    (Point.CYCLE_DECIDED, CYCLE),
    (Point.CYCLE_FILED, CYCLE),
    (Point.CYCLE_CONDEMNED, CYCLE),
    (Point.PROBED, PROBE),
    (Point.BEAT_TAKEN, EVACUATE),
    (Point.EVACUATION_FILED, EVACUATE),
    (Point.EVACUATION_CONDEMNED, EVACUATE),
    (Point.SCAN_CLAIMED, DARK),
    (Point.SCANNED, DARK),
    (Point.SCAN_RECORDED, CLEAN),
    (Point.COMMITTED, DARK),
    (Point.REMEDY_CLAIMED, DARK),
    (Point.REMEDY_CLAIMED, MISSING),
    (Point.LINKED, DARK),
    (Point.LINKED, BAD),
    (Point.LINKED, RELEASE),
    (Point.REMEDIED, DARK),
    (Point.REMEDIED, MISSING),
    (Point.REMEDIED, BAD),
    (Point.REMEDIED, RELEASE),
    (Point.REMEDIED, REMOVE),
]
GIVEN_UP = {
    Point.CYCLE_CLAIMED,
    Point.CYCLE_DECIDED,
    Point.CYCLE_FILED,
    Point.CYCLE_CONDEMNED,
    Point.SCAN_CLAIMED,
    Point.SCANNED,
}
"""What dies there is not gone on with: the next one starts from what it finds."""
IDS = [
    f"{point}-{next(name for name, told in STORIES.items() if told is story)}"
    for point, story in DEATHS
]


def test_there_is_a_death_at_every_point():
    assert {point for point, _ in DEATHS} == set(Point)


@pytest.mark.parametrize(("point", "story"), DEATHS, ids=IDS)
def test_what_a_pool_leaves_at_its_death_is_finished_once(stage: Stage, point: Point, story: Story):
    world, pools = stage.world, stage.crew
    story.prepare(world)
    pools.arm(point)
    stage.live = True
    told = story.act(world)
    first = pools.start()  # it sweeps when it starts: what is due by then needs no message
    stage.until(lambda: pools.ended(first), lambda: None)
    assert pools.died(point)

    def look() -> None:
        stage.sweep()
        story.beat(world)

    pools.start()
    stage.until(lambda: ended(told), look)
    assert point not in GIVEN_UP or told()["reason"] == "worker-lost"
    if story.repeats:
        told = repeated(stage, story, look)

    assert told()["state"] == story.ends
    story.check(world)
    for site in SITES:
        assert seen(world.folder / site) == (described(FILES) if site in story.at else {}), site
    assert events(world, "arrived") % len(FILES) == story.besides


def test_work_that_kills_three_pools_is_held_and_the_next_goes_on(fragile_stage: Stage):
    stage = fragile_stage
    world, pools = stage.world, stage.crew
    stage.live = True
    request = ("injection", world.inject("T2_A", outputs(world)[:1]))
    deaths = 0
    while losses(world) != {3}:
        pools.arm(Point.CLAIMED)
        pool = pools.start()
        stage.until(lambda pool=pool: pools.ended(pool), stage.sweep)
        assert pools.died(Point.CLAIMED)
        deaths += 1
        stage.until(lambda: not claimed(world), stage.sweep)
    assert deaths == 3

    pools.start()
    other = world.many("T2_B", 5)
    stage.until(lambda: world.request("injection", other)["state"] == "done", stage.sweep)
    assert world.request(*request)["state"] == "held"
    assert {told["reason"] for told in world.problems(*request)} == {"worker-lost"}
    assert len(seen(world.folder / "T2_B")) == 5
    assert seen(world.folder / "T2_A") == {}


def losses(world: World) -> set[int]:
    """Return how many workers the transfers have cost."""
    with world.ctx.begin.reading() as work:
        return set(work.scalars(select(Transfer.lost)))


def claimed(world: World) -> int:
    """Count the transfers that somebody has taken, dead or alive."""
    with world.ctx.begin.reading() as work:
        taken = select(func.count()).where(Transfer.state == State.ACTIVE)
        return int(work.scalar(taken) or 0)


def ended(told: Told) -> bool:
    """Tell whether what was asked for is over."""
    return told()["state"] in ("done", "failed")


def repeated(stage: Stage, story: Story, look: Callable[[], None]) -> Told:
    """Let the next one, and what comes of it, be done; on a busy machine that may take several."""
    while True:
        told = story.act(stage.world)
        stage.until(lambda told=told: ended(told) and rests(stage.world), look)
        if told()["reason"] != "worker-lost":
            return told


def events(world: World, what: str) -> int:
    """Count the files that an event concerned."""
    with world.ctx.begin.reading() as work:
        return int(work.scalar(select(func.sum(History.n_files)).where(History.what == what)) or 0)
