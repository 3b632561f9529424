"""Looking at what is where: datasets, files, requests, history."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynamo.cli.main import app
from tests.cli.conftest import House
from tests.services.world import DATASET, lfn


def test_a_dataset_is_shown_with_its_sites_and_blocks_on_one_screen(house: House) -> None:
    house.world.many("T2_A", 7)
    house.world.many("T2_B", 2, start=7)
    house.world.work()

    ran = house.run("dataset", "show", DATASET)

    assert ran.exit_code == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["owner", "alice"] in lines
    assert ["T2_A", "7", "78", "%", "in", "part"] in [
        [*line[:4], *line[-2:]] for line in lines if line
    ]
    assert sum("closed" in line for line in lines) == 1
    assert "not there yet" not in ran.stdout
    assert len(lines) < 40


def test_a_dataset_says_what_is_not_there_why_and_when_it_is_tried_next(house: House) -> None:
    house.world.many("T2_A", 2)
    house.world.output_path("T2_A", "T2_A_1.root").unlink()
    house.world.work()

    ran = house.run("dataset", "show", DATASET)

    [line] = [line for line in ran.stdout.splitlines() if "the source does not exist" in line]
    assert lfn("T2_A_1.root") in line
    assert " in " in line
    assert "T2_A" in line


def test_a_file_that_is_held_says_so(house: House) -> None:
    house.world.many("T2_A", 1)
    house.world.work()

    ran = house.run("file", "where", lfn("T2_A_0.root"))

    assert ran.exit_code == 0
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("T2_A")]
    assert "available" in line
    assert f"file://{house.data}/T2_A{lfn('T2_A_0.root')}" in line


def test_names_are_not_cut_where_no_terminal_sets_a_limit(house: House) -> None:
    name = "x" * 200 + ".root"
    house.world.inject("T2_A", [house.world.pulled("T2_A", name, b"events")])

    ran = house.run("file", "where", lfn(name))

    assert lfn(name) in ran.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("dataset", "list"),
        ("dataset", "show", DATASET),
        ("file", "where", lfn("T2_A_0.root")),
        ("request", "show", "injection", "1"),
        ("request", "list", "injection"),
        ("site", "list"),
        ("site", "show", "T2_A"),
        ("quota", "show"),
        ("switch", "list"),
        ("history", "--dataset", DATASET),
        ("copy", "list"),
    ],
    ids=" ".join,
)
def test_every_reading_command_has_a_table_for_people_and_json_for_machines(
    house: House, words: tuple[str, ...]
) -> None:
    house.world.many("T2_A", 1)
    house.world.work()

    table, machine = house.run(*words), house.run(*words, "--json")

    assert (table.exit_code, machine.exit_code) == (0, 0), table.stderr
    assert table.stdout
    said = json.loads(machine.stdout)
    assert isinstance(said, dict)
    assert machine.stderr == ""


def test_the_json_of_a_list_is_the_api_s_page(house: House) -> None:
    house.world.many("T2_A", 1)

    said = json.loads(house.run("dataset", "list", "--name", "/Higgs/*", "--json").stdout)

    assert said["next"] is None
    assert [one["name"] for one in said["items"]] == [DATASET]


@pytest.mark.parametrize(
    "words",
    [("dataset", "show", "/No/such-v1/USER"), ("file", "where", lfn("no")), ("site", "show", "T9")],
    ids=" ".join,
)
def test_what_is_unknown_fails(house: House, words: tuple[str, ...]) -> None:
    ran = house.run(*words)

    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "no such" in ran.stderr


def test_history_says_who_did_what(house: House) -> None:
    house.world.many("T2_A", 1)
    house.world.work()

    ran = house.run("history", "--dataset", DATASET)

    assert "alice" in ran.stdout
    assert house.run("history").exit_code == 2


def test_a_text_from_a_storage_cannot_drive_the_terminal(house: House) -> None:
    house.run("switch", "set", "injection", "--stop", "--why", "\x1b]0;owned\x07", as_user="root")

    assert "\x1b" not in house.run("switch", "list").stdout


def test_a_system_is_found_by_the_option_before_or_after_the_verb_or_the_environment(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def code(*words: str) -> int:
        return int(CliRunner().invoke(app, list(words)).exit_code)

    assert code("site", "list") == 4
    assert code("--data", str(house.data), "site", "list") == 0
    assert code("site", "list", "--data", str(house.data)) == 0
    assert code("--data", str(tmp_path / "no"), "site", "list", "--data", str(house.data)) == 0
    monkeypatch.setenv("DYNAMO_DATA", str(house.data))
    assert code("site", "list") == 0
    assert code("--data", str(tmp_path / "no"), "site", "list") == 4


def test_a_system_elsewhere_is_called_with_the_token_of_the_environment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = house.run("token", "bob").stdout.strip()
    monkeypatch.setenv("DYNAMO_URL", house.address)

    without = CliRunner().invoke(app, ["site", "list"])
    monkeypatch.setenv("BEARER_TOKEN", token)
    with_one = CliRunner().invoke(app, ["site", "list"])

    assert (without.exit_code, with_one.exit_code) == (3, 0)
    assert "no valid token" in without.stderr
