"""What is wrong with a text, and where: file, line, column, a caret and what would be right."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dynamo.errors import Fault, Invalid


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a text, both counted from 1; column 0 means the line as a whole."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning."""

    spot: Spot
    message: str
    text: str = ""
    """The line it stands in; empty where it concerns the whole text."""
    warning: bool = False

    def brief(self, source: str) -> str:
        """Return it without the line it stands in, which may be the whole text."""
        kind = "warning" if self.warning else "error"
        place = f":{self.spot.line}:{max(self.spot.column, 1)}" if self.text else ""
        return f"{source}{place}: {kind}: {self.message}"

    def show(self, source: str) -> str:
        """Return it as people see it, with a caret under the place."""
        head = self.brief(source)
        if not self.text:
            return head
        before = self.text[: max(self.spot.column, 1) - 1]
        caret = "".join("\t" if letter == "\t" else " " for letter in before) + "^"
        return f"{head}\n    {self.text}\n    {caret}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found wrong or odd with a text while it was read."""

    source: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return what makes it unusable."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return what is only odd."""
        return tuple(problem for problem in self.problems if problem.warning)


def nearest(word: str, known: Collection[str]) -> str:
    """Return a hint at the known word that is most like this one, or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def refusal(problems: Sequence[Problem], source: str) -> Invalid:
    """Return the error that says all of it at once."""
    errors = [problem for problem in problems if not problem.warning]
    faults = [
        Fault(f"{problem.spot.line}:{problem.spot.column}", problem.message) for problem in errors
    ]
    return Invalid("\n".join(problem.show(source) for problem in errors), faults=faults)
