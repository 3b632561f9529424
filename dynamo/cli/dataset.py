"""`dynamo dataset`: named collections of blocks of files."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from dynamo.cli import console, import_legacy, request_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import COLLECTIONS, Dynamo, Json, Problem
from dynamo.reasons import Reason

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Datasets.")

MOST_BLOCKS = 20
KINDS = ("injection", "copy", "closure", "deletion")
OPEN_STATES = ("queued", "running", "held", "failed")

Name = Annotated[str, typer.Argument(help="For example /Higgs/alice-v1/USER.")]


@app.command("list")
@reading
def list_(
    session: Session,
    name: Annotated[str | None, typer.Option(help="Glob, such as '/Higgs/*'.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only datasets of this user.")] = None,
    status: Annotated[str | None, typer.Option(help="Only datasets with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Limit of lines.")] = 100,
) -> None:
    """List datasets."""
    query = {"name": name, "owner": owner, "status": status, "limit": limit}
    page = session.service().get("/v1/datasets", query)
    if session.json:
        console.show_json(page)
        return
    rows = (
        (
            dataset["name"],
            dataset["owner"],
            dataset["status"],
            _open(dataset),
            dataset["files"],
            console.size(dataset["bytes"]),
        )
        for dataset in page["items"]
    )
    console.table(("dataset", "owner", "status", "", "files>", "bytes>"), rows)
    if page["next"]:
        console.say("there are more; filter further or raise --limit")


@app.command()
@reading
def show(session: Session, name: Name) -> None:
    """Show where a dataset is, which files are missing and why, and when they are tried next."""
    service = session.service()
    dataset = service.dataset(name)
    if session.json:
        console.show_json(dataset)
        return
    console.facts(
        (
            ("dataset", dataset["name"]),
            ("owner", dataset["owner"]),
            ("status", f"{dataset['status']}, {_open(dataset)}"),
            ("files", dataset["files"]),
            ("bytes", console.size(dataset["bytes"])),
        )
    )
    _sites(dataset)
    _blocks(service, name)
    _work(list(_pending(service, name)))


@app.command()
@acting
def close(
    session: Session,
    name: Name,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until all files are in place.")
    ] = False,
) -> None:
    """Close a dataset: production is finished, and it takes no more files."""
    service = session.service()
    request_views.accepted(service, service.close(name), wait=wait)


@app.command()
@acting
def delete(  # noqa: PLR0913 - as many as the API's fields
    session: Session,
    name: Name,
    *,
    site: Annotated[str | None, typer.Option(help="Only its replicas at this site.")] = None,
    block: Annotated[list[str] | None, typer.Option(help="Only these blocks.")] = None,
    lfn: Annotated[list[str] | None, typer.Option(help="Only these files.")] = None,
    last_copy: Annotated[bool, typer.Option("--last-copy", help="Even the last copy.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the files to delete.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the files are deleted.")] = False,
) -> None:
    """Delete a dataset, some of its blocks or files, or its replicas at a site."""
    service = session.service()
    count = len(lfn) if lfn else _files(service, name, block, site)
    console.say(
        f"deletes {count} files of {name} "
        f"{f'at {site}' if site else 'at all sites, with their names'}"
    )
    if dry_run:
        return
    if not yes:
        confirm(count, "delete them", "nothing was deleted")
    options: Json = {"site": site, "blocks": block, "lfns": lfn, "last_copy": last_copy or None}
    given = {field: value for field, value in options.items() if value}
    request_views.accepted(service, service.delete(name, **given), wait=wait)


@app.command("import")
@acting
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Injection JSON.")],
    *,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="New group for the replicas of an old group."),
    ] = None,
    leave_open: Annotated[
        bool, typer.Option("--open", help="Leave blocks open for more files.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the files to import.")
    ] = False,
) -> None:
    """Import an injection JSON of the first Dynamo: sites, datasets, blocks, files, replicas.

    Registered sites stay unchanged. Importing again changes nothing.
    """
    try:
        document = import_legacy.read(file.read_bytes())
    except msgspec.MsgspecError as error:
        raise Problem.final(Reason.INVALID, f"{file} is no injection JSON: {error}") from error
    owners = import_legacy.owners(document, dict(map(_renamed, group or ())))
    for old, new in owners.items():
        console.say(f"replicas of {old} get the owner {new}")
    for name in import_legacy.left_out(document):
        console.say(f"left out: {name} was deleted")
    calls = list(import_legacy.calls(document, owners, leave_open=leave_open))
    n_files = sum(
        len(block["files"]) for call in calls for item in call for block in item["blocks"]
    )
    console.say(f"{n_files} files in {len(calls)} calls")
    if not dry_run:
        service = session.service("operator")
        _add_sites(service, document)
        _register(service, calls)


def _add_sites(service: Dynamo, document: import_legacy.Document) -> None:
    known = {site["name"] for site in service.items("/v1/sites")}
    for name, body in import_legacy.sites(document):
        if name not in known:
            service.put(f"/v1/sites/{quote(name, safe='')}", body)
            console.say(f"{name} is added; it has no quota yet")


def _register(service: Dynamo, calls: list[list[Json]]) -> None:
    new: Counter[str] = Counter()
    with console.progress("registering", len(calls), in_bytes=False) as advance:
        for call in calls:
            new.update(service.post("/v1/datasets", call))
            advance(1)
    sums = ", ".join(f"{new[noun]} {noun}" for noun in ("datasets", "blocks", "files", "replicas"))
    console.say(f"new: {sums}")


def _renamed(text: str) -> tuple[str, str]:
    old, mark, new = text.partition("=")
    if not (old and mark and new):
        raise typer.BadParameter(f"{text!r} is not OLD=NEW; write for example AnalysisOps=analysis")
    return old, new


def _files(service: Dynamo, name: str, blocks: list[str] | None, site: str | None) -> int:
    """Return the number of files that a deletion concerns."""
    if not blocks and not site:
        return int(service.dataset(name)["files"])
    chosen = [
        item
        for item in service.items("/v1/blocks", dataset=name)
        if not blocks or item["name"] in blocks
    ]
    if site is None:
        return sum(item["files"] for item in chosen)
    return sum(r["files"] for item in chosen for r in item["replicas"] if r["site"] == site)


def confirm(count: int, action: str, otherwise: str) -> None:
    """Ask for the number of files as confirmation; exit 1 for another answer."""
    if not is_interactive():
        raise typer.BadParameter("no terminal for a confirmation; use --yes")
    if typer.prompt(f"type the number of files to {action}", err=True).strip() != str(count):
        console.say(otherwise)
        raise typer.Exit(1)


def is_interactive() -> bool:
    """Return whether a person can answer a question."""
    return sys.stdin.isatty()


def _open(dataset: Json) -> str:
    return "open" if dataset["open"] else "closed"


def _sites(dataset: Json) -> None:
    console.heading("where it is")
    rows = (
        (
            site["site"],
            site["files"],
            console.share(site["share"], 1),
            console.size(site["bytes"]),
            _completeness(site),
        )
        for site in dataset["sites"]
    )
    console.table(("site", "files>", "of all>", "bytes>", ""), rows)


def _completeness(site: Json) -> str:
    if site["condemned_files"]:
        return f"{site['condemned_files']} of them are to be deleted"
    return "all of it" if site["full"] else "in part"


def _blocks(service: Dynamo, name: str) -> None:
    page = service.get("/v1/blocks", {"dataset": name, "limit": MOST_BLOCKS})
    console.heading("blocks")
    rows = (
        (
            block["name"].partition("#")[2],
            _open(block),
            block["files"],
            console.size(block["bytes"]),
            ", ".join(_replica(replica, block) for replica in block["replicas"]),
        )
        for block in page["items"]
    )
    console.table(("block", "", "files>", "bytes>", "at"), rows)
    if page["next"]:
        console.say(f"only the first {MOST_BLOCKS} blocks are shown")


def _replica(replica: Json, block: Json) -> str:
    if replica["complete"]:
        return str(replica["site"])
    return f"{replica['site']} ({replica['files']} of {block['files']})"


def _pending(service: Dynamo, name: str) -> Iterator[Json]:
    for kind in KINDS:
        for state in OPEN_STATES:
            query = {"dataset": name, "state": state, "limit": 10}
            yield from service.get(f"/v1/{COLLECTIONS[kind]}", query)["items"]


def _work(pending: list[Json]) -> None:
    if not pending:
        return
    console.heading("requests that have not succeeded yet")
    console.table(
        ("request", "state", "done>", "files>", "failed>", "changed"),
        (
            (
                f"{request['kind']} {request['id']}",
                request["state"],
                request["progress"]["files"]["done"],
                request["progress"]["files"]["total"],
                request["progress"]["files"]["failed"],
                console.moment(request["updated"]),
            )
            for request in pending
        ),
    )
    request_views.problems(problem for request in pending for problem in request["problems"])
