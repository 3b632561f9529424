"""Finds lines of code that stand in two places."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LEAST = 6
"""Lines: fewer may be alike by chance."""

_BRACKETS = re.compile(r"[\])}]+[,:]?")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line of code without its indentation."""

    path: str
    number: int
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Twin:
    """Two places where the same lines stand."""

    first: Line
    second: Line
    n_lines: int

    @property
    def paths(self) -> frozenset[str]:
        """Return the modules of both."""
        return frozenset({self.first.path, self.second.path})

    def __str__(self) -> str:
        places = (f"{line.path}:{line.number}" for line in (self.first, self.second))
        return f"{' and '.join(places)}: {self.n_lines} lines"


def code_lines(root: Path, path: Path) -> list[Line]:
    """Return the lines of code of a module.

    Left out: imports, docstrings, comments, declarations of fields, closing brackets.
    """
    text = path.read_text()
    left_out = _left_out(ast.parse(text))
    return [
        Line(str(path.relative_to(root)), number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if number not in left_out and _says_something(line.strip())
    ]


def _left_out(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines of imports, bare texts and declarations of fields."""
    found: set[int] = set()
    for node in ast.walk(tree):
        declared = node.body if isinstance(node, ast.ClassDef) else []
        fields = [field for field in declared if isinstance(field, ast.AnnAssign)]
        bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        alone = [node] if isinstance(node, ast.Import | ast.ImportFrom) or bare else []
        for statement in (*fields, *alone):
            assert isinstance(statement, ast.stmt)
            assert statement.end_lineno is not None
            found.update(range(statement.lineno, statement.end_lineno + 1))
    return found


def _says_something(line: str) -> bool:
    return bool(line) and not line.startswith("#") and _BRACKETS.fullmatch(line) is None


def twins(root: Path, paths: Sequence[Path]) -> list[Twin]:
    """Return all pairs of places with the same lines, each as long as it goes."""
    modules = [code_lines(root, path) for path in paths]
    starts: defaultdict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for m, lines in enumerate(modules):
        for n in range(len(lines) - LEAST + 1):
            starts[tuple(line.text for line in lines[n : n + LEAST])].append((m, n))
    found = {
        Twin(modules[m][n], modules[k][i], _length(modules[m][n:], modules[k][i:]))
        for places in starts.values()
        for (m, n), (k, i) in _pairs(places)
        if not _goes_on(modules[m], n, modules[k], i)
    }
    return sorted(found)


def _pairs(places: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield two places each; those that overlap are one place."""
    for n, first in enumerate(places):
        for second in places[n + 1 :]:
            if first[0] != second[0] or second[1] - first[1] >= LEAST:
                yield first, second


def _goes_on(lines: Sequence[Line], n: int, others: Sequence[Line], i: int) -> bool:
    """Tell whether the lines above are the same too: then the pair begins there."""
    return n > 0 and i > 0 and lines[n - 1].text == others[i - 1].text


def _length(lines: Sequence[Line], others: Sequence[Line]) -> int:
    pairs = zip(lines, others, strict=False)
    return next(
        (n for n, (line, other) in enumerate(pairs) if line.text != other.text),
        min(len(lines), len(others)),
    )
