"""`dynamo copy`: the wish that data be at a site."""

from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import Json

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Wishes that data be at a site.")

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the request.")]


@app.command()
@acting
def create(  # noqa: PLR0913 - as many as the API's fields
    session: Session,
    dataset: Annotated[str, typer.Argument(help="What.")],
    site: Annotated[list[str], typer.Option(help="Where; of several, see --copies.")],
    *,
    block: Annotated[list[str] | None, typer.Option(help="Only these blocks.")] = None,
    consolidate: Annotated[
        bool | None,
        typer.Option(help="Delete the scattered replicas, each after its copy is verified."),
    ] = None,
    copies: Annotated[int | None, typer.Option(min=1, help="At so many of the sites.")] = None,
    group: Annotated[str | None, typer.Option(help="Who owns the copy.")] = None,
    spread: Annotated[
        bool | None, typer.Option("--spread", help="Share the blocks out over the sites.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is done.")] = False,
) -> None:
    """Ask that a dataset be at a site, from now on."""
    wishes: Json = {
        "blocks": block,
        "consolidate": consolidate,
        "copies": copies,
        "group": group,
        "spread": spread,
    }
    given = {name: wish for name, wish in wishes.items() if wish is not None}
    service = session.service()
    request = service.copy(dataset, site[0] if len(site) == 1 else site, **given)
    request_views.accepted(service, request, wait=wait)


@app.command()
@reading
def show(session: Session, number: Number) -> None:
    """Show how far a copy is."""
    request_views.tell(session, session.service().request("copy", number))


@app.command("list")
@reading
def list_(
    session: Session,
    dataset: Annotated[str | None, typer.Option(help="Only those of this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
) -> None:
    """List copies that were asked for."""
    query = {"dataset": dataset, "limit": limit}
    request_views.listed(session, session.service().get("/v1/copies", query))


@app.command()
@acting
def cancel(session: Session, number: Number) -> None:
    """Cancel what has not been copied yet."""
    request = session.service_for_any_owner().cancel("copy", number)
    console.say(f"copy {number} is {request['state']}")
