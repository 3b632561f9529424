"""Ordered lists of globs: `!` takes out again, the last match wins."""

from collections.abc import Iterable

import numpy as np

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Flags
from dynamo.policy.patterns import Pattern, Style

_WILD = frozenset("*?[")


def chosen(globs: Iterable[str], labels: Labels) -> Flags:
    """Tell which labels a list means."""
    flags = np.zeros(len(labels), np.bool_)
    for glob in globs:
        text = glob.removeprefix("!")
        style = Style.GLOB if _WILD & set(text) else Style.LITERAL
        flags[Pattern(text, style).places(labels)] = text == glob
    return flags
