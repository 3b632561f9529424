"""`dynamo simulate`: simulates weeks of a collaboration in minutes, to try changes."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from dynamo.db.engine.unit_of_work import UnitOfWork

MOST = 30
"""Limit of rows of a table; --json shows all."""
WIDTH, HEIGHT = 90, 12
Policies = Annotated[
    list[str],
    typer.Option(
        "--policy", metavar="PARTITION=FILE", help="Policy to use instead of the one in force."
    ),
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
    typer.Option(exists=True, file_okay=False, help="Settings of a second run to compare with."),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", exists=True, file_okay=False, help="Data directory of a system to start from."
    ),
]
Campaigns = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Planned data.")]


def simulate(  # noqa: PLR0913, PLR0917 - typer reads its options here
    days: Annotated[int, typer.Option(min=1, help="Simulated days.")] = 14,
    sites: Annotated[int, typer.Option(min=3, help="Number of sites, tape included.")] = 12,
    tape: Annotated[int, typer.Option(min=0, help="Number of tape sites.")] = 2,
    datasets: Annotated[int, typer.Option(min=1, help="Official datasets at the start.")] = 400,
    fill: Annotated[float, typer.Option(help="Fraction of disk space used at the start.")] = 0.80,
    failures: Annotated[float, typer.Option(min=0, help="Outages per day and site.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Seed of the random events.")] = 1,
    policy: Policies = [],  # noqa: B006 - typer reads it
    against: Against = [],  # noqa: B006
    settings: Config = None,
    against_settings: Other = None,
    source: From = None,
    campaign: Campaigns = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Simulate weeks on a virtual clock with the real engines and services, without bytes.

    Jobs read and write, data arrive, sites fail; Dealer and Detox run as usual. A second policy or
    configuration runs with the same random events, for comparison. No real data are touched.
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
    for run in runs:
        with console.progress(f"simulating {run.name}", days, in_bytes=False) as step:
            begin = None if source is None else _inventory(source)
            outcomes.append(live(scenario, run, step, source=begin, campaigns=campaigns))
    if as_json:
        console.show_json({"runs": [asdict(outcome) for outcome in outcomes]})
    else:
        tell(outcomes)
    if any(day.broken for outcome in outcomes for day in outcome.days):
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
    texts = {}
    for option in named:
        partition, mark, file = option.partition("=")
        if not mark or not Path(file).is_file():
            raise Invalid(f"{option!r}: write PARTITION=FILE with a file that exists")
        texts[partition] = Path(file).read_text("utf-8")
    return texts


def _inventory(folder: Path) -> "UnitOfWork":
    from dynamo.db.engine import connection, unit_of_work  # noqa: PLC0415

    return unit_of_work.UnitOfWork(connection.connect(load(folder).database_url))


# --- output --------------------------------------------------------------------------------------


def tell(outcomes: Sequence[Outcome]) -> None:
    """Print tables and plots of the days."""
    for outcome in outcomes:
        console.heading(f"{outcome.name}: day by day")
        step = max(1, len(outcome.days) // MOST)
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
            map(_day, outcome.days[::step]),
        )
    console.heading("summary")
    console.table(("", *(f"{outcome.name}>" for outcome in outcomes)), _summary(outcomes))
    _draw_all(outcomes)
    for outcome in outcomes:
        _tell_needs(outcome)
        _tell_changes(outcome)


def _day(day: Day) -> tuple[object, ...]:
    unavailable = sum(n for status, n in day.sites.items() if status != "ready")
    return (
        day.day,
        console.share(day.occupancy, 1),
        console.share(day.emptiest, 1),
        console.share(day.fullest, 1),
        console.share(day.found, day.accesses),
        console.size(day.moved),
        console.size(day.deleted),
        console.size(day.waiting),
        sum(day.held.values()),
        unavailable,
    )


def _summary(outcomes: Sequence[Outcome]) -> Iterator[tuple[object, ...]]:
    rows: dict[str, Callable[[Outcome], object]] = {
        "occupancy at the end": lambda outcome: console.share(outcome.days[-1].occupancy, 1),
        "accesses that found data on disk": lambda outcome: console.share(
            sum(day.found for day in outcome.days), sum(day.accesses for day in outcome.days)
        ),
        "moved a day": lambda outcome: console.size(_mean(day.moved for day in outcome.days)),
        "deleted a day": lambda outcome: console.size(_mean(day.deleted for day in outcome.days)),
        "left disk by policy": lambda outcome: len(outcome.left),
        "held at the end": lambda outcome: _reasons(outcome.days[-1].held),
        "files lost": lambda outcome: outcome.days[-1].lost,
        "output that no site took": lambda outcome: _reasons(outcome.refused),
        "waiting without a reason": lambda outcome: max(day.unexplained for day in outcome.days),
        "invariants broken": lambda outcome: sum(len(day.broken) for day in outcome.days),
        "operator actions needed": lambda outcome: outcome.operator_actions,
    }
    for title, figure in rows.items():
        yield (title, *map(figure, outcomes))


def _mean(values: Iterator[int]) -> int:
    listed = list(values)
    return round(sum(listed) / len(listed))


def _reasons(counted: Mapping[str, int]) -> str:
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
        step, unit = scale(max(size(day) for outcome in outcomes for day in outcome.days))
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
    for outcome in outcomes:
        days, figures = (
            [day.day for day in outcome.days],
            [figure(day) / step for day in outcome.days],
        )
        plotext.plot(days, figures, label=outcome.name)
    drawn = plotext.build()
    typer.echo(drawn if sys.stdout.isatty() else plotext.uncolorize(drawn))


def _tell_needs(outcome: Outcome) -> None:
    first: dict[tuple[str, str, str], tuple[int, int]] = {}
    for day in outcome.days:
        for need in day.needs:
            first.setdefault(need.matter, (day.day, need.n))
    if first:
        console.heading(f"{outcome.name}: matters for a person")
        rows = (
            (day, n, subject, place, words(reason))
            for (subject, place, reason), (day, n) in first.items()
        )
        console.table(("since day>", "number>", "of", "where", "why"), rows)


def _tell_changes(outcome: Outcome) -> None:
    if outcome.left:
        console.heading(
            f"{outcome.name}: data that leave disks, the first {min(MOST, len(outcome.left))}"
        )
        rows = (
            (
                departure.day,
                departure.site,
                departure.dataset,
                console.size(departure.bytes),
                departure.why,
            )
            for departure in outcome.left[:MOST]
        )
        console.table(("day>", "site", "dataset", "size>", "why"), rows)
    if outcome.unfit:
        console.heading(f"{outcome.name}: campaign data without space so far")
        unfit = (
            (
                copy.dataset,
                copy.since,
                console.share(copy.done, copy.bytes),
                copy.state,
                _reasons(copy.reasons),
            )
            for copy in outcome.unfit[:MOST]
        )
        console.table(("dataset", "wanted on day>", "there>", "state", "why"), unfit)
    for day in outcome.days:
        for broken in day.broken:
            console.say(f"{outcome.name}, day {day.day}: {broken}")
