"""The source of the house as trees, each node with the one above it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).parents[2]
FOLDERS = ("dynamo", "api", "workers")
PAST = "dynamo/db/migrations/versions/"
"""What a migration says stays as it was when it was written."""


@dataclass(frozen=True, slots=True)
class Module:
    """One file."""

    path: str
    tree: ast.Module
    above: dict[ast.AST, ast.AST]

    def nodes(self) -> Iterator[ast.AST]:
        """Yield all nodes."""
        return ast.walk(self.tree)

    def place(self, node: ast.AST) -> str:
        """Return where a node stands, as people write it."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}"


@cache
def modules() -> tuple[Module, ...]:
    """Return all modules but migrations."""
    paths = sorted(path for folder in FOLDERS for path in (HOUSE / folder).rglob("*.py"))
    return tuple(module(path) for path in paths if PAST not in path.as_posix())


def module(path: Path) -> Module:
    """Read one file."""
    return parsed(path.read_text(), path.relative_to(HOUSE).as_posix())


def parsed(text: str, path: str = "dynamo/somewhere.py") -> Module:
    """Return the module that a text is."""
    tree = ast.parse(text)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return Module(path, tree, above)


def name_of(node: ast.AST | None) -> str:
    """Return the last name of an expression: `reason` of `row.reason`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return ""
