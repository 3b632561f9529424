"""`dynamo quota`: quotas and usage of users."""

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
    user: Annotated[str | None, typer.Argument(help="User name; default: all users.")] = None,
) -> None:
    """Show quotas of unique bytes, which count once however many copies exist."""
    service = session.service()
    if session.json:
        console.show_json(service.get("/v1/quotas", {"user": user, "limit": 1000}))
        return
    console.table(
        ("user", "quota>", "used>", "full>", "files>"),
        (
            (
                quota["user"],
                console.size(quota["limit"]),
                console.size(quota["used"]),
                console.share(quota["used"], quota["limit"]),
                quota["files"],
            )
            for quota in service.items("/v1/quotas", user=user)
        ),
    )


@app.command("set")
@acting
def set_(
    session: Session,
    user: Annotated[str, typer.Argument(help="User name.")],
    size: Annotated[str, typer.Argument(help="For example 2TB, or unlimited.")],
) -> None:
    """Set the quota of unique bytes of a user."""
    try:
        limit = None if size == "unlimited" else parse_bytes(size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    session.service("operator").put(f"/v1/quotas/{quote(user, safe='')}", {"limit": limit})
    console.say(f"the quota of {user} is {console.size(limit)}")
