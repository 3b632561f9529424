"""Checks parsed lines: variables, operators and values, with a hint for each mistake."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from lark import Token, Tree

from dynamo.policy.comparisons import (
    Compares,
    ComparesTime,
    Comparison,
    Fits,
    IsAmong,
    IsAmongTimes,
    IsTrue,
)
from dynamo.policy.diagnostics import Problem, Spot, nearest
from dynamo.policy.patterns import Pattern, Style
from dynamo.policy.syntax import All, Condition, Node, Predicate, Some, Window
from dynamo.policy.time_parser import read_time
from dynamo.policy.times import TimeError, TimeExpression
from dynamo.policy.variables import BY_NAME, OLD_NAMES, Kind, Scope, Variable

T = TypeVar("T")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII)
_NAME_SHAPE = re.compile(r"/[^/\s]+/[^/\s]+/[^/\s]+")
_EQUAL = ("==", "!=")
_REGEX = ("=~", "!=~")
_ORDERED = ("==", "!=", "<", ">", "<=", ">=", "older_than", "newer_than")
SIGNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.BOOL: (),
    Kind.NUMBER: _ORDERED,
    Kind.TIME: _ORDERED,
    Kind.WORD: _ORDERED,
    Kind.TEXT: (*_EQUAL, *_REGEX),
}
"""The signs that each kind of variable takes; `in` and `notin` go with all but booleans."""


class Wrong(Exception):
    """A mistake at one token."""

    def __init__(self, where: Token, message: str) -> None:
        """Keep the token and the message."""
        super().__init__(message)
        self.where = where
        self.message = message


@dataclass(slots=True)
class Checker:
    """Turns the parsed conditions of one line into checked conditions, and collects problems."""

    scope: Scope
    line: int
    text: str
    problems: list[Problem] = field(default_factory=list)

    def condition(self, tree: Tree[Token], text: str) -> Condition | None:
        """Return the checked condition; None if it has an error."""
        before = len(self.problems)
        root, *windows = [branch for branch in tree.children if isinstance(branch, Tree)]
        node = self._node(root)
        opened = [self._guarded(partial(self._window, window)) for window in windows]
        if node is None or any(not problem.warning for problem in self.problems[before:]):
            return None
        return Condition(text, node, tuple(window for window in opened if window is not None))

    def _node(self, tree: Tree[Token]) -> Node | None:
        if tree.data not in ("either", "both"):
            return self._guarded(partial(self._predicate, tree))
        parts = [self._node(branch) for branch in tree.children if isinstance(branch, Tree)]
        known = tuple(part for part in parts if part is not None)
        if len(known) != len(parts):
            return None
        if len(known) == 1:
            return known[0]
        return Some(known) if tree.data == "either" else All(known)

    def _guarded(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except Wrong as wrong:
            self.report(wrong.where, wrong.message)
            return None

    def report(self, token: Token, message: str, *, warning: bool = False) -> None:
        """Record an error or a warning."""
        self.problems.append(
            Problem(Spot(self.line, token.column or 0), message, self.text, warning)
        )

    def _predicate(self, tree: Tree[Token]) -> Predicate:
        name = next(
            token
            for token in tree.children
            if isinstance(token, Token) and token.type == "VARIABLE"
        )
        variable = self.variable(name)
        text = " ".join(str(token) for token in tree.scan_values(lambda _: True))
        return Predicate(variable, _FORMS[tree.data](self, variable, tree), text)

    def variable(self, name: Token) -> Variable:
        """Return the variable of this name. Raises Wrong."""
        variable = BY_NAME.get(OLD_NAMES.get(name, name))
        known = [other.name for other in BY_NAME.values() if other.stands_in(self.scope)]
        if variable is None:
            raise Wrong(name, f"unknown variable {name}{nearest(name, [*known, *OLD_NAMES])}")
        if not variable.stands_in(self.scope):
            reason = (
                "On, When and Until speak of sites"
                if self.scope is Scope.SITE
                else "this line speaks of replicas"
            )
            raise Wrong(name, f"{name} cannot stand here: {reason}")
        if name in OLD_NAMES:
            self.report(name, f"{name} is an old name; write {variable.name}", warning=True)
        return variable

    def boolean(self, variable: Variable, tree: Tree[Token]) -> Comparison:
        """Check `x`, `not x` and `x not`."""
        name = next(token for token in _tokens(tree) if token.type == "VARIABLE")
        if variable.kind is not Kind.BOOL:
            raise Wrong(
                name,
                f"{name} is a {variable.kind.value}, not a boolean: expected an operator after it",
            )
        return IsTrue(negated=tree.data != "assertion")

    def compared(self, variable: Variable, tree: Tree[Token]) -> Comparison:
        """Check `x == value` and the like."""
        sign = next(token for token in _tokens(tree) if token.type == "COMPARISON")
        value = _joined([token for token in _tokens(tree) if token.type == "WORD"])
        if sign not in SIGNS[variable.kind]:
            raise Wrong(sign, _wrong_sign(variable, sign))
        if variable.kind is Kind.TIME:
            return ComparesTime(sign, _time(value))
        if variable.kind is Kind.TEXT:
            return Fits((self._pattern(variable, sign, value),), negated=sign.startswith("!"))
        if variable.kind is Kind.WORD:
            if sign not in _EQUAL:
                self.report(
                    sign,
                    f"{sign} compares the numbers behind the words of {variable.name}",
                    warning=True,
                )
            return Compares(sign, _word(variable, value))
        return Compares(sign, _number(value))

    def member(self, variable: Variable, tree: Tree[Token]) -> Comparison:
        """Check `x in [...]` and `x notin [...]`."""
        sign = next(token for token in _tokens(tree) if token.type == "MEMBERSHIP")
        if variable.kind is Kind.BOOL:
            raise Wrong(sign, _wrong_sign(variable, sign))
        elements = _elements(next(token for token in _tokens(tree) if token.type == "LIST"))
        negated = sign == "notin"
        if not elements:
            self.report(sign, "the list is empty", warning=True)
        if variable.kind is Kind.TIME:
            return IsAmongTimes(tuple(_time(element) for element in elements), negated)
        if variable.kind is Kind.TEXT:
            return Fits(
                tuple(self._pattern(variable, "==", element) for element in elements), negated
            )
        if variable.kind is Kind.WORD:
            return IsAmong(tuple(float(_word(variable, element)) for element in elements), negated)
        return IsAmong(tuple(_number(element) for element in elements), negated)

    def _pattern(self, variable: Variable, sign: str, value: Token) -> Pattern:
        pattern = Pattern.regex(str(value)) if sign in _REGEX else Pattern.plain(str(value))
        if pattern.style is not Style.LITERAL:
            try:
                _ = pattern.compiled
            except (re.error, OverflowError, RecursionError) as wrong:
                kind = "regular expression" if pattern.style is Style.REGEX else "pattern"
                raise Wrong(
                    value, f"{value} is no {kind}: {getattr(wrong, 'msg', wrong)}"
                ) from None
        if variable.name == "dataset.name" and not _may_be_dataset(pattern):
            message = f"{value} can never match: dataset names look like /a/b/c"
            self.report(value, message, warning=True)
        return pattern

    def _window(self, tree: Tree[Token]) -> Window:
        word = next(token for token in _tokens(tree) if token.type in ("UNTIL", "FROM"))
        value = _joined([token for token in _tokens(tree) if token.type == "WORD"])
        return Window(_time(value), ends=word == "until")


_FORMS: Mapping[str, Callable[[Checker, Variable, Tree[Token]], Comparison]] = {
    "assertion": Checker.boolean,
    "negation": Checker.boolean,
    "late_negation": Checker.boolean,
    "comparison": Checker.compared,
    "membership": Checker.member,
}


def _tokens(tree: Tree[Token]) -> list[Token]:
    return list(tree.scan_values(lambda _: True))


def _joined(words: list[Token]) -> Token:
    """Return the words of a value as one token, with single blanks."""
    return Token.new_borrow_pos("WORD", " ".join(words), words[0])


def _elements(listed: Token) -> list[Token]:
    """Split a bracketed list at blanks and commas."""
    inside = re.finditer(r"[^\s,]+", listed[1:-1])
    start = (listed.column or 0) + 1
    return [Token("WORD", element[0], column=start + element.start()) for element in inside]


def _wrong_sign(variable: Variable, sign: str) -> str:
    if variable.kind is Kind.BOOL:
        name = variable.name
        return f"{name} is a boolean and takes no value: write {name} or not {name}"
    signs = ", ".join(SIGNS[variable.kind])
    kind = variable.kind.value
    return f"{sign} does not go with {variable.name}, a {kind}: expected {signs}, in or notin"


def _number(value: Token) -> float:
    if _NUMBER.fullmatch(value) is None:
        raise Wrong(value, f"{value} is not a number, such as 0.9 or 5e12")
    return float(value)


def _word(variable: Variable, value: Token) -> int:
    if value not in variable.words:
        words = ", ".join(variable.words)
        raise Wrong(
            value,
            f"{variable.name} cannot be {value}{nearest(value.upper(), variable.words)}: "
            f"expected {words}",
        )
    return variable.words[value]


def _time(value: Token) -> TimeExpression:
    try:
        return read_time(value)
    except TimeError as wrong:
        raise Wrong(value, str(wrong)) from None


def _may_be_dataset(pattern: Pattern) -> bool:
    if pattern.style is Style.LITERAL:
        return _NAME_SHAPE.fullmatch(pattern.text) is not None
    return pattern.style is Style.REGEX or pattern.text[0] in "/*?["
