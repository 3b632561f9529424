"""What `dynamo detox` and `dynamo dealer` have in common: cycles run, listed and shown."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.cli.wait import Tell, carry_out
from dynamo.client.client import Json
from dynamo.reasons import words

OfPartition = Annotated[str | None, typer.Option(help="Only this partition.")]
BAR = 20
MOST = 50
"""Decisions that are shown; all of them with --json."""


def run(session: Session, body: Json, patience: float, tell: Tell) -> None:
    """File a cycle, wait for its end and tell of it."""
    carry_out(session, "/v1/cycles", body, patience, tell)


def listed(
    session: Session,
    kind: str,
    partition: str | None,
    did: Mapping[str, Callable[[Json], object]],
) -> None:
    """Print the last cycles of a kind, with what each did: title -> value from the summary."""
    page = session.service().get("/v1/cycles", {"kind": kind, "partition": partition})
    if session.json:
        console.show_json(page)
        return
    rows = (
        (
            one["id"],
            one["partition"],
            one["state"],
            one["dry_run"],
            console.moment(one["created"]),
            *(value(one["summary"]) for value in did.values()),
            words(one["reason"]),
        )
        for one in page["items"]
    )
    console.table(("cycle>", "partition", "state", "dry run", "when", *did, "why"), rows)


def shown(session: Session, cycle: int, tell: Tell) -> None:
    """Print one cycle."""
    service = session.service()
    found = service.get(f"/v1/cycles/{cycle}")
    if session.json:
        console.show_json(found)
    else:
        tell(service, found)


def tell_state(cycle: Json) -> bool:
    """Print how a cycle stands; return whether it has decided."""
    dry = ", a dry run: nothing is done" if cycle["dry_run"] else ""
    console.say(f"cycle {cycle['id']} of {cycle['partition']} is {cycle['state']}{dry}")
    if cycle["reason"]:
        console.say(f"{words(cycle['reason'])}: {cycle['detail']}")
    return "sites" in cycle["summary"]


def bar(used: int, quota: int | None) -> str:
    """Draw how full a site is; one without limit is never full."""
    filled = 0 if quota is None else BAR if not quota else min(BAR, round(BAR * used / quota))
    return "█" * filled + "░" * (BAR - filled)
