"""Cycles of the Dealer on the command line: tried dry, run, explained."""

import json

from tests.cli.conftest import House
from tests.services.world import DATASET
from tests.steps.dealer_cycles import waiting


def test_a_cycle_is_tried_dry_run_and_explained(house: House) -> None:
    house.world.many("T2_A", 5)
    house.world.close()
    house.world.work()
    waiting(house.world, 3)
    with house.working():
        dry = house.run("dealer", "run", "User", "--dry-run")
        ran = house.run("dealer", "run", "User")

    assert (dry.exit_code, ran.exit_code) == (0, 0), dry.stderr + ran.stderr
    assert "nothing is done" in dry.stderr
    assert any("popularity" in line and "accepted" in line for line in dry.stdout.splitlines())
    [copied] = [line for line in ran.stdout.splitlines() if "popularity: copied" in line]
    assert DATASET in copied
    site = copied.split()[1]
    assert "popularity: copied" in house.run("why", DATASET, site).stdout
    listed = house.run("dealer", "list").stdout
    assert "User" in listed
    assert DATASET in house.run("dealer", "show", "2").stdout


def test_rules_that_nothing_can_meet_are_told_of(house: House) -> None:
    rule = {
        "num_copies": 1,
        "replicas": ["dataset.name == *"],
        "destinations": ["site.name == T9_*"],
        "sources": ["site.name == *"],
    }
    file = house.world.folder / "rules.json"
    file.write_text(json.dumps({"rules": {"far": rule}}, indent=1))
    house.world.many("T2_A", 5)
    house.world.close()
    house.world.work()

    put = house.run("policy", "set", "User", str(file), "--rules")
    with house.working():
        ran = house.run("dealer", "run", "User")

    assert (put.exit_code, ran.exit_code) == (0, 0), put.stderr + ran.stderr
    for told in (put, ran):
        assert "warning: rule far: no site fits its destinations" in told.stderr


def test_what_becomes_of_many_alike_proposals_is_said_once(house: House) -> None:
    house.world.many("T2_A", 5)
    house.world.close()
    house.world.work()
    house.world.site_quota("T2_B", 1)
    waiting(house.world, 8)
    with house.working():
        house.run("dealer", "run", "User")

    told = house.run("why", DATASET, "T2_B").stdout

    assert told.count("no site that lacks it has room for it") == 1
    assert "times" in told
