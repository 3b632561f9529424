"""`dynamo inject`: injects the output of a job."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import PATIENCE, Session, reading
from dynamo.client import client
from dynamo.client.client import Dynamo, Json, Output, Problem, Sites


class Way(StrEnum):
    """How files reach the site."""

    EITHER = "either"
    PULL = "pull"
    PUSH = "push"


@reading
def inject(  # noqa: PLR0913 - one for each field of the call
    session: Session,
    dataset: Annotated[str, typer.Argument(help="For example /Higgs/alice-v1/USER.")],
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, readable=True, help="Output files of a job."),
    ],
    site: Annotated[
        list[str], typer.Option(help="Site of the job; repeated: the first site with space.")
    ],
    *,
    lfn_prefix: Annotated[
        str | None,
        typer.Option(help="Folder of the LFNs; default: your namespace, below the dataset's name."),
    ] = None,
    pull: Annotated[bool, typer.Option("--pull", help="Dynamo fetches the files.")] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Upload the files to the addresses that Dynamo gives.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(min=0, help="Seconds to repeat a failing call."),
    ] = PATIENCE,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the files are in place.")
    ] = False,
) -> None:
    """Inject files at the site where the job ran.

    Without --pull or --push Dynamo pulls the files, or they are pushed if it may not read them.
    Repeating the same command is harmless.
    """
    if pull and push:
        raise typer.BadParameter("--pull or --push, not both")
    way = Way.PULL if pull else Way.PUSH if push else Way.EITHER
    service = session.service(patience=patience)
    where: Sites = site[0] if len(site) == 1 else site
    outputs = _described(files, client.folder_of(service, dataset, lfn_prefix))
    injected = _Injected(service, dataset, where, way)
    for bulk in client.bulks(outputs):
        injected.add(bulk, wait=wait)
    injected.tell(as_json=session.json)


def _described(files: list[Path], folder: str) -> list[Output]:
    names = [client.lfn_of(str(path), folder) for path in files]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise typer.BadParameter(f"two files would be called {min(twice)}")
    with console.progress(
        "checksums", sum(path.stat().st_size for path in files), in_bytes=True
    ) as step:
        return [
            client.describe(str(path), name, step) for path, name in zip(files, names, strict=True)
        ]


class _Injected:
    """The requests and problems of the calls so far."""

    def __init__(self, service: Dynamo, dataset: str, site: Sites, way: Way) -> None:
        self._service = service
        self._dataset = dataset
        self._site = site
        self._way = way
        self._requests: list[Json] = []
        self._problems: list[Problem] = []
        self._codes: list[int] = []

    def add(self, outputs: list[Output], *, wait: bool) -> None:
        """Inject the files of one call."""
        try:
            with console.progress(
                "files", sum(output.size for output in outputs), in_bytes=True
            ) as step:
                request = self._hand(outputs, step)
            console.say(f"{request['kind']} {request['id']} is {request['state']}")
            self._requests.append(request)
            if wait:
                self._requests[-1] = request_views.settled(self._service, request)
            self._codes.append(client.outcome(self._requests[-1]))
        except Problem as problem:
            self._codes.append(problem.exit_code)
            self._problems.append(problem)

    def tell(self, *, as_json: bool) -> None:
        """Print problems and exit with the common exit code."""
        if as_json:
            problems = [problem.describe() for problem in self._problems]
            console.show_json({"requests": self._requests, "problems": problems})
        if not self._requests and self._problems:
            raise self._problems[0]
        for problem in self._problems:
            console.say(console.refusal(problem))
        code = client.together(self._codes)
        if code:
            raise typer.Exit(code)

    def _hand(self, outputs: list[Output], step: client.Progress) -> Json:
        to = (self._service, self._dataset, self._site, outputs)
        if self._way is Way.PULL:
            return client.pull(*to)
        if self._way is Way.PUSH:
            return client.push(*to, progress=step)
        return client.hand_over(*to, progress=step)
