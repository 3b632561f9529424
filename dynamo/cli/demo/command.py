"""`dynamo demo`: shows the main job on real parts."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.demo import disk_check, scenario, servers, system
from dynamo.cli.demo.job_output import SITES, Job, jobs
from dynamo.cli.demo.report import Report
from dynamo.cli.demo.scenario import Stage
from dynamo.cli.session import Session


class Stack(StrEnum):
    """Database and broker of the system."""

    EMBEDDED = "embedded"
    MYSQL = "mysql"


Folder = Annotated[
    Path | None,
    typer.Option("--data", help="New or empty folder to work in and keep."),
]
On = Annotated[Stack, typer.Option(help="SQLite and the bundled broker, or MariaDB and Redis.")]
Jobs = Annotated[int, typer.Option("--jobs", min=6, max=300, help="Number of jobs.")]
Files = Annotated[int, typer.Option("--files", min=1, max=100, help="Number of files per job.")]


def demo(
    data: Folder = None, stack: On = Stack.EMBEDDED, n_jobs: Jobs = 30, n_files: Files = 10
) -> None:
    """Show the main job on real parts, and verify the result on disk without Dynamo.

    Jobs at three sites inject real files, workers are killed meanwhile, the dataset is closed and
    gathered at one site, and the other replicas are deleted.
    """
    report = Report()
    folder = _folder(data)
    _forget_settings()
    try:
        _play(folder, stack, (n_jobs, n_files), report)
    except BaseException:
        console.say(f"the demonstration failed; its files are kept in {folder}")
        raise
    report.print()
    if report.faults:
        console.say(f"the result is wrong; its files are kept in {folder}")
        raise typer.Exit(1)
    console.say("each file is complete, at its place and nowhere else; no process is left")
    if data is None:
        shutil.rmtree(folder)


def _folder(data: Path | None) -> Path:
    if data is None:
        return Path(tempfile.mkdtemp(prefix="dynamo-demo-")).resolve()
    data.mkdir(parents=True, exist_ok=True)
    if any(data.iterdir()):
        raise typer.BadParameter(f"{data} is not empty")
    return data.resolve()


def _forget_settings() -> None:
    """Ignore systems in the environment: the demonstration uses its own database."""
    for name in [name for name in os.environ if name.startswith("DYNAMO_")]:
        del os.environ[name]


def _play(folder: Path, stack: Stack, size: tuple[int, int], report: Report) -> None:
    scratch, sites = folder / "scratch", {name: folder / "sites" / name for name in SITES}
    with report.act(f"{size[0]} jobs make {size[0] * size[1]} files"):
        made = _make(scratch, *size)
    for site in sites.values():
        site.mkdir(parents=True)
    with contextlib.ExitStack() as running:
        environment: Mapping[str, str] = {}
        if stack is Stack.MYSQL:
            with report.act("a MariaDB and a Redis start"):
                environment = running.enter_context(servers.mysql_stack(folder / "servers"))
        with report.act("the whole system starts"):
            up = running.enter_context(system.started(folder / "system", environment))
        stage = Stage(up, Session(up.data, None), sites, scratch, made, environment)
        scenario.perform(stage, report)
        with report.act("the system stops"):
            report.blame(*up.stop())
    with report.act("every folder is listed, every checksum computed"):
        _look(sites, made, report)


def _make(scratch: Path, n_jobs: int, n_files: int) -> list[Job]:
    with console.progress("files", n_jobs * n_files, in_bytes=False) as step:
        return jobs(scratch, n_jobs, n_files, step)


def _look(sites: Mapping[str, Path], made: list[Job], report: Report) -> None:
    files = [file for job in made for file in job.files]
    report.blame(*disk_check.faults(sites.values(), sites[SITES[0]], files))
    report.blame(*disk_check.untouched(files))
    report.note("files", str(len(files)))
    report.note("bytes", console.size(sum(file.size for file in files)))
