"""`dynamo request`: anything that was asked for, by its kind and number."""

from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import COLLECTIONS
from dynamo.inventory.states import RequestKind, RequestState

app = typer.Typer(
    no_args_is_help=True, help="What was asked for: injections, copies, closures, deletions."
)

Kind = Annotated[RequestKind, typer.Argument(help="What was asked for.")]
Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the request.")]


@app.command()
@reading
def show(session: Session, kind: Kind, number: Number) -> None:
    """Show a request: how far it is, what is missing and why."""
    request_views.tell(session, session.service().request(kind.value, number))


@app.command("list")
@reading
def list_(
    session: Session,
    kind: Kind,
    state: Annotated[RequestState | None, typer.Option(help="Only those in this state.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those about this dataset.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
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
    """Cancel what has not happened yet; a deletion gives back what is not yet gone."""
    request = session.service_for_any_owner().cancel(kind.value, number)
    console.say(f"{kind.value} {number} is {request['state']}")


@app.command()
@acting
def release(session: Session, number: Number) -> None:
    """Try again at once what of a request is held or has failed."""
    service = session.service_for_any_owner()
    request_views.released(service.post("/v1/releases", {"request": number}))
