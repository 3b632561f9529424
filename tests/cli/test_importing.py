"""The injection JSON of the first Dynamo comes over, whole and once."""

import json
from pathlib import Path
from typing import Any

import pytest

from dynamo.cli import import_legacy
from dynamo.services.maintenance import invariants
from tests.cli.conftest import House

RAW = "/Cosmics/Run1-v1/RAW"


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"name": f"/store/{name}.root", "size": 100, "adler32": "A1B2C3", "crc32": 5, **more}


def document(**parts: Any) -> dict[str, Any]:
    blocks = [
        {"name": "b1", "files": [file("1"), file("2")]},
        {"name": "b2", "files": [file("3", site="T2_A"), file("4", site="T2_A")]},
    ]
    replicas = [
        {
            "dataset": RAW,
            "site": "T2_A",
            "growing": True,
            "group": "AnalysisOps",
            "blockreplicas": [{"block": "b1", "group": "AnalysisOps"}],
        },
        {
            "dataset": RAW,
            "site": "T1_NEW_MSS",
            "blockreplicas": [
                {"block": f"{RAW}#b1", "group": "DataOps"},
                {"block": "b2", "group": "DataOps", "files": ["/store/4.root"]},
            ],
        },
    ]
    return {
        "dataset": [
            {
                "name": RAW,
                "status": "production",
                "data_type": "data",
                "software_version": [10, 6, 4, ""],
                "blocks": blocks,
            },
            {"name": "/gone/long/AGO", "status": "deleted"},
        ],
        "site": [
            {"name": "T2_A", "backend": "file:///elsewhere"},
            {
                "name": "T1_NEW_MSS",
                "storage_type": "mss",
                "status": "ready",
                "backend": "file:///tmp",
            },
        ],
        "group": [{"name": "AnalysisOps", "olevel": "Dataset"}, {"name": "DataOps"}],
        "datasetreplica": replicas,
        **parts,
    }


@pytest.fixture
def path(house: House, tmp_path: Path) -> Path:
    where = house.world.folder / "tape"
    where.mkdir()
    told = document()
    told["site"][1]["backend"] = f"file://{where}"
    found = tmp_path / "injection.json"
    found.write_text(json.dumps(told))
    return found


def shown(house: House, *words: str) -> Any:
    return json.loads(house.run(*words, "--json").stdout)


def test_an_inventory_is_taken_over_and_taking_it_again_changes_nothing(
    house: House, path: Path
) -> None:
    first = house.run("dataset", "import", str(path))
    assert first.exit_code == 0, first.stderr
    assert "new: 1 datasets, 2 blocks, 4 files, 4 replicas" in first.stderr
    assert "left out: /gone/long/AGO was deleted" in first.stderr
    assert "replicas of AnalysisOps get the owner analysis" in first.stderr
    again = house.run("dataset", "import", str(path))
    assert "new: 0 datasets, 0 blocks, 0 files, 0 replicas" in again.stderr

    dataset = shown(house, "dataset", "show", RAW)
    assert (dataset["status"], dataset["type"], dataset["files"]) == ("production", "data", 4)
    at = {one["site"]: (one["files"], one["full"]) for one in dataset["sites"]}
    assert at == {"T2_A": (4, True), "T1_NEW_MSS": (3, False)}
    assert shown(house, "file", "where", "/store/1.root")["items"][0]["adler32"] == "00a1b2c3"
    assert shown(house, "site", "show", "T1_NEW_MSS")["kind"] == "tape"
    assert "elsewhere" not in shown(house, "site", "show", "T2_A")["url"], "known sites stay"
    assert [one for one in invariants.check(house.world.ctx) if not one.is_warning] == []


def test_a_dry_run_registers_nothing(house: House, path: Path) -> None:
    told = house.run("dataset", "import", str(path), "--dry-run")
    assert "4 files in 1 calls" in told.stderr
    assert shown(house, "dataset", "list")["items"] == []


def test_groups_are_renamed_as_told(house: House, path: Path) -> None:
    told = house.run("dataset", "import", str(path), "--group", "DataOps=analysis", "--dry-run")
    assert "replicas of DataOps get the owner analysis" in told.stderr
    assert house.run("dataset", "import", str(path), "--group", "DataOps").exit_code == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"datset": []}', '{"dataset": [{}]}'])
def test_what_is_no_injection_json_is_refused(house: House, tmp_path: Path, text: str) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    told = house.run("dataset", "import", str(wrong))
    assert told.exit_code == 1
    assert "is no injection JSON" in told.stderr


def test_a_large_inventory_is_cut_between_blocks() -> None:
    blocks = [
        {"name": f"b{n}", "files": [file(f"{n}_{i}", site="T2_A") for i in range(1000)]}
        for n in range(100)
    ]
    text = json.dumps({"dataset": [{"name": RAW, "blocks": blocks}]})
    calls = list(import_legacy.calls(import_legacy.read(text.encode()), {}, leave_open=False))
    assert 2 <= len(calls) <= 6
    assert all(len(json.dumps(call)) < 16 * 2**20 for call in calls)
    names = [block["name"] for call in calls for one in call for block in one["blocks"]]
    assert names == [f"b{n}" for n in range(100)]


def test_blocks_may_be_left_open() -> None:
    told = import_legacy.read(json.dumps(document()).encode())
    owners = import_legacy.owners(told, {})
    assert owners == {"AnalysisOps": "analysis", "DataOps": "production"}
    (open_ones,) = import_legacy.calls(told, owners, leave_open=True)
    assert all("open" not in block for block in open_ones[0]["blocks"])
    (closed,) = import_legacy.calls(told, owners, leave_open=False)
    assert [block["open"] for block in closed[0]["blocks"]] == [False, False]
