"""`dynamo lock`: locks, which protect data from policies until a given time."""

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
    dataset: Annotated[str | None, typer.Option(help="Only locks on this dataset.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only locks of this user.")] = None,
) -> None:
    """List active locks."""
    service = session.service()
    query = {"dataset": dataset, "owner": owner}
    if session.json:
        console.show_json(service.get("/v1/locks", {**query, "limit": 1000}))
        return
    given = {name: value for name, value in query.items() if value is not None}
    rows = (
        (
            lock["id"],
            lock["item"],
            ", ".join(lock["sites"]) or "all",
            ", ".join(lock["groups"]) or "all",
            lock["owner"],
            console.moment(lock["expires"]),
            lock["why"],
        )
        for lock in service.items("/v1/locks", **given)
    )
    console.table(("lock>", "item", "sites", "groups", "by", "ends", "why"), rows)


@app.command("set")
@acting
def set_(  # noqa: PLR0913 - as many as the API's fields
    session: Session,
    item: Annotated[str, typer.Argument(help="A dataset, a glob of datasets, or a block.")],
    *,
    days: Annotated[float | None, typer.Option(min=0, help="Days until its end.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Time of its end, such as 2026-12-31T00:00:00Z.")
    ] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only at this site; name or glob.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only replicas of this group.")] = None,
    why: Annotated[str | None, typer.Option(help="Reason to show.")] = None,
) -> None:
    """Lock data; setting the same lock again changes its end and reason."""
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
    """Remove a lock before its end."""
    removed = session.service("operator").call("DELETE", f"/v1/locks/{lock}")
    console.say(f"lock {removed['id']} on {removed['item']} is removed")


def _end(days: float | None, until: str | None) -> datetime:
    if (days is None) == (until is None):
        raise typer.BadParameter("give its end: --days or --until")
    try:
        if days is not None:
            return datetime.now(UTC) + timedelta(days=days)
        return parse_moment(until or "")
    except OverflowError as error:
        raise typer.BadParameter(f"{days:g} days are beyond the calendar") from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
