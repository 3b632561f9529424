"""The demonstration itself, small, on both stacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stack", ["embedded", "mysql"])
def test_the_main_job_is_shown_and_verified(tmp_path: Path, stack: str) -> None:
    words = ["demo", "--data", str(tmp_path / "demo"), "--stack", stack]
    ran = subprocess.run(
        [sys.executable, "-m", "dynamo.cli.main", *words, "--jobs", "6", "--files", "10"],
        # a system that the environment names is left alone
        env={**os.environ, "DYNAMO_DATABASE_URL": "mysql+pymysql://nobody@127.0.0.1:9/theirs"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "each file is complete, at its place and nowhere else" in ran.stderr
    assert "killed while it wrote a file" in ran.stdout


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    ran = subprocess.run(
        [sys.executable, "-m", "dynamo.cli.main", "demo", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
