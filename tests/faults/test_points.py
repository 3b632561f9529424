"""A pool dies at each named point; another finishes its work, once."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from dynamo.db.tables import Deletion, History, Transfer
from dynamo.db.work import UnitOfWork
from dynamo.inventory import asked
from dynamo.operations.hints import Hint
from dynamo.operations.life import State
from dynamo.points import Point
from dynamo.queues.publisher import publisher, quick_app
from dynamo.running import programs
from dynamo.services import cycles, policies, sweeps
from tests.faults.crew import Crew, crew
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.faults.plant import SETTINGS
from tests.servers import Broker, MariaDB
from tests.services.world import DATASET, OPERATOR, World, adler32, build, lfn

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crew")]

FILES = {lfn(f"{n}.root"): b"%d" % n * 9 for n in range(7)}
MERGED = {
    **SETTINGS,
    "block": {"max_files": 3},
    "lease": {"seconds": 0.7, "heartbeat": 0.15, "lost": 3},
    "work": {"sweep_seconds": 0.1, "hint_seconds": 0.4, "batch": 40},
    "detox": {"lease_seconds": 0.7},
    "retry": {"first_seconds": 0.2, "longest_seconds": 0.5, "daily_seconds": 3600},
}
SITES = ("T2_A", "T2_B", "T2_C")
POLICY = f"""\
Partition User
On site.storage_type == DISK
When site.occupancy > 0.9
Until site.occupancy < 0.1
Delete dataset.name == {DATASET}
Dismiss
"""


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
        if sweeps.sweep(self.world.use):
            cycles.sweep(self.world.use)


@pytest.fixture(scope="module")
def pools(
    mariadb_server: MariaDB,
    _mariadb_schema: str,
    _redis_server: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Crew]:
    """What starts pools for all tests here."""
    folder = tmp_path_factory.mktemp("crew")
    env = {
        f"DYNAMO_{section}_{name}".upper(): str(value)
        for section, fields in MERGED.items()
        for name, value in fields.items()
    }
    url = mariadb_server.url(_mariadb_schema)
    with crew(folder, programs.environment(env, folder, url, _redis_server.url)) as made:
        yield made


@pytest.fixture
def stage(pools: Crew, _mariadb: Engine, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Three sites."""
    app = quick_app()
    app.conf.broker_url = redis_url
    kept: list[Hint] = []
    found: list[Stage] = []
    begin = UnitOfWork(_mariadb, lambda hints: found[0].publish(hints) if found else None)
    world = build(begin, tmp_path, kept, **MERGED)
    found.append(Stage(world, pools, publisher(app)))
    for site in SITES:
        world.site(site)
    yield found[0]
    pools.kill()
    pools.disarm()


@dataclass(frozen=True)
class Story:
    """What is done before, what the pools are to do, and what lies where in the end."""

    prepare: Callable[[World], object]
    act: Callable[[World], tuple[str, int]]
    ends: str = "done"
    at: tuple[str, ...] = ()
    """Sites that hold all files in the end; the others hold none."""
    check: Callable[[World], None] = assert_all_ended


def outputs(world: World) -> list[asked.InjectedFile]:
    """Write outputs; of the last one Dynamo is to find out size and checksum."""
    told = [world.pulled("T2_A", lfn_.rpartition("/")[2], text) for lfn_, text in FILES.items()]
    last = told.pop()
    return [*told, asked.InjectedFile(lfn=last.lfn, source=last.source)]


def pull(world: World) -> tuple[str, int]:
    return "injection", world.inject("T2_A", outputs(world))


def arrived(world: World) -> None:
    pull(world)
    world.work(1000)


def closed(world: World) -> None:
    arrived(world)
    world.close()
    world.work(1000)


def booked(world: World) -> None:
    request = world.inject("T2_A", [file_of(name, text) for name, text in FILES.items()])
    files = world.request("injection", request)["files"]
    assert isinstance(files, list)
    for file in files:
        path = Path(file["upload_url"].removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[file["lfn"]])
    world.published.clear()


def file_of(name: str, text: bytes) -> asked.InjectedFile:
    return asked.InjectedFile(lfn=name, size=len(text), adler32=adler32(text))


def confirm(world: World) -> tuple[str, int]:
    world.confirm(1)
    return "injection", 1


def lose(world: World) -> None:
    """Hand files over and lose the message."""
    pull(world)
    world.published.clear()


def forget(world: World) -> tuple[str, int]:
    """Let the end of a booking come, a day after anybody was told of it."""
    with world.use.begin() as work:
        told = work.now - timedelta(days=1)
        work.changed(update(Transfer).values(not_before=work.now, expires=work.now, hinted=told))
    return "injection", 1


def vanish(world: World) -> None:
    """Book files that the job never writes."""
    world.inject("T2_A", [file_of(name, text) for name, text in FILES.items()])
    world.published.clear()


def overfull(world: World) -> None:
    """Let both sites hold all, and one of them be too full."""
    closed(world)
    world.copy("T2_B", consolidate=False)
    world.work(1000)
    world.site_quota("T2_A", int(sum(map(len, FILES.values())) / 0.95))
    policies.put(world.use, "User", asked.PolicyBody(text=POLICY), OPERATOR)


def free(world: World) -> tuple[str, int]:
    body = asked.CycleBody(kind="detox", partition="User")
    return "cycle", cycles.file(world.use, body, OPERATOR)


PULL = Story(lambda _: None, pull, at=("T2_A",))
LOST = Story(lose, lambda _: ("injection", 1), at=("T2_A",))
UPLOAD = Story(booked, confirm, at=("T2_A",))
EXPIRY = Story(vanish, forget, ends="failed", check=assert_well)  # leftovers are given time
CLOSURE = Story(arrived, lambda world: ("closure", world.close()), at=("T2_A",))
GATHER = Story(closed, lambda world: ("copy", world.copy("T2_C")), at=("T2_C",))
DELETE = Story(closed, lambda world: ("deletion", world.delete()))
CYCLE = Story(overfull, free, at=("T2_B",))

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
]
STORIES = {name: told for name, told in globals().items() if isinstance(told, Story)}
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
    request = story.act(world)
    first = pools.start()  # it sweeps when it starts: what is due by then needs no message
    stage.until(lambda: pools.ended(first), lambda: None)
    assert pools.died(point)

    pools.start()
    stage.until(lambda: ended(stage, request), stage.sweep)

    assert finished(stage, request) == story.ends
    for site in SITES:
        assert seen(world.folder / site) == (described(FILES) if site in story.at else {}), site
    brought = events(world, "arrived")
    assert brought == len(FILES) * (brought // len(FILES))
    story.check(world)


def test_work_that_kills_three_pools_is_held_and_the_next_goes_on(stage: Stage):
    world, pools = stage.world, stage.crew
    stage.live = True
    request = pull(world)
    deaths = 0
    while losses(world) != {3}:  # threads may share files out: then it takes another death
        pools.arm(Point.CLAIMED)
        pool = pools.start()
        stage.until(lambda pool=pool: pools.ended(pool), stage.sweep)
        assert pools.died(Point.CLAIMED)
        deaths += 1
        stage.until(lambda: not claimed(world), stage.sweep)
    assert deaths >= 3

    pools.start()
    other = world.many("T2_B", 5)
    stage.until(lambda: world.request("injection", other)["state"] == "done", stage.sweep)
    assert world.request(*request)["state"] == "held"
    assert {told["reason"] for told in world.problems(*request)} == {"worker-lost"}
    assert len(seen(world.folder / "T2_B")) == 5
    assert seen(world.folder / "T2_A") == {}


def losses(world: World) -> set[int]:
    """Return how many workers the transfers have cost."""
    with world.use.begin.reading() as work:
        return set(work.scalars(select(Transfer.lost)))


def claimed(world: World) -> int:
    """Count the transfers that somebody has taken, dead or alive."""
    with world.use.begin.reading() as work:
        taken = select(func.count()).where(Transfer.state == State.ACTIVE)
        return int(work.scalar(taken) or 0)


def ended(stage: Stage, request: tuple[str, int]) -> bool:
    """Tell whether what was asked for is over, and nothing is left to do about it."""
    kind, key = request
    if kind != "cycle":
        return stage.world.request(kind, key)["state"] in ("done", "failed")
    return bool(cycles.show(stage.world.use, key)["ended"])


def finished(stage: Stage, request: tuple[str, int]) -> str:
    """Return how it ended; after a cycle whose worker was lost comes the next one."""
    kind, key = request
    if kind != "cycle":
        return str(stage.world.request(kind, key)["state"])
    assert cycles.show(stage.world.use, key)["reason"] == "worker-lost"
    again = free(stage.world)
    stage.until(lambda: ended(stage, again), stage.sweep)
    # the last file goes before its row does
    stage.until(lambda: not stage.world.count(Deletion), stage.sweep)
    return str(cycles.show(stage.world.use, again[1])["state"])


def events(world: World, what: str) -> int:
    """Count the files that an event concerned."""
    with world.use.begin.reading() as work:
        return int(work.scalar(select(func.sum(History.n_files)).where(History.what == what)) or 0)
