"""Processes of ours end with all that they started."""

import signal
import sys
from pathlib import Path

from dynamo.running.process import spawn, stop
from tests.faults.plant import quickly

PARENT = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"], process_group=0)
print(f"{child.pid}.", flush=True)
time.sleep(600)
"""


def test_a_child_in_a_group_of_its_own_ends_as_well(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", PARENT], log)
    quickly(lambda: "." in log.read_text())
    child = Path("/proc") / log.read_text().strip().rstrip(".") / "stat"
    quickly(lambda: " (sleep) S " in child.read_text())

    stop(process, signal.SIGKILL, 5)

    quickly(lambda: not child.exists() or " (sleep) Z " in child.read_text())
