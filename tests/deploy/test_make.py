"""What `make` promises: it explains itself, and installs only what is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISED = {"install", "demo", "up", "test", "check", "bench", "lock", "migration", "clean"}


def run(
    *command: str, cwd: Path = ROOT, path: str | None = None
) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_make_alone_explains_every_promised_target() -> None:
    shown = run("make")
    assert shown.returncode == 0
    assert set(re.findall(r"^  make (\w+)", shown.stdout, re.MULTILINE)) >= PROMISED


def test_ci_runs_make_test_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in script if not line.startswith("#")] == [
        'exec make --no-print-directory -C "$(dirname "${BASH_SOURCE[0]}")/.." test'
    ]


def test_the_summary_of_the_tests_is_the_last_thing_that_make_test_says() -> None:
    planned = run("make", "--dry-run", "test").stdout.strip().splitlines()
    assert planned[-1].split()[0].endswith("/pytest")


def test_a_migration_needs_a_reason() -> None:
    refused = run("make", "migration")
    assert refused.returncode != 0
    assert "say why" in refused.stderr


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A machine without servers, and without apt to get them."""
    for name in ("bash", "dirname", "id", "env", "cat", "pwd"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    return tmp_path


def test_where_no_apt_is_at_hand_it_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    installer = tmp_path / "deploy" / "install.sh"
    installer.parent.mkdir()
    # the servers of this machine lie outside PATH, where the script looks as well
    text = (ROOT / "deploy" / "install.sh").read_text().replace(":/usr/sbin:/usr/local/sbin", "")
    installer.write_text(text)

    refused = run("bash", str(installer), "servers", cwd=tmp_path, path=str(bare))

    assert refused.returncode == 1
    assert "mariadb-server redis-server xrootd-server xrootd-client" in refused.stderr


def test_servers_that_are_there_are_not_installed_again() -> None:
    done = run("deploy/install.sh", "servers")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
