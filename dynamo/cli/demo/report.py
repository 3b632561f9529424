"""The report of a demonstration, for the screen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dynamo.cli import console


@dataclass
class Report:
    """Results and errors of a demonstration."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kills: int = 0
    begun: float = field(default_factory=time.monotonic)

    def note(self, title: str, result: str) -> None:
        """Add a line to the table."""
        self.rows.append((title, result))

    def blame(self, *faults: str) -> None:
        """Add errors."""
        self.faults.extend(faults)

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """Announce an act, and record its duration."""
        console.say(f"[{time.monotonic() - self.begun:5.1f} s] {title}")
        begun = time.monotonic()
        yield
        self.note(title, f"{time.monotonic() - begun:.1f} s")

    def print(self) -> None:
        """Print the table, and the errors on stderr."""
        self.note("all together", f"{time.monotonic() - self.begun:.1f} s")
        console.table(("what", "result>"), self.rows)
        for fault in self.faults[:20]:
            console.say(f"WRONG  {fault}")
        if len(self.faults) > 20:
            console.say(f"WRONG  … and {len(self.faults) - 20} more")
