"""Views of sites: condition, evacuation, losses."""

from collections.abc import Iterator

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.client.client import Json
from dynamo.reasons import words


def facts(site: Json) -> Iterator[tuple[str, object]]:
    """Yield the facts about a site besides its address."""
    # who set a site ready is not recorded
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
    for downtime in site.get("downtimes", ()):
        why = downtime["why"] or "no reason given"
        yield "downtime", f"{downtime['begins']} to {downtime['ends']}: {why}"


def warnings(site: Json) -> Iterator[str]:
    """Yield the present problems of a site."""
    for breaker in site.get("breakers", ()):
        yield breaker["detail"]
    probe = site.get("probe")
    if probe and not probe["usable"]:
        yield f"{probe['in_a_row']} probes failed, {console.moment(probe['at'])}: {probe['detail']}"


def evacuation(session: Session, status: Json) -> None:
    """Print the progress of an evacuation."""
    if session.json:
        console.show_json(status)
        return
    left, stuck = status["left"], status["stuck"]
    console.facts(
        (
            ("site", status["site"]),
            ("status", f"{status['status']}, since {console.moment(status['since'])}"),
            ("left", f"{left['files']} files, {console.size(left['bytes'])}"),
            ("stuck", f"{stuck['files']} files, {console.size(stuck['bytes'])}"),
            *_stopped(status["stopped"]),
            ("expected end", console.moment(status["expected_end"])),
            *_given_up(status.get("given_up")),
        )
    )
    if not status["evacuated"]:
        console.say(f"{status['site']} is not being evacuated: set its status to morgue to start")
    console.table(
        ("fate", "blocks>", "files>", "bytes>", "meaning"),
        (
            (fate, sums["blocks"], sums["files"], console.size(sums["bytes"]), sums["meaning"])
            for fate, sums in status["by_fate"].items()
        ),
    )
    if status["problems"]:
        console.heading("cannot leave now")
        console.table(
            ("file or dataset", "to", "state", "why", "again"),
            (
                (
                    problem["lfn"] or problem["dataset"],
                    problem["to"] or "",
                    problem["state"],
                    f"{words(problem['reason'])}: {problem['detail']}",
                    console.moment(problem["next_try"]),
                )
                for problem in status["problems"]
            ),
        )


def _given_up(plan: Json | None) -> Iterator[tuple[str, str]]:
    """Yield when unreadable files without another copy are declared lost."""
    if plan is not None:
        on = f"from {console.moment(plan['at'])} on, " if plan["at"] else ""
        yield "unreadable files", f"given up {on}{plan['detail']}"


def _stopped(switches: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the switches that stop parts of the evacuation."""
    if switches:
        yield "stopped", f"an operator has stopped {', '.join(switches)}: see dynamo switch list"


def losses(session: Session, report: Json) -> None:
    """Print the data that would be lost with a site."""
    if session.json:
        console.show_json(report)
        return
    console.table(
        ("owner", "other copies>", "at", "only here>", "lost files>"),
        (
            (
                owner["owner"],
                console.size(owner["recoverable"]["bytes"]),
                ", ".join(place["site"] for place in owner["from"]),
                console.size(owner["only_here"]["bytes"]),
                len(owner["lost_files"]),
            )
            for owner in report["owners"]
        ),
    )
    for owner in report["owners"]:
        for name in (*owner["blocks_only_here"], *owner["lost_files"]):
            console.say(f"only at {report['site']}, of {owner['owner']}: {name}")
