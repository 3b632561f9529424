"""`dynamo history`: events of a dataset, a file or a site, newest first."""

from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, reading


@reading
def history(
    session: Session,
    dataset: Annotated[str | None, typer.Option(help="Events of this dataset.")] = None,
    lfn: Annotated[str | None, typer.Option(help="Events of this file.")] = None,
    site: Annotated[str | None, typer.Option(help="Events of this site.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Limit of events.")] = 100,
) -> None:
    """Show who did what, when and why, newest first."""
    if not (dataset or lfn or site):
        raise typer.BadParameter("give --dataset, --lfn or --site")
    query = {"dataset": dataset, "lfn": lfn, "site": site, "limit": limit}
    page = session.service().get("/v1/history", query)
    if session.json:
        console.show_json(page)
        return
    rows = (
        (event["at"], event["who"], event["what"], _of(event), event.get("site"), event.get("why"))
        for event in page["items"]
    )
    console.table(("when", "who", "what", "of", "site", "why"), rows)
    if page["next"]:
        console.say(f"there are more; show them with --limit {min(limit * 10, 1000)}")


def _of(event: dict[str, object]) -> object:
    for name in ("lfn", "block", "dataset"):
        if event.get(name):
            return event[name]
    return None
