"""`dynamo lock`: data that stay until a moment, whatever policies say."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting, reading
from dynamo.clock import parse_moment, rfc3339

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Locks on data.")


@app.command("list")
@reading
def list_(
    session: Session,
    dataset: Annotated[str | None, typer.Option(help="Only those that concern it.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only those that this user has set.")] = None,
) -> None:
    """List the locks that hold."""
    service = session.service()
    query = {"dataset": dataset, "owner": owner}
    if session.json:
        console.show_json(service.get("/v1/locks", {**query, "limit": 1000}))
        return
    given = {name: value for name, value in query.items() if value is not None}
    rows = (
        (
            one["id"],
            one["item"],
            ", ".join(one["sites"]) or "all",
            ", ".join(one["groups"]) or "all",
            one["owner"],
            console.moment(one["expires"]),
            one["why"],
        )
        for one in service.items("/v1/locks", **given)
    )
    console.table(("lock>", "item", "sites", "groups", "by", "ends", "why"), rows)


@app.command("set")
@acting
def set_(  # noqa: PLR0913 - as many as the API's fields
    session: Session,
    item: Annotated[str, typer.Argument(help="A dataset, a glob of datasets, or a block.")],
    *,
    days: Annotated[float | None, typer.Option(min=0, help="How long it holds.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Until when, such as 2026-12-31T00:00:00Z.")
    ] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only there; names or globs.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only what they own.")] = None,
    why: Annotated[str | None, typer.Option(help="For those who wonder.")] = None,
) -> None:
    """Lock data; the same lock again gets the new end and reason."""
    body = {
        "item": item,
        "expires": rfc3339(_end(days, until)),
        "sites": site or [],
        "groups": group or [],
        "why": why,
    }
    lock = session.service("operator").post("/v1/locks", body)
    console.say(f"lock {lock['id']} on {lock['item']} ends {console.moment(lock['expires'])}")


@app.command()
@acting
def delete(
    session: Session, lock: Annotated[int, typer.Argument(help="Number of the lock.")]
) -> None:
    """Take a lock away before its end."""
    was = session.service("operator").call("DELETE", f"/v1/locks/{lock}")
    console.say(f"lock {was['id']} on {was['item']} is gone")


def _end(days: float | None, until: str | None) -> datetime:
    if (days is None) == (until is None):
        raise typer.BadParameter("say when it ends: --days or --until")
    try:
        if days is not None:
            return datetime.now(UTC) + timedelta(days=days)
        return parse_moment(until or "")
    except OverflowError as error:
        raise typer.BadParameter(f"no calendar goes on for {days:g} days") from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
