"""Placement rules: how many copies of datasets must be where, and which copies they protect."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.diagnostics import Findings, Problem, Spot, nearest, refusal
from dynamo.policy.reader import Known, check_condition
from dynamo.policy.syntax import Condition
from dynamo.policy.variables import Scope

_LISTS = {"replicas": Scope.REPLICA, "destinations": Scope.SITE, "sources": Scope.SITE}
_KEYS = ("partition", "default_destination_group", "rules")
_KEY = r"\s*:"
"""Text after a key: a rule may have the name of its partition."""
_RULE_KEYS = (*_LISTS, "num_copies", "destination_group", "protect", "spread")


@dataclass(frozen=True, slots=True)
class PlacementRule:
    """Datasets with a matching replica at a source need `num_copies` at the destinations."""

    name: str
    replicas: tuple[Condition, ...]
    destinations: tuple[Condition, ...]
    sources: tuple[Condition, ...]
    num_copies: int
    group: str
    protect: bool
    spread: bool
    """Distribute the blocks over the destinations instead of copying whole datasets."""
    spot: Spot
    """The position of the rule in the text."""
    text: str
    """The line with the rule."""


@dataclass(frozen=True, slots=True)
class Enforcer:
    """All placement rules of a partition."""

    partition: str
    rules: tuple[PlacementRule, ...]


@dataclass(frozen=True, slots=True)
class RulesReading(Findings):
    """The result of reading placement rules."""

    parsed: Enforcer | None

    @property
    def enforcer(self) -> Enforcer:
        """Return the rules. Raises Invalid with all errors and their positions."""
        if self.parsed is None:
            raise refusal(self.problems, self.source)
        return self.parsed


def check_rules(
    text: str,
    source: str = "enforcer",
    *,
    partition: str | None = None,
    known: Known | None = None,
    groups: Collection[str] | None = None,
) -> RulesReading:
    """Read placement rules from JSON; `partition` is used if the text names none."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.strip() else ""
        problem = Problem(Spot(error.lineno, error.colno), error.msg, line or " ")
        return RulesReading(source, (problem,), None)
    return _Rules(text, groups).read(body, source, partition, known or Known())


def read_enforcer(text: str, source: str = "enforcer", partition: str | None = None) -> Enforcer:
    """Read placement rules from JSON. Raises Invalid with all errors."""
    return check_rules(text, source, partition=partition).enforcer


def enforcer_from(body: object, source: str = "enforcer") -> Enforcer:
    """Check placement rules. Raises Invalid with all errors."""
    return read_enforcer(json.dumps(body, indent=1), source)


@dataclass(slots=True)
class _Rules:
    """State of reading a text of placement rules."""

    text: str
    groups: Collection[str] | None
    """Existing groups; None = not checked."""
    problems: list[Problem] = field(default_factory=list)

    def read(self, body: object, source: str, partition: str | None, known: Known) -> RulesReading:
        """Read the whole text."""
        body = _wrapped(body)
        if not isinstance(body, Mapping) or not isinstance(body.get("rules"), Mapping):
            self._wrong("", 'expected {"partition": ..., "rules": {name: rule}}')
            return RulesReading(source, tuple(self.problems), None)
        self._check_keys(body, _KEYS, "")
        named = body.get("partition", partition)
        if not isinstance(named, str):
            self._wrong("", "expected the name of a partition under partition")
        elif known.partitions is not None and named not in known.partitions:
            near = nearest(named, known.partitions)
            self._wrong(named, f"there is no partition {named}{near}")
        default = self._group(body.get("default_destination_group"))
        rules = tuple(self._rule(str(name), rule, default) for name, rule in body["rules"].items())
        problems = tuple(sorted(self.problems, key=lambda problem: problem.spot))
        broken = any(not problem.warning for problem in problems)
        return RulesReading(source, problems, None if broken else Enforcer(str(named), rules))

    def _rule(self, name: str, rule: object, group: str) -> PlacementRule:
        body = rule if isinstance(rule, Mapping) else {}
        if not isinstance(rule, Mapping):
            self._against(name, "expected {...}")
        self._check_keys(body, _RULE_KEYS, f"rule {name}: ")
        lists = {key: self._conditions(name, key, body.get(key, [])) for key in _LISTS}
        copies = body.get("num_copies")
        if not isinstance(copies, int) or isinstance(copies, bool) or copies < 1:
            self._against(name, "expected a number of copies, at least 1, under num_copies")
            copies = 1
        spot, line = self._place(name, _KEY)
        return PlacementRule(
            name,
            replicas=lists["replicas"],
            destinations=lists["destinations"],
            sources=lists["sources"],
            num_copies=copies,
            group=self._group(body.get("destination_group")) or group,
            protect=body.get("protect") is True,
            spread=body.get("spread") is True,
            spot=spot,
            text=line,
        )

    def _conditions(self, name: str, key: str, texts: object) -> tuple[Condition, ...]:
        if not isinstance(texts, Sequence) or isinstance(texts, str):
            self._against(name, f"expected a list of conditions under {key}")
            return ()
        if not texts:
            self._against(name, f"nothing under {key}: it applies to nothing", odd=True)
        checked = []
        for text in map(str, texts):
            spot, line = self._place(text)
            condition, problems = check_condition(text, _LISTS[key], spot, line)
            self.problems += problems
            if condition is not None:
                checked.append(condition)
        return tuple(checked)

    def _group(self, name: object) -> str:
        group = "" if name is None else str(name)
        if group and self.groups is not None and group not in self.groups:
            self._wrong(group, f"there is no group {group}{nearest(group, self.groups)}")
        return group

    def _check_keys(self, body: Mapping[str, object], known: Collection[str], where: str) -> None:
        """Warn of unknown keys: a misspelled key would change the rule."""
        for key in body:
            if key not in known:
                self._wrong(key, f"{where}{key} means nothing{nearest(key, known)}", odd=True)

    def _wrong(self, text: str, message: str, *, odd: bool = False) -> None:
        spot, line = self._place(text) if text else (Spot(0, 0), "")
        self.problems.append(Problem(spot, message, line, odd))

    def _against(self, rule: str, message: str, *, odd: bool = False) -> None:
        spot, line = self._place(rule, _KEY)
        self.problems.append(Problem(spot, f"rule {rule}: {message}", line, odd))

    def _place(self, value: str, after: str = "") -> tuple[Spot, str]:
        """Return the first position of a text in the file and its line; else the text itself."""
        quoted = re.compile(re.escape(json.dumps(value, ensure_ascii=False)) + after)
        for number, line in enumerate(self.text.splitlines(), 1):
            match = quoted.search(line)
            if match is not None:
                return Spot(number, match.start() + 2), line
        return Spot(1, 1), value


def _wrapped(body: object) -> object:
    """Return old files, which hold rules alone, in the form of newer files."""
    alone = isinstance(body, Mapping) and "rules" not in body and "partition" not in body
    if alone and body and all(isinstance(rule, Mapping) for rule in body.values()):  # type: ignore[attr-defined]
        return {"rules": body}
    return body


def in_force(snapshot: Snapshot) -> tuple[Enforcer, ...]:
    """Return the placement rules of all partitions that have rules. Raises Invalid."""
    return tuple(
        read_enforcer(definition.text, f"rules of {definition.name}", definition.name)
        for definition in snapshot.rules
    )


def of_partition(snapshot: Snapshot, name: str) -> RulesReading | None:
    """Read the placement rules of one partition; None without rules."""
    return next(
        (
            check_rules(definition.text, f"rules of {name}", partition=name)
            for definition in snapshot.rules
            if definition.name == name
        ),
        None,
    )
