"""`dynamo simulate`: weeks of a collaboration's life in minutes, to try a change first."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dynamo.cli import console
from dynamo.cli.session import AsJson
from dynamo.errors import Invalid
from dynamo.logs import silence
from dynamo.reasons import words
from dynamo.settings import Settings, load
from dynamo.simulation.campaigns import read
from dynamo.simulation.metrics import Day
from dynamo.simulation.scenario import Scenario
from dynamo.simulation.simulation import Configuration, Outcome
from dynamo.simulation.simulation import simulate as live
from dynamo.units import scale

MOST = 30
"""Rows of a table; all of them with --json."""
WIDTH, HEIGHT = 90, 12
Policies = Annotated[
    list[str],
    typer.Option("--policy", metavar="PARTITION=FILE", help="Instead of the policy in force."),
]
Against = Annotated[
    list[str],
    typer.Option(
        "--against", metavar="PARTITION=FILE", help="Policy of a second run to compare with."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--settings", exists=True, file_okay=False, help="Data directory of settings."),
]
Other = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="The same of a second run to compare with."),
]
From = Annotated[
    Path | None,
    typer.Option("--from", exists=True, file_okay=False, help="Begin with this system's data."),
]
Campaigns = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Data that are planned to come.")
]


def simulate(  # noqa: PLR0913, PLR0917 - typer reads its options here
    days: Annotated[int, typer.Option(min=1, help="How long.")] = 14,
    sites: Annotated[int, typer.Option(min=3, help="Sites, tape included.")] = 12,
    tape: Annotated[int, typer.Option(min=0, help="Sites that are tape.")] = 2,
    datasets: Annotated[int, typer.Option(min=1, help="Official datasets at first.")] = 400,
    fill: Annotated[float, typer.Option(help="Share of the disks that is used at first.")] = 0.80,
    failures: Annotated[float, typer.Option(min=0, help="Outages a day and site.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Another seed is another life.")] = 1,
    policy: Policies = [],  # noqa: B006 - typer reads it
    against: Against = [],  # noqa: B006
    settings: Config = None,
    against_settings: Other = None,
    source: From = None,
    campaign: Campaigns = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Live through weeks on a virtual clock with the real engines and services, without bytes.

    Jobs read and write, data come, sites fail; Dealer and Detox run as they would. A second policy
    or configuration is lived with the same luck, and both are compared. Nothing real is touched.
    """
    scenario = Scenario(
        days=days,
        sites=sites,
        tape=tape,
        datasets=datasets,
        fill=fill,
        failures=failures,
        seed=seed,
    )
    runs = list(_configurations(policy, against, settings or source, against_settings))
    campaigns = [] if campaign is None else read(campaign)
    outcomes = []
    silence()
    for one in runs:
        with console.progress(f"simulating {one.name}", days, in_bytes=False) as step:
            begin = None if source is None else _inventory(source)
            outcomes.append(live(scenario, one, step, source=begin, campaigns=campaigns))
    if as_json:
        console.show_json({"runs": [asdict(one) for one in outcomes]})
    else:
        tell(outcomes)
    if any(day.broken for one in outcomes for day in one.days):
        raise typer.Exit(1)


def _configurations(
    first: Sequence[str], second: Sequence[str], base: Path | None, other: Path | None
) -> Iterator[Configuration]:
    yield Configuration("as it is" if not first else "first", _settings(base), _texts(first))
    if second or other is not None:
        yield Configuration("second", _settings(other or base), _texts(second))


def _settings(folder: Path | None) -> Settings:
    return load(folder or Path(os.devnull))


def _texts(named: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in named:
        partition, mark, file = one.partition("=")
        if not mark or not Path(file).is_file():
            raise Invalid(f"{one!r}: write PARTITION=FILE with a file that exists")
        found[partition] = Path(file).read_text("utf-8")
    return found


def _inventory(folder: Path) -> Any:
    from dynamo.db.engine.unit_of_work import UnitOfWork, connect  # noqa: PLC0415

    return UnitOfWork(connect(load(folder).database_url))


# --- told ----------------------------------------------------------------------------------------


def tell(outcomes: Sequence[Outcome]) -> None:
    """Print what the days were like, and draw them."""
    for one in outcomes:
        console.heading(f"{one.name}: day by day")
        step = max(1, len(one.days) // MOST)
        console.table(
            (
                "day>",
                "occupancy>",
                "emptiest>",
                "fullest>",
                "found on disk>",
                "moved>",
                "deleted>",
                "waiting>",
                "held>",
                "sites away>",
            ),
            map(_day, one.days[::step]),
        )
    console.heading("summary")
    console.table(("", *(f"{one.name}>" for one in outcomes)), _summary(outcomes))
    _draw_all(outcomes)
    for one in outcomes:
        _tell_needs(one)
        _tell_changes(one)


def _day(one: Day) -> tuple[object, ...]:
    away = sum(n for status, n in one.sites.items() if status != "ready")
    return (
        one.day,
        console.share(one.occupancy, 1),
        console.share(one.emptiest, 1),
        console.share(one.fullest, 1),
        console.share(one.found, one.accesses),
        console.size(one.moved),
        console.size(one.deleted),
        console.size(one.waiting),
        sum(one.held.values()),
        away,
    )


def _summary(outcomes: Sequence[Outcome]) -> Iterator[tuple[object, ...]]:
    rows: dict[str, Callable[[Outcome], object]] = {
        "occupancy at the end": lambda one: console.share(one.days[-1].occupancy, 1),
        "accesses that found data on disk": lambda one: console.share(
            sum(day.found for day in one.days), sum(day.accesses for day in one.days)
        ),
        "moved a day": lambda one: console.size(_mean(day.moved for day in one.days)),
        "deleted a day": lambda one: console.size(_mean(day.deleted for day in one.days)),
        "left disk by policy": lambda one: len(one.left),
        "held at the end": lambda one: _reasons(one.days[-1].held),
        "files lost": lambda one: one.days[-1].lost,
        "output that no site took": lambda one: _reasons(one.refused),
        "waiting without a reason": lambda one: max(day.unexplained for day in one.days),
        "invariants broken": lambda one: sum(len(day.broken) for day in one.days),
        "operator actions needed": lambda one: one.operator_actions,
    }
    for title, figure in rows.items():
        yield (title, *map(figure, outcomes))


def _mean(values: Iterator[int]) -> int:
    found = list(values)
    return round(sum(found) / len(found))


def _reasons(counted: Any) -> str:
    return ", ".join(f"{n} {words(reason)}" for reason, n in sorted(counted.items())) or "none"


_SHARES: dict[str, Callable[[Day], float]] = {
    "occupancy": lambda day: day.occupancy,
    "accesses that found data on disk": lambda day: day.found / day.accesses if day.accesses else 1,
}
_SIZES: dict[str, Callable[[Day], int]] = {
    "moved": lambda day: day.moved,
    "deleted": lambda day: day.deleted,
}


def _draw_all(outcomes: Sequence[Outcome]) -> None:
    for title, share in _SHARES.items():
        console.heading(f"{title}, per cent")
        _draw(outcomes, share, 0.01, (0, 100))
    for title, size in _SIZES.items():
        step, unit = scale(max(size(day) for one in outcomes for day in one.days))
        console.heading(f"{title}, {unit} a day")
        _draw(outcomes, size, step)


def _draw(
    outcomes: Sequence[Outcome],
    figure: Callable[[Day], float],
    step: float,
    between: tuple[float, float] | None = None,
) -> None:
    import plotext  # noqa: PLC0415 - only for people

    plotext.clear_figure()
    plotext.theme("clear" if not sys.stdout.isatty() else "default")
    plotext.plotsize(WIDTH, HEIGHT)
    if between is not None:
        plotext.ylim(*between)
    for one in outcomes:
        days, figures = [day.day for day in one.days], [figure(day) / step for day in one.days]
        plotext.plot(days, figures, label=one.name)
    drawn = plotext.build()
    typer.echo(drawn if sys.stdout.isatty() else plotext.uncolorize(drawn))


def _tell_needs(one: Outcome) -> None:
    first: dict[tuple[str, str, str], tuple[int, int]] = {}
    for day in one.days:
        for need in day.needs:
            first.setdefault(need.matter, (day.day, need.n))
    if first:
        console.heading(f"{one.name}: what a person is needed for")
        rows = ((day, n, what, where, words(why)) for (what, where, why), (day, n) in first.items())
        console.table(("since day>", "how many>", "of what", "where", "why"), rows)


def _tell_changes(one: Outcome) -> None:
    if one.left:
        console.heading(f"{one.name}: what leaves disks, the first {min(MOST, len(one.left))}")
        rows = (
            (left.day, left.site, left.dataset, console.size(left.bytes), left.why)
            for left in one.left[:MOST]
        )
        console.table(("day>", "site", "dataset", "size>", "why"), rows)
    if one.unfit:
        console.heading(f"{one.name}: what of the campaigns does not fit, or not yet")
        unfit = (
            (
                copy.dataset,
                copy.since,
                console.share(copy.done, copy.bytes),
                copy.state,
                _reasons(copy.reasons),
            )
            for copy in one.unfit[:MOST]
        )
        console.table(("dataset", "wanted on day>", "there>", "state", "why"), unfit)
    for day in one.days:
        for broken in day.broken:
            console.say(f"{one.name}, day {day.day}: {broken}")
