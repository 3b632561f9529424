"""`dynamo inject`: handing output over from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynamo.cli.main import app
from tests.cli.conftest import House
from tests.client.service import Answer, problem, scripted
from tests.services.world import DATASET, lfn

INJECT = ("inject", DATASET, "--site", "T2_A")


def test_files_are_pulled_from_where_the_job_left_them(house: House) -> None:
    paths = [house.output("T2_A", f"{n}.root", b"x" * n) for n in range(3)]

    ran = house.run(*INJECT, "--lfn-prefix", "/store/user/dynamo/alice", *paths)
    house.world.work()

    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr.startswith("injection 1 is ")
    assert house.world.on_disk("T2_A") == {lfn(f"{n}.root"): b"x" * n for n in range(3)}


def test_names_lie_below_the_user_and_the_dataset_unless_said_otherwise(house: House) -> None:
    house.run(*INJECT, house.output("T2_A", "out.root"))
    house.world.work()

    assert list(house.world.on_disk("T2_A")) == [lfn("Higgs/alice-v1/out.root")]


def test_what_dynamo_may_not_read_is_uploaded(house: House, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.root").write_bytes(b"events")

    with house.working():
        ran = house.run(*INJECT, "--wait", str(tmp_path / "elsewhere.root"))

    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == "injection 1 is done: 1 of 1 files"
    assert house.world.on_disk("T2_A") == {lfn("Higgs/alice-v1/elsewhere.root"): b"events"}


def test_the_same_line_twice_is_harmless(house: House) -> None:
    words = (*INJECT, "--push", "--wait", house.output("T2_A", "out.root"))

    with house.working():
        codes = [house.run(*words).exit_code for _ in range(2)]

    assert codes == [0, 0]
    assert len(house.world.on_disk("T2_A")) == 1


def test_the_json_is_the_request_as_the_api_tells_it(house: House) -> None:
    ran = house.run(*INJECT, "--json", house.output("T2_A", "out.root"))

    said = json.loads(ran.stdout)
    assert [one["kind"] for one in said["requests"]] == ["injection"]
    assert said["requests"][0]["files"][0]["lfn"] == lfn("Higgs/alice-v1/out.root")
    assert said["problems"] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((*INJECT, "--lfn-prefix", "/store/user/dynamo/bob"), 3, "belong to another user"),
        (("inject", "/Higgs/bob-v1/USER", "--site", "T2_A"), 3, ""),
        (("inject", DATASET, "--site", "T9_X"), 1, "no such site"),
        ((*INJECT, "--pull", "--push"), 2, "--pull or --push"),
    ],
    ids=["namespace", "owner", "site", "usage"],
)
def test_what_is_refused_is_said_in_words_and_by_the_exit_code(
    house: House, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = house.run(*words, house.output("T2_A", "out.root"))

    assert ran.exit_code == code, ran.stderr
    assert said in ran.stderr
    assert ran.stdout == ""


def test_what_was_handed_over_is_told_though_waiting_for_it_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.root").write_bytes(b"events")
    files = {"total": 1, "done": 0, "failed": 0}
    request = {"id": 7, "kind": "injection", "state": "queued", "problems": []}
    taken = Answer(202, {**request, "progress": {"files": files}})
    words = [*INJECT, "--json", "--wait", "--lfn-prefix", "/store/x", str(tmp_path / "out.root")]
    monkeypatch.setenv("BEARER_TOKEN", "some.token.here")
    with scripted(taken, problem(401, "unauthenticated")) as service:
        monkeypatch.setenv("DYNAMO_URL", service.address)
        ran = CliRunner().invoke(app, words)

    said = json.loads(ran.stdout)
    assert ran.exit_code == 4
    assert [one["id"] for one in said["requests"]] == [7]
    assert [one["reason"] for one in said["problems"]] == ["unauthenticated"]


def test_a_quota_that_is_used_up_is_a_refusal(house: House) -> None:
    house.run("quota", "set", "alice", "3B", as_user="root")

    ran = house.run(*INJECT, house.output("T2_A", "out.root"))

    assert ran.exit_code == 3
    assert "the quota is used up" in ran.stderr


def test_two_files_of_one_name_are_a_wrong_usage(house: House, tmp_path: Path) -> None:
    (tmp_path / "out.root").touch()

    ran = house.run(*INJECT, house.output("T2_A", "out.root"), str(tmp_path / "out.root"))

    assert ran.exit_code == 2


def test_a_source_that_vanished_is_held_with_its_reason(house: House) -> None:
    path = house.output("T2_A", "out.root")
    house.run(*INJECT, path)
    Path(path).unlink()
    house.world.work()

    ran = house.run("file", "where", lfn("Higgs/alice-v1/out.root"))

    assert ran.exit_code == 0
    assert "the source does not exist" in ran.stdout
    assert "in " in ran.stdout
