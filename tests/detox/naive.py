"""A second Detox, written like its description: plain objects, all evaluated again in every round.

It is slow and knows nothing of columns; what it shares with the engine is the reader of policies.
"""

import fnmatch
import math
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field

from dynamo.inventory.snapshot import Definition
from dynamo.policy.comparisons import (
    Compares,
    ComparesTime,
    Fits,
    IsAmong,
    IsAmongTimes,
    IsTrue,
)
from dynamo.policy.partitions import read_partitions
from dynamo.policy.patterns import Style
from dynamo.policy.placement_rules import enforcer_from
from dynamo.policy.reader import read_condition, read_policy
from dynamo.policy.syntax import All, Line, Predicate, Verb
from dynamo.policy.variables import Level, Scope

TB = 10**12
ANY = "Partition Any\nOn always\nWhen always\nUntil never\nDismiss"


@dataclass(eq=False)
class Site:
    name: str
    kind: str
    status: str
    quotas: dict
    reliability: float = 1.0


@dataclass(eq=False)
class Block:
    name: str
    size: int
    n_files: int


@dataclass(eq=False)
class Part:
    """A block replica."""

    block: Block
    replica: "Replica"
    group: str | None
    size: int
    updated: int
    complete: bool
    in_use: bool = False


@dataclass(eq=False)
class Replica:
    """A dataset replica."""

    dataset: "Dataset"
    site: Site
    growing: bool
    parts: list = field(default_factory=list)
    original: "Replica | None" = None


@dataclass(eq=False)
class Dataset:
    name: str
    status: str
    updated: int
    attrs: dict
    blocks: list = field(default_factory=list)
    replicas: list = field(default_factory=list)

    @property
    def size(self):
        return sum(block.size for block in self.blocks)


class World:
    """An inventory, or the part of it that a cycle sees."""

    def __init__(self, case, sites, groups, datasets):
        self.case, self.now = case, float(case["now"])
        self.sites, self.groups, self.datasets = sites, groups, datasets
        self.locked, self.enforced, self.newest = set(), set(), 0
        protected = case["inventory"].get("protected_sites") or ()
        self.on_protected = {
            d.name for d in datasets for r in d.replicas if r.site.name in protected
        }

    @classmethod
    def of(cls, case):
        inventory = case["inventory"]
        sites = {
            one["name"]: Site(
                one["name"],
                one["storage_type"],
                one["status"],
                one["quotas_tb"],
                one.get("reliability", 1.0),
            )
            for one in inventory["sites"]
        }
        groups = {one["name"]: one["olevel"] for one in inventory["groups"]} | {None: "Block"}
        datasets = []
        for one in inventory["datasets"]:
            dataset = Dataset(
                one["name"], one["status"], one["last_update"], one.get("attrs") or {}
            )
            blocks = {b["name"]: Block(b["name"], b["size"], b["num_files"]) for b in one["blocks"]}
            dataset.blocks = list(blocks.values())
            for given in one["replicas"]:
                replica = Replica(dataset, sites[given["site"]], "growing_group" in given)
                dataset.replicas.append(replica)
                for part in given["blocks"]:
                    block = blocks[part["block"]]
                    size = part.get("size", block.size)
                    files = part.get("num_files", block.n_files)
                    full = size == block.size and files == block.n_files
                    replica.parts.append(
                        Part(
                            block,
                            replica,
                            part["group"],
                            size,
                            part["last_update"],
                            full,
                            part.get("in_use", False),
                        )
                    )
            datasets.append(dataset)
        return cls(case, sites, groups, datasets)

    def replicas(self):
        return [replica for dataset in self.datasets for replica in dataset.replicas]

    # --- what variables mean ---------------------------------------------------------------------

    def of_part(self, name, part):
        dataset, site = part.replica.dataset, part.replica.site
        others = [
            p for r in dataset.replicas for p in r.parts if p.block is part.block and p is not part
        ]
        match name:
            case "blockreplica.last_update":
                return part.updated
            case "blockreplica.owner":
                return "None" if part.group is None else part.group
            case "blockreplica.is_locked":
                return (dataset.name, site.name, part.block.name) in self.locked
            case "blockreplica.in_use":
                return part.in_use
            case "blockreplica.is_last_transfer_source":
                source = any(p.complete and ready_disk(p.replica.site) for p in others)
                return part.complete and any(not p.complete for p in others) and not source
            case "blockreplica.num_full_disk_copy":
                return sum(p.complete for p in [*others, part])
            case "blockreplica.on_tape":
                on_tape = any(p.complete and p.replica.site.kind == "mss" for p in [*others, part])
                return part.complete and on_tape
            case "blockreplica.age_relative_to_newest":
                return self.newest - part.updated
        raise AssertionError(name)

    def of_replica(self, name, replica):
        dataset, parts = replica.dataset, replica.parts
        attrs = dataset.attrs
        owners = {p.group for p in parts}

        def sharing(r):
            return bool(owners & {p.group for p in r.parts})

        match name:
            case "dataset.name":
                return dataset.name
            case "dataset.status":
                return [
                    "unknown",
                    "deleted",
                    "deprecated",
                    "invalid",
                    "production",
                    "valid",
                    "ignored",
                ].index(dataset.status) + 1
            case "dataset.on_tape":
                tape = [r for r in dataset.replicas if r.site.kind == "mss"]
                return 1 if any(map(full, tape)) else 2 if tape else 0
            case "dataset.size":
                return dataset.size
            case "dataset.last_update":
                return dataset.updated
            case "dataset.num_full_disk_copy":
                return sum(full(r) and ready_disk(r.site) for r in dataset.replicas)
            case "dataset.usage_rank":
                return attrs.get("global_usage_rank", 0)
            case "dataset.demand_rank":
                return attrs.get("global_demand_rank", 0)
            case "dataset.request_weight":
                return attrs.get("request_weight", 0)
            case "dataset.release":
                return attrs.get("release", "")
            case "dataset.last_access":
                return attrs.get("last_access", 0)
            case "replica.num_access":
                return attrs.get("num_access", 0)
            case "dataset.unknown_in_all_dbs":
                return attrs.get("unknown_in_all_dbs", False)
            case "dataset.is_latest_production_release":
                return attrs.get("latest_production_release", False)
            case "dataset.tape_copy_requested":
                return attrs.get("tape_copy_requested", False)
            case "dataset.on_protected_site":
                return dataset.name in self.on_protected
            case "dataset.unhandled_copy_exists":
                items = self.case["inventory"].get("pending_copy_items", ())
                names = {f"{dataset.name}#{b.name}" for b in dataset.blocks} | {dataset.name}
                return any(item in names for item in items)
            case "replica.size":
                return sum(p.size for p in parts)
            case "replica.incomplete":
                return any(not p.complete for p in parts)
            case "replica.last_block_created":
                return max((p.updated for p in parts), default=0)
            case "replica.first_block_created":
                return min([0xFFFFFFFF, *(p.updated for p in parts)])
            case "replica.num_full_disk_copy_common_owner":
                return sum(full(r) and ready_disk(r.site) and sharing(r) for r in dataset.replicas)
            case "replica.num_full_other_copy_common_owner":
                others = [
                    r
                    for r in dataset.replicas
                    if r.site is not replica.site and r.site.status == "ready"
                ]
                return sum(full(r) and sharing(r) for r in others)
            case "replica.has_dataset_owner":
                return any(self.groups[p.group] == "Dataset" for p in parts)
            case "replica.enforcer_protected":
                return (dataset.name, replica.site.name) in self.enforced
        return of_site(name, replica.site)

    # --- what conditions mean --------------------------------------------------------------------

    def holds(self, condition, thing):
        """Thing: a dataset replica, a block replica, or a site with its quota and use."""
        for window in condition.windows:
            edge = window.time.at(self.now)
            if self.now > edge if window.ends else self.now < edge:
                return False
        return self.node(condition.root, thing)

    def node(self, node, thing):
        if not isinstance(node, Predicate):
            join = all if isinstance(node, All) else any
            return join(self.node(part, thing) for part in node.parts)
        name = node.variable.name
        if isinstance(thing, Standing):
            values = [thing.value(name)]
        elif node.variable.level is Level.BLOCK:
            parts = thing.parts if isinstance(thing, Replica) else [thing]
            values = [self.of_part(name, part) for part in parts]
        else:
            values = [self.of_replica(name, thing if isinstance(thing, Replica) else thing.replica)]
        return any(self.fits(node.comparison, value) for value in values)

    def fits(self, comparison, value):
        match comparison:
            case IsTrue(negated):
                return bool(value) != negated
            case Compares(sign, number):
                return compare(sign, value, number)
            case ComparesTime(sign, time):
                return compare(sign, value, time.at(self.now))
            case IsAmong(numbers, negated):
                return (value in numbers) != negated
            case IsAmongTimes(times, negated):
                return (value in [time.at(self.now) for time in times]) != negated
            case Fits(patterns, negated):
                return any(matches(pattern, value) for pattern in patterns) != negated
        raise AssertionError(comparison)


def compare(sign, value, wanted):
    match sign:
        case "==":
            return value == wanted
        case "!=":
            return value != wanted
        case "<" | "older_than":
            return value < wanted
        case ">" | "newer_than":
            return value > wanted
        case "<=":
            return value <= wanted
        case ">=":
            return value >= wanted
    raise AssertionError(sign)


def matches(pattern, text):
    if pattern.style is Style.REGEX:
        return re.match(pattern.text, text) is not None
    if pattern.style is Style.GLOB:
        return fnmatch.fnmatchcase(text, pattern.text)
    return text == pattern.text


def ready_disk(site):
    return site.kind == "disk" and site.status == "ready"


def full(replica):
    return len(replica.parts) == len(replica.dataset.blocks) and all(
        p.complete for p in replica.parts
    )


def of_site(name, site):
    return {
        "site.name": site.name,
        "site.status": ["", "ready", "waitroom", "morgue", "unknown"].index(site.status),
        "site.storage_type": {"disk": 1, "mss": 2, "buffer": 3, "unknown": 4}[site.kind],
        "site.tier": int(found[1]) if (found := re.match(r"T(\d+)", site.name)) else -1,
        "site.reliability": site.reliability,
    }[name]


@dataclass
class Standing:
    site: Site
    quota: float | None
    used: int

    def value(self, name):
        match name:
            case "always" | "never":
                return name == "always"
            case "site.quota" | "site.occupancy" if self.quota is None:
                return math.nan
            case "site.quota":
                return self.quota if self.quota >= 0 else math.inf
            case "site.occupancy":
                if self.quota == 0:
                    return sys.float_info.max
                return 0.0 if self.quota < 0 else self.used / self.quota
        return of_site(name, self.site)


class Detox:
    def __init__(self, case):
        self.case = case
        self.full = World.of(case)
        listed = case["inventory"]["partitions"]
        self.partitions = read_partitions(
            [Definition(one["name"], one["definition"]) for one in listed]
        )
        self.policy = read_policy(case["policy"]).policy
        self.own = self.own_lines()
        self.per_round = (case.get("detox") or {}).get("deletion_per_iteration", 0.01)

    def own_lines(self):
        """What copies read from is protected before all else, under a number of its own."""
        if not any(part.in_use for replica in self.full.replicas() for part in replica.parts):
            return []
        in_use = read_condition("blockreplica.in_use", Scope.REPLICA)
        return [Line(len(self.policy.lines) + 1, Verb.PROTECT, True, in_use, "", 0)]

    def quota(self, site, name):
        partition = self.partitions.by_name[name]
        if partition.condition is not None:
            quota = site.quotas.get(name, 0)
            return None if quota is None else quota * TB
        quotas = [self.quota(site, part) for part in partition.parts]
        known = [quota for quota in quotas if quota is not None]
        return sum(known) if known else None

    def contains(self, world, part, name=None):
        leaves = self.partitions.leaves(name or self.policy.partition)
        return any(world.holds(leaf.condition, part) for leaf in leaves)

    def any_site(self, conditions, site, used):
        standing = Standing(site, self.quota(site, self.policy.partition), used)
        return any(self.full.holds(condition, standing) for condition in conditions)

    # --- the image -------------------------------------------------------------------------------

    def image(self):
        inside = {
            replica: [p for p in replica.parts if self.contains(self.full, p)]
            for replica in self.full.replicas()
        }
        used = defaultdict(int)
        for replica, parts in inside.items():
            used[replica.site] += sum(p.size for p in parts)
        targets = [
            s
            for s in self.full.sites.values()
            if self.quota(s, self.policy.partition) is not None
            and self.any_site(self.policy.on, s, used[s])
        ]
        datasets = []
        for dataset in sorted(self.full.datasets, key=lambda one: one.name):
            clone = Dataset(
                dataset.name, dataset.status, dataset.updated, dataset.attrs, dataset.blocks
            )
            for replica in sorted(dataset.replicas, key=lambda one: one.site.name):
                if replica.site not in targets:
                    continue
                twin = Replica(clone, replica.site, replica.growing, original=replica)
                twin.parts = [
                    Part(p.block, twin, p.group, p.size, p.updated, p.complete, p.in_use)
                    for p in inside[replica]
                ]
                if replica.site.kind == "mss" and not replica.parts:
                    twin.parts = [
                        Part(b, twin, None, 0, 0, not b.size and not b.n_files)
                        for b in dataset.blocks
                    ]
                elif not twin.parts:
                    continue
                twin.parts.sort(key=lambda p: p.block.name)
                clone.replicas.append(twin)
            datasets.append(clone)
        world = World(self.case, {s.name: s for s in targets}, self.full.groups, datasets)
        self.look_around(world)
        return world

    def look_around(self, world):
        """Find out what variables need to know of the world as a whole."""
        world.newest = max((p.updated for r in world.replicas() for p in r.parts), default=0)
        self.lock(world)
        self.enforce(world)

    def lock(self, world):
        for lock in self.case["inventory"].get("locks", ()):
            name, _, block = lock["item"].partition("#")
            sites = chosen(lock.get("sites"), world.sites)
            groups = chosen(lock.get("groups"), [g for g in world.groups if g is not None])
            for replica in world.replicas():
                if not fnmatch.fnmatchcase(replica.dataset.name, name) or (
                    sites and replica.site.name not in sites
                ):
                    continue
                for part in replica.parts:
                    if (not block or part.block.name == block) and (
                        not groups or part.group in groups
                    ):
                        world.locked.add((replica.dataset.name, replica.site.name, part.block.name))

    def enforce(self, world):
        given = self.case["inventory"].get("enforcer")
        if not given:
            return
        rules = enforcer_from(given)
        used = defaultdict(int)
        for replica in world.replicas():
            used[replica.site] += sum(
                p.size for p in replica.parts if self.contains(world, p, rules.partition)
            )
        for rule in rules.rules:
            if not rule.protect:
                continue
            fitting = defaultdict(list)
            for replica in world.replicas():
                standing = Standing(
                    replica.site, self.quota(replica.site, rules.partition), used[replica.site]
                )
                if not any(world.holds(one, standing) for one in rule.destinations):
                    continue
                if any(self.contains(world, p, rules.partition) for p in replica.parts) and any(
                    world.holds(one, replica) for one in rule.replicas
                ):
                    fitting[replica.dataset.name].append(replica.site.name)
            for dataset, sites in fitting.items():
                if len(sites) <= rule.num_copies:
                    world.enforced.update((dataset, site) for site in sites)

    # --- the loop --------------------------------------------------------------------------------

    def run(self):
        policy = self.policy
        self.world = world = self.image()
        self.quotas = {s: self.quota(s, policy.partition) for s in world.sites.values()}
        before = {s: self.used(s) for s in world.sites.values()}
        self.triggered = {
            s for s in world.sites.values() if self.any_site(policy.when, s, before[s])
        }
        triggered = sorted(s.name for s in self.triggered)
        self.all = [r for r in world.replicas() if r.parts]
        remaining = list(self.all)
        self.protected, self.deleted, kept = (
            defaultdict(lambda: defaultdict(dict)) for _ in range(3)
        )
        self.reowned = defaultdict(dict)
        self.order, self.sites_worked, self.round = defaultdict(list), [], 0
        while True:
            self.round += 1
            candidates, keepers, whole = self.evaluate(remaining)
            if not candidates:
                break
            self.choose(candidates, keepers, whole, remaining)
        for replica, lines in keepers.items():
            for line, parts in lines.items():
                kept[replica][line].update(dict.fromkeys(parts))
        return self.answer(before, triggered, kept)

    def used(self, site):
        return sum(p.size for r in self.world.replicas() if r.site is site for p in r.parts)

    def evaluate(self, remaining):
        candidates, keepers, whole = {}, {}, set()
        ignored, empty = [], []
        for replica in list(remaining):
            rest = list(replica.parts)
            bucket = candidates if replica.site in self.triggered else keepers
            for verb, by_block, line, parts in self.walk(replica):
                if by_block:
                    if verb is Verb.PROTECT:
                        self.protected[replica][line].update(dict.fromkeys(parts))
                        rest = [p for p in rest if p not in parts]
                    elif verb is Verb.DELETE:
                        gone = self.unlink(replica, parts, line, "evaluate")
                        rest = [p for p in rest if p not in gone]
                    else:
                        bucket.setdefault(replica, {})[line] = list(parts)
                        rest = [p for p in rest if p not in parts]
                elif verb is Verb.IGNORE:
                    ignored.append(replica)
                elif verb is Verb.PROTECT:
                    self.protected[replica][line].update(dict.fromkeys(rest))
                    if len(rest) == len(replica.parts):
                        ignored.append(replica)
                elif verb is Verb.DELETE:
                    self.unlink(replica, rest, line, "evaluate")
                    if not replica.parts:
                        replica.growing = False
                        empty.append(replica)
                else:
                    bucket.setdefault(replica, {})[line] = list(rest)
                    whole.add(replica)
        for replica in empty:
            replica.dataset.replicas.remove(replica)
        for replica in {*empty, *ignored}:
            remaining.remove(replica)
        return candidates, keepers, whole

    def walk(self, replica):
        """Yield what the lines do; a line by block hides its blocks from the lines that follow."""
        acts, everything = [], list(replica.parts)
        for line in [*self.own, *self.policy.lines]:
            if not self.world.holds(line.condition, replica):
                continue
            if not line.by_block:
                acts.append((line.verb, False, line.number, None))
                break
            fitting = [p for p in replica.parts if self.world.holds(line.condition, p)]
            if not fitting:
                continue
            if len(fitting) == len(replica.parts):
                acts.append((line.verb, False, line.number, None))
                break
            acts.append((line.verb, True, line.number, fitting))
            replica.parts = [p for p in replica.parts if p not in fitting]
        else:
            acts.append((self.policy.default.verb, False, 0, None))
        replica.parts = everything
        return acts

    def unlink(self, replica, parts, line, phase):
        whole = len(parts) == len(replica.parts)
        owner = next(
            (p.group for p in replica.parts if self.world.groups[p.group] == "Dataset"), None
        )
        handed = []
        if not whole and owner is not None:
            handed = [p for p in parts if self.world.groups[p.group] != "Dataset"]
        for part in handed:
            part.group = owner
        left = [p for p in handed if not self.contains(self.world, p)]
        deleted = [p for p in parts if p not in handed]
        replica.parts = [p for p in replica.parts if p not in deleted and p not in left]
        for part in deleted:
            self.reowned[replica].pop(part, None)
        self.reowned[replica].update(dict.fromkeys(handed, owner))
        if deleted:
            self.deleted[replica][line].update(dict.fromkeys(deleted))
            self.order[replica.site.name].append((self.round, phase, replica.dataset.name, deleted))
        return [*deleted, *left]

    def choose(self, candidates, keepers, whole, remaining):
        sites = sorted({r.site for r in candidates}, key=lambda s: s.name)
        todo = list(candidates)
        if self.policy.iterative:
            site = max(sites, key=self.protected_fraction)
            todo = [r for r in todo if r.site is site]
        todo.sort(key=self.sort_key)
        volume = 0
        for replica in todo:
            site, quota = replica.site, self.quotas[replica.site]
            if site not in self.triggered:
                keepers.setdefault(replica, {}).update(candidates[replica])
                continue
            if self.policy.iterative and quota > 0 and volume / quota > self.per_round:
                break
            if site.name not in self.sites_worked:
                self.sites_worked.append(site.name)
            for line in sorted(
                candidates[replica], key=lambda number: (number % 8, not number, number)
            ):
                gone = self.unlink(replica, candidates[replica][line], line, "select")
                volume += sum(p.size for p in gone if p not in self.reowned[replica])
            if not replica.parts:
                if replica in whole:
                    replica.growing = False
                replica.dataset.replicas.remove(replica)
                if replica in remaining:
                    remaining.remove(replica)
            if self.any_site(self.policy.until, site, self.used(site)):
                self.triggered.discard(site)

    def protected_fraction(self, site):
        quota = self.quotas[site]
        if quota <= 0:
            return 1.0
        lists = [
            parts
            for r, lines in self.protected.items()
            if r.site is site
            for parts in lines.values()
        ]
        return sum(p.size for parts in lists for p in parts) / quota

    def sort_key(self, replica):
        keys = []
        for key in self.policy.order:
            value = self.world.of_replica(key.variable.name, replica)
            keys.append(-value if key.decreasing else value)
        return (*keys, replica.dataset.name, replica.site.name)

    # --- the answer, as the cases write it -------------------------------------------------------

    def answer(self, before, triggered, kept):
        decisions = {}
        lists = {"protect": self.protected, "delete": self.deleted, "keep": kept}
        for verdict, decided in lists.items():
            for replica, lines in decided.items():
                for line, parts in sorted(lines.items()):
                    if parts:
                        place = decisions.setdefault(replica.site.name, {}).setdefault(
                            replica.dataset.name, {}
                        )
                        entry = {
                            "line": line,
                            "blocks": names(parts),
                            "size": sum(p.size for p in parts),
                        }
                        place.setdefault(verdict, []).append(entry)
        undecided = defaultdict(list)
        for replica in self.all:
            if replica.dataset.name not in decisions.get(replica.site.name, {}):
                undecided[replica.site.name].append(replica.dataset.name)
        return {
            "target_sites": sorted(self.world.sites),
            "triggered": triggered,
            "usage_before": {s.name: {"quota": self.quotas[s], "used": before[s]} for s in before},
            "usage_after": {
                s.name: {"quota": self.quotas[s], "used": self.used(s)} for s in before
            },
            "decisions": decisions,
            "undecided": {site: sorted(found) for site, found in undecided.items()},
            "deletion_order": self.deletion_order(),
            "reowned": self.owners(),
            "committed": self.committed(),
            "updates": self.updates(),
            "iterations": self.round,
            "site_order": self.sites_worked,
        }

    def deletion_order(self):
        found = {}
        for site, entries in self.order.items():
            at_once = [e for e in entries if e[1] == "evaluate"]
            chosen_ones = [e for e in entries if e[1] == "select"]
            at_once.sort(key=lambda e: (e[0], e[2]))
            merged = sorted([*at_once, *chosen_ones], key=lambda e: (e[0], e[1] == "select"))
            found[site] = [
                {
                    "dataset": dataset,
                    "blocks": names(parts),
                    "size": sum(p.size for p in parts),
                    "phase": phase,
                    "iteration": number,
                }
                for number, phase, dataset, parts in merged
            ]
        return found

    def owners(self):
        found = {}
        for replica, parts in self.reowned.items():
            for part, owner in parts.items():
                place = found.setdefault(replica.site.name, {}).setdefault(replica.dataset.name, {})
                place[part.block.name] = owner
        return found

    def updates(self):
        found = {}
        for replica, lines in self.deleted.items():
            for parts in lines.values():
                found |= dict.fromkeys((place(replica, part) for part in parts), None)
        for replica, parts in self.reowned.items():
            found |= {place(replica, part): owner for part, owner in parts.items()}
        return found

    def committed(self):
        found = {}
        for replica, lines in self.deleted.items():
            blocks = sorted({p.block.name for parts in lines.values() for p in parts})
            original = replica.original.parts or replica.dataset.blocks
            whole = not replica.growing and len(blocks) == len(original)
            if blocks:
                found.setdefault(replica.site.name, {})[replica.dataset.name] = (
                    None if whole else blocks
                )
        return found


def true_for(case, texts):
    """Tell for which replicas and blocks of a whole inventory conditions hold."""
    detox = Detox(case | {"policy": ANY})
    world, replicas = detox.full, detox.full.replicas()
    detox.look_around(world)
    found = {}
    for text in texts:
        asked = read_condition(text, Scope.REPLICA)
        found[text] = {
            "replicas": sorted(
                f"{one.site.name} {one.dataset.name}" for one in replicas if world.holds(asked, one)
            ),
            "blocks": sorted(
                place(one, part)
                for one in replicas
                for part in one.parts
                if world.holds(asked, part)
            ),
        }
    return found


def place(replica, part):
    return f"{replica.site.name} {replica.dataset.name}#{part.block.name}"


def names(parts):
    return sorted(part.block.name for part in parts)


def chosen(pattern, among):
    """Return the names that a lock's pattern means; nothing stands for all."""
    if not pattern or pattern == "*":
        return []
    return [name for name in among if fnmatch.fnmatchcase(name, pattern)]
