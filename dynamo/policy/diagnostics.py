"""Problems in a text: file, line, column, a caret, and what was expected."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dynamo.errors import Fault, Invalid


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A position in a text, counted from 1; column 0 means the whole line."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning."""

    spot: Spot
    message: str
    text: str = ""
    """The line with the problem; empty if the problem concerns the whole text."""
    warning: bool = False

    def brief(self, source: str) -> str:
        """Return the problem in one line, without the line of the text, which may be long."""
        kind = "warning" if self.warning else "error"
        place = f":{self.spot.line}:{max(self.spot.column, 1)}" if self.text else ""
        return f"{source}{place}: {kind}: {self.message}"

    def show(self, source: str) -> str:
        """Return the problem for people, with a caret under the position."""
        head = self.brief(source)
        if not self.text:
            return head
        before = self.text[: max(self.spot.column, 1) - 1]
        caret = "".join("\t" if letter == "\t" else " " for letter in before) + "^"
        return f"{head}\n    {self.text}\n    {caret}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Errors and warnings from reading a text."""

    source: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return the problems that make the text unusable."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return the problems that do not."""
        return tuple(problem for problem in self.problems if problem.warning)


def nearest(word: str, known: Collection[str]) -> str:
    """Return a hint at the most similar known word; empty without one."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def refusal(problems: Sequence[Problem], source: str) -> Invalid:
    """Return one error with all problems."""
    errors = [problem for problem in problems if not problem.warning]
    faults = [
        Fault(f"{problem.spot.line}:{problem.spot.column}", problem.message) for problem in errors
    ]
    return Invalid("\n".join(problem.show(source) for problem in errors), faults=faults)
