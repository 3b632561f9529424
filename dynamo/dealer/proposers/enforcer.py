"""Keeps placement rules: so many copies at certain sites, or blocks shared out over them."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.dealer.block_distribution import share_out, shares
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.lookup import Lookup
from dynamo.dealer.proposals import Item, ProposalBuilder, Proposals
from dynamo.inventory.snapshot import Codes, Flags
from dynamo.policy.conditions import any_on_sites, compiled
from dynamo.policy.placement_rules import Enforcer as Rules
from dynamo.policy.placement_rules import PlacementRule
from dynamo.policy.syntax import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcer:
    """Proposes what the rules lack, in random order."""

    rules: Rules | None = None
    """None = those of the question."""

    def propose(self, view: InventoryView, rng: np.random.Generator) -> Proposals:
        """Propose per rule and dataset: changes of owner first, then sites without a copy.

        Raises Invalid for a group or partition that does not exist.
        """
        rules = self.rules or view.asked.enforcer
        found = ProposalBuilder()
        for rule in rules.rules if rules is not None else ():
            applied = _AppliedRule.of(view, rules.partition, rule)  # type: ignore[union-attr]
            gather = _shared_out if rule.spread else _copied
            gather(view, applied, rng, found)
        order = rng.permutation(len(found.items))
        shuffled = ProposalBuilder([found.items[place] for place in order.tolist()])
        return replace(shuffled.proposals(), ranked=False, divisible=True)


@dataclass(frozen=True, slots=True, eq=False)
class _AppliedRule:
    """What a rule means in this inventory."""

    rule: PlacementRule
    group: int
    destinations: Flags
    datasets: Codes
    """Those with a replica at a source."""
    candidates: Codes
    """Dataset replicas with all blocks at destinations, all in the partition."""
    there: Flags
    """Those of them that belong to the rule's group alone."""

    @classmethod
    def of(cls, view: InventoryView, partition: str, rule: PlacementRule) -> "_AppliedRule":
        partitions, now = view.asked.partitions, view.asked.moment
        held = _held(view, partition)
        standing = partitions.standing(view.snapshot, partition, held)
        sites = {
            key: any_on_sites([compiled(one, now) for one in conditions], standing)
            for key, conditions in (("to", rule.destinations), ("from", rule.sources))
        }
        n_held, at = view.per_replica(held), view.snapshot.replicas.site
        sources = (n_held > 0) & sites["from"][at] & _any(view, rule.replicas)
        group = view.group_named(rule.group) if rule.group else view.group
        full = sites["to"][at] & view.has_all & (n_held == view.n_rows) & (n_held > 0)
        candidates = np.flatnonzero(full)
        return cls(
            rule=rule,
            group=group,
            destinations=sites["to"],
            datasets=np.unique(view.snapshot.replicas.dataset[sources]),
            candidates=candidates.astype(np.int32),
            there=view.owner[candidates] == group,
        )


def _held(view: InventoryView, partition: str) -> Flags:
    return view.held if partition == view.asked.partition else view.rows_in(partition)


def _any(view: InventoryView, conditions: tuple[Condition, ...]) -> Flags:
    found = np.zeros(len(view.snapshot.replicas.dataset), np.bool_)
    for condition in conditions:
        found |= view.fitting(condition)
    return found


def _copied(
    view: InventoryView, applied: _AppliedRule, rng: np.random.Generator, found: ProposalBuilder
) -> None:
    """Propose whole datasets."""
    replicas = view.snapshot.replicas
    wanted = min(applied.rule.num_copies, int(applied.destinations.sum()))
    dataset = replicas.dataset[applied.candidates]
    copies = np.bincount(dataset[applied.there], minlength=view.n_datasets)
    lacking = applied.datasets[copies[applied.datasets] < wanted]
    foreign: dict[int, list[int]] = {}
    for replica in applied.candidates[~applied.there].tolist():
        foreign.setdefault(int(replicas.dataset[replica]), []).append(int(replicas.site[replica]))
    taken = _sites_of(view, applied.candidates[applied.there], lacking)
    for one in lacking.tolist():
        missing = wanted - int(copies[one])
        flipped = rng.permutation(foreign.get(one, [])).astype(np.int64).tolist()[:missing]
        away = {*taken.get(one, ()), *flipped}
        sites = flipped + _drawn(view, applied, one, away, missing - len(flipped), rng)
        for site in sites:
            found.add(Item(one, None, site, applied.group))


def _sites_of(view: InventoryView, replicas: Codes, datasets: Codes) -> dict[int, list[int]]:
    table, known = (
        view.snapshot.replicas,
        np.isin(view.snapshot.replicas.dataset[replicas], datasets),
    )
    sites: dict[int, list[int]] = {}
    for replica in replicas[known].tolist():
        sites.setdefault(int(table.dataset[replica]), []).append(int(table.site[replica]))
    return sites


def _drawn(
    view: InventoryView,
    applied: _AppliedRule,
    dataset: int,
    away: set[int],
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """Draw sites without a copy: those that take it now first, of them those with a part."""
    if not count:
        return []
    free = [site for site in np.flatnonzero(applied.destinations).tolist() if site not in away]
    begun = {
        int(view.snapshot.replicas.site[replica])
        for replica in view.replicas_of(dataset)
        if int(view.n_rows[replica])
    }
    chance = rng.random(len(free)).tolist()
    takers = view.takers(dataset)
    order = sorted(
        range(len(free)),
        key=lambda place: (
            not takers[free[place]],
            free[place] not in begun,
            chance[place],
        ),
    )
    return [free[place] for place in order[:count]]


def _shared_out(
    view: InventoryView,
    applied: _AppliedRule,
    rng: np.random.Generator,  # noqa: ARG001 - leaves nothing to chance
    found: ProposalBuilder,
) -> None:
    """Propose blocks, each at as many of the destinations as the rule wants copies."""
    sites = applied.destinations & view.staying
    copies = min(applied.rule.num_copies, int(sites.sum()))
    catalogue = Lookup(view)
    room = view.filling.space(view.asked.limits).copy()
    for dataset in applied.datasets.tolist():
        parts = shares(view, sites & view.takers(dataset))
        given = share_out(
            parts, catalogue.sizes(dataset), catalogue.places(dataset, sites), copies, room
        )
        for site, blocks in sorted(given.items()):
            room[site] -= catalogue.size(blocks)
            found.add(Item(dataset, tuple(sorted(blocks)), site, applied.group))
