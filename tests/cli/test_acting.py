"""Asking for things and changing them from the command line."""

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import update

from dynamo.db.tables import Dataset
from tests.cli.conftest import House
from tests.services.world import DATASET


def test_a_dataset_is_closed_and_gathered_at_one_site(house: House) -> None:
    house.world.many("T2_A", 3)
    house.world.many("T2_B", 3, start=3)
    with house.working():
        closed = house.run("dataset", "close", DATASET, "--wait")
        copied = house.run("copy", "create", DATASET, "--site", "T2_B", "--wait")

    assert (closed.exit_code, copied.exit_code) == (0, 0), copied.stderr
    assert "copy 4 is done: 6 of 6 files" in copied.stderr
    assert house.world.on_disk("T2_A") == {}
    assert len(house.world.on_disk("T2_B")) == 6


def test_a_copy_can_be_looked_at_and_cancelled(house: House) -> None:
    house.run("copy", "create", DATASET, "--site", "T2_B")

    assert "queued" in house.run("copy", "show", "1").stdout
    assert house.run("copy", "cancel", "1").exit_code == 0
    assert "cancelled" in house.run("copy", "show", "1").stdout
    again = house.run("copy", "cancel", "1")
    assert again.exit_code == 1
    assert "the request has ended" in again.stderr


def test_a_deletion_asks_for_the_number_of_files(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.world.many("T2_A", 2)
    house.world.work()

    dry = house.run("dataset", "delete", DATASET, "--dry-run")
    unasked = house.run("dataset", "delete", DATASET)
    monkeypatch.setattr("dynamo.cli.dataset.is_interactive", lambda: True)
    wrong = house.run("dataset", "delete", DATASET, typed="3\n")

    assert dry.exit_code == 0
    assert f"2 files of {DATASET} at all sites" in dry.stderr
    assert (unasked.exit_code, wrong.exit_code) == (2, 1)
    assert house.run("request", "list", "deletion", "--json").stdout.count('"id"') == 0
    assert house.run("dataset", "delete", DATASET, typed="2\n").exit_code == 0
    assert house.run("request", "list", "deletion", "--json").stdout.count('"id"') == 1


def test_what_was_condemned_can_be_rescued(house: House) -> None:
    house.world.many("T2_A", 2)
    house.world.work()
    house.run("dataset", "delete", DATASET, "--yes")
    house.world.work()

    ran = house.run("request", "cancel", "deletion", "2")
    house.world.work()

    assert ran.exit_code == 0, ran.stderr
    assert len(house.world.on_disk("T2_A")) == 2


@pytest.mark.parametrize("words", [("request", "cancel", "copy"), ("copy", "cancel")])
def test_whoever_holds_the_key_cancels_requests_of_others_and_as_a_user_only_own_ones(
    house: House, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LOGNAME", "oncall")
    house.run("copy", "create", DATASET, "--site", "T2_B")

    assert house.run(*words, "1", as_user="bob").exit_code == 3
    ran = house.run(*words, "1", as_user=None)

    assert ran.exit_code == 0, ran.stderr


def test_whoever_holds_the_key_releases_requests_of_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "oncall")
    house.run("copy", "create", DATASET, "--site", "T2_B")

    assert house.run("request", "release", "1", as_user="bob").exit_code == 3
    ran = house.run("request", "release", "1", as_user=None)

    assert ran.exit_code == 0, ran.stderr


def test_the_last_copy_at_a_site_is_refused(house: House) -> None:
    house.world.many("T2_A", 5)
    house.world.work()

    ran = house.run("dataset", "delete", DATASET, "--site", "T2_A", "--yes")

    assert ran.exit_code == 1
    assert "it is the last good copy" in ran.stderr


def test_a_site_is_ready_at_once(house: House, tmp_path: Path) -> None:
    (tmp_path / "tape").mkdir()
    words = ("--url", str(tmp_path / "tape"), "--kind", "tape", "--quota", "User=1.5TB")

    ran = house.run("site", "add", "T1_X", *words, "--scratch", str(tmp_path), as_user="root")

    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr == "T1_X is ready\n"
    site = json.loads(house.run("site", "show", "T1_X", "--json").stdout)
    assert (site["kind"], site["status"]) == ("tape", "ready")
    assert site["url"] == f"file://{tmp_path}/tape"
    assert (tmp_path / "tape").is_dir()
    assert site["scratch"] == [str(tmp_path)]
    assert [one["limit"] for one in site["quotas"]] == [1_500_000_000_000]


@pytest.mark.parametrize("quota", ["User", "=1TB", "User=many", "User=-1"])
def test_a_quota_that_is_none_is_a_wrong_usage(house: House, quota: str) -> None:
    ran = house.run("site", "add", "T1_X", "--url", "/tmp", "--quota", quota)

    assert ran.exit_code == 2
    assert house.run("site", "show", "T1_X").exit_code == 1


def test_a_site_can_be_taken_out_of_use(house: House) -> None:
    assert house.run("site", "set", "T2_A", "--status", "waitroom").exit_code == 0
    assert "waitroom" in house.run("site", "show", "T2_A").stdout
    assert house.run("site", "set", "T2_A").exit_code == 2


def test_a_user_s_quota_is_set(house: House) -> None:
    house.run("quota", "set", "alice", "2TB")

    assert "2.0 TB" in house.run("quota", "show", "alice").stdout
    house.run("quota", "set", "alice", "unlimited")
    assert "unlimited" in house.run("quota", "show", "alice").stdout


def test_a_switch_stops_and_lets_go_on(house: House) -> None:
    assert house.run("switch", "set", "injection", "--stop", "--why", "repair").exit_code == 0
    assert "repair" in house.run("switch", "list").stdout

    words = ("inject", DATASET, "--site", "T2_A", house.output("T2_A", "out.root"))
    refused = house.run(*words, "--patience", "0")
    house.run("switch", "set", "injection", "--go")
    taken = house.run(*words)

    assert (refused.exit_code, taken.exit_code) == (4, 0), refused.stderr
    assert "an operator has stopped this" in refused.stderr


def test_a_token_is_printed_alone(house: House) -> None:
    ran = house.run("token", "carol", "--role", "operator", "--role", "user", "--hours", "1")

    claims = json.loads(base64.urlsafe_b64decode(ran.stdout.split(".")[1] + "=="))
    assert (claims["sub"], claims["roles"]) == ("carol", ["operator", "user"])
    assert claims["exp"] - claims["iat"] == 3600
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""
    assert house.run("token", "Carol").exit_code == 2


def test_without_the_key_no_token_is_made(house: House) -> None:
    house.data.joinpath("keys/ES256").unlink()

    assert house.run("token", "carol").exit_code == 3


def test_check_prints_nothing_when_all_is_well(house: House) -> None:
    house.world.many("T2_A", 3)
    house.world.work()

    ran = house.run("check")

    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "")


def test_check_names_what_is_broken(house: House) -> None:
    house.world.many("T2_A", 3)
    with house.world.ctx.begin() as work:
        work.changed(update(Dataset).values(n_files=7))

    ran = house.run("check")

    assert ran.exit_code == 1
    assert DATASET in ran.stdout


def test_check_does_not_find_an_absent_inventory_well(house: House, tmp_path: Path) -> None:
    ran = house.run("check", "--data", str(tmp_path / "nothing"))

    assert ran.exit_code == 1
    assert not (tmp_path / "nothing").exists()


def test_check_does_not_look_into_another_database_than_the_system(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DYNAMO_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")

    ran = house.run("check")

    assert ran.exit_code == 1
    assert "DYNAMO_DATABASE_URL" in ran.stderr
