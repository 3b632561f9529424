"""`dynamo site`: sites and their storage."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

import typer

from dynamo.cli import consistency, console, dataset, request_views, site_views
from dynamo.cli.session import Session, acting, reading
from dynamo.client.client import Json
from dynamo.inventory.states import SiteKind, SiteStatus
from dynamo.units import parse_bytes

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Sites.")

Name = Annotated[str, typer.Argument(help="Name of the site, such as T2_US_MIT.")]
Quotas = Annotated[
    list[str] | None,
    typer.Option(
        "--quota", metavar="PARTITION=SIZE", help="For example User=10TB or User=unlimited."
    ),
]
Scratch = Annotated[
    list[Path] | None,
    typer.Option("--scratch", help="Folder of jobs' file: sources."),
]


@app.command("list")
@reading
def list_(session: Session) -> None:
    """List the sites with quota and usage of each partition."""
    service = session.service()
    if session.json:
        console.show_json(service.get("/v1/sites", {"limit": 1000}))
        return
    listed = list(service.items("/v1/sites"))
    rows = [row for site in listed for row in _rows(site)]
    console.table(("site", "kind", "status", "partition", "quota>", "used>", "full>"), rows)
    for site in listed:
        for text in site_views.warnings(site):
            console.say(f"{site['name']}: {text}")


@app.command()
@reading
def show(session: Session, name: Name) -> None:
    """Show a site."""
    site = session.service().get(_path(name))
    if session.json:
        console.show_json(site)
        return
    lists = ((key, ", ".join(site[key])) for key in ("scratch", "sources") if site[key])
    known = ((key, site[key]) for key in ("name", "kind", "status", "url"))
    console.facts([*known, *site_views.facts(site), *lists])
    console.heading("quotas")
    console.table(
        ("partition", "quota>", "used>", "full>", "after transfers>", "unique>"),
        (_quota(quota) for quota in site.get("quotas", ())),
    )


@app.command()
@acting
def add(
    session: Session,
    name: Name,
    url: Annotated[str, typer.Option(help="Storage of the site: a folder or a URL.")],
    kind: Annotated[SiteKind, typer.Option(help="Medium of the storage.")] = SiteKind.DISK,
    quota: Quotas = None,
    scratch: Scratch = None,
) -> None:
    """Add a site, ready at once, or change it."""
    limits = dict(map(_limit, quota or ()))
    service = session.service("operator")
    body: Json = {"kind": kind.value, "status": SiteStatus.READY.value, "url": _url(url)}
    if scratch:
        body["scratch"] = _folders(scratch)
    _make_root(body["url"])
    service.put(_path(name), body)
    for partition, limit in limits.items():
        service.put(f"{_path(name)}/quotas/{quote(partition, safe='')}", {"limit": limit})
    console.say(f"{name} is ready")
    if not limits:
        console.say("it has no quota yet, so it takes no data: add --quota User=10TB")


@app.command("set")
@acting
def set_(
    session: Session,
    name: Name,
    status: Annotated[SiteStatus | None, typer.Option(help="New status.")] = None,
    quota: Quotas = None,
    scratch: Scratch = None,
) -> None:
    """Change a site's status, quotas or scratch folders."""
    limits = dict(map(_limit, quota or ()))
    body: Json = {}
    if status is not None:
        body["status"] = status.value
    if scratch:
        body["scratch"] = _folders(scratch)
    if not body and not limits:
        raise typer.BadParameter("give a change: --status, --quota or --scratch")
    service = session.service("operator")
    if body:
        service.put(_path(name), body)
    for partition, limit in limits.items():
        service.put(f"{_path(name)}/quotas/{quote(partition, safe='')}", {"limit": limit})
    console.say(f"{name} is changed")


app.command("scan")(consistency.scan)
app.command("check")(consistency.check)


@app.command()
@acting
def limit(
    session: Session,
    name: Name,
    streams: Annotated[
        int | None,
        typer.Option(min=1, help="Limit of parallel streams into the site, and out of it."),
    ] = None,
    link_streams: Annotated[
        int | None, typer.Option(min=1, help="Limit of parallel streams on each link of the site.")
    ] = None,
) -> None:
    """Limit the parallel streams of a site; an absent option restores the setting's value."""
    body: Json = {"max_streams": streams, "max_link_streams": link_streams}
    session.service("operator").put(_path(name), body)
    console.say(f"{name} is changed")


@app.command()
@reading
def evacuation(session: Session, name: Name) -> None:
    """Show the evacuation of a site: data left, stuck data with reasons, expected end."""
    site_views.evacuation(session, session.service().get(f"{_path(name)}/evacuation"))


@app.command()
@reading
def losses(
    session: Session,
    name: Name,
    declare: Annotated[  # noqa: FBT002 - declares what it shows
        bool,
        typer.Option("--declare", help="Declare unreadable files without another copy lost."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - as in `dataset delete`
) -> None:
    """Show by owner the data that only this site has, and sources of the rest."""
    if declare:
        _declare(session, name, yes=yes)
    site_views.losses(session, session.service().get(f"{_path(name)}/losses"))


_NAMED = 10


def _declare(session: Session, name: str, *, yes: bool) -> None:
    service, lost, kept, unsure, more = session.service("operator"), 0, 0, 0, True
    count = _preview(name, service.get(f"{_path(name)}/losses")["unread"])
    if count and not yes:
        dataset.confirm(count, "declare them lost", "nothing was declared lost")
    while more:
        answer = service.post(f"{_path(name)}/losses", {})
        lost, kept, unsure = lost + answer["lost"], kept + answer["kept"], answer["unsure"]
        more = answer["more"] and answer["lost"] + answer["kept"] > 0
    console.say(f"{lost} files are declared lost")
    if kept:
        console.say(f"{kept} are readable again and are tried now")
    if unsure:
        console.say(f"{unsure} files are undecided, because the storage does not answer: try again")


def _preview(name: str, unread: Json) -> int:
    """Print the files to be declared lost; return their number."""
    count, shown = int(unread["files"]), unread["lfns"][:_NAMED]
    size = console.size(unread["bytes"])
    console.say(
        f"{count} files ({size}) have been unreadable at {name} for long and have no other copy"
    )
    for lfn in shown:
        console.say(f"  {lfn}")
    if count > len(shown):
        console.say(f"  and {count - len(shown)} more")
    return count


@app.command()
@acting
def release(session: Session, name: Name) -> None:
    """Retry the held operations of a site now, and close its breakers."""
    service = session.service("operator")
    request_views.released(service.post("/v1/releases", {"site": name}))


def _path(name: str) -> str:
    return f"/v1/sites/{quote(name, safe='')}"


def _url(text: str) -> str:
    """Return the URL of a folder; other texts unchanged."""
    return text if "://" in text else f"file://{quote(str(Path(text).resolve()))}"


def _make_root(url: str) -> None:
    """Create the folder of a new site, if it is on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            console.say(f"the folder {folder} cannot be created here: {error.strerror}")


def _folders(scratch: list[Path]) -> list[str]:
    """Return each folder as given and with links resolved: jobs may use either."""
    return list(
        dict.fromkeys(
            str(path) for given in scratch for path in (given.absolute(), given.resolve())
        )
    )


def _limit(text: str) -> tuple[str, int | None]:
    partition, mark, wanted = text.partition("=")
    if not mark or not partition:
        raise typer.BadParameter(f"{text!r} is not a quota; write for example User=10TB")
    try:
        return partition, None if wanted == "unlimited" else parse_bytes(wanted)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _rows(site: Json) -> Iterable[tuple[object, ...]]:
    head = (site["name"], site["kind"], site["status"])
    quotas = site.get("quotas", ())
    if not quotas:
        yield (*head, "-", "-", "-", "-")
    for quota in quotas:
        yield (*head, *_quota(quota)[:4])


def _quota(quota: Json) -> tuple[object, ...]:
    return (
        quota["partition"],
        console.size(quota["limit"]),
        console.size(quota["used"]),
        console.share(quota["used"], quota["limit"]),
        console.size(quota["projected"]),
        console.size(quota["unique"]),
    )
