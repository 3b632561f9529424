"""`dynamo switch`: stop switches."""

from typing import Annotated
from urllib.parse import quote

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting, reading

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Stop switches.")


@app.command("list")
@reading
def list_(session: Session) -> None:
    """List all switches that were ever set."""
    service = session.service()
    if session.json:
        console.show_json(service.get("/v1/switches"))
        return
    rows = (
        (
            switch["name"],
            switch["stopped"],
            switch["who"],
            console.moment(switch["at"]),
            switch["why"],
        )
        for switch in service.items("/v1/switches")
    )
    console.table(("switch", "stopped", "by", "since", "why"), rows)


@app.command("set")
@acting
def set_(
    session: Session,
    name: Annotated[str, typer.Argument(help="deletions, injection, site:NAME, …")],
    *,
    stopped: Annotated[bool, typer.Option("--stop/--go", help="Stop or start the activity.")],
    why: Annotated[str | None, typer.Option(help="Reason for the history.")] = None,
) -> None:
    """Stop or start an activity."""
    body = {"stopped": stopped, "why": why}
    session.service("operator").put(f"/v1/switches/{quote(name, safe='')}", body)
    console.say(f"{name} is stopped" if stopped else f"{name} goes on")
