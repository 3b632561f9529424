"""How requests are shown, waited for and cancelled, of whatever kind."""

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
    """Say of a copy where it goes, and when it will be done as far as one knows."""
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
    """Say what is tried again."""
    console.say(
        f"{answer['transfers']} transfers and {answer['deletions']} deletions are tried again"
    )


def problems(found: Iterable[Json]) -> None:
    """Print what is not there yet: why, and when it is tried next."""
    listed = list(found)
    if not listed:
        return
    console.heading("not there yet")
    console.table(
        ("what", "site", "why", "tried>", "again"),
        (
            (one.get("lfn"), one.get("site"), words(one["reason"]), one.get("attempts"), again(one))
            for one in listed[:MOST_PROBLEMS]
        ),
    )
    if len(listed) > MOST_PROBLEMS:
        console.say(f"… and {len(listed) - MOST_PROBLEMS} more; all of them with --json")


def again(problem: Json) -> str:
    """Say when something is tried next."""
    if problem.get("next_try") is None:
        return "not by itself"
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
                one["id"],
                one["state"],
                one["owner"],
                one["dataset"],
                one["progress"]["files"]["done"],
                one["progress"]["files"]["total"],
                one["progress"]["files"]["failed"],
                console.moment(one["updated"]),
            )
            for one in requests["items"]
        ),
    )
    if requests["next"]:
        console.say("there is more; narrow it down or raise --limit")


def accepted(service: Dynamo, request: Json, *, wait: bool) -> None:
    """Say which request a call made, and wait for it if so wanted; ends with its exit code."""
    console.say(f"{request['kind']} {request['id']} is {request['state']}")
    if wait:
        ended(service, [request])


def ended(service: Dynamo, requests: Iterable[Json]) -> None:
    """Wait for requests and end with the exit code that tells how they went."""
    code = together([outcome(settled(service, request)) for request in requests])
    if code:
        raise typer.Exit(code)


def settled(service: Dynamo, request: Json) -> Json:
    """Wait for a request with a bar until it has ended or is held, and say what is missing."""
    name = f"{request['kind']} {request['id']}"
    with console.progress(name, request["progress"]["files"]["total"], in_bytes=False) as step:
        request = service.wait(request, states=SETTLED, seen=_stepping(step))
    files = request["progress"]["files"]
    console.say(f"{name} is {request['state']}: {files['done']} of {files['total']} files")
    for one in request["problems"][:MOST_PROBLEMS]:
        console.say(f"  {one.get('lfn')}: {words(one['reason'])}; tried again: {again(one)}")
    return request


def _stepping(step: Callable[[int], None]) -> Callable[[Json], None]:
    before = [0]

    def seen(request: Json) -> None:
        done = request["progress"]["files"]["done"]
        step(done - before[0])
        before[0] = done

    return seen
