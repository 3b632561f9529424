"""Pools that start quickly, and die where they are told to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dynamo.points import Point
from dynamo.running import programs
from dynamo.running.process import die_with_parent
from tests.faults.plant import ALL


@dataclass
class Crew:
    """Pools of all queues, forked from one process that has imported them."""

    folder: Path
    process: "subprocess.Popen[str]" = field(repr=False)
    answers: IO[str] = field(repr=False)
    running: dict[int, Path] = field(default_factory=dict)
    started: int = 0

    def start(self) -> int:
        """Start a pool; return its process id."""
        self.started += 1
        name = f"pool{self.started}"
        log = self.folder / f"{name}.log"
        command = programs.pool(programs.Pool(name, ALL, 4, "test")).command
        pid = self._ask(start=command[command.index("worker") :], log=str(log))
        self.running[pid] = log
        return pid

    def ended(self, pid: int) -> bool:
        """Tell whether a pool was killed. Raises where it ended in any other way."""
        status = self._ask(ended=pid)
        if status == 0:
            return False
        log = self.running.pop(pid)
        assert os.WIFSIGNALED(status), log.read_text()[-3000:]
        return True

    def kill(self) -> None:
        """End all pools."""
        for pid in list(self.running):
            self._ask(kill=pid)
            del self.running[pid]

    def arm(self, point: Point) -> None:
        """Let the next pool that reaches a point die there."""
        (self.folder / point).touch()

    def died(self, point: Point) -> bool:
        """Tell, once, whether one did."""
        mark = self.folder / f"{point}.died"
        if not mark.exists():
            return False
        mark.unlink()
        return True

    def disarm(self) -> None:
        """Let nobody die any more."""
        for point in Point:
            (self.folder / point).unlink(missing_ok=True)

    @property
    def logs(self) -> str:
        """Return the end of what the running pools say."""
        return "\n".join(log.read_text(errors="replace")[-2000:] for log in self.running.values())

    def _ask(self, **order: object) -> int:
        assert self.process.stdin is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return int(self.answers.readline())


@contextmanager
def crew(folder: Path, env: Mapping[str, str]) -> Iterator[Crew]:
    """Get ready to start pools that keep their logs in a folder."""
    ours, theirs = os.pipe()
    with (folder / "zygote.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(theirs,),
            env={**env, "CRASH_TEST_FOLDER": str(folder)},
            cwd=Path(__file__).parents[2],
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing that could hold a lock
        )
    os.close(theirs)
    with os.fdopen(ours) as answers, process:
        made = Crew(folder, process, answers)
        try:
            yield made
            made.kill()
        finally:
            process.kill()
