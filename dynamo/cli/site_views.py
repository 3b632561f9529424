"""How the condition of a site is shown: what rests there, its evacuation, what hangs on it."""

from collections.abc import Iterator

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.client.client import Json
from dynamo.reasons import words


def facts(site: Json) -> Iterator[tuple[str, object]]:
    """Yield what is to be known of a site beside its address."""
    # who made it ready is not kept: an operator, or what had put it aside and is over
    by = "" if site.get("status") == "ready" else f", set by {site.get('set_by', 'operator')}"
    yield "since", f"{console.moment(site.get('since'))}{by}"
    streams = site.get("streams")
    if streams:
        most = site.get("max_streams") or streams["default"]
        yield "streams", f"{streams['in']} in, {streams['out']} out, of {most} each"
    probe = site.get("probe")
    if probe and probe["free"] is not None:
        yield "free", f"{console.size(probe['free'])} at {console.moment(probe['at'])}"
    for text in warnings(site):
        yield "now", text
    for one in site.get("downtimes", ()):
        why = one["why"] or "no reason given"
        yield "downtime", f"{one['begins']} to {one['ends']}: {why}"


def warnings(site: Json) -> Iterator[str]:
    """Yield what is wrong at a site now."""
    for one in site.get("breakers", ()):
        yield one["detail"]
    probe = site.get("probe")
    if probe and not probe["usable"]:
        yield f"{probe['in_a_row']} probes failed, {console.moment(probe['at'])}: {probe['detail']}"


def evacuation(session: Session, told: Json) -> None:
    """Print how far an evacuation is."""
    if session.json:
        console.show_json(told)
        return
    left, stuck = told["left"], told["stuck"]
    console.facts(
        (
            ("site", told["site"]),
            ("status", f"{told['status']}, since {console.moment(told['since'])}"),
            ("left", f"{left['files']} files, {console.size(left['bytes'])}"),
            ("stuck", f"{stuck['files']} files, {console.size(stuck['bytes'])}"),
            *_stopped(told["stopped"]),
            ("expected end", console.moment(told["expected_end"])),
            *_given_up(told.get("given_up")),
        )
    )
    if not told["evacuated"]:
        console.say(f"{told['site']} is not being emptied: set its status to morgue for that")
    console.table(
        ("what", "blocks>", "files>", "bytes>", "meaning"),
        (
            (fate, sums["blocks"], sums["files"], console.size(sums["bytes"]), sums["meaning"])
            for fate, sums in told["by_fate"].items()
        ),
    )
    if told["problems"]:
        console.heading("cannot leave now")
        console.table(
            ("file or dataset", "to", "state", "why", "again"),
            (
                (
                    one["lfn"] or one["dataset"],
                    one["to"] or "",
                    one["state"],
                    f"{words(one['reason'])}: {one['detail']}",
                    console.moment(one["next_try"]),
                )
                for one in told["problems"]
            ),
        )


def _given_up(told: Json | None) -> Iterator[tuple[str, str]]:
    """Say when what cannot be read there and lies nowhere else is declared lost."""
    if told is not None:
        on = f"from {console.moment(told['at'])} on, " if told["at"] else ""
        yield "unreadable files", f"given up {on}{told['detail']}"


def _stopped(switches: list[str]) -> Iterator[tuple[str, str]]:
    """Say what an operator has stopped of all that empties a site."""
    if switches:
        yield "stopped", f"an operator has stopped {', '.join(switches)}: see dynamo switch list"


def losses(session: Session, told: Json) -> None:
    """Print what would be lost with a site."""
    if session.json:
        console.show_json(told)
        return
    console.table(
        ("owner", "can be had again>", "from", "only here>", "lost files>"),
        (
            (
                one["owner"],
                console.size(one["recoverable"]["bytes"]),
                ", ".join(place["site"] for place in one["from"]),
                console.size(one["only_here"]["bytes"]),
                len(one["lost_files"]),
            )
            for one in told["owners"]
        ),
    )
    for one in told["owners"]:
        for name in (*one["blocks_only_here"], *one["lost_files"]):
            console.say(f"only at {told['site']}, of {one['owner']}: {name}")
