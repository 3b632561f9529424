"""`dynamo token`: bearer tokens of the embedded default."""

from typing import Annotated

import typer

from dynamo.cli.session import Session, acting
from dynamo.inventory.names import is_user
from dynamo.inventory.states import Role


@acting
def token(
    session: Session,
    user: Annotated[str, typer.Argument(help="User of the token.")],
    role: Annotated[
        list[Role] | None, typer.Option(help="Roles of the token; default: user.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=8760, help="Lifetime in hours.")
    ] = None,
) -> None:
    """Print a token, signed with the key of the data directory."""
    if not is_user(user):
        raise typer.BadParameter(f"{user!r} is not a user name: [a-z][a-z0-9_-]{{0,31}}")
    roles = sorted({each.value for each in role or (Role.USER,)})
    typer.echo(session.make_token(user, roles, hours))
