"""The acts of the demonstration: sites, jobs, killed workers, closure, consolidation."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynamo.cli import console
from dynamo.cli.demo.job_output import DATASET, PREFIX, SITES, USER, Job
from dynamo.cli.demo.report import Report
from dynamo.cli.demo.system import HASTE, Demonstrated, writes_below
from dynamo.cli.session import Session
from dynamo.client import client
from dynamo.client.client import Dynamo, Json

WRAPPERS = 6
"""Parallel job wrappers."""

TARGET = SITES[0]
PATIENCE = 150.0
INTERRUPTED = 1_000_000
"""Bytes of a file that a worker has written when it is killed."""


@dataclass(frozen=True)
class Stage:
    """The system, sites and jobs of the acts."""

    system: Demonstrated
    session: Session
    sites: Mapping[str, Path]
    scratch: Path
    jobs: list[Job]
    environment: Mapping[str, str]

    @property
    def files(self) -> int:
        """Return the number of files."""
        return sum(len(job.files) for job in self.jobs)

    def service(self, user: str, *roles: str) -> Dynamo:
        """Return the service, called as this user."""
        token = self.session.make_token(user, [*roles, "user"])
        return Dynamo(self.system.running.address, token, patience=60)


def perform(stage: Stage, report: Report) -> None:
    """Run all acts."""
    with report.act("three sites are added"):
        _sites(stage)
    service = stage.service(USER)
    with report.act("the jobs inject their files"), killing(stage, "transfer", report):
        _hand_over(stage, report)
    with report.act("the dataset is closed"):
        _done(service.wait(service.close(DATASET), PATIENCE), report)
    _blocks(stage, service, report)
    with report.act(f"the dataset is gathered at {TARGET}"), killing(stage, "transfer", report):
        request = service.copy(DATASET, TARGET, consolidate=True)
        _done(_shown(service, request), report)
        _alone(service, report)
    if not report.kills:
        report.blame("no worker was killed while it wrote a file")
    with report.act("the inventory is checked"):
        _check(stage, report)


def _sites(stage: Stage) -> None:
    operator = stage.service("demo", "operator")
    for name, folder in stage.sites.items():
        body = {"kind": "disk", "status": "ready", "url": f"file://{folder}"}
        operator.put(f"/v1/sites/{name}", {**body, "scratch": [str(stage.scratch / name)]})
        operator.put(f"/v1/sites/{name}/quotas/User", {"limit": 10**12})


def _hand_over(stage: Stage, report: Report) -> None:
    """Run the job wrappers, each a process that only has the client's file."""
    token = stage.session.make_token(USER, ["user"])
    address = stage.system.running.address
    with ThreadPoolExecutor(WRAPPERS) as pool:
        wrappers = [pool.submit(_wrapper, job, address, token) for job in stage.jobs]
        with console.progress("jobs", len(wrappers), in_bytes=False) as step:
            for wrapper in as_completed(wrappers):
                report.blame(*wrapper.result())
                step(1)
    report.note("job wrappers, half of them pull, half push", str(len(wrappers)))


def _wrapper(job: Job, address: str, token: str) -> list[str]:
    words = ["--address", address, "--json", "inject", DATASET, "--site", job.site]
    words += ["--lfn-prefix", PREFIX, "--push" if job.push else "--pull", "--wait", str(PATIENCE)]
    ran = subprocess.run(  # noqa: S603 - Dynamo's client
        [sys.executable, "-I", client.__file__, *words, *(str(file.path) for file in job.files)],
        env={**os.environ, "BEARER_TOKEN": token},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if ran.returncode == 0:
        return []
    return [f"job {job.number} ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-500:]}"]


@contextmanager
def killing(stage: Stage, pool: str, report: Report) -> Iterator[None]:
    """Kill a pool once, while it writes a file and the block runs."""
    over = threading.Event()
    killed: list[int] = []
    watcher = threading.Thread(target=_watch, args=(stage, pool, over, killed), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    report.kills += len(killed)
    for pid in killed:
        report.note(f"  {pool} pool killed while it wrote a file", f"process {pid}")


def _watch(stage: Stage, pool: str, over: threading.Event, killed: list[int]) -> None:
    folder = next(iter(stage.sites.values())).parent
    pid = stage.system.running.pids[pool]
    while not over.wait(0.002):
        if writes_below(pid, folder, INTERRUPTED):
            killed.append(stage.system.kill(pool))
            return


def _shown(service: Dynamo, request: Json) -> Json:
    with console.progress("files", 0, in_bytes=False) as step:
        before = 0

        def seen(look: Json) -> None:
            nonlocal before
            step(look["progress"]["files"]["done"] - before)
            before = look["progress"]["files"]["done"]

        return service.wait(request, PATIENCE, seen=seen)


def _done(request: Json, report: Report) -> None:
    if request["state"] != "done":
        reasons = json.dumps(request["problems"])
        report.blame(f"{request['kind']} {request['id']} is {request['state']}: {reasons}")


def _blocks(stage: Stage, service: Dynamo, report: Report) -> None:
    """Check the created blocks."""
    blocks = list(service.items("/v1/blocks", dataset=DATASET))
    most = int(HASTE["DYNAMO_BLOCK_MAX_FILES"])
    report.blame(*(f"too full: {block['name']}" for block in blocks if block["files"] > most))
    report.blame(*(f"still open: {block['name']}" for block in blocks if block["open"]))
    report.blame(
        *(f"scattered: {block['name']}" for block in blocks if len(block["replicas"]) != 1)
    )
    files = sum(block["files"] for block in blocks)
    if files != stage.files:
        report.blame(f"the blocks hold {files} of {stage.files} files")
    report.note(f"blocks, none over {most} files", str(len(blocks)))


def _alone(service: Dynamo, report: Report) -> None:
    """Wait until the catalogue has the data at the target only; check that they are complete."""
    end = time.monotonic() + PATIENCE
    while True:
        replicas = list(service.items("/v1/replicas", dataset=DATASET))
        elsewhere = [replica for replica in replicas if replica["site"] != TARGET]
        if not elsewhere:
            break
        if time.monotonic() > end:
            report.blame(f"{len(elsewhere)} block replicas are still elsewhere")
            return
        time.sleep(0.2)
    report.blame(
        *(f"incomplete: {replica['block']}" for replica in replicas if not replica["complete"])
    )


def _check(stage: Stage, report: Report) -> None:
    words = [sys.executable, "-m", "dynamo.cli.main", "check", "--data", str(stage.system.data)]
    ran = subprocess.run(  # noqa: S603 - Dynamo's command
        words,
        env={**os.environ, **stage.environment},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if ran.returncode or ran.stdout:
        report.blame(*(f"dynamo check: {line}" for line in (ran.stdout + ran.stderr).splitlines()))
