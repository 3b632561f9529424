"""`dynamo site scan`, `site check`, `quarantine`, `incident`: consistency with the catalogue."""

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
    no_args_is_help=True, add_completion=False, help="Dark files, moved to quarantine."
)
incident = typer.Typer(no_args_is_help=True, add_completion=False, help="Bad and lost files.")

Site = Annotated[str | None, typer.Option(help="Only this site.")]


@reading
def scan(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the site, such as T2_US_MIT.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare only; record and repair nothing.")
    ] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = 600,
) -> None:
    """Compare a site with the catalogue: dark, missing and bad files."""
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
    """Probe a site with a small file: write, checksum, rename, delete, clock, write permissions.

    The probe runs on this machine with the settings of the data directory, whether or not a system
    runs. Exits 1 if a step fails.
    """
    # only this command needs inventory and storages: importing them takes half a second
    from dynamo.cli.local_inventory import local_context  # noqa: PLC0415
    from dynamo.services.sites import probes as site_probes  # noqa: PLC0415
    from dynamo.storage.probe import Outcome, is_usable  # noqa: PLC0415

    with local_context(session.data) as ctx:
        steps = site_probes.check(ctx, name)
    if session.json:
        console.show_json(site_probes.item(name, steps))
    else:
        console.facts((("site", name), ("usable", is_usable(steps))))
        console.table(
            ("step", "outcome", "seconds>", "why", "detail"),
            (
                (
                    step.name,
                    step.outcome.value,
                    f"{step.seconds:.3f}",
                    words(step.reason) or None,
                    step.detail,
                )
                for step in steps
            ),
        )
    if any(step.outcome is Outcome.FAILED for step in steps):
        raise typer.Exit(1)


@quarantine.command("list")
@reading
def list_quarantine(session: Session, site: Site = None) -> None:
    """List files in quarantine, and remedies in progress."""
    _show(
        session,
        "/v1/quarantine",
        {"site": site},
        ("number", "site", "found", "action", "state", "due", "file"),
        lambda remedy: (
            remedy["id"],
            remedy["site"],
            remedy["found"],
            remedy["action"],
            remedy["state"],
            console.moment(remedy["due"]),
            remedy["lfn"],
        ),
    )


@quarantine.command()
@acting
def release(
    session: Session,
    number: Annotated[int, typer.Argument(help="Number from `dynamo quarantine list`.")],
) -> None:
    """Move a file out of quarantine to its old name; register it before the next two scans."""
    remedy = session.service("operator").call("DELETE", f"/v1/quarantine/{number}")
    console.say(f"{remedy['lfn']} returns to its old name at {remedy['site']}")


@incident.command("list")
@reading
def list_incidents(
    session: Session,
    site: Site = None,
    owner: Annotated[str | None, typer.Option(help="Only files of this user.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only files of this dataset.")] = None,
    kind: Annotated[str | None, typer.Option(help="lost, missing or corrupt.")] = None,
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Ended incidents as well.")] = False,
) -> None:
    """List bad and lost files, newest first."""
    query = {"site": site, "owner": owner, "dataset": dataset, "kind": kind}
    _show(
        session,
        "/v1/incidents",
        query | {"ended": "true" if ended else None},
        ("kind", "site", "owner", "when", "file", "detail"),
        lambda item: (
            item["kind"],
            item["site"],
            item["owner"],
            console.moment(item["at"]),
            item["lfn"],
            item["detail"],
        ),
    )


@incident.callback()
def _noun() -> None:
    """Make `list` a subcommand, though it is the only one."""


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
    console.table(columns, (row(item) for item in service.items(path, **given)))
