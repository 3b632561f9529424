"""`dynamo dealer`: cycles that copy where data are wanted: run now, tried dry, looked at."""

from typing import Annotated

import typer

from dynamo.cli import output
from dynamo.cli.detox import MOST, bar, carry_out
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
    carry_out(session, body, patience, tell)


@app.command("list")
@reading
def list_(
    session: Session,
    partition: Annotated[str | None, typer.Option(help="Only this partition.")] = None,
) -> None:
    """List the last cycles, newest first."""
    page = session.service().get("/v1/cycles", {"kind": "dealer", "partition": partition})
    if session.json:
        output.show_json(page)
        return
    rows = (
        (
            one["id"],
            one["partition"],
            one["state"],
            one["dry_run"],
            output.moment(one["created"]),
            one["summary"].get("copies", 0),
            output.size(one["summary"].get("bytes", 0)),
            words(one["reason"]),
        )
        for one in page["items"]
    )
    titles = ("cycle>", "partition", "state", "dry run", "when", "copies>", "to copy>", "why")
    output.table(titles, rows)


@app.command()
@reading
def show(session: Session, cycle: Annotated[int, typer.Argument(help="Its number.")]) -> None:
    """Show a cycle: sites before and after, what goes where for whom, what does not and why."""
    service = session.service()
    found = service.get(f"/v1/cycles/{cycle}")
    if session.json:
        output.show_json(found)
    else:
        tell(service, found)


def tell(service: Dynamo, cycle: Json) -> None:
    """Print a cycle."""
    dry = ", a dry run: nothing is done" if cycle["dry_run"] else ""
    output.say(f"cycle {cycle['id']} of {cycle['partition']} is {cycle['state']}{dry}")
    if cycle["reason"]:
        output.say(f"{words(cycle['reason'])}: {cycle['detail']}")
    summary = cycle["summary"]
    if "sites" not in summary:
        return
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
        bar(one["projected"], quota),
        output.share(one["projected"], quota),
        bar(one["after"], quota),
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
    page = service.get(cycle["links"]["decisions"], {"limit": MOST})
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
    if len(page["items"]) == MOST:
        output.say(f"… these are the first {MOST}; all of them at {cycle['links']['decisions']}")
