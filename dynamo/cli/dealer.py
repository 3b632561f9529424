"""`dynamo dealer`: cycles that copy where data are wanted: run now, tried dry, looked at."""

from typing import Annotated

import typer

from dynamo.cli import console as output
from dynamo.cli import cycle_views as cycles
from dynamo.cli.reasons import words
from dynamo.cli.session import Session, reading
from dynamo.client.client import Dynamo, Json

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
    cycles.run(session, body, patience, tell)


@app.command("list")
@reading
def list_(
    session: Session,
    partition: Annotated[str | None, typer.Option(help="Only this partition.")] = None,
) -> None:
    """List the last cycles, newest first."""
    coming = {
        "copies>": lambda did: did.get("copies", 0),
        "to copy>": lambda did: output.size(did.get("bytes", 0)),
    }
    cycles.listed(session, "dealer", partition, coming)


@app.command()
@reading
def show(session: Session, cycle: Annotated[int, typer.Argument(help="Its number.")]) -> None:
    """Show a cycle: sites before and after, what goes where for whom, what does not and why."""
    cycles.shown(session, cycle, tell)


def tell(service: Dynamo, cycle: Json) -> None:
    """Print a cycle."""
    if not cycles.tell_state(cycle):
        return
    summary = cycle["summary"]
    for warning in summary["warnings"]:
        output.say(warning)
    output.table(
        ("site", "before", "before>", "after", "after>", "sent>"), map(_site, summary["sites"])
    )
    _tell_proposers(summary["proposers"])
    _tell_copies(service, cycle)
    for reason, count in summary.get("refused", {}).items():
        output.say(f"{count} copies were not carried out in full: {words(reason)}")


def _site(one: Json) -> tuple[object, ...]:
    quota = one["quota"]
    return (
        one["site"],
        cycles.bar(one["projected"], quota),
        output.share(one["projected"], quota),
        cycles.bar(one["after"], quota),
        output.share(one["after"], quota),
        output.size(one["sent"]),
    )


def _tell_proposers(proposers: Json) -> None:
    rows = [
        (name, reason.replace("-", " "), count)
        for name, counts in proposers.items()
        for reason, count in counts.items()
    ]
    if rows:
        output.heading("what became of the proposals")
        output.table(("proposer", "became", "how many>"), rows)


def _tell_copies(service: Dynamo, cycle: Json) -> None:
    page = service.get(cycle["links"]["decisions"], {"limit": cycles.MOST})
    if not page["items"]:
        output.say("nothing is to be copied")
        return
    output.heading("what goes where, and what does not")
    rows = (
        (
            one["action"],
            one["site"] or "anywhere",
            one["dataset"],
            output.size(one["bytes"]),
            one["text"],
            words(one["refused"]) or None,
        )
        for one in page["items"]
    )
    output.table(("what", "site", "dataset", "size>", "why", "but"), rows)
    if len(page["items"]) == cycles.MOST:
        everything = cycle["links"]["decisions"]
        output.say(f"… these are the first {cycles.MOST}; all of them at {everything}")
