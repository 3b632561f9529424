"""Parses lines into syntax trees; errors say in words what the grammar expects."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from dynamo.policy.checker import Wrong
from dynamo.policy.diagnostics import nearest

Start = Literal["statement", "condition"]
KEYWORDS = ("Partition", "On", "When", "Until", "Order", "Algo")
VERBS = ("Ignore", "Protect", "Delete", "Dismiss", "ProtectBlock", "DeleteBlock", "DismissBlock")
_OPERATORS = (
    "==",
    "!=",
    "=~",
    "!=~",
    "<",
    ">",
    "<=",
    ">=",
    "older_than",
    "newer_than",
    "in",
    "notin",
)
_SLIPS: Mapping[str, str] = {"=": "==", "=>": ">=", "=<": "<=", "<>": "!=", "~": "=~", "!~": "!=~"}
"""Signs of other languages whose nearest sign in this one means something else."""
_BRACKETS = 100
"""Limit of opening brackets in a line: each is a level of recursion."""
_NAMES: Mapping[str, str] = {
    "VARIABLE": "a variable",
    "WORD": "a value",
    "LIST": "a list in brackets, such as [A B]",
    "COMPARISON": "an operator",
    "DIRECTION": "increasing or decreasing",
    "NONE": "none",
    "AND": "'and'",
    "OR": "'or'",
    "RPAR": "a closing bracket",
    "$END": "the end of the line",
}


@cache
def _parser() -> Lark:
    grammar = files("dynamo.policy").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", start=["statement", "condition"])


def parse(text: str, start: Start) -> Tree[Token]:
    """Parse one line. Raises Wrong."""
    if text.count("(") > _BRACKETS:
        raise Wrong(Token("", "", column=text.index("(") + 1), f"more than {_BRACKETS} brackets")
    try:
        return _parser().parse(text, start=start)
    except UnexpectedToken as error:
        raise _explained(error.token, set(error.expected), text, start) from None
    except UnexpectedCharacters as error:
        letter = Token("", text[error.pos_in_stream :].split(maxsplit=1)[0], column=error.column)
        raise _explained(letter, set(error.allowed or ()), text, start) from None
    except UnexpectedInput as error:
        raise Wrong(Token("", "", column=len(text)), f"unfinished: {error}") from None


def _explained(token: Token, expected: set[str], text: str, start: Start) -> Wrong:
    word = str(token)
    if token.type == "$END":
        token = Token("", "", column=len(text.rstrip()) + 1)
    if start == "statement" and token.column == len(text) - len(text.lstrip()) + 1:
        hint = nearest(word, (*KEYWORDS, *VERBS))
        return Wrong(
            token, f"unknown keyword {word}{hint}; expected one of {', '.join((*KEYWORDS, *VERBS))}"
        )
    if "COMPARISON" in expected:
        sign = re.match(r"[=<>!~]*", word)
        word = (sign[0] if sign else "") or word
        hint = nearest(_SLIPS.get(word, word), _OPERATORS)
        contrast = f", not {word}" if word else ""
        return Wrong(token, f"expected an operator{contrast}{hint}: {', '.join(_OPERATORS)}")
    if word in ("in", "in["):
        return Wrong(token, "expected an operator: write notin")
    contrast = f", not {word}" if word else ""
    return Wrong(token, f"expected {_listed(expected, text)}{contrast}")


def _listed(expected: Iterable[str], text: str) -> str:
    names = [
        _NAMES[name] for name in _NAMES if name in set(expected) and (name != "RPAR" or "(" in text)
    ]
    if "AND" in expected and _NAMES["$END"] not in names:
        names.append(_NAMES["$END"])
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
