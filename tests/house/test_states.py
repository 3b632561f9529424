"""States are written in one place: no other statement changes a state, or begins with a wrong one.

What is looked for: statements that change a table (`update(…)` of SQLAlchemy, or as text) in a
function in which a value is named `state`, and rows that are written with a state that does not
come from `transitions.start`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOVES = ROOT / "dynamo" / "db" / "engine" / "transitions.py"
MIGRATIONS = ROOT / "dynamo" / "db" / "migrations"
IN_SQL = re.compile(r"\bUPDATE\s+\w+\s+SET\b.*\bstate\s*=", re.IGNORECASE | re.DOTALL)
WRITES = {"add", "insert"}


def modules() -> list[Path]:
    packages = ("dynamo", "workers", "api")
    paths = (path for package in packages for path in sorted((ROOT / package).rglob("*.py")))
    return [path for path in paths if path != MOVES and MIGRATIONS not in path.parents]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def calls(node: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """Find calls of a function, or of a method, of one of these names."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            called = call.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in names:
                yield call


def states(node: ast.AST) -> Iterator[ast.expr]:
    """Find what values named `state` are set to: in dicts and as keywords of `values` and `add`."""
    for one in ast.walk(node):
        if isinstance(one, ast.Dict):
            for key, value in zip(one.keys, one.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "state":
                    yield value
    for call in calls(node, {"values", *WRITES}):
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "state")


def helpers(tree: ast.Module) -> set[str]:
    """Return the names, in a module, of what makes values of which one is a state."""
    named = {one.name for one in functions(tree) if any(states(one))}
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(states(node)):
            named |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return named


def updates(tree: ast.Module) -> Iterator[str]:
    """Name the functions that change a state by a statement of their own."""
    made = helpers(tree)
    for function in functions(tree):
        changes = [call for call in calls(function, {"update"}) if isinstance(call.func, ast.Name)]
        told = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if changes and (any(states(function)) or told & made):
            yield function.name
        for call in calls(function, {"change"}):
            if any(keyword.arg == "state" for keyword in call.keywords):
                yield function.name
    for text in ast.walk(tree):
        if isinstance(text, ast.Constant) and IN_SQL.search(str(text.value)):
            yield str(text.value)


def starts(tree: ast.Module) -> Iterator[str]:
    """Name the functions that write rows in a state for which they have not asked."""
    for function in functions(tree):
        if any(calls(function, WRITES)):
            for value in states(function):
                if not any(calls(value, {"start"})):
                    yield function.name


def test_states_change_by_the_tables_of_moves_alone() -> None:
    found = {path: list(updates(ast.parse(path.read_text()))) for path in modules()}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}


def test_rows_begin_in_states_that_the_tables_of_moves_name() -> None:
    found = {path: list(starts(ast.parse(path.read_text()))) for path in modules()}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n work.changed(update(T).values(state=1))",
        "def f():\n values = {'state': 1}\n work.changed(update(T).values(values))",
        "END = {'state': 1}\ndef f():\n work.changed(update(T).values(**END))",
        "def g():\n return {'state': 1}\ndef f():\n work.changed(update(T).values(g()))",
        "def f():\n requests.change(work, 1, state=1)",
        "def f():\n execute('UPDATE transfers SET lost = 0, state = 1 WHERE id = 1')",
    ],
)
def test_a_statement_that_changes_a_state_is_noticed(source: str) -> None:
    assert list(updates(ast.parse(source)))


def test_a_row_that_begins_in_any_state_is_noticed() -> None:
    assert list(starts(ast.parse("def f():\n work.add(T, state='done')")))
    asked = "def f():\n work.add(T, state=transitions.start(T, 'done'))"
    assert not list(starts(ast.parse(asked)))
