"""What happened in a demonstration, for the screen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dynamo.cli import console


@dataclass
class Report:
    """What was done and counted, and what was not as it should be."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kills: int = 0
    begun: float = field(default_factory=time.monotonic)

    def note(self, what: str, result: str) -> None:
        """Keep a line for the table."""
        self.rows.append((what, result))

    def blame(self, *faults: str) -> None:
        """Keep what is wrong."""
        self.faults.extend(faults)

    @contextmanager
    def act(self, what: str) -> Iterator[None]:
        """Say what happens now, and keep how long it took."""
        console.say(f"[{time.monotonic() - self.begun:5.1f} s] {what}")
        begun = time.monotonic()
        yield
        self.note(what, f"{time.monotonic() - begun:.1f} s")

    def print(self) -> None:
        """Print the table, and on stderr what is wrong."""
        self.note("all together", f"{time.monotonic() - self.begun:.1f} s")
        console.table(("what", "result>"), self.rows)
        for fault in self.faults[:20]:
            console.say(f"WRONG  {fault}")
        if len(self.faults) > 20:
            console.say(f"WRONG  … and {len(self.faults) - 20} more")
