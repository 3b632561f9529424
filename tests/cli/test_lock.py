"""Locks from the command line."""

import json

from tests.cli.conftest import House

RAW = "/Cosmics/Run1-v1/RAW"


def test_a_lock_is_set_listed_and_taken_away(house: House) -> None:
    made = house.run("lock", "set", "/Cosmics/*", "--days", "30", "--site", "T2_A", "--why", "PhD")
    assert made.exit_code == 0, made.stderr
    assert "lock 1 on /Cosmics/* ends in 30 d" in made.stderr

    listed = house.run("lock", "list", "--dataset", RAW).stdout
    assert "/Cosmics/*" in listed
    assert "T2_A" in listed
    assert "PhD" in listed
    told = json.loads(house.run("lock", "list", "--json").stdout)
    assert [one["owner"] for one in told["items"]] == ["alice"]
    assert json.loads(house.run("lock", "list", "--owner", "bob", "--json").stdout)["items"] == []

    assert house.run("lock", "delete", "1").exit_code == 0
    assert json.loads(house.run("lock", "list", "--json").stdout)["items"] == []
    assert house.run("lock", "delete", "1").exit_code == 1


def test_a_lock_says_when_it_ends(house: House) -> None:
    for words in ((), ("--days", "1", "--until", "2036-01-01T00:00:00Z"), ("--until", "tomorrow")):
        assert house.run("lock", "set", RAW, *words).exit_code == 2
    for days in ("1e9", "1e300", "inf", "nan"):
        assert house.run("lock", "set", RAW, "--days", days).exit_code == 2
    assert house.run("lock", "set", RAW, "--until", "2020-01-01T00:00:00Z").exit_code == 1
    assert house.run("lock", "set", "RAW", "--days", "1").exit_code == 1
