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


def turn(dismissed: tuple[int, object]) -> tuple[int, bool, int]:
    """Sort what several lines dismissed of one replica as a table of eight slots did."""
    line = dismissed[0]
    return line % 8, line == 0, line


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
        """Carry out the cycle, and answer as the cases do."""
        self.world = self.image()
        self.everyone = sorted(self.world.replicas(), key=by_name)
        self.targets = sorted(self.world.sites.values(), key=lambda site: site.name)
        self.quotas = {site: self.quota(site, self.policy.partition) for site in self.targets}
        before = self.usage()
        self.triggered = {
            site for site in self.targets if self.any_site(self.policy.when, site, self.used(site))
        }
        triggered = sorted(site.name for site in self.triggered)
        self.remaining = list(self.everyone)
        self.protected, self.deleted, self.kept = {}, {}, {}
        self.reowned, self.gone = {}, []
        self.worked, self.round = [], 0
        while self.another_round():
            pass
        return self.answer(before, triggered)

    def another_round(self):
        """Evaluate all that remain and delete at one site; tell whether there was anything."""
        self.round += 1
        self.candidates, self.keepers = {}, {}
        for replica in list(self.remaining):
            self.evaluate(replica)
        if not self.candidates:
            self.kept = self.keepers
            return False
        todo = list(self.candidates)
        if self.policy.iterative:
            sites = {replica.site for replica in todo}
            worked = min(sites, key=lambda site: (-self.protected_fraction(site), site.name))
            todo = [replica for replica in todo if replica.site is worked]
        return self.delete_in_order(sorted(todo, key=self.sort_key))

    def evaluate(self, replica):
        """Let the lines act on one replica; all replicas that come later see what it lost."""
        rest = set(replica.parts)
        for line, some in self.walk(replica):
            parts = rest if some is None else some
            match line.verb:
                case Verb.IGNORE:
                    self.remaining.remove(replica)
                case Verb.PROTECT:
                    note(self.protected, replica, line.number, parts)
                    if parts == set(replica.parts):
                        self.remaining.remove(replica)
                case Verb.DISMISS:
                    triggered = replica.site in self.triggered
                    dismissed = self.candidates if triggered else self.keepers
                    note(dismissed, replica, line.number, parts)
                case Verb.DELETE:
                    deleted = self.unlink(replica, parts)
                    self.record(replica, line.number, deleted, "evaluate")
            rest = rest & set(replica.parts)
            if line.verb is not Verb.DELETE:  # what is handed over and stays is for later lines
                rest = rest - parts

    def walk(self, replica):
        """Return the lines that act on a replica, each with some blocks; None is the rest."""
        acts, there = [], replica.parts
        for line in [*self.own, *self.policy.lines]:
            if not self.world.holds(line.condition, replica):
                continue
            if not line.by_block:
                acts.append((line, None))
                break
            hit = {part for part in replica.parts if self.world.holds(line.condition, part)}
            if len(hit) == len(replica.parts):
                acts.append((line, None))
                break
            if hit:
                acts.append((line, hit))
                replica.parts = [part for part in replica.parts if part not in hit]
        else:
            if not self.policy.default.by_block:  # a block verb without condition selects nothing
                acts.append((self.policy.default, None))
        replica.parts = there
        return acts

    def unlink(self, replica, parts):
        """Take blocks from a replica, or hand them over; return those deleted."""
        owners = [part.group for part in replica.parts if self.is_dataset_level(part.group)]
        deleted, left = set(parts), set()
        if owners and parts != set(replica.parts):
            deleted = {part for part in parts if self.is_dataset_level(part.group)}
            for part in parts - deleted:
                part.group = owners[0]
                self.reowned.setdefault(replica, set()).add(part)
                if not self.contains(self.world, part):
                    left.add(part)
        replica.parts = [part for part in replica.parts if part not in deleted | left]
        if not replica.parts:
            replica.dataset.replicas.remove(replica)
            self.remaining.remove(replica)
        return deleted

    def is_dataset_level(self, group):
        return self.world.groups[group] == "Dataset"

    def record(self, replica, line, deleted, phase):
        note(self.deleted, replica, line, deleted)
        if deleted:
            self.gone.append((replica, deleted, phase, self.round))

    def delete_in_order(self, todo):
        """Delete what was dismissed until it is enough; tell whether anything changed."""
        freed, changed = 0, False
        for replica in todo:
            site, quota = replica.site, self.quotas[replica.site]
            if site not in self.triggered:
                continue  # keepers: the next round finds them so by itself
            if self.policy.iterative and quota > 0 and freed / quota > self.per_round:
                break
            for line, parts in sorted(self.candidates[replica].items(), key=turn):
                deleted = self.unlink(replica, parts)
                self.record(replica, line, deleted, "select")
                freed += size(deleted)
            changed = True
            self.worked.append(site.name)
            if self.any_site(self.policy.until, site, self.used(site)):
                self.triggered.remove(site)
        return changed

    def used(self, site):
        return sum(size(r.parts) for r in self.world.replicas() if r.site is site)

    def protected_fraction(self, site):
        if self.quotas[site] <= 0:
            return 1.0
        here = [lines for replica, lines in self.protected.items() if replica.site is site]
        return sum(size(set().union(*lines.values())) for lines in here) / self.quotas[site]

    def sort_key(self, replica):
        keys = []
        for key in self.policy.order:
            value = self.world.of_replica(key.variable.name, replica)
            keys.append(-value if key.decreasing else value)
        return (*keys, *by_name(replica))

    # --- the answer, as the cases write it -------------------------------------------------------

    def answer(self, before, triggered):
        decisions = {"protect": self.protected, "delete": self.deleted, "keep": self.kept}
        decided = {r: {} for r in self.everyone if any(r in d for d in decisions.values())}
        for word, by_replica in decisions.items():
            for replica, lines in by_replica.items():
                decided[replica][word] = [
                    {"line": line, "blocks": names(parts), "size": size(parts)}
                    for line, parts in sorted(lines.items())
                ]
        undecided = {}
        for replica in self.everyone:
            if replica not in decided:
                undecided.setdefault(replica.site.name, []).append(replica.dataset.name)
        return {
            "target_sites": [site.name for site in self.targets],
            "triggered": triggered,
            "usage_before": before,
            "usage_after": self.usage(),
            "decisions": by_site(decided),
            "undecided": undecided,
            "deletion_order": self.deletion_order(),
            "reowned": by_site(self.handed_over()),
            "committed": by_site(self.committed()),
            "updates": self.updates(),
            "iterations": self.round,
            "site_order": list(dict.fromkeys(self.worked)),
        }

    def usage(self):
        return {
            site.name: {"quota": self.quotas[site], "used": self.used(site)}
            for site in self.targets
        }

    def deletion_order(self):
        order = {}
        for replica, parts, phase, iteration in self.gone:
            order.setdefault(replica.site.name, []).append(
                {
                    "dataset": replica.dataset.name,
                    "blocks": names(parts),
                    "size": size(parts),
                    "phase": phase,
                    "iteration": iteration,
                }
            )
        return order

    def handed_over(self):
        """The new owners of blocks that no later line deleted."""
        found = {}
        for replica, parts in self.reowned.items():
            lost = set().union(*self.deleted.get(replica, {}).values())
            if stay := {part.block.name: part.group for part in parts - lost}:
                found[replica] = stay
        return found

    def committed(self):
        """Which whole replicas, None, and which blocks: whole when nothing is left at the site."""
        asked = {}
        for replica, lines in self.deleted.items():
            deleted = names(set().union(*lines.values()))
            whole = set(names(replica.original.parts)) <= set(deleted)
            asked[replica] = None if whole else deleted
        return asked

    def updates(self):
        owners = {}
        for replica, lines in self.deleted.items():
            for part in set().union(*lines.values()):
                owners[place(replica, part)] = None
        for replica, groups in self.handed_over().items():
            for block, group in groups.items():
                owners[f"{replica.site.name} {replica.dataset.name}#{block}"] = group
        return owners


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


def by_name(replica):
    return replica.dataset.name, replica.site.name


def size(parts):
    return sum(part.size for part in parts)


def note(decisions, replica, line, parts):
    """Add blocks to what a line decided on a replica."""
    if parts:
        lines = decisions.setdefault(replica, {})
        lines[line] = lines.get(line, set()) | parts


def by_site(found):
    """Arrange what was found for replicas by site and dataset."""
    sites = {}
    for replica, value in found.items():
        sites.setdefault(replica.site.name, {})[replica.dataset.name] = value
    return sites
