"""What only a dying site has, and has not given out for long, is lost without anybody's help."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from dynamo.db.sites.switches import of_site
from dynamo.db.tables import Downtime, History, Incident, Probe, Site, Transfer
from dynamo.inventory import schemas
from dynamo.services.consistency import periodic as scan_schedule
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.evacuation import abandonment, declare_lost
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.sites import health as site_health
from dynamo.services.sites import sites, switches
from tests.conftest import Clock
from tests.services.world import OPERATOR, World, lfn
from tests.steps.sites import break_site, mend_site

FILES = [lfn(f"T2_A_{n}.root") for n in range(10)]
SHORT: dict[str, Any] = {
    "block": {"max_files": 5},
    "deletion": {"grace_hours": 0},
    "site": {"lost_days": 4},
    "consistency": {"few": 3},
}
HALF_A_DAY = {"hours": 12}


@pytest.fixture
def doomed(world: World) -> World:
    """Ten files that lie at T2_A alone, which falls silent and is given up."""
    world.ctx = world.with_settings(**SHORT)
    world.many("T2_A", 10)
    world.close()
    world.work()
    break_site(world, "T2_A")
    set_status(world, "T2_A", "morgue")
    return world


def set_status(world: World, name: str, status: str) -> None:
    sites.update(world.ctx, name, schemas.SiteBody(status=status), OPERATOR)  # type: ignore[arg-type]


def look(world: World) -> None:
    """Let all that beats come by once."""
    site_health.send(world.ctx)
    world.work()
    body = schemas.CycleBody(kind="dealer", partition="User", dry_run=False)
    cycles_submission.file(world.ctx, body, OPERATOR)
    world.work()
    world.sweep()
    evacuation_runner.evacuate(world.ctx)
    world.work()


def pass_by(world: World, clock: Clock, days: float) -> None:
    """Let somebody look, and again every twelve hours for so many days."""
    look(world)
    for _ in range(int(2 * days)):
        clock.forward(**HALF_A_DAY)
        look(world)


@pytest.fixture
def due(doomed: World, clock: Clock) -> World:
    """The same at the moment in which its time is over."""
    pass_by(doomed, clock, 3.5)
    assert lost(doomed) == []
    clock.forward(**HALF_A_DAY)
    site_health.send(doomed.ctx)
    doomed.work()
    return doomed


def lost(world: World) -> list[str]:
    """Return the files that their owner was told are lost."""
    with world.ctx.begin.reading() as work:
        told = (Incident.kind == "lost", Incident.ended.is_(None), Incident.owner == "alice")
        return sorted(work.scalars(select(Incident.lfn).where(*told)))


def elsewhere(world: World) -> int:
    return len(world.on_disk("T2_B")) + len(world.on_disk("T2_C"))


def given_up(world: World) -> Any:
    return evacuation_status.get(world.ctx, "T2_A")["given_up"]


def told_lost(world: World) -> list[tuple[str, int]]:
    """Return how often each file was said to be lost."""
    with world.ctx.begin.reading() as work:
        said = select(History.lfn, func.count()).where(History.what == "lost")
        return sorted((row[0], row[1]) for row in work.rows(said.group_by(History.lfn)))


def test_what_only_a_silent_site_has_is_lost_when_its_time_is_over(
    doomed: World, clock: Clock
) -> None:
    ends = clock.now + timedelta(days=4)
    pass_by(doomed, clock, 2)
    at = f"{ends:%Y-%m-%dT%H:%M:%S}Z"
    assert given_up(doomed) == {"at": at, "detail": "unless it answers"}
    pass_by(doomed, clock, 1.5)
    assert lost(doomed) == []

    pass_by(doomed, clock, 0.5)

    assert lost(doomed) == FILES
    assert told_lost(doomed) == [(name, 1) for name in FILES]
    assert given_up(doomed) is None
    with doomed.ctx.begin.reading() as work:
        said = (History.what == "site-changed", History.why.startswith("losses declared: "))
        assert set(work.scalars(select(History.who).where(*said))) == {"dynamo"}
    pass_by(doomed, clock, 2)
    assert evacuation_status.get(doomed.ctx, "T2_A")["left"]["files"] == 0
    assert doomed.count(Transfer, Transfer.state.in_(("queued", "held", "active"))) == 0


def test_a_fortnight_is_waited_for_where_nobody_says_otherwise(doomed: World, clock: Clock) -> None:
    doomed.ctx = doomed.with_settings(**{**SHORT, "site": {}})
    pass_by(doomed, clock, 13.5)
    assert lost(doomed) == []
    pass_by(doomed, clock, 0.5)
    assert lost(doomed) == FILES


@pytest.mark.parametrize("gone", [0, 1])
def test_a_site_that_answers_again_a_moment_before_loses_nothing_that_can_be_read(
    due: World, clock: Clock, gone: int
) -> None:
    mend_site(due, "T2_A")
    for name in FILES[:gone]:
        due.path("T2_A", name).unlink()

    abandonment.forsake(due.ctx, "T2_A")
    assert lost(due) == []

    pass_by(due, clock, 3)
    assert elsewhere(due) == 10 - gone
    assert due.on_disk("T2_A") == {}
    assert lost(due) == FILES[:gone], (
        "it answers, and lacks it for longer than a listing may be wrong"
    )


def test_a_storage_that_comes_back_empty_a_moment_before_is_not_believed(
    due: World, clock: Clock
) -> None:
    root = due.folder / "T2_A"
    root.unlink()
    root.mkdir()

    abandonment.forsake(due.ctx, "T2_A")
    pass_by(due, clock, 3)
    assert lost(due) == []

    root.rmdir()
    root.with_name("T2_A-away").rename(root)
    pass_by(due, clock, 4)
    assert lost(due) == []
    assert elsewhere(due) == 10


def spoil(world: World, names: list[str]) -> None:
    """Let files be there that nobody can open."""
    for name in names:
        path = world.path("T2_A", name)
        path.rename(world.folder / path.name)
        path.symlink_to(path)


def test_files_that_cannot_be_read_at_a_site_that_answers_are_lost_in_time(
    doomed: World, clock: Clock
) -> None:
    mend_site(doomed, "T2_A")
    spoil(doomed, FILES[:3])
    pass_by(doomed, clock, 3.5)
    assert lost(doomed) == []
    pass_by(doomed, clock, 3)

    assert lost(doomed) == FILES[:3]
    assert elsewhere(doomed) == 7


def in_a_downtime(world: World) -> Callable[[], None]:
    with world.ctx.begin() as work:
        key = work.scalar(select(Site.id).where(Site.name == "T2_A"))
        ends = work.now + timedelta(days=300)
        work.add(Downtime, site_id=key, source="wlcg", begins=work.now, ends=ends)

    def over() -> None:
        with world.ctx.begin() as work:
            work.changed(update(Downtime).values(ends=work.now))

    return over


def stopped(name: str) -> Callable[[World], Callable[[], None]]:
    def stop(world: World) -> Callable[[], None]:
        def put(*, stopped: bool) -> None:
            switches.update(world.ctx, name, schemas.SwitchBody(stopped=stopped), OPERATOR)

        put(stopped=True)
        return lambda: put(stopped=False)

    return stop


def our_network(world: World) -> Callable[[], None]:
    """Let no site answer; an operator keeps the others ready."""
    world.ctx = world.with_settings(**{**SHORT, "site": {"lost_days": 4, "probes": 1000}})
    for name in ("T2_B", "T2_C"):
        break_site(world, name)

    def over() -> None:
        for name in ("T2_B", "T2_C"):
            mend_site(world, name)

    return over


@pytest.mark.parametrize(
    ("hinder", "why"),
    [
        (in_a_downtime, "its downtime is waited for"),
        (stopped("deletions"), "an operator has stopped deletions"),
        (stopped("consistency"), "an operator has stopped consistency"),
        (stopped(of_site("T2_A")), "an operator has stopped site:T2_A"),
        (our_network, "most other sites do not answer their probes either"),
    ],
    ids=["downtime", "deletions", "consistency", "site", "network"],
)
def test_nothing_is_lost_while_something_is_against_it_and_that_time_does_not_count(
    doomed: World, clock: Clock, hinder: Callable[[World], Callable[[], None]], why: str
) -> None:
    pass_by(doomed, clock, 1)
    over = hinder(doomed)
    pass_by(doomed, clock, 6)
    assert lost(doomed) == []
    told = given_up(doomed)
    if told is not None:  # copies that an operator stops are not tried
        assert (told["at"], told["detail"]) == (None, f"not now: {why}")

    over()
    pass_by(doomed, clock, 2)
    assert lost(doomed) == []
    mend_site(doomed, "T2_A")


def test_nothing_is_lost_by_itself_where_the_settings_say_never(
    doomed: World, clock: Clock
) -> None:
    doomed.ctx = doomed.with_settings(**{**SHORT, "site": {"lost_days": 0}})
    pass_by(doomed, clock, 20)
    assert lost(doomed) == []
    assert given_up(doomed)["detail"].startswith("never by itself")


def test_a_site_that_only_the_settings_want_emptied_loses_nothing(
    doomed: World, clock: Clock
) -> None:
    often = {"lost_days": 4, "probes": 1000}
    doomed.ctx = doomed.with_settings(**{**SHORT, "site": often, "dealer": {"leaving": ["T2_A"]}})
    set_status(doomed, "T2_A", "ready")
    pass_by(doomed, clock, 7)
    assert lost(doomed) == []
    assert given_up(doomed)["detail"] == "not now: only a site in the morgue is"


@pytest.mark.parametrize("days", [100, -100])
def test_a_clock_that_was_set_and_a_system_that_stood_still_lose_nothing(
    doomed: World, clock: Clock, days: int
) -> None:
    pass_by(doomed, clock, 1)
    clock.forward(days=days)
    pass_by(doomed, clock, 1.5)
    assert lost(doomed) == []


def test_a_site_that_was_taken_back_and_dies_again_is_watched_anew(
    doomed: World, clock: Clock
) -> None:
    pass_by(doomed, clock, 3)
    set_status(doomed, "T2_A", "waitroom")
    clock.forward(**HALF_A_DAY)
    set_status(doomed, "T2_A", "morgue")
    pass_by(doomed, clock, 3)
    assert lost(doomed) == []


class Killed(BaseException):
    """What ends a process wherever it is."""


@contextmanager
def dying_at(world: World, number: int) -> Iterator[None]:
    """Let the process die instead of writing for the so manyth time."""
    left = iter(range(number - 1))

    def write(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("SELECT") and next(left, None) is None:
            raise Killed

    engine = world.ctx.begin.engine
    event.listen(engine, "before_cursor_execute", write)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", write)


def test_what_a_killed_process_leaves_is_finished_by_the_next(due: World) -> None:
    for number in (3, 12, 20, 31, 55):
        with pytest.raises(Killed), dying_at(due, number):
            abandonment.forsake(due.ctx, "T2_A")
        assert len(lost(due)) < 10
    assert lost(due)

    abandonment.forsake(due.ctx, "T2_A")
    assert told_lost(due) == [(name, 1) for name in FILES]
    assert lost(due) == FILES


def test_a_site_that_an_operator_takes_back_at_the_last_moment_loses_nothing(
    due: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_look = declare_lost.find_losses

    def look_and_save(*about: Any, **more: Any) -> Any:
        seen = last_look(*about, **more)
        set_status(due, "T2_A", "waitroom")
        return seen

    monkeypatch.setattr(declare_lost, "find_losses", look_and_save)
    abandonment.forsake(due.ctx, "T2_A")
    assert lost(due) == []


def test_what_was_to_arrive_at_a_site_that_does_not_come_back_fails_and_can_come_elsewhere(
    doomed: World, clock: Clock
) -> None:
    set_status(doomed, "T2_A", "ready")
    content = b"not there yet"
    file = doomed.pulled("T2_A", "late.root", content)
    request = doomed.inject("T2_A", [file], dataset="/Higgs/alice-v2/USER")
    set_status(doomed, "T2_A", "morgue")
    doomed.work()
    pass_by(doomed, clock, 3.5)
    assert doomed.request("injection", request)["state"] == "held"
    pass_by(doomed, clock, 0.5)

    assert doomed.request("injection", request)["state"] == "failed"
    [problem] = doomed.problems("injection", request)
    assert problem["reason"] == "lost"
    assert "inject it again at another site" in str(problem["detail"])

    again = doomed.pulled("T2_B", "late.root", content)
    request = doomed.inject("T2_B", [again], dataset="/Higgs/alice-v2/USER")
    doomed.work()
    assert doomed.request("injection", request)["state"] == "done"
    assert file.lfn in lost(doomed), "until somebody looks whether it is there again"
    scan_schedule.tidy(doomed.ctx)
    assert file.lfn not in lost(doomed)


def test_of_two_beats_at_once_one_fails_what_was_to_arrive(doomed: World, clock: Clock) -> None:
    set_status(doomed, "T2_A", "ready")
    file = doomed.pulled("T2_A", "late.root", b"not there yet")
    request = doomed.inject("T2_A", [file], dataset="/Higgs/alice-v2/USER")
    set_status(doomed, "T2_A", "morgue")
    pass_by(doomed, clock, 3.5)
    clock.forward(**HALF_A_DAY)
    site_health.send(doomed.ctx)
    doomed.work()
    with ThreadPoolExecutor() as both:
        list(both.map(lambda _: abandonment.forsake(doomed.ctx, "T2_A"), range(2)))

    told = doomed.request("injection", request)
    assert (told["state"], told["progress"]["files"]["failed"]) == ("failed", 1)  # type: ignore[index]


def test_two_beats_at_once_declare_each_file_lost_once(due: World) -> None:
    with ThreadPoolExecutor() as both:
        list(both.map(lambda _: abandonment.forsake(due.ctx, "T2_A"), range(2)))
    assert told_lost(due) == [(name, 1) for name in FILES]


def test_a_round_gives_up_so_many_files_at_most_and_the_next_goes_on(
    due: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandonment, "AT_ONCE", 2)
    monkeypatch.setattr(abandonment, "ROUNDS", 2)
    seen = []
    for _ in range(4):
        abandonment.forsake(due.ctx, "T2_A")
        seen.append(len(lost(due)))
    assert seen == [4, 8, 10, 10]


def test_probes_of_long_ago_do_not_say_that_others_answer(due: World) -> None:
    with due.ctx.begin() as work:
        work.changed(update(Probe).values(at=work.now - timedelta(hours=1)))
    abandonment.forsake(due.ctx, "T2_A")
    assert lost(due) == []
