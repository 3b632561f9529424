"""`dynamo quota`: what users may have and what they use."""

from typing import Annotated
from urllib.parse import quote

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting, reading
from dynamo.units import parse_bytes

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Users' quotas.")


@app.command()
@reading
def show(
    session: Session,
    user: Annotated[str | None, typer.Argument(help="All users if none is named.")] = None,
) -> None:
    """Show quotas: unique bytes, however many copies there are."""
    service = session.service()
    if session.json:
        console.show_json(service.get("/v1/quotas", {"user": user, "limit": 1000}))
        return
    console.table(
        ("user", "quota>", "used>", "full>", "files>"),
        (
            (
                one["user"],
                console.size(one["limit"]),
                console.size(one["used"]),
                console.share(one["used"], one["limit"]),
                one["files"],
            )
            for one in service.items("/v1/quotas", user=user)
        ),
    )


@app.command("set")
@acting
def set_(
    session: Session,
    user: Annotated[str, typer.Argument(help="Whose.")],
    size: Annotated[str, typer.Argument(help="For example 2TB, or unlimited.")],
) -> None:
    """Set how many unique bytes a user may have."""
    try:
        limit = None if size == "unlimited" else parse_bytes(size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    session.service("operator").put(f"/v1/quotas/{quote(user, safe='')}", {"limit": limit})
    console.say(f"{user} may have {console.size(limit)}")
