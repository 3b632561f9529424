"""`dynamo detox`: cycles that free what is too full: run now, tried dry, looked at."""

from pathlib import Path
from typing import Annotated

import typer

from dynamo.cli import console, cycle_views
from dynamo.cli.session import AsJson, Session, reading
from dynamo.client.client import Dynamo, Json
from dynamo.reasons import words

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Cycles of Detox.")

Policy = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Instead of the one in force; dry only."),
]


@app.command()
@reading
def run(
    session: Session,
    partition: Annotated[str, typer.Argument(help="Name of the partition, such as User.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, and do nothing.")] = False,
    policy: Policy = None,
    compare: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A second policy; dry only."),
    ] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 600,
) -> None:
    """Run a cycle now and show what it decides."""
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
def show(session: Session, cycle: Annotated[int, typer.Argument(help="Its number.")]) -> None:
    """Show a cycle: sites before and after, and what goes by which line."""
    cycle_views.shown(session, cycle, tell)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Snapshot of a cycle.", exists=True, dir_okay=False)],
    policy: Policy = None,
    partition: Annotated[str | None, typer.Option(help="If not that of the cycle.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Decide again what a cycle has decided, from its snapshot: nothing but the file is needed."""
    # numpy and the engine cost half a second, and the other verbs leave them to the service
    from dynamo.services.detox.replay import replay as again  # noqa: PLC0415

    found = again(file, None if policy is None else policy.read_text("utf-8"), partition)
    if as_json:
        console.show_json(found)
        return
    console.say(f"a cycle of {found['partition']}, replayed")
    _tell_plan(found["summary"], found["decisions"])


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


def _tell_plan(summary: Json, decisions: list[Json]) -> None:
    for warning in summary["warnings"]:
        console.say(warning)
    console.table(
        ("site", "before", "before>", "after", "after>", "protected>"), map(_site, summary["sites"])
    )
    _tell_decisions(decisions)


def _site(one: Json) -> tuple[object, ...]:
    quota = one["quota"]
    return (
        one["site"],
        cycle_views.bar(one["used_before"], quota),
        console.share(one["used_before"], quota),
        cycle_views.bar(one["used_after"], quota),
        console.share(one["used_after"], quota),
        console.size(one["protected"]),
    )


def _tell_decisions(decisions: list[Json]) -> None:
    going = [
        one
        for one in decisions[: cycle_views.MOST]
        if one["action"] in ("delete", "held-back", "hand-over")
    ]
    if not going:
        console.say("nothing goes")
        return
    console.heading("what goes")
    rows = (
        (
            one["action"],
            one["site"],
            one["block"] or one["dataset"],
            console.size(one["bytes"]),
            one["line"] or None,
            one["text"] or None,
            words(one["refused"]) or None,
        )
        for one in going
    )
    console.table(("what", "site", "dataset", "size>", "line>", "its text", "but"), rows)
    if len(going) == cycle_views.MOST:
        console.say(f"… these are the first {cycle_views.MOST}; all of them with --json")


def _tell_comparison(found: Json | None) -> None:
    for name, title in (("only_first", "only the first"), ("only_second", "only the second")):
        if found is not None:
            size = console.size(found[name]["bytes"])
            console.heading(f"what {title} policy would delete: {size}")
            rows = (
                (one["site"], one["dataset"], one["blocks"], console.size(one["bytes"]))
                for one in found[name]["items"][: cycle_views.MOST]
            )
            console.table(("site", "dataset", "blocks>", "size>"), rows)
