"""Distinct texts that columns refer to by number, with fast search among millions of them."""

import re
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_LAST = "\U0010ffff"
_PIECES = 4
_SLASH = ord("/")


@dataclass(frozen=True, slots=True)
class Parts:
    """Names like `/a/b/c` split at the slashes: each part as numbers into its distinct values."""

    columns: tuple[tuple[NDArray[np.int32], tuple[str, ...]], ...]
    odd: NDArray[np.bool_]
    """Flags of names with another shape."""


class Labels(Sequence[str]):
    """Texts addressed by their position; sorted texts are searched by bisection."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Keep the texts in the given order."""
        self._texts = tuple(texts)
        self._remembered: dict[object, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __getitem__(self, position: int) -> str:  # type: ignore[override]
        return self._texts[position]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labels) and self._texts == other._texts

    def __hash__(self) -> int:
        return hash(self._texts)

    def __repr__(self) -> str:
        return f"Labels({len(self)} texts)"

    @cached_property
    def is_sorted(self) -> bool:
        """Return whether the texts ascend strictly."""
        texts = self._texts
        return all(map(str.__lt__, texts, texts[1:]))

    def find(self, text: str) -> int:
        """Return the position of a text; -1 if it is absent."""
        if not self.is_sorted:
            return self._texts.index(text) if text in self._texts else -1
        position = bisect_left(self._texts, text)
        return position if position < len(self) and self._texts[position] == text else -1

    def span(self, prefix: str) -> tuple[int, int]:
        """Return the range of positions in which texts with this prefix can lie."""
        if not prefix or not self.is_sorted:
            return 0, len(self)
        return bisect_left(self._texts, prefix), bisect_left(self._texts, prefix + _LAST)

    def remembered(
        self, question: Hashable, search: Callable[["Labels"], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Return the positions that answer a question; each question is searched once."""
        if question not in self._remembered:
            self._remembered[question] = search(self)
        return self._remembered[question]

    @cached_property
    def parts(self) -> "Parts":
        """Return the second and third part of names like `/a/b/c`."""
        slash = self._slashes
        odd = slash[:, 0] != 0
        second, third = slash[:, 1].tolist(), slash[:, 2].tolist()
        middle = [
            text[left + 1 : right]
            for text, left, right in zip(self._texts, second, third, strict=True)
        ]
        last = [text[right + 1 :] for text, right in zip(self._texts, third, strict=True)]
        return Parts((_numbered(middle), _numbered(last)), odd)

    @property
    def _slashes(self) -> NDArray[np.int64]:
        """Return the positions of the three slashes of each text; -1 for other shapes."""
        blob, starts = self._blob
        at = np.flatnonzero(np.frombuffer(blob, np.uint8) == _SLASH)
        begin = np.searchsorted(at, starts)
        regular = np.diff(begin) == _PIECES - 1
        if len(blob) != len(blob.decode()):
            regular[:] = False
        slashes = np.full((len(self), _PIECES - 1), -1)
        indices = begin[:-1][regular][:, np.newaxis] + np.arange(_PIECES - 1)
        slashes[regular] = at[indices] - starts[:-1][regular][:, np.newaxis]
        return slashes

    def containing(self, part: str) -> NDArray[np.int64]:
        """Return the positions of texts that contain a part, by one pass over all texts."""
        if not part:
            return np.arange(len(self))
        blob, starts = self._blob
        hits = [hit.start() for hit in re.finditer(re.escape(part.encode()), blob)]
        positions = np.searchsorted(starts, np.array(hits, np.int64), side="right") - 1
        return np.unique(positions)

    @cached_property
    def _blob(self) -> tuple[bytes, NDArray[np.int64]]:
        """Return all texts in one, and where each begins. No text contains the line end."""
        joined = "\n".join(self._texts) + "\n"
        lengths = (
            map(len, self._texts)
            if joined.isascii()
            else (len(text.encode()) for text in self._texts)
        )
        starts = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.fromiter(lengths, np.int64, len(self)) + 1, out=starts[1:])
        return joined.encode(), starts


def _numbered(texts: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Give each distinct text a number, in the order of first appearance."""
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return np.fromiter(map(distinct.__getitem__, texts), np.int32, len(texts)), tuple(distinct)
