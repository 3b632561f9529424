"""One cycle of the Dealer: what it looks at, the plan that is kept with reasons, what is done."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from dynamo.db.cycles import cycles, decisions, protections
from dynamo.db.cycles.cycles import HeldCycle
from dynamo.db.cycles.decisions import NewDecision
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.evacuation import evacuation
from dynamo.dealer.engine import decide
from dynamo.dealer.plan import Plan
from dynamo.dealer.proposers.popularity import SIGNS
from dynamo.dealer.question import Question
from dynamo.dealer.requests import Subscription
from dynamo.inventory.request_bodies import SystemCopyBody
from dynamo.inventory.snapshot import DISK, NOBODY, READY, Flags
from dynamo.inventory.states import Origin
from dynamo.operations.hints import hints
from dynamo.policy.placement_evaluation import unmet
from dynamo.policy.placement_partition import Imagined
from dynamo.policy.placement_rules import RulesReading, of_partition
from dynamo.services import system_requests
from dynamo.services.context import Context
from dynamo.services.copies import queries as copy_queries
from dynamo.services.dealer import decisions as dealer_decisions
from dynamo.services.dealer import orders, site_choice
from dynamo.services.dealer import question as dealer_question
from dynamo.services.dealer.orders import NOBODYS, RequestIndex
from dynamo.services.dealer.proposers import weighted_proposers
from dynamo.services.dealer.question import Aim, Inventory, Requested
from dynamo.services.leases import fence
from dynamo.services.pagination import Item
from dynamo.services.replication import scheduler
from dynamo.services.replication.scheduler import Sent
from dynamo.settings import Settings

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class CycleInput:
    """What a cycle is asked, and what it has looked at."""

    inventory: Inventory
    question: Question
    requested: Requested
    rules: RulesReading | None
    dry_run: bool


def run(ctx: Context, held: HeldCycle) -> Item:
    """Decide, keep what was decided, carry it out unless it is a dry run; return the summary."""
    seen = load(ctx, held)
    plan = decided(ctx.settings, seen)
    wanting = RequestIndex.of(seen.requested)
    _keep(ctx, held, plan, wanting)
    found = {"warnings": _warnings(seen), **dealer_decisions.summary(plan)}
    if not seen.dry_run:
        sent = carry_out(ctx, held, seen, plan, wanting)
        found["done"] = {"blocks": sent.blocks, "files": sent.files, "bytes": sent.bytes}
    return {**found, "refused": _refusals(ctx, held)}


def decided(settings: Settings, seen: CycleInput) -> Plan:
    """Ask all proposers that are installed. Raises Invalid for settings that they do not have."""
    groups = list(seen.inventory.snapshot.groups.labels)[1:]
    return decide(seen.question, weighted_proposers(settings.dealer, groups))


def load(ctx: Context, held: HeldCycle) -> CycleInput:
    """Read the inventory at one moment, and all that is wanted of it. Raises Invalid."""
    settings = ctx.settings
    with ctx.begin.snapshot() as work:
        cycle = cycles.looked_at(work, held)
        inventory = dealer_question.everything(work, settings.detox.protected_sites)
        requested = _requested(work, inventory, cycle.partition, settings)
        last = protections.latest(work, cycle.partition_id, inventory.snapshot)
        dying = evacuation.dying_ids(work, settings.dealer.leaving)
        endangered = _endangered(work, inventory, cycle.partition, dying)
        stalled = _stalled(work, inventory, dying)
    inventory = _at_home(inventory, cycle.partition, settings)
    rules = of_partition(inventory.snapshot, cycle.partition)
    question = dealer_question.question(
        settings,
        inventory,
        Aim(cycle.partition, cycle.seed),
        requested,
        protections=last,
        endangered=endangered,
        stalled=stalled,
        enforcer=None if rules is None else rules.enforcer,
    )
    return CycleInput(inventory, question, requested, rules, cycle.dry_run)


def _warnings(seen: CycleInput) -> list[str]:
    """Say which placement rules nothing here can meet, in each cycle as long as it is so."""
    if seen.rules is None:
        return []
    inventory = seen.inventory
    found = unmet(seen.rules, inventory.snapshot, inventory.partitions, inventory.moment)
    return [one.brief(seen.rules.source) for one in found]


def _endangered(work: Work, inventory: Inventory, partition: str, dying: Collection[int]) -> Flags:
    """Tell which block replicas of the partition are lost with sites that are being emptied.

    They are those that count against it, wherever they lie: a policy that does not look at such
    sites, or dismisses what is there, keeps nothing from being saved.
    """
    keys = [inventory.keys[leaf.name] for leaf in inventory.partitions.leaves(partition)]
    ids = evacuation.endangered(work, dying, keys) if dying else []
    return np.isin(inventory.snapshot.block_replicas.ids, ids)


def _stalled(work: Work, inventory: Inventory, dying: Collection[int]) -> Flags:
    """Tell which parts at sites that stay save nothing of what dying sites have."""
    ids = evacuation.stalled_ids(work, dying) if dying else []
    return np.isin(inventory.snapshot.block_replicas.ids, ids)


def _requested(work: Work, inventory: Inventory, partition: str, settings: Settings) -> Requested:
    """Return what people want that would come to lie in the partition."""
    known = set(inventory.snapshot.datasets.ids.tolist())
    everybody = [
        request
        for request in copy_queries.read_all(work, settings.dealer)
        if request.dataset.id in known
    ]
    destinations = dealer_question.home_of(inventory, everybody)
    mine = [
        request
        for request, destination in zip(everybody, destinations, strict=True)
        if destination == partition
    ]
    requested = dealer_question.requested_of(work, inventory, mine, settings)
    requested.subscriptions += _growing(inventory, partition, settings)
    return requested


def _growing(inventory: Inventory, partition: str, settings: Settings) -> list[Subscription]:
    """Return the standing request of growing replicas for the blocks that they do not have yet."""
    snapshot = inventory.snapshot
    replicas, rows = snapshot.replicas, snapshot.block_replicas
    closed = np.bincount(
        snapshot.blocks.dataset[~inventory.open_blocks], minlength=len(snapshot.datasets.ids)
    )
    here = np.bincount(
        rows.replica[~inventory.open_blocks[rows.block]], minlength=len(replicas.dataset)
    )
    ready = snapshot.sites.status[replicas.site] == READY
    behind = np.flatnonzero(replicas.growing & ready & (here < closed[replicas.dataset]))
    usual = snapshot.groups.labels.find(settings.dealer.groups.get(partition, settings.user.group))
    group = np.where(replicas.group[behind] == NOBODY, usual, replicas.group[behind])
    found = inventory.destinations(
        Imagined(replicas.dataset[behind], replicas.site[behind], group.astype(np.int32))
    )
    names = [one.name for one in snapshot.partitions]
    return [
        Subscription(
            -place - 1,
            snapshot.datasets.labels[int(replicas.dataset[replica])],
            snapshot.sites.labels[int(replicas.site[replica])],
            snapshot.groups.labels[int(owner)],
        )
        for place, (replica, owner, destination) in enumerate(
            zip(behind.tolist(), group.tolist(), found.tolist(), strict=True)
        )
        if destination >= 0 and names[destination] == partition
    ]


def _at_home(inventory: Inventory, partition: str, settings: Settings) -> Inventory:
    """Let popularity make copies only of datasets whose copies would lie in the partition."""
    snapshot = inventory.snapshot
    signs = {name: np.asarray(snapshot.attributes[name], np.float64) for name in SIGNS}
    quota = inventory.partitions.quota(snapshot, partition)
    sites = np.flatnonzero(~np.isnan(quota) & (snapshot.sites.kind == DISK))
    wanted = np.flatnonzero(sum(signs.values()) > 0).astype(np.int32)
    if not len(sites) or not len(wanted):
        return inventory
    usual = snapshot.groups.labels.find(settings.dealer.groups.get(partition, settings.user.group))
    same = np.full(len(wanted), 1, np.int32)
    found = inventory.destinations(Imagined(wanted, same * sites[0], same * usual))
    leaves = {leaf.name for leaf in inventory.partitions.leaves(partition)}
    inside = [place for place, one in enumerate(snapshot.partitions) if one.name in leaves]
    ours = np.zeros(len(snapshot.datasets.ids), np.bool_)
    ours[wanted[np.isin(found, inside)]] = True
    at_home = {name: np.where(ours, sign, 0.0) for name, sign in signs.items()}
    return replace(inventory, snapshot=snapshot.with_attributes(**at_home))


# --- kept ----------------------------------------------------------------------------------------


def _keep(ctx: Context, held: HeldCycle, plan: Plan, wanting: RequestIndex) -> None:
    coming = dealer_decisions.rows(plan, wanting, ctx.settings.dealer.keep_refusals)
    while batch := list(islice(coming, ROWS_AT_ONCE)):
        _add(ctx, held, batch)


@retried
def _add(ctx: Context, held: HeldCycle, rows: Sequence[NewDecision]) -> None:
    with ctx.begin() as work:
        fence(work, held)
        decisions.add(work, held.id, rows)


@retried
def _refusals(ctx: Context, held: HeldCycle) -> dict[str, int]:
    with ctx.begin.reading() as work:
        return decisions.refusals(work, held.id)


# --- done ----------------------------------------------------------------------------------------


def carry_out(
    ctx: Context, held: HeldCycle, seen: CycleInput, plan: Plan, wanting: RequestIndex
) -> Sent:
    """Choose sites, send and change as it was decided. Raises CycleLost."""

    def mine(work: Work) -> None:
        fence(work, held)

    now = site_choice.choose(ctx, plan, seen.inventory, seen.requested, mine)
    lost = [key for key, request in now.items() if request is None]
    enlisted = orders.enlist(plan, seen.inventory, wanting.without(lost))
    if any(one.destination.request_id == NOBODYS for one in enlisted.copy_orders):
        enlisted = enlisted.under(_request(ctx, held))
    sent = scheduler.schedule(ctx, enlisted.copy_orders, mine)
    scheduler.change(ctx, enlisted.changes, sent, mine)
    _end(ctx, held, seen.requested, sent)
    return sent


@retried
def _request(ctx: Context, held: HeldCycle) -> int:
    """File the copy under which all this goes that nobody asked for, so that it is watched."""
    with ctx.begin() as work:
        request_id = system_requests.file(work, ctx, Origin.CYCLE, SystemCopyBody(cycle_id=held.id))
        fence(work, held, request_id=request_id)
        return request_id


@retried
def _end(ctx: Context, held: HeldCycle, requested: Requested, sent: Sent) -> None:
    """Note what was not sent; let requests see how far they are."""
    with ctx.begin() as work:
        fence(work, held)
        decisions.refuse(work, held.id, sent.refused)
        concerned = sorted({request.id for request, _ in requested.of.values()} & sent.requests)
        work.hint(*hints("plan", concerned, 50, "plan {n} copies that a cycle went on with"))
