"""The benchmarks work: every one says something well-formed, on as little as possible."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

NAMES = ["registration", "copying", "reading", "bookkeeping", "planner", "xrootd"]
if os.environ.get("NIGHTLY") == "1":  # these start whole systems, or build large inventories
    NAMES += ["path", "detox", "dealer", "silent", "memory"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", NAMES)
def test_each_figure_is_a_line_of_json(name: str) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", name]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=360)
    assert ran.returncode == 0, ran.stderr[-3000:]
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines
    for line in lines:
        assert line["bench"] == name
        assert line["value"] > 0
        assert line["unit"] in {"files/s", "MB/s", "MB", "ms"}
        assert line["runs"] >= 1
        assert {"figure", "baseline", "ratio"} <= set(line)
        if line["baseline"] is not None:
            assert line["ratio"] == pytest.approx(line["value"] / line["baseline"], rel=0.02)


def test_an_unknown_name_is_refused() -> None:
    command = [sys.executable, "-m", "tests.bench", "nonsense"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 2
