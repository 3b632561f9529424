"""Maps logical file names to addresses at a site (LFN to PFN)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from dynamo.errors import Invalid
from dynamo.reasons import Reason

MAX_STEPS = 8
MAX_LENGTH = 4000
_PLACE = re.compile(r"\{([0-9]{1,2})\}", re.ASCII)
_QUIET = re2.Options()
_QUIET.log_errors = False


@dataclass(frozen=True, slots=True)
class Step:
    """A rewriting: the whole name must match, and captured groups fill the template.

    RE2 takes linear time for any pattern, as names come from callers.
    """

    pattern: Any
    template: str

    def apply(self, text: str) -> str | None:
        """Return the rewritten text; None if it does not match."""
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        groups = match.groups(default="")
        return _PLACE.sub(lambda place: groups[int(place.group(1))], self.template)


def _step(item: object) -> Step:
    if not (
        isinstance(item, Sequence)
        and len(item) == 2
        and all(isinstance(part, str) for part in item)
    ):
        raise Invalid("a rule is a list of two texts: a regular expression and a template")
    try:
        pattern = re2.compile(item[0], _QUIET)
    except re2.error as error:
        message = error.args[0].decode(errors="replace")
        raise Invalid(f"{item[0]!r} is no regular expression that RE2 knows: {message}") from error
    if any(int(number) >= pattern.groups for number in _PLACE.findall(item[1])):
        raise Invalid(f"the template {item[1]!r} names a group that {item[0]!r} does not capture")
    return Step(pattern, item[1])


def parse_rules(rules: Mapping[str, object]) -> tuple[Step, ...]:
    """Return the steps of `{"rules": [[regex, template], ...]}`. Raises Invalid."""
    unknown = set(rules) - {"rules"}
    steps = rules.get("rules", [])
    if unknown or not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise Invalid(
            f'rules are {{"rules": [[regex, template], ...]}} with at most {MAX_STEPS} steps'
        )
    return tuple(_step(item) for item in steps)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a site: its URL plus the name, unless it has rules."""

    url: str
    steps: tuple[Step, ...] = field(default=())

    @classmethod
    def of(cls, url: str, rules: Mapping[str, object]) -> "Addresses":
        """Return the addresses of a site with this URL and these rules. Raises Invalid."""
        return cls(url.rstrip("/"), parse_rules(rules))

    def pfn(self, lfn: str) -> str:
        """Return the address of a name; each step rewrites the result before. Raises Invalid."""
        if not self.steps:
            return self.url + lfn
        text = lfn
        for step in self.steps:
            made = step.apply(text)
            if made is None or len(made) > MAX_LENGTH:
                raise Invalid(f"the site's rules give {lfn} no address", Reason.NAME_INVALID)
            text = made
        return text
