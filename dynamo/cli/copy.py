"""`dynamo copy`: copy requests."""

from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import Json

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Copy requests.")

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the request.")]


@app.command()
@acting
def create(  # noqa: PLR0913 - as many as the API's fields
    session: Session,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    site: Annotated[
        list[str], typer.Option(help="Target site; repeat it for a choice of sites, see --copies.")
    ],
    *,
    block: Annotated[list[str] | None, typer.Option(help="Only these blocks.")] = None,
    consolidate: Annotated[
        bool | None,
        typer.Option(help="Delete the scattered replicas, each after its copy is verified."),
    ] = None,
    copies: Annotated[
        int | None, typer.Option(min=1, help="Number of sites that get a copy.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Group that owns the copy.")] = None,
    spread: Annotated[
        bool | None, typer.Option("--spread", help="Distribute the blocks over the sites.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
) -> None:
    """Request a copy of a dataset at a site; it follows new blocks."""
    options: Json = {
        "blocks": block,
        "consolidate": consolidate,
        "copies": copies,
        "group": group,
        "spread": spread,
    }
    given = {name: value for name, value in options.items() if value is not None}
    service = session.service()
    request = service.copy(dataset, site[0] if len(site) == 1 else site, **given)
    request_views.accepted(service, request, wait=wait)


@app.command()
@reading
def show(session: Session, number: Number) -> None:
    """Show the progress of a copy request."""
    request_views.tell(session, session.service().request("copy", number))


@app.command("list")
@reading
def list_(
    session: Session,
    dataset: Annotated[str | None, typer.Option(help="Only copies of this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Limit of lines.")] = 100,
) -> None:
    """List copy requests."""
    query = {"dataset": dataset, "limit": limit}
    request_views.listed(session, session.service().get("/v1/copies", query))


@app.command()
@acting
def cancel(session: Session, number: Number) -> None:
    """Cancel a copy request; finished copies stay."""
    request = session.service_for_any_owner().cancel("copy", number)
    console.say(f"copy {number} is {request['state']}")
