"""What the command shows of sites that are ill or dying, and what one can do about it."""

from datetime import timedelta

from sqlalchemy import update

from dynamo.db.tables import Incident
from tests.cli.conftest import House
from tests.services.world import lfn
from tests.steps.sites import break_site, mend_site


def test_a_site_that_rests_says_so_and_is_released(house: House) -> None:
    assert house.run("site", "limit", "T2_A", "--streams", "3").exit_code == 0
    break_site(house.world, "T2_A")
    request = house.world.many("T2_A", 6)
    house.world.work()

    shown = house.run("site", "show", "T2_A").stdout
    assert "write breaker open until" in shown
    assert "0 in, 0 out, of 3 each" in shown
    assert "T2_A: write breaker open until" in house.run("site", "list").stderr

    mend_site(house.world, "T2_A")
    ran = house.run("site", "release", "T2_A")
    assert "6 transfers and 0 deletions are retried" in ran.stderr
    house.world.work()
    assert house.world.request("injection", request)["state"] == "done"
    assert "breaker" not in house.run("site", "show", "T2_A").stdout


def test_who_has_put_a_site_aside_is_told_and_of_one_that_is_ready_nobody(house: House) -> None:
    assert "set by" not in house.run("site", "show", "T2_A").stdout
    house.run("site", "set", "T2_A", "--status", "waitroom")
    assert "set by operator" in house.run("site", "show", "T2_A").stdout


def test_an_evacuation_names_what_is_left_and_what_is_stuck(house: House) -> None:
    house.world.many("T2_A", 5)
    house.world.close()
    house.world.work()
    house.world.path("T2_A", lfn("T2_A_2.root")).unlink()
    assert "is not being evacuated" in house.run("site", "evacuation", "T2_A").stderr
    assert house.run("site", "set", "T2_A", "--status", "morgue").exit_code == 0
    request = house.world.copy("T2_B", consolidate=False)
    house.world.work()
    assert house.run("switch", "set", "deletions", "--stop").exit_code == 0

    shown = house.run("site", "evacuation", "T2_A").stdout
    assert "5 files" in shown
    assert "an operator has stopped deletions" in shown
    [line] = [line for line in shown.splitlines() if lfn("T2_A_2.root") in line]
    assert "T2_B" in line
    [alice] = [
        one for one in house.run("site", "losses", "T2_A").stdout.splitlines() if "al" in one
    ]
    assert alice.split()[0] == "alice"
    ran = house.run("request", "release", str(request))
    assert "1 transfers" in ran.stderr, ran.stderr


def test_an_operator_gives_up_what_could_not_be_read_at_a_dying_site(house: House) -> None:
    house.world.many("T2_A", 5)
    house.world.close()
    house.world.work()
    house.world.path("T2_A", lfn("T2_A_2.root")).unlink()
    assert house.run("site", "set", "T2_A", "--status", "morgue").exit_code == 0
    house.world.copy("T2_B", consolidate=False)
    house.world.work()
    assert (
        "0 files (0 B) have been unreadable"
        in house.run("site", "losses", "T2_A", "--declare").stderr
    )
    with house.world.ctx.begin() as work:
        work.changed(update(Incident).values(at=work.now - timedelta(days=1)))
    shown = house.run("site", "evacuation", "T2_A").stdout
    assert "given up not now: most other sites do not answer their probes either" in shown

    asked = house.run("site", "losses", "T2_A", "--declare")
    assert asked.exit_code != 0
    assert "1 files" in asked.stderr
    assert lfn("T2_A_2.root") in asked.stderr
    assert "use --yes" in asked.stderr
    ran = house.run("site", "losses", "T2_A", "--declare", "--yes")

    assert "1 files are declared lost" in ran.stderr, ran.stderr
    assert f"of alice: {lfn('T2_A_2.root')}" in ran.stderr
