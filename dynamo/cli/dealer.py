"""`dynamo dealer`: cycles of the Dealer, which copies data."""

from typing import Annotated

import typer

from dynamo.cli import console, cycle_views
from dynamo.cli.session import Session, reading
from dynamo.client.client import Dynamo, Json
from dynamo.reasons import words

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Cycles of the Dealer.")


@app.command()
@reading
def run(
    session: Session,
    partition: Annotated[str, typer.Argument(help="Name of the partition, such as Analysis.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide only; copy nothing.")] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = 600,
) -> None:
    """Run a cycle now and show its decisions."""
    body: Json = {"kind": "dealer", "partition": partition, "dry_run": dry_run}
    cycle_views.run(session, body, patience, tell)


@app.command("list")
@reading
def list_(session: Session, partition: cycle_views.OfPartition = None) -> None:
    """List the last cycles, newest first."""
    coming = {
        "copies>": lambda did: did.get("copies", 0),
        "to copy>": lambda did: console.size(did.get("bytes", 0)),
    }
    cycle_views.listed(session, "dealer", partition, coming)


@app.command()
@reading
def show(session: Session, cycle: cycle_views.Number) -> None:
    """Show a cycle: sites before and after, copies, and refused proposals with reasons."""
    cycle_views.shown(session, cycle, tell)


def tell(service: Dynamo, cycle: Json) -> None:
    """Print a cycle."""
    if not cycle_views.tell_state(cycle):
        return
    summary = cycle["summary"]
    for warning in summary["warnings"]:
        console.say(warning)
    console.table(
        ("site", "before", "before>", "after", "after>", "sent>"), map(_site, summary["sites"])
    )
    _tell_proposers(summary["proposers"])
    _tell_copies(service, cycle)
    for reason, count in summary.get("refused", {}).items():
        console.say(f"{count} copies were not carried out in full: {words(reason)}")


def _site(site: Json) -> tuple[object, ...]:
    quota = site["quota"]
    return (
        site["site"],
        cycle_views.bar(site["projected"], quota),
        console.share(site["projected"], quota),
        cycle_views.bar(site["after"], quota),
        console.share(site["after"], quota),
        console.size(site["sent"]),
    )


def _tell_proposers(proposers: Json) -> None:
    rows = [
        (name, reason.replace("-", " "), count)
        for name, counts in proposers.items()
        for reason, count in counts.items()
    ]
    if rows:
        console.heading("results of the proposals")
        console.table(("proposer", "result", "number>"), rows)


def _tell_copies(service: Dynamo, cycle: Json) -> None:
    page = service.get(cycle["links"]["decisions"], {"limit": cycle_views.MOST})
    if not page["items"]:
        console.say("no copies")
        return
    console.heading("copies and refused proposals")
    rows = (
        (
            decision["action"],
            decision["site"] or "anywhere",
            decision["dataset"],
            console.size(decision["bytes"]),
            decision["text"],
            words(decision["refused"]) or None,
        )
        for decision in page["items"]
    )
    console.table(("action", "site", "dataset", "size>", "why", "refused"), rows)
    if len(page["items"]) == cycle_views.MOST:
        everything = cycle["links"]["decisions"]
        console.say(f"… these are the first {cycle_views.MOST}; all of them at {everything}")
