"""Sites that step aside by themselves and come back by themselves."""

from datetime import timedelta
from threading import Thread
from time import sleep

from sqlalchemy import func, select, update

from dynamo.db.tables import Downtime, Site, Transfer
from dynamo.inventory import schemas
from dynamo.services.sites import health as site_health
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import OPERATOR, World
from tests.steps.probes import probe, statuses
from tests.steps.sites import break_site, mend_site


def test_a_site_that_fails_its_probes_steps_aside_and_comes_back(
    world: World, clock: Clock
) -> None:
    break_site(world, "T2_B")
    probe(world, clock, 2)
    assert statuses(world)["T2_B"] == ("ready", None), "it may have been bad luck"
    probe(world, clock, 1)
    assert statuses(world) == {
        "T2_A": ("ready", None),
        "T2_B": ("waitroom", "probes"),
        "T2_C": ("ready", None),
    }
    shown = sites.get(world.ctx, "T2_B")
    assert shown["set_by"] == "probes"
    assert shown["probe"]["in_a_row"] == 3
    assert "write" in str(shown["probe"]["detail"])

    request = world.many("T2_A", 1)
    world.work()
    assert world.request("injection", request)["state"] == "done"

    mend_site(world, "T2_B")
    probe(world, clock, 3)
    assert statuses(world)["T2_B"] == ("ready", None)
    assert world.on_disk("T2_B") == {}, "probes leave nothing behind"


def test_an_operator_who_speaks_while_a_downtime_begins_has_the_last_word(
    world: World, clock: Clock
) -> None:
    with world.ctx.begin() as work:
        times = {"begins": work.now, "ends": work.now + timedelta(hours=1)}
        key = work.scalar(select(Site.id).where(Site.name == "T2_A"))
        work.add(Downtime, site_id=key, source="calendar", **times)
    clock.forward(minutes=1)
    beat = Thread(target=site_health.tend, args=(world.ctx,))

    with world.ctx.begin() as work:
        said = {"status": "waitroom", "set_by": "olga", "since": work.now}
        work.changed(update(Site).where(Site.id == key).values(said))
        beat.start()
        sleep(0.5)  # it has looked by then, and waits for the row
    beat.join()

    assert statuses(world)["T2_A"] == ("waitroom", "olga")


def test_what_is_shared_out_to_a_site_that_breaks_comes_to_lie_at_the_others_by_itself(
    world: World, clock: Clock
) -> None:
    for start in range(0, 60, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    world.site("T2_D")
    break_site(world, "T2_C")
    request = world.copy(["T2_B", "T2_C", "T2_D"], spread=True)
    world.work(rounds=1000)
    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_D")] == [20, 20]

    probe(world, clock, 3)
    clock.forward(minutes=10)
    world.sweep()

    assert world.request("copy", request)["state"] == "done"
    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_D")] == [30, 30]
    mend_site(world, "T2_C")


def test_copies_that_were_held_as_their_source_was_silent_go_on_when_it_is_back(
    world: World, clock: Clock
) -> None:
    world.many("T2_B", 3)
    world.work()
    world.close()
    world.work()
    break_site(world, "T2_B")
    request = world.copy("T2_A")
    for _ in range(30):
        world.work()
        clock.forward(hours=1)
        world.sweep()
    told = world.problems("copy", request)
    assert {one["reason"] for one in told} <= {"source-error", "site-failing", "no-source"}, told
    assert world.request("copy", request)["state"] == "held"
    with world.ctx.begin.reading() as work:
        next_try = work.scalar(select(func.min(Transfer.not_before)))
    assert next_try > clock.now, "it is tried once a day by now"

    mend_site(world, "T2_B")
    sites.update(world.ctx, "T2_B", schemas.SiteBody(status="ready"), OPERATOR)  # type: ignore[arg-type]
    clock.forward(minutes=1)
    world.sweep()
    assert world.request("copy", request)["state"] == "done"


def test_a_site_that_is_aside_for_too_long_is_given_up(world: World, clock: Clock) -> None:
    break_site(world, "T2_B")
    probe(world, clock)
    clock.forward(days=13)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"][0] == "waitroom"
    clock.forward(days=1)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("morgue", "time")
    assert [hint.task for hint in world.published] == ["evacuate"]

    mend_site(world, "T2_B")


def test_nobody_is_given_up_where_the_settings_say_never(world: World, clock: Clock) -> None:
    world.ctx = world.with_settings(site={"morgue_days": 0})
    break_site(world, "T2_B")
    probe(world, clock)
    clock.forward(days=100)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("waitroom", "probes")
    mend_site(world, "T2_B")


def test_a_site_is_not_given_up_in_the_midst_of_its_downtime(world: World, clock: Clock) -> None:
    break_site(world, "T2_B")
    probe(world, clock)
    with world.ctx.begin() as work:
        key = work.scalar(select(Site.id).where(Site.name == "T2_B"))
        ends = work.now + timedelta(days=30)
        work.add(Downtime, site_id=key, source="wlcg", begins=work.now, ends=ends)
    clock.forward(days=20)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("waitroom", "probes")

    clock.forward(days=11)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("morgue", "time")
    mend_site(world, "T2_B")


def test_what_an_operator_has_put_aside_stays_there(world: World, clock: Clock) -> None:
    sites.update(world.ctx, "T2_C", schemas.SiteBody(status="waitroom"), OPERATOR)  # type: ignore[arg-type]
    probe(world, clock, 4)
    clock.forward(days=100)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_C"] == ("waitroom", None)
