"""What a job wrapper does, with the client that the service hands out and as the page shows it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynamo import tokens
from dynamo.client import client
from tests.cli.conftest import House
from tests.services.world import DATASET, lfn

PAGE = Path(__file__).parents[2] / "docs" / "job-wrappers.md"


def surroundings(house: House, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a job: no more than it needs."""
    token = tokens.issue(house.world.ctx.settings, "alice", [], datetime.now(UTC))
    given = {"DYNAMO_URL": house.address, "BEARER_TOKEN": token, "HOME": str(folder), **more}
    return {"PATH": os.defpath, **given}


def test_a_downloaded_copy_hands_a_file_over(house: House, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    with urllib.request.urlopen(f"{house.address}/client.py") as answer:
        (job / "client.py").write_bytes(answer.read())
    assert (job / "client.py").read_bytes() == Path(client.__file__).read_bytes()
    words = ["--json", "inject", DATASET, "--site", "T2_A", "--wait", "60"]

    with house.working():
        ran = subprocess.run(
            # -I: nothing of ours can be imported by accident
            [sys.executable, "-I", "client.py", *words, house.output("T2_A", "out.root", b"higgs")],
            check=False,
            cwd=job,
            env=surroundings(house, job),
            capture_output=True,
            text=True,
        )

    assert ran.returncode == 0, ran.stderr
    assert [one["state"] for one in json.loads(ran.stdout)["requests"]] == ["done"]
    assert house.world.on_disk("T2_A") == {lfn("Higgs/alice-v1/out.root"): b"higgs"}


@pytest.mark.parametrize(
    "copying",
    ["true", 'head -c 3 "$from" > "$to"', 'cp "$from" "$to"'],
    ids=["before", "half-way", "after"],
)
def test_the_line_of_a_job_that_was_killed_is_harmless_to_repeat(
    house: House, tmp_path: Path, copying: str
) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / "out.root").write_bytes(b"higgs")
    deadly = tmp_path / "deadly"
    deadly.write_text(
        f'from="${{1#file://}}" to="${{2#file://}}"\n'
        f'mkdir -p "$(dirname "$to")"\n{copying}\nkill -9 $PPID\n'
    )
    line = [sys.executable, "-I", client.__file__, "--json", "inject", DATASET, "--site", "T2_A"]
    line += ["--push", "--wait", "60", str(job / "out.root")]
    surrounded = surroundings(house, job)
    killed = subprocess.run(
        [*line, "--copy-command", f"sh {deadly} {{source}} {{target}}"],
        check=False,
        env=surrounded,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL

    with house.working():
        ran = subprocess.run(line, check=False, env=surrounded, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert house.world.on_disk("T2_A") == {lfn("Higgs/alice-v1/out.root"): b"higgs"}
    assert house.world.used("alice") == len(b"higgs")


def test_the_page_works_as_it_is_written(house: House, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    for name in ("out_1", "out_2", "one"):
        house.output("T2_A", f"{name}.root", name.encode())
    for name in ("out_3", "two"):
        (job / f"{name}.root").write_bytes(name.encode())
    scratch = str(tmp_path / "T2_A-scratch")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    environment = surroundings(house, job, SCRATCH=scratch, OUT=str(job))

    with house.working():
        ran = subprocess.run(
            ["sh", "-eux"],
            input="\n".join(blocks),
            check=False,
            cwd=job,
            env=environment,
            capture_output=True,
            text=True,
        )

    assert ran.returncode == 0, ran.stderr
    assert len(blocks) == 7
    house.world.work()
    assert house.world.on_disk("T2_A") == {
        lfn(name): Path(name).stem.encode()
        for name in ("one.root", "two.root", *(f"Higgs/alice-v1/out_{n}.root" for n in (1, 2, 3)))
    }


def test_the_page_names_every_exit_code_and_place_of_a_token() -> None:
    page = PAGE.read_text()

    for code in (client.OK, client.FAILED, client.USAGE, client.REFUSED, client.TEMPORARY):
        assert f"| {code} |" in page
    assert f"| {client.PARTIAL} |" in page
    assert all(word in page for word in ("BEARER_TOKEN_FILE", "XDG_RUNTIME_DIR", "/tmp/bt_u<uid>"))
    assert all(str(status) in page for status in client.REPEATED)
