"""`dynamo file`: where a file is."""

from typing import Annotated

import typer

from dynamo.cli import console, request_views
from dynamo.cli.session import Session, reading
from dynamo.client.client import Json, Problem
from dynamo.reasons import Reason, words

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Single files.")


@app.callback()
def _noun() -> None:
    """Make `where` a subcommand, though it is the only one."""


@app.command()
@reading
def where(
    session: Session, lfn: Annotated[str, typer.Argument(help="Logical name of the file.")]
) -> None:
    """Show where a file is; if it is missing, why, and when it is tried next."""
    service = session.service()
    page = service.get("/v1/files", {"lfn": lfn})
    if not page["items"]:
        raise Problem(404, Reason.FILE_UNKNOWN, f"no file is called {lfn}", retryable=False)
    if session.json:
        console.show_json(page)
        return
    for file in page["items"]:
        _tell(file)


def _tell(file: Json) -> None:
    console.facts(
        (
            ("file", file["lfn"]),
            ("dataset", file["dataset"]),
            ("block", (file["block"] or "").partition("#")[2] or None),
            ("size", console.size(file["size"]) if file["size"] is not None else "not known yet"),
            ("adler32", file["adler32"]),
        )
    )
    console.heading("where it is")
    console.table(
        ("site", "state", "why", "again", "address"),
        (
            (
                replica["site"],
                replica["state"],
                words(replica.get("reason")) or None,
                request_views.again(replica) if replica.get("reason") else None,
                replica["pfn"],
            )
            for replica in file["replicas"]
        ),
    )
