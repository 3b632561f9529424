"""Output of commands: tables and JSON on stdout, messages and progress on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from dynamo.client.client import OWN_REASONS, Problem
from dynamo.clock import parse_moment
from dynamo.reasons import words
from dynamo.units import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPE_WIDTH = 4000
"""Width without a terminal, so that names are never cut for programs."""


def say(text: str) -> None:
    """Print a message to stderr."""
    typer.echo(plain(text), err=True)


def refusal(problem: Problem) -> str:
    """Return what was refused, in words for people."""
    reason = OWN_REASONS.get(problem.reason) or words(problem.reason)
    return f"{reason}: {problem.detail}"


def show_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns that end in `>` are numbers."""
    from rich import box  # noqa: PLC0415 - half of a command's start-up time, and only for tables
    from rich.table import Table  # noqa: PLC0415

    printed = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        right = name.endswith(">")
        printed.add_column(name.rstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        printed.add_row(*(_text(cell) for cell in row))
    _console().print(printed)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one line each."""
    from rich.table import Table  # noqa: PLC0415

    printed = Table.grid(padding=(0, 2))
    for name, value in pairs:
        printed.add_row(_text(name), _text(value))
    _console().print(printed)


def heading(text: str) -> None:
    """Print the title of the next table."""
    typer.echo(f"\n{plain(text)}")


def plain(text: object) -> str:
    """Return a text without control characters: error texts come from storages."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))


def size(value: int | None) -> str:
    """Return bytes in human form."""
    return format_bytes(value)


def share(part: float | None, whole: float | None) -> str:
    """Return a fraction in per cent."""
    if part is None or not whole:
        return "-"
    return f"{100 * part / whole:.0f} %"


def moment(text: str | None, now: datetime | None = None) -> str:
    """Return a time relative to now: `in 40 s`, `3 h ago`."""
    if text is None:
        return "-"
    seconds = (parse_moment(text) - (now or datetime.now(UTC))).total_seconds()
    distance = _distance(abs(seconds))
    return f"in {distance}" if seconds > 0 else f"{distance} ago"


def _distance(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def progress(title: str, total: int, *, in_bytes: bool) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal; the yielded function takes each step."""
    from rich import progress as bars  # noqa: PLC0415

    count: list[bars.ProgressColumn] = (
        [bars.DownloadColumn(), bars.TransferSpeedColumn()]
        if in_bytes
        else [bars.MofNCompleteColumn()]
    )
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        *count,
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(
        *columns, console=_console(stderr=True), disable=not sys.stderr.isatty()
    ) as shown:
        bar = shown.add_task(title, total=total)
        yield lambda n: shown.advance(bar, n)


def _text(cell: object) -> "Text":
    from rich.text import Text  # noqa: PLC0415

    if isinstance(cell, bool):
        return Text("yes" if cell else "no")
    return Text("-" if cell is None else plain(cell))


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console  # noqa: PLC0415

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)
