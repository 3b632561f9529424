"""Reasons are spelled in dynamo/reasons.py alone, and agree with the errors that carry them."""

import ast
import re
from collections.abc import Iterator

import pytest

from api import problems
from dynamo import errors
from dynamo.client import client
from dynamo.reasons import Reason
from tests.house.source import HOUSE, Module, module, modules, name_of, parsed

HOME = "dynamo/reasons.py"
CLIENT = "dynamo/client/client.py"
"""One file that is served to jobs: it imports nothing of ours."""
SHARED = {"internal", "invalid", "locked", "lost", "waiting"}
"""Words that mean other things too: they are reasons where they stand for one."""
OTHERS = {
    ("dynamo/points.py", "block-closed"): "a point between two steps",
    ("dynamo/services/injection/closure.py", "block-closed"): "an event of the history",
    ("dynamo/services/transfers/finisher.py", "source-*"): "events of the history",
}
"""Words that are no reasons where they stand."""
CARRIERS = {"Explanation", "StorageError", "Problem", "final", "passing", "refuse", "bar", "end"}
NAMES = {"reason", "refused"}
ERRORS = {
    name: kind
    for place in (errors, problems)
    for name, kind in vars(place).items()
    if isinstance(kind, type) and issubclass(kind, errors.DynamoError)
}
OTHER_STATUS = {
    ("Invalid", Reason.TOO_LARGE): "422: too many items, in a body that is not too large",
    ("NotFound", Reason.NO_QUOTA): "404: the quota itself was asked for",
    ("Unavailable", Reason.SWITCHED_OFF): "503: met by a worker, which comes again",
    ("Unavailable", Reason.TOO_LARGE): "503: a feed; no caller sees it",
}
"""Errors whose class answers another status than the record of their reason has."""


# --- one place ------------------------------------------------------------------------------------


def spelled(one: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the reasons that a module spells itself."""
    for node in one.nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value
            if word in set(Reason) and (word not in SHARED or stands_for_a_reason(one, node)):
                yield word, node
        if isinstance(node, ast.JoinedStr) and (pattern := pattern_of(node)):
            shape = re.compile(pattern.replace("*", ".+"))
            if any(shape.fullmatch(reason) for reason in Reason):
                yield pattern, node


def pattern_of(node: ast.JoinedStr) -> str:
    """Return `*-unknown` of `f"{what}-unknown"`, if it looks like a word with a hyphen."""
    parts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
    pattern = "".join(str(part) for part in parts)
    hyphened = re.fullmatch(r"[a-z*]+(-[a-z*]+)+", pattern) and re.search(r"[a-z]{3}", pattern)
    return pattern if hyphened else ""


def stands_for_a_reason(one: Module, node: ast.AST) -> bool:
    """Tell whether a word stands where a reason is said, compared or kept."""
    above = one.above[node]
    while isinstance(above, ast.IfExp | ast.BoolOp | ast.Tuple | ast.List | ast.Set):
        node, above = above, one.above[above]
    return any(
        (
            isinstance(above, ast.Call) and name_of(above.func) in CARRIERS | ERRORS.keys(),
            isinstance(above, ast.keyword) and above.arg in NAMES,
            isinstance(above, ast.Compare)
            and any(name_of(side) in NAMES for side in (above.left, *above.comparators)),
            isinstance(above, ast.Dict) and key_of(above, node) in NAMES,
            isinstance(above, ast.Assign) and any(name_of(to) in NAMES for to in above.targets),
            isinstance(above, ast.arguments) and default_of(above, node) in NAMES,
        )
    )


def key_of(entries: ast.Dict, value: ast.AST) -> object:
    """Return the key of a value."""
    keys = (key for key, other in zip(entries.keys, entries.values, strict=True) if other is value)
    return getattr(next(keys, None), "value", None)


def default_of(parameters: ast.arguments, value: ast.AST) -> str:
    """Return the parameter whose default a value is."""
    positional = [*parameters.posonlyargs, *parameters.args]
    pairs = [
        *zip(reversed(positional), reversed(parameters.defaults), strict=False),
        *zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True),
    ]
    return next((named.arg for named, default in pairs if default is value), "")


def test_no_module_spells_a_reason_itself() -> None:
    found = [
        f"{one.place(node)}: {word!r}: write Reason.{word.upper().replace('-', '_')}"
        for one in modules()
        if one.path not in {HOME, CLIENT}
        for word, node in spelled(one)
        if (one.path, word) not in OTHERS
    ]

    assert not found, "\n".join(found)


def test_words_that_are_excused_are_there() -> None:
    there = {(one.path, word) for one in modules() for word, _ in spelled(one)}

    assert OTHERS.keys() <= there


@pytest.mark.parametrize(
    "text",
    [
        'reason = "last-copy"',
        'raise Conflict("no", "invalid")',
        'NotFound("no", f"{what}-unknown")',
        'explain = Explanation("waiting", "…")',
        'values = {"reason": "lost" if gone else None}',
        'held = row.reason == "locked"',
        'found = row.reason in ("waiting", other)',
        'def refuse(name, reason="invalid"): ...',
        'change(work, reason="internal")',
    ],
)
def test_a_reason_that_is_spelled_is_found(text: str) -> None:
    assert list(spelled(parsed(text)))


@pytest.mark.parametrize(
    "text",
    [
        'status = "invalid"',
        'kind == "lost"',
        '{"lost": 0}',
        '"waiting: {error}"',
        'f"{a}-{b}.root"',
    ],
)
def test_the_same_word_of_something_else_is_not(text: str) -> None:
    assert not list(spelled(parsed(text)))


# --- statuses -------------------------------------------------------------------------------------


def carried(one: Module) -> Iterator[tuple[str, Reason, ast.AST]]:
    """Yield the errors that a module makes with a reason of their own."""
    for node in one.nodes():
        if isinstance(node, ast.Call) and name_of(node.func) in ERRORS:
            for said in node.args[1:]:
                for part in ast.walk(said):
                    if isinstance(part, ast.Attribute) and name_of(part.value) == "Reason":
                        yield name_of(node.func), Reason[part.attr], node


def test_an_error_is_of_the_status_of_its_reason() -> None:
    found = [
        f"{one.place(node)}: {name} answers {ERRORS[name].default.status}, {reason} {reason.status}"
        for one in modules()
        for name, reason, node in carried(one)
        if ERRORS[name].default.status != reason.status and (name, reason) not in OTHER_STATUS
    ]

    assert not found, "\n".join(found)


def test_exceptions_of_statuses_are_needed() -> None:
    made = {(name, reason) for one in modules() for name, reason, _ in carried(one)}

    assert OTHER_STATUS.keys() <= made


# --- the client of jobs ---------------------------------------------------------------------------


def of_the_client() -> Iterator[str]:
    """Yield the reasons that the client of jobs spells."""
    one = module(HOUSE / CLIENT)
    known = {*Reason, *client.OWN_REASONS}
    for node in one.nodes():
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if node.value in known or (stands_for_a_reason(one, node) and is_word(node.value)):
            yield node.value


def is_word(text: str) -> bool:
    """Tell whether a text looks like a reason."""
    return re.fullmatch(r"[a-z]+(-[a-z]+)*", text) is not None


def test_the_client_of_jobs_spells_reasons_as_we_do() -> None:
    spoken = set(of_the_client())

    assert {"unauthenticated", "source-not-allowed", "stageout-timeout"} <= spoken
    assert spoken - client.OWN_REASONS.keys() <= set(Reason)
