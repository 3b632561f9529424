"""Texts, globs and regular expressions, matched against many names at once."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Flags

_PIECES = 4
_SPECIAL = frozenset(".^$*+?{}[]\\|()")
_FEW = 512
_WILD = frozenset("*?[")


class Style(Enum):
    """Kind of a pattern."""

    LITERAL = "literal"
    GLOB = "glob"
    REGEX = "regex"


@dataclass(frozen=True)
class Pattern:
    """A pattern; globs are anchored at both ends, regular expressions at the start."""

    text: str
    style: Style

    @classmethod
    def plain(cls, text: str) -> "Pattern":
        """Return a glob if the text has a `*` or `?`, else a literal."""
        return cls(text, Style.GLOB if "*" in text or "?" in text else Style.LITERAL)

    @classmethod
    def regex(cls, text: str) -> "Pattern":
        """Return a regular expression."""
        return cls(text, Style.REGEX)

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """Return the compiled expression. Raises re.error."""
        if self.style is Style.LITERAL:
            return re.compile(re.escape(self.text) + r"\Z")
        return re.compile(fnmatch.translate(self.text) if self.style is Style.GLOB else self.text)

    def matches(self, text: str) -> bool:
        """Return whether a text matches."""
        if self.style is Style.LITERAL:
            return text == self.text
        return self.compiled.match(text) is not None

    def places(self, labels: Labels) -> NDArray[np.int64]:
        """Return the positions of all labels that match; literals and prefixes use bisection."""
        if self.style is Style.LITERAL:
            place = labels.find(self.text)
            return np.array([place] if place >= 0 else [], np.int64)
        return labels.remembered(self, self._search)

    def _search(self, labels: Labels) -> NDArray[np.int64]:
        low, high = labels.span(self.prefix)
        if high - low <= _FEW:
            return self._among(np.arange(low, high), labels)
        pieces = self.text.split("/")
        if self.style is Style.GLOB and len(pieces) == _PIECES and "[" not in self.text:
            fitting = _by_parts(pieces, labels)
            sure = not pieces[0] and _fits_all(pieces[1])
            closer = labels.parts.odd if sure else fitting | labels.parts.odd
            return np.union1d(
                np.flatnonzero(fitting & ~closer), self._among(np.flatnonzero(closer), labels)
            )
        return self._among(labels.containing(self.part), labels)

    def _among(self, near: NDArray[np.int64], labels: Labels) -> NDArray[np.int64]:
        fits = self.compiled.match
        return np.array([place for place in near.tolist() if fits(labels[place])], np.int64)

    @property
    def prefix(self) -> str:
        """Return the text that every match begins with."""
        if self.style is Style.LITERAL:
            return self.text
        if self.style is Style.GLOB:
            return re.split(r"[*?\[]", self.text, maxsplit=1)[0]
        return _regex_prefix(self.text)

    @property
    def part(self) -> str:
        """Return the longest plain text that every match contains."""
        if self.style is not Style.GLOB or "[" in self.text:
            return self.prefix
        return max(re.split(r"[*?]", self.text), key=len)


def _regex_prefix(text: str) -> str:
    """Return the plain letters at the start, without a last letter that may be absent."""
    if "|" in text:
        return ""
    plain = 0
    while plain < len(text) and text[plain] not in _SPECIAL:
        plain += 1
    absent = plain < len(text) and text[plain] in "*?{"
    return text[: plain - absent] if plain else ""


def _by_parts(pieces: list[str], labels: Labels) -> NDArray[np.bool_]:
    """Match the second and third part of names like `/a/b/c`, which have few distinct values.

    A glob with as many slashes as the name can match only part by part.
    """
    fitting = ~labels.parts.odd
    for pattern, (codes, distinct) in zip(pieces[2:], labels.parts.columns, strict=True):
        if not _fits_all(pattern):
            fits = re.compile(fnmatch.translate(pattern)).match
            fitting &= np.array([fits(text) is not None for text in distinct], np.bool_)[codes]
    return fitting


def _fits_all(glob: str) -> bool:
    return bool(glob) and not glob.strip("*")


def match_ordered(globs: Iterable[str], labels: Labels) -> Flags:
    """Return flags for an ordered list of globs: `!` excludes, the last match wins."""
    flags = np.zeros(len(labels), np.bool_)
    for glob in globs:
        text = glob.removeprefix("!")
        style = Style.GLOB if _WILD & set(text) else Style.LITERAL
        flags[Pattern(text, style).places(labels)] = text == glob
    return flags
