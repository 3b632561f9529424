"""Hints: short messages that say where work lies; losing one costs time only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hint:
    """A message to a worker pool: which task, ids alone, and a sentence for operators."""

    task: str
    ids: tuple[int, ...]
    text: str


Publish = Callable[[Sequence[Hint]], None]
"""What sends hints; it never raises."""


def batches(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut ids into batches of at most `size`."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def hints(task: str, ids: Iterable[int], size: int, text: str) -> list[Hint]:
    """Make one hint per batch; `text` may name the number of ids as {n}."""
    return [
        Hint(task, tuple(batch), text.format(n=len(batch))) for batch in batches(sorted(ids), size)
    ]
