"""`dynamo site scan`, `site check`, `quarantine`, `incident`: is all where it should be."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting, reading
from dynamo.cli.wait import carry_out
from dynamo.client.client import Dynamo, Json
from dynamo.reasons import words

KINDS = ("dark", "missing", "wrong", "corrupt")

quarantine = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Files that nobody knew of, set aside."
)
incident = typer.Typer(no_args_is_help=True, add_completion=False, help="Bad and lost files.")

Site = Annotated[str | None, typer.Option(help="Only this site.")]


@reading
def scan(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the site, such as T2_US_MIT.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, and do nothing.")] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 600,
) -> None:
    """Compare what lies at a site with what should: dark, missing and bad files."""
    carry_out(session, "/v1/scans", {"site": name, "dry_run": dry_run}, patience, _tell)


def _tell(_service: Dynamo, scan: Json) -> None:
    summary = scan["summary"]
    facts = [(name, scan[name]) for name in ("id", "site", "state", "dry_run")]
    if scan["reason"]:
        facts += [("why", words(scan["reason"])), ("detail", scan["detail"])]
    if summary:
        shown = ("files", "young", "odd", "unlisted", "due", "acted", "held")
        facts += [(name, summary[name]) for name in shown]
    console.facts(facts)
    if summary:
        rows = [
            (kind, summary["found"][kind], console.size(summary["bytes"][kind])) for kind in KINDS
        ]
        console.heading("found")
        console.table(("kind", "files>", "size>"), rows)
        console.table(
            ("kind", "file"), [(kind, lfn) for kind in KINDS for lfn in summary["names"][kind]]
        )


@reading
def check(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the site, such as T2_US_MIT.")],
) -> None:
    """Try a site with a small file: write, sum, rename, delete, clock, and who else may write.

    Tried from this machine, with the data directory's settings, whether or not a system runs. Ends
    with 1 where a step failed.
    """
    # needs the inventory and the storages: half a second that other commands save
    from dynamo.cli.local_inventory import local_context  # noqa: PLC0415
    from dynamo.services.sites import probes as site_probes  # noqa: PLC0415

    with local_context(session.data) as ctx:
        found = site_probes.check(ctx, name)
    if session.json:
        console.show_json(found)
    else:
        console.facts((("site", found["site"]), ("usable", found["usable"])))
        console.table(
            ("step", "outcome", "seconds>", "why", "detail"),
            (
                (
                    one["step"],
                    one["outcome"],
                    f"{one['seconds']:.3f}",
                    words(one["reason"]) or None,
                    one["detail"],
                )
                for one in found["steps"]
            ),
        )
    if any(one["outcome"] == "failed" for one in found["steps"]):
        raise typer.Exit(1)


@quarantine.command("list")
@reading
def list_quarantine(session: Session, site: Site = None) -> None:
    """List the files that lie in quarantine, and those that are looked after now."""
    _show(
        session,
        "/v1/quarantine",
        {"site": site},
        ("number", "site", "found", "action", "state", "due", "file"),
        lambda one: (
            one["id"],
            one["site"],
            one["found"],
            one["action"],
            one["state"],
            console.moment(one["due"]),
            one["lfn"],
        ),
    )


@quarantine.command()
@acting
def release(
    session: Session,
    number: Annotated[int, typer.Argument(help="As `dynamo quarantine list` shows it.")],
) -> None:
    """Bring a file out of quarantine, to where it lay; register it before the next two scans."""
    was = session.service("operator").call("DELETE", f"/v1/quarantine/{number}")
    console.say(f"{was['lfn']} goes back to its place at {was['site']}")


@incident.command("list")
@reading
def list_incidents(
    session: Session,
    site: Site = None,
    owner: Annotated[str | None, typer.Option(help="Only files of this user.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only files of this dataset.")] = None,
    kind: Annotated[str | None, typer.Option(help="lost, missing or corrupt.")] = None,
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over as well.")] = False,
) -> None:
    """List files that are bad or lost, newest first."""
    query = {"site": site, "owner": owner, "dataset": dataset, "kind": kind}
    _show(
        session,
        "/v1/incidents",
        query | {"ended": "true" if ended else None},
        ("kind", "site", "owner", "when", "file", "detail"),
        lambda one: (
            one["kind"],
            one["site"],
            one["owner"],
            console.moment(one["at"]),
            one["lfn"],
            one["detail"],
        ),
    )


@incident.callback()
def _noun() -> None:
    """Keep `list` a verb of its own."""


def _show(
    session: Session,
    path: str,
    query: dict[str, str | None],
    columns: Sequence[str],
    row: Callable[[Json], Sequence[object]],
) -> None:
    service = session.service()
    if session.json:
        console.show_json(service.get(path, {**query, "limit": 1000}))
        return
    given = {name: value for name, value in query.items() if value is not None}
    console.table(columns, (row(one) for one in service.items(path, **given)))
