"""What `dynamo detox` and `dynamo dealer` have in common: cycles run, listed and shown."""

import time
from collections.abc import Callable, Mapping

import typer

from dynamo.cli import output
from dynamo.cli.reasons import words
from dynamo.cli.session import Session
from dynamo.client.client import Dynamo, Json

PAUSE = 0.5
BAR = 20
MOST = 50
"""Decisions that are shown; all of them with --json."""
Tell = Callable[[Dynamo, Json], None]
"""Prints a cycle."""


def run(session: Session, body: Json, patience: float, tell: Tell) -> None:
    """File a cycle, wait for its end and tell of it; exits with 1 if it failed, 4 if it goes on."""
    service = session.service("operator")
    cycle = _ended(service, service.post("/v1/cycles", body), patience)
    if session.json:
        output.show_json(cycle)
    else:
        tell(service, cycle)
    if cycle["state"] != "done":
        raise typer.Exit(4 if cycle["ended"] is None else 1)


def _ended(service: Dynamo, cycle: Json, patience: float) -> Json:
    """Wait for the end of a cycle, as long as there is patience; return it as it is then."""
    end = time.monotonic() + patience
    while cycle["ended"] is None and time.monotonic() < end:
        time.sleep(PAUSE)
        cycle = service.get(cycle["links"]["self"])
    return cycle


def listed(
    session: Session,
    kind: str,
    partition: str | None,
    did: Mapping[str, Callable[[Json], object]],
) -> None:
    """Print the last cycles of a kind, with what each did: title -> value from the summary."""
    page = session.service().get("/v1/cycles", {"kind": kind, "partition": partition})
    if session.json:
        output.show_json(page)
        return
    rows = (
        (
            one["id"],
            one["partition"],
            one["state"],
            one["dry_run"],
            output.moment(one["created"]),
            *(value(one["summary"]) for value in did.values()),
            words(one["reason"]),
        )
        for one in page["items"]
    )
    output.table(("cycle>", "partition", "state", "dry run", "when", *did, "why"), rows)


def shown(session: Session, cycle: int, tell: Tell) -> None:
    """Print one cycle."""
    service = session.service()
    found = service.get(f"/v1/cycles/{cycle}")
    if session.json:
        output.show_json(found)
    else:
        tell(service, found)


def tell_state(cycle: Json) -> bool:
    """Print how a cycle stands; return whether it has decided."""
    dry = ", a dry run: nothing is done" if cycle["dry_run"] else ""
    output.say(f"cycle {cycle['id']} of {cycle['partition']} is {cycle['state']}{dry}")
    if cycle["reason"]:
        output.say(f"{words(cycle['reason'])}: {cycle['detail']}")
    return "sites" in cycle["summary"]


def bar(used: int, quota: int | None) -> str:
    """Draw how full a site is; one without limit is never full."""
    filled = 0 if quota is None else BAR if not quota else min(BAR, round(BAR * used / quota))
    return "█" * filled + "░" * (BAR - filled)
