"""Views of requests of all kinds: show, wait, cancel."""

from collections.abc import Callable, Iterable

import typer

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.client.client import SETTLED, Dynamo, Json, outcome, together
from dynamo.reasons import words

MOST_PROBLEMS = 20


def tell(session: Session, request: Json) -> None:
    """Print a request."""
    if session.json:
        console.show_json(request)
        return
    files, size = request["progress"]["files"], request["progress"]["bytes"]
    console.facts(
        (
            ("request", f"{request['kind']} {request['id']}"),
            ("state", request["state"]),
            ("owner", request["owner"]),
            ("dataset", request["dataset"]),
            ("files", f"{files['done']} of {files['total']}, {files['failed']} failed"),
            ("bytes", f"{console.size(size['done'])} of {console.size(size['total'])}"),
            ("asked", console.moment(request["created"])),
            ("changed", console.moment(request["updated"])),
            *_copied(request),
            *_why(request),
        )
    )
    problems(request["problems"])


def _copied(request: Json) -> Iterable[tuple[str, object]]:
    """Yield the chosen and refusing sites of a copy request, and its expected end."""
    if request.get("chosen"):
        yield "chosen", ", ".join(request["chosen"])
    if request.get("refused"):
        yield "refused at", ", ".join(request["refused"])
    if request.get("expected_end"):
        yield "expected end", console.moment(request["expected_end"])


def _why(request: Json) -> Iterable[tuple[str, object]]:
    if request.get("reason"):
        yield "why", f"{words(request['reason'])}: {request['detail']}"


def released(answer: Json) -> None:
    """Print the numbers of retried operations."""
    console.say(f"{answer['transfers']} transfers and {answer['deletions']} deletions are retried")


def problems(items: Iterable[Json]) -> None:
    """Print missing files: why, and when they are tried next."""
    listed = list(items)
    if not listed:
        return
    console.heading("missing files")
    console.table(
        ("file", "site", "why", "attempts>", "next try"),
        (
            (
                problem.get("lfn"),
                problem.get("site"),
                words(problem["reason"]),
                problem.get("attempts"),
                again(problem),
            )
            for problem in listed[:MOST_PROBLEMS]
        ),
    )
    if len(listed) > MOST_PROBLEMS:
        console.say(f"… and {len(listed) - MOST_PROBLEMS} more; all of them with --json")


def again(problem: Json) -> str:
    """Return when an operation is tried next."""
    if problem.get("next_try") is None:
        return "not automatically"
    return console.moment(problem["next_try"])


def listed(session: Session, requests: Json) -> None:
    """Print a page of requests."""
    if session.json:
        console.show_json(requests)
        return
    console.table(
        ("id>", "state", "owner", "dataset", "done>", "files>", "failed>", "changed"),
        (
            (
                request["id"],
                request["state"],
                request["owner"],
                request["dataset"],
                request["progress"]["files"]["done"],
                request["progress"]["files"]["total"],
                request["progress"]["files"]["failed"],
                console.moment(request["updated"]),
            )
            for request in requests["items"]
        ),
    )
    if requests["next"]:
        console.say("there are more; filter further or raise --limit")


def accepted(service: Dynamo, request: Json, *, wait: bool) -> None:
    """Print the new request, and wait for it if wanted; exits with its code."""
    console.say(f"{request['kind']} {request['id']} is {request['state']}")
    if wait:
        ended(service, [request])


def ended(service: Dynamo, requests: Iterable[Json]) -> None:
    """Wait for requests and exit with the code of their results."""
    code = together([outcome(settled(service, request)) for request in requests])
    if code:
        raise typer.Exit(code)


def settled(service: Dynamo, request: Json) -> Json:
    """Wait for a request with a progress bar until it has ended or is held; print missing files."""
    name = f"{request['kind']} {request['id']}"
    with console.progress(name, request["progress"]["files"]["total"], in_bytes=False) as step:
        request = service.wait(request, states=SETTLED, seen=_stepping(step))
    files = request["progress"]["files"]
    console.say(f"{name} is {request['state']}: {files['done']} of {files['total']} files")
    for problem in request["problems"][:MOST_PROBLEMS]:
        console.say(
            f"  {problem.get('lfn')}: {words(problem['reason'])}; tried again: {again(problem)}"
        )
    return request


def _stepping(step: Callable[[int], None]) -> Callable[[Json], None]:
    before = [0]

    def seen(request: Json) -> None:
        done = request["progress"]["files"]["done"]
        step(done - before[0])
        before[0] = done

    return seen
