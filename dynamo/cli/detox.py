"""`dynamo detox`: cycles of Detox, which deletes data of full sites."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dynamo.cli import console, cycle_views
from dynamo.cli.session import AsJson, Session, reading
from dynamo.client.client import Dynamo, Json
from dynamo.reasons import words

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Cycles of Detox.")

Shown = Mapping[str, Any]
"""What the service, or a cycle that is played again, shows of something."""

Policy = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Policy to use instead of the one in force; dry runs only.",
    ),
]


@app.command()
@reading
def run(
    session: Session,
    partition: Annotated[str, typer.Argument(help="Name of the partition, such as User.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide only; delete nothing.")
    ] = False,
    policy: Policy = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Second policy to compare with; dry runs only."
        ),
    ] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = 600,
) -> None:
    """Run a cycle now and show its decisions."""
    body: Json = {"kind": "detox", "partition": partition, "dry_run": dry_run}
    body |= {
        name: file.read_text("utf-8")
        for name, file in (("policy", policy), ("compare", compare))
        if file is not None
    }
    cycle_views.run(session, body, patience, tell)


@app.command("list")
@reading
def list_(session: Session, partition: cycle_views.OfPartition = None) -> None:
    """List the last cycles, newest first."""
    going = {"to delete>": lambda did: console.size(did.get("delete", {}).get("bytes", 0))}
    cycle_views.listed(session, "detox", partition, going)


@app.command()
@reading
def show(session: Session, cycle: cycle_views.Number) -> None:
    """Show a cycle: sites before and after, and deletions with the lines that decided them."""
    cycle_views.shown(session, cycle, tell)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Snapshot of a cycle.", exists=True, dir_okay=False)],
    policy: Policy = None,
    partition: Annotated[
        str | None, typer.Option(help="Another partition than that of the cycle.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Decide again from the snapshot of a cycle; only the file is needed."""
    # importing numpy and the engine takes half a second; other verbs need neither
    from dynamo.services.detox.replay import replay as again  # noqa: PLC0415

    replayed = again(file, None if policy is None else policy.read_text("utf-8"), partition)
    if as_json:
        console.show_json(asdict(replayed))
        return
    console.say(f"a cycle of {replayed.partition}, replayed")
    _tell_plan(replayed.summary, replayed.decisions)


def tell(service: Dynamo, cycle: Json) -> None:
    """Print a cycle."""
    if not cycle_views.tell_state(cycle):
        return
    summary = cycle["summary"]
    decisions = service.get(cycle["links"]["decisions"], {"limit": cycle_views.MOST})["items"]
    _tell_plan(summary, decisions)
    _tell_comparison(summary.get("comparison"))
    for reason, count in summary.get("refused", {}).items():
        console.say(f"{count} decisions were not carried out: {words(reason)}")


def _tell_plan(summary: Shown, decisions: Sequence[Shown]) -> None:
    for warning in summary["warnings"]:
        console.say(warning)
    console.table(
        ("site", "before", "before>", "after", "after>", "protected>"), map(_site, summary["sites"])
    )
    _tell_decisions(decisions)


def _site(site: Shown) -> tuple[object, ...]:
    quota = site["quota"]
    return (
        site["site"],
        cycle_views.bar(site["used_before"], quota),
        console.share(site["used_before"], quota),
        cycle_views.bar(site["used_after"], quota),
        console.share(site["used_after"], quota),
        console.size(site["protected"]),
    )


def _tell_decisions(decisions: Sequence[Shown]) -> None:
    going = [
        decision
        for decision in decisions[: cycle_views.MOST]
        if decision["action"] in ("delete", "held-back", "hand-over")
    ]
    if not going:
        console.say("no deletions")
        return
    console.heading("deletions")
    rows = (
        (
            decision["action"],
            decision["site"],
            decision["block"] or decision["dataset"],
            console.size(decision["bytes"]),
            decision["line"] or None,
            decision["text"] or None,
            words(decision["refused"]) or None,
        )
        for decision in going
    )
    console.table(("action", "site", "dataset", "size>", "line>", "text", "refused"), rows)
    if len(going) == cycle_views.MOST:
        console.say(f"… these are the first {cycle_views.MOST}; all of them with --json")


def _tell_comparison(comparison: Json | None) -> None:
    for name, title in (("only_first", "only the first"), ("only_second", "only the second")):
        if comparison is not None:
            size = console.size(comparison[name]["bytes"])
            console.heading(f"what {title} policy would delete: {size}")
            rows = (
                (item["site"], item["dataset"], item["blocks"], console.size(item["bytes"]))
                for item in comparison[name]["items"][: cycle_views.MOST]
            )
            console.table(("site", "dataset", "blocks>", "size>"), rows)
