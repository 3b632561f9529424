"""Probing sites that real XRootD servers serve: every step, and who else may write there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynamo.storage.probe import ProbedStorage, probe
from dynamo.storage.registry import Storages
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.anonymous_write_check import can_write
from dynamo.storage.xrootd.server import server
from tests.servers import program
from tests.servers_xrootd import PACKAGE, USUAL, XRootD, xrootd_servers
from tests.storage.suite import AREA

QUICK = Timeouts(answer=10, silence=10, third_party=2**20)


def ground() -> ProbedStorage:
    return ProbedStorage(
        AREA,
        "/store/user/dynamo",
        QUICK.third_party,
        lambda: datetime.now(UTC),
        lambda storage, lfn: storage.delete(lfn),
    )


@pytest.fixture(scope="module")
def open_server() -> Iterator[XRootD]:
    with xrootd_servers(1) as [running]:
        yield running


def test_every_step_works_and_a_server_for_everybody_is_told(open_server: XRootD) -> None:
    steps = probe(Storages(AREA, QUICK).at(open_server.url, {}), ground())

    found = {step.name: step.outcome.value for step in steps}
    assert found == {
        **dict.fromkeys(("write", "stat", "sum", "clock", "rename", "delete"), "ok"),
        "third-party copy": "ok",
        "namespace": "failed",
    }, steps
    assert open_server.files() == {}


def test_a_server_that_asks_for_credentials_lets_no_stranger_write(tmp_path: Path) -> None:
    key = tmp_path / "keytab"
    make = [program(("xrdsssadmin",), PACKAGE), "-k", "dynamo", "-u", "dynamo", "-g", "dynamo"]
    subprocess.run([*make, "add", str(key)], check=True, capture_output=True, timeout=30)
    with xrootd_servers(1) as [running]:
        running.stop()
        shutil.copy(key, running.folder / "keytab")
        (running.folder / "keytab").chmod(0o600)
        lines = (
            "xrootd.seclib libXrdSec.so",
            "sec.protocol sss -s {folder}/keytab",
            "sec.protbind * only sss",
        )
        running.does = (*USUAL, *lines)
        running.start()
        trying = (
            "import sys; from dynamo.storage.timeouts import Timeouts;"
            "from dynamo.storage.registry import Storages;"
            f"s = Storages({AREA!r}, Timeouts(answer=10, silence=10)).at(sys.argv[1], {{}});"
            f"s.write({AREA + '/.copies/1.1.a'!r}).__enter__();"
            "print(s.open_to_others('/store/user/dynamo/_probe/x'))"
        )
        env = {**os.environ, "XrdSecSSSKT": str(key)}
        told = subprocess.run(
            [sys.executable, "-c", trying, running.url],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.stdout.strip() == "False", told.stderr
        assert not can_write(server(running.url.rstrip("/"), QUICK), "/store/user/x")
