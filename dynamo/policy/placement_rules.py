"""Placement rules: how many copies of datasets must be where, and which copies they protect."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dynamo.inventory.snapshot import MORGUE, Flags, Snapshot
from dynamo.policy.conditions import any_on_sites, compiled
from dynamo.policy.diagnostics import Findings, Problem, Spot, nearest, refusal
from dynamo.policy.image import Image, Standing, View
from dynamo.policy.locking import locked
from dynamo.policy.partitions import Partitions
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


def unmet(
    reading: RulesReading, snapshot: Snapshot, partitions: Partitions, now: float
) -> list[Problem]:
    """Warn of what was odd when rules were read, and of what nothing here can meet by now.

    Both may come: sites that fit, and datasets. Of these nothing is said where none was looked at.
    Raises Invalid.
    """
    found = [*reading.warnings]
    image = Image.whole(snapshot)
    image.locked = locked(image, snapshot.locks)
    view = View.of(image)
    rows = partitions.members(reading.enforcer.partition, now).rows(view)
    standing = _standing(image, reading.enforcer, partitions, rows)
    held = view.any(rows)
    for rule in reading.enforcer.rules:
        if not (rule.replicas and rule.destinations and rule.sources):
            continue  # the reader has said so
        to, at = (
            any_on_sites([compiled(one, now) for one in conditions], standing)
            for conditions in (rule.destinations, rule.sources)
        )
        partition = reading.enforcer.partition
        said = [_too_few(rule, to, standing, partition)]
        if not at.any():
            said.append("no site fits its sources")
        elif (
            image.n_replicas
            and not (held & at[image.site] & _any_on_replicas(rule.replicas, view, now)).any()
        ):
            said.append(f"no replica of a dataset in {partition} at its sources fits its replicas")
        found += [
            Problem(rule.spot, f"rule {rule.name}: {one}", rule.text, warning=True)
            for one in said
            if one is not None
        ]
    return found


def _too_few(rule: PlacementRule, to: Flags, standing: Standing, partition: str) -> str | None:
    taking = to & (standing.quota > 0) & (standing.sites.status != MORGUE)
    n, others = int(taking.sum()), int((to & ~taking).sum())
    if n >= rule.num_copies:
        return None
    beside = f"{others} in the morgue or without a quota of {partition}"
    if not n:
        return "no site fits its destinations" + (f" (but {beside})" if others else "")
    few = f"too few sites fit its destinations: {n} for {rule.num_copies} copies"
    return few + (f" (and {beside})" if others else "")


def needed(
    image: Image, enforcers: Iterable[Enforcer], partitions: Partitions, now: float
) -> Flags:
    """Tell which dataset replicas any rule of any partition needs."""
    found = np.zeros(image.n_replicas, np.bool_)
    for enforcer in enforcers:
        found |= enforced(image, enforcer, partitions, now)
    return found


def enforced(image: Image, enforcer: Enforcer, partitions: Partitions, now: float) -> Flags:
    """Tell which dataset replicas a rule needs: where no more fit it than it wants copies."""
    view = View.of(image)
    rows = partitions.members(enforcer.partition, now).rows(view)
    held = view.any(rows)
    standing = _standing(image, enforcer, partitions, rows)
    protected = np.zeros(image.n_replicas, np.bool_)
    for rule in enforcer.rules:
        if rule.protect:
            fitting = (
                held
                & any_on_sites([compiled(one, now) for one in rule.destinations], standing)[
                    image.site
                ]
            )
            fitting &= _any_on_replicas(rule.replicas, view, now)
            copies = np.bincount(image.dataset[fitting], minlength=len(image.snapshot.datasets.ids))
            protected |= fitting & (copies <= rule.num_copies)[image.dataset]
    return protected


def _standing(image: Image, enforcer: Enforcer, partitions: Partitions, rows: Flags) -> Standing:
    used = np.zeros(len(image.snapshot.sites.labels), np.int64)
    np.add.at(used, image.site[image.replica[rows]], image.size[rows])
    places = np.arange(len(used), dtype=np.int32)
    return Standing(
        image.snapshot.sites, places, partitions.quota(image.snapshot, enforcer.partition), used
    )


def _any_on_replicas(conditions: Sequence[Condition], view: View, now: float) -> Flags:
    found = np.zeros(len(view.replicas), np.bool_)
    for condition in conditions:
        found |= compiled(condition, now).on_replicas(view)
    return found
