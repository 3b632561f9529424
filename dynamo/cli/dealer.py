"""`dynamo dealer`: cycles that copy where data are wanted: run now, tried dry, looked at."""

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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, and do nothing.")] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 600,
) -> None:
    """Run a cycle now and show what it decides."""
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
def show(session: Session, cycle: Annotated[int, typer.Argument(help="Its number.")]) -> None:
    """Show a cycle: sites before and after, what goes where for whom, what does not and why."""
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


def _site(one: Json) -> tuple[object, ...]:
    quota = one["quota"]
    return (
        one["site"],
        cycle_views.bar(one["projected"], quota),
        console.share(one["projected"], quota),
        cycle_views.bar(one["after"], quota),
        console.share(one["after"], quota),
        console.size(one["sent"]),
    )


def _tell_proposers(proposers: Json) -> None:
    rows = [
        (name, reason.replace("-", " "), count)
        for name, counts in proposers.items()
        for reason, count in counts.items()
    ]
    if rows:
        console.heading("what became of the proposals")
        console.table(("proposer", "became", "how many>"), rows)


def _tell_copies(service: Dynamo, cycle: Json) -> None:
    page = service.get(cycle["links"]["decisions"], {"limit": cycle_views.MOST})
    if not page["items"]:
        console.say("nothing is to be copied")
        return
    console.heading("what goes where, and what does not")
    rows = (
        (
            one["action"],
            one["site"] or "anywhere",
            one["dataset"],
            console.size(one["bytes"]),
            one["text"],
            words(one["refused"]) or None,
        )
        for one in page["items"]
    )
    console.table(("what", "site", "dataset", "size>", "why", "but"), rows)
    if len(page["items"]) == cycle_views.MOST:
        everything = cycle["links"]["decisions"]
        console.say(f"… these are the first {cycle_views.MOST}; all of them at {everything}")
