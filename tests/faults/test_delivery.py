"""Messages that come twice, in any order and late, and calls that are made twice."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import File, History, Request, Transfer
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.copies import submission as copies_submission
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.idempotency import Key
from dynamo.services.injection import closure
from dynamo.services.injection import submission as injection_submission
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.faults.racing import race, refusals
from tests.services.world import ALICE, DATASET, World, adler32, lfn


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """The stage of the story."""
    return scenario.stage(begin, tmp_path, published)


def told(world: World, work: Callable[[], None]) -> dict[str, object]:
    """Tell the story with pools that work as given; return what the rows say in the end."""

    def step(act: Callable[[], object]) -> object:
        given = act()
        work()
        return given

    scenario.tell(world, step)
    assert scenario.disks(world) == {"T2_A": {}, "T2_B": {}, "T2_C": scenario.expected()}
    assert_all_ended(world)
    return {**scenario.inventory(world), **scenario.memory(world)}


def shuffled(world: World, draw: random.Random) -> Iterator[Hint]:
    """Take messages in any order, each one to five times, some of them long after their work."""
    late: list[Hint] = []
    while world.published:
        hint = world.published.pop(draw.randrange(len(world.published)))
        yield hint
        copies = [hint] * draw.randint(0, 4)
        late += copies
        draw.shuffle(late)
        while late and draw.random() < 0.6:
            yield late.pop()
    yield from late


@pytest.mark.parametrize("seed", range(3))
def test_messages_that_come_more_than_once_and_in_any_order_change_nothing(
    world: World, undisturbed: dict[str, object], seed: int
):
    draw = random.Random(seed)

    def work() -> None:
        for _ in range(20):
            for hint in shuffled(world, draw):
                world.take(hint)
            if not world.published:
                return

    assert told(world, work) == undisturbed


def test_two_pools_that_get_the_same_messages_at_once_do_the_work_once(
    mariadb_inventory: UnitOfWork, published: list[Hint], tmp_path: Path
):
    world = scenario.stage(mariadb_inventory, tmp_path, published)

    def work() -> None:
        while world.published:
            batch, world.published[:] = list(world.published), []
            race([(lambda h=hint: world.take(h)) for hint in batch * 3])

    told(world, work)

    with world.ctx.begin.reading() as work_:
        arrived = work_.scalars(select(History.n_files).where(History.what == "arrived"))
    assert sum(arrived) == 9 + 9 + 9


# --- calls ----------------------------------------------------------------------------------------


def twenty(world: World) -> schemas.Injection:
    """Describe a call with twenty files."""
    names = [f"{n}.root" for n in range(20)]
    files = tuple(world.pulled("T2_A", name, name.encode()) for name in names)
    return schemas.Injection(dataset=DATASET, site="T2_A", files=files)


def check_twenty(world: World, clock: Clock) -> None:
    """Check that the twenty files were taken once."""
    world.work(1000)
    clock.forward(minutes=2)  # requests that wait for files of another one look again
    world.sweep()
    world.close()
    world.work(1000)
    names = [f"{n}.root" for n in range(20)]
    assert world.count(File) == world.count(Transfer) == 20
    assert world.used("alice") == sum(map(len, names)) == world.projected("T2_A")
    assert sorted(world.blocks()) == [(5, True)] * 4
    assert seen(world.folder / "T2_A") == described({lfn(name): name.encode() for name in names})
    assert_all_ended(world)


def test_eight_equal_calls_at_once_register_files_once(world: World, clock: Clock):
    wanted = twenty(world)

    results = race([lambda: injection_submission.file(world.ctx, wanted, ALICE)] * 8)

    assert refusals(results) == []
    assert len(set(results)) == 8  # each caller has a request of its own
    world.work(1000)
    assert {world.request("injection", request)["state"] for request in results} == {"done"}
    check_twenty(world, clock)


def test_eight_equal_calls_with_one_key_are_one_request(world: World, clock: Clock):
    wanted, key = twenty(world), Key.of("job-17", "POST /v1/injections", b"body")

    results = race([lambda: injection_submission.file(world.ctx, wanted, ALICE, key)] * 8)

    assert refusals(results) == []
    assert len(set(results)) == 1
    assert world.count(Request) == 1
    check_twenty(world, clock)


def test_closures_copies_and_deletions_with_one_key_are_one_request_each(world: World):
    world.many("T2_A", 7)
    world.work()
    for file, wanted in (
        (closure.file, schemas.Closure(dataset=DATASET)),
        (copies_submission.file, schemas.Copy(dataset=DATASET, site="T2_C")),
        (deletions_submission.file, schemas.Deletion(dataset=DATASET)),
    ):
        before, key = world.count(Request), Key.of(type(wanted).__name__, "POST", b"body")
        results = race([partial(file, world.ctx, wanted, ALICE, key)] * 6)
        assert refusals(results) == []
        assert len(set(results)) == 1
        assert world.count(Request) == before + 1
        world.work()
    assert_well(world)


def test_closures_copies_and_deletions_without_a_key_have_one_effect(world: World):
    world.many("T2_A", 7)
    world.work()
    race([world.close] * 4)
    world.work(1000)
    race([lambda: world.copy("T2_C")] * 4)
    world.work(1000)
    assert [len(seen(world.folder / site)) for site in scenario.SITES] == [0, 0, 7]
    results = race([world.delete] * 4)
    assert set(refusals(results)) <= {"being-deleted"}
    world.work(1000)

    assert scenario.disks(world) == {site: {} for site in scenario.SITES}
    assert world.count(File) == 0
    assert_all_ended(world)


def test_of_two_calls_at_once_that_contradict_each_other_one_is_refused(world: World):
    def call(content: bytes) -> Callable[[], int]:
        file = schemas.InjectedFile(lfn=lfn("x.root"), size=len(content), adler32=adler32(content))
        return lambda: world.inject("T2_A", [file])

    for _ in range(10):
        results = race([call(b"one"), call(b"other")])
        assert refusals(results) in (["name-conflict"], ["name-conflict", "name-conflict"])
    assert world.count(File) == 1


@pytest.mark.parametrize("other", ["size", "adler32", "dataset"])
def test_a_name_that_is_registered_with_another_value_is_a_conflict(world: World, other: str):
    values = {"size": 3, "adler32": "00000003"}
    world.inject("T2_A", [schemas.InjectedFile(lfn=lfn("x.root"), **values)])
    changed = {**values, **({"size": 4} if other == "size" else {})}
    changed |= {"adler32": "00000004"} if other == "adler32" else {}
    dataset = "/Other/alice-v1/USER" if other == "dataset" else DATASET

    results = race(
        [
            lambda: world.inject(
                "T2_A", [schemas.InjectedFile(lfn=lfn("x.root"), **changed)], dataset
            )
        ]
    )

    assert refusals(results) == ["name-conflict"]
