"""Sites that are tried and compared from the command line, quarantine, incidents."""

import json
from datetime import UTC, datetime

from tests.cli.conftest import House
from tests.services.world import lfn
from tests.steps.spoiling import DARK, by_hand, long_ago


def test_a_site_is_tried_and_a_bad_one_ends_with_1(house: House) -> None:
    good = house.run("site", "check", "T2_A")
    assert good.exit_code == 0, good.output
    assert "only Dynamo can write there" in good.stdout
    told = json.loads(house.run("site", "check", "T2_A", "--json").stdout)
    assert told["usable"] is True
    assert [one["step"] for one in told["steps"]][:3] == ["write", "stat", "sum"]

    (house.data / "T2_B").rmdir()
    bad = house.run("site", "check", "T2_B")
    assert bad.exit_code == 1
    assert "not tried, because write did not work" in bad.stdout
    assert house.run("site", "check", "T2_Z").exit_code == 1


def test_a_site_is_compared_and_what_is_found_is_looked_after(house: House) -> None:
    world = house.world
    world.many("T2_A", 3)
    world.work()
    by_hand(world.path("T2_A", DARK), datetime.now(UTC), b"dark")
    world.path("T2_A", lfn("T2_A_1.root")).unlink()

    with house.working():
        dry = house.run("site", "scan", "T2_A", "--dry-run")
        assert dry.exit_code == 0, dry.output
        assert DARK in dry.stdout
        assert house.run("site", "scan", "T2_A").exit_code == 0
        long_ago(world)
        told = json.loads(house.run("site", "scan", "T2_A", "--json").stdout)
    world.work()
    assert told["summary"]["acted"] == 2
    assert house.run("site", "scan", "T2_Z").exit_code == 1

    listed = house.run("quarantine", "list", "--site", "T2_A").stdout
    assert DARK in listed
    [kept] = json.loads(house.run("quarantine", "list", "--json").stdout)["items"]
    assert house.run("quarantine", "release", str(kept["id"])).exit_code == 0
    world.work()
    assert DARK in world.on_disk("T2_A")

    lost = house.run("incident", "list", "--owner", "alice", "--kind", "lost").stdout
    assert lfn("T2_A_1.root") in lost
    assert (
        json.loads(house.run("incident", "list", "--owner", "bob", "--json").stdout)["items"] == []
    )
    assert "lost" in house.run("file", "where", lfn("T2_A_1.root")).stdout
