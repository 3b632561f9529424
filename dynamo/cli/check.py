"""`dynamo check`: whether all invariants of the inventory hold."""

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting


@acting
def check(session: Session) -> None:
    """Verify all invariants; prints nothing when all is well, else one line each and ends with 1.

    Looks at the inventory of the data directory itself, whether or not a system runs.
    """
    # the one command that needs the inventory itself: half a second that the others save
    from dynamo.cli.local_inventory import local_context  # noqa: PLC0415
    from dynamo.services.maintenance import invariants  # noqa: PLC0415

    with local_context(session.data) as ctx:
        found = invariants.check(ctx)
    for violation in found:
        typer.echo(console.plain(violation), err=violation.is_warning)
    if not all(violation.is_warning for violation in found):
        raise typer.Exit(1)
