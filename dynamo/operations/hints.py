"""Hints: messages that say which rows have work; a lost hint costs only time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Hint:
    """A message to a worker pool: the task, ids of rows, and a sentence for operators."""

    task: str
    ids: tuple[int, ...]
    text: str


T = TypeVar("T")

Publish = Callable[[Sequence[Hint]], None]
"""Sends hints; never raises."""


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Split a sequence into batches of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def hints(task: str, ids: Iterable[int], size: int, text: str) -> list[Hint]:
    """Return one hint per batch; `text` may contain {n}, the number of ids."""
    return [
        Hint(task, tuple(batch), text.format(n=len(batch))) for batch in batches(sorted(ids), size)
    ]
