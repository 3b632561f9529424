"""Hints: short messages that say where work lies; losing one costs time only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Hint:
    """A message to a worker pool: which task, ids alone, and a sentence for operators."""

    task: str
    ids: tuple[int, ...]
    text: str


T = TypeVar("T")

Publish = Callable[[Sequence[Hint]], None]
"""What sends hints; it never raises."""


def batches(some: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into batches of at most `size`."""
    for start in range(0, len(some), size):
        yield some[start : start + size]


def hints(task: str, ids: Iterable[int], size: int, text: str) -> list[Hint]:
    """Make one hint per batch; `text` may name the number of ids as {n}."""
    return [
        Hint(task, tuple(batch), text.format(n=len(batch))) for batch in batches(sorted(ids), size)
    ]
