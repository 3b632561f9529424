"""`dynamo request`: requests of all kinds, by kind and number."""

from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import COLLECTIONS
from dynamo.inventory.states import RequestKind, RequestState

app = typer.Typer(no_args_is_help=True, help="Requests: injections, copies, closures, deletions.")

Kind = Annotated[RequestKind, typer.Argument(help="Kind of the request.")]
Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the request.")]


@app.command()
@reading
def show(session: Session, kind: Kind, number: Number) -> None:
    """Show a request: its progress, and missing files with reasons."""
    request_views.tell(session, session.service().request(kind.value, number))


@app.command("list")
@reading
def list_(
    session: Session,
    kind: Kind,
    state: Annotated[RequestState | None, typer.Option(help="Only requests in this state.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only requests for this dataset.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only requests of this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Limit of lines.")] = 100,
) -> None:
    """List requests."""
    query = {"state": state and state.value, "dataset": dataset, "owner": owner, "limit": limit}
    request_views.listed(session, session.service().get(f"/v1/{COLLECTIONS[kind.value]}", query))


@app.command()
@acting
def wait(session: Session, kind: Kind, number: Number) -> None:
    """Wait until a request has ended or is held."""
    service = session.service()
    request_views.ended(service, [service.request(kind.value, number)])


@app.command()
@acting
def cancel(session: Session, kind: Kind, number: Number) -> None:
    """Cancel a request; a cancelled deletion rescues files not yet deleted."""
    request = session.service_for_any_owner().cancel(kind.value, number)
    console.say(f"{kind.value} {number} is {request['state']}")


@app.command()
@acting
def release(session: Session, number: Number) -> None:
    """Retry the held and failed operations of a request now."""
    service = session.service_for_any_owner()
    request_views.released(service.post("/v1/releases", {"request": number}))
