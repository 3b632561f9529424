"""Nothing is decided by what a sentence says: sentences are for people, and change."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import Module, modules, name_of, parsed

SENTENCES = {"text", "detail", "error", "why", "message", "description", "sentence", "title"}
"""What is called so holds words for people."""
LOOKS = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "find", "index", "count"),
    *("like", "ilike", "not_like", "contains", "icontains", "regexp_match", "match"),
}
READERS = ("dynamo/policy/",)
"""The language of policies is read from texts."""
EXCUSED = {
    "dynamo/db/engine/connection.py": "SQLite tells what went wrong in no other way",
    "dynamo/db/engine/unit_of_work.py": "SQLite tells what went wrong in no other way",
    "dynamo/client/client.py": "of OpenSSL's errors, as old Pythons hand them on",
}


def decided(one: Module) -> Iterator[ast.AST]:
    """Yield what looks into sentences, or selects rows by them."""
    for node in one.nodes():
        if isinstance(node, ast.Call) and looks_into(node):
            yield node
        if isinstance(node, ast.Compare) and compares(node):
            yield node


def looks_into(node: ast.Call) -> bool:
    """Tell whether a call asks what a sentence begins with or holds."""
    called = node.func
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LOOKS
        and (is_sentence(called.value) or is_error(called.value))
        and not (node.args and is_mark(node.args[0]))
    )


def compares(node: ast.Compare) -> bool:
    """Tell whether a sentence is compared with words, or a column of them with anything."""
    sides = [node.left, *node.comparators]
    words = any(is_words(side) for side in sides)
    told = any(is_sentence(side) or is_error(side) for side in sides)
    literal = any(is_words(side) and " " in side.value.strip() for side in sides)  # type: ignore[attr-defined]
    columns = any(is_column(side) for side in sides)
    return literal or (words and told) or columns


def is_sentence(node: ast.AST) -> bool:
    return name_of(node) in SENTENCES


def is_column(node: ast.AST) -> bool:
    """Tell whether it is `Decision.text`, `History.why` …"""
    return (
        isinstance(node, ast.Attribute) and is_sentence(node) and name_of(node.value)[:1].isupper()
    )


def is_error(node: ast.AST) -> bool:
    """Tell whether it is `str(error)`."""
    return isinstance(node, ast.Call) and name_of(node.func) == "str"


def is_words(node: ast.AST) -> bool:
    """Tell whether it is written here, with letters."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(letter.isalpha() for letter in node.value)
    )


def is_mark(node: ast.AST) -> bool:
    """Tell whether it is written here, without letters: `#` or `/`."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and not is_words(node)


def test_nothing_is_decided_by_a_sentence() -> None:
    found = [
        f"{one.place(node)}: {ast.unparse(node)[:80]}"
        for one in modules()
        if not one.path.startswith(READERS) and one.path not in EXCUSED
        for node in decided(one)
    ]

    assert not found, "\n".join(found)


def test_who_is_excused_needs_it() -> None:
    assert {one.path for one in modules() if any(decided(one))} >= EXCUSED.keys()


@pytest.mark.parametrize(
    "text",
    [
        'if "too large" in text: ...',
        'if "Invalid" in refused.detail: ...',
        "mine = Decision.text.startswith(PREFIX)",
        'shown = row.text.removeprefix("undertaker: ")',
        "mine = History.why == REASON",
        'late = History.why.like("detox%")',
        'if row.error == "gone": ...',
        'if said == "nothing is left of it": ...',
        'if "No such file" in str(error): ...',
    ],
)
def test_a_decision_by_a_sentence_is_found(text: str) -> None:
    assert list(decided(parsed(text)))


@pytest.mark.parametrize(
    "text",
    [
        'if "#" in text: ...',
        'if state == "done": ...',
        "if Decision.text: ...",
        'if text.startswith("/"): ...',
        "if before.text != text: ...",
    ],
)
def test_other_looks_at_texts_are_not(text: str) -> None:
    assert not list(decided(parsed(text)))
