"""`dynamo check`: checks all invariants of the inventory."""

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting


@acting
def check(session: Session) -> None:
    """Check all invariants. Prints nothing if all hold, else one line per violation, and exits 1.

    Reads the inventory of the data directory itself, whether or not a system runs.
    """
    # only this command needs the inventory: importing it takes half a second
    from dynamo.cli.local_inventory import local_context  # noqa: PLC0415
    from dynamo.services.maintenance import invariants  # noqa: PLC0415

    with local_context(session.data) as ctx:
        violations = invariants.check(ctx)
    for violation in violations:
        typer.echo(console.plain(violation), err=violation.is_warning)
    if not all(violation.is_warning for violation in violations):
        raise typer.Exit(1)
