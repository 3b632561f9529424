"""Views of cycles, for `dynamo detox` and `dynamo dealer`."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.cli.wait import Tell, carry_out
from dynamo.client.client import Json
from dynamo.reasons import words

Number = Annotated[int, typer.Argument(help="Number of the cycle.")]
OfPartition = Annotated[str | None, typer.Option(help="Only this partition.")]
BAR = 20
MOST = 50
"""Limit of decisions to show; --json shows all."""


def run(session: Session, body: Json, patience: float, tell: Tell) -> None:
    """File a cycle, wait for its end and print it."""
    carry_out(session, "/v1/cycles", body, patience, tell)


def listed(
    session: Session,
    kind: str,
    partition: str | None,
    did: Mapping[str, Callable[[Json], object]],
) -> None:
    """Print the last cycles of a kind; `did` maps titles to values from the summary."""
    page = session.service().get("/v1/cycles", {"kind": kind, "partition": partition})
    if session.json:
        console.show_json(page)
        return
    rows = (
        (
            cycle["id"],
            cycle["partition"],
            cycle["state"],
            cycle["dry_run"],
            console.moment(cycle["created"]),
            *(value(cycle["summary"]) for value in did.values()),
            words(cycle["reason"]),
        )
        for cycle in page["items"]
    )
    console.table(("cycle>", "partition", "state", "dry run", "when", *did, "why"), rows)


def shown(session: Session, cycle: int, tell: Tell) -> None:
    """Print one cycle."""
    service = session.service()
    answer = service.get(f"/v1/cycles/{cycle}")
    if session.json:
        console.show_json(answer)
    else:
        tell(service, answer)


def tell_state(cycle: Json) -> bool:
    """Print the state of a cycle; return whether it has decided."""
    dry = ", a dry run: nothing is done" if cycle["dry_run"] else ""
    console.say(f"cycle {cycle['id']} of {cycle['partition']} is {cycle['state']}{dry}")
    if cycle["reason"]:
        console.say(f"{words(cycle['reason'])}: {cycle['detail']}")
    return "sites" in cycle["summary"]


def bar(used: int, quota: int | None) -> str:
    """Draw the occupancy of a site; an unlimited quota is never full."""
    filled = 0 if quota is None else BAR if not quota else min(BAR, round(BAR * used / quota))
    return "█" * filled + "░" * (BAR - filled)
