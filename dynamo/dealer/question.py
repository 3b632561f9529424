"""What the Dealer is asked: an inventory at a moment, where to, within which limits."""

from dataclasses import dataclass

from dynamo.dealer.protections import Protections
from dynamo.dealer.requests import Request, Subscription
from dynamo.inventory.snapshot import Amounts, Flags, Numbers, Snapshot
from dynamo.policy.partitions import Partitions
from dynamo.policy.placement_rules import Enforcer

EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class Limits:
    """What no cycle passes."""

    occupancy: float = 0.93
    """Share of the quota filled when all has arrived; 1 or more = only the quota counts."""
    pending: float = 0.03
    """Share of the quota that may be on its way; 1 or more = any."""
    burst: float = 0.0
    """Bytes that may be on their way however small that share is, so that large blocks move."""
    volume: float = 200e12
    """Bytes that one cycle sends."""


@dataclass(frozen=True, slots=True)
class Veto:
    """Datasets that must not come to some sites; lists of globs: `!` takes out, the last wins."""

    datasets: tuple[str, ...]
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Occupancy:
    """Bytes at each site, as the accounts say."""

    physical: Amounts
    projected: Amounts
    others: Amounts
    """Bytes on their way into other partitions."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All that a cycle knows."""

    snapshot: Snapshot
    partitions: Partitions
    partition: str
    """The one that is copied into."""
    group: str
    """The owner of new replicas where a proposal names none."""
    moment: float
    """Seconds since 1970."""
    cycle: int
    """Seeds all chance, so that the cycle can be replayed."""
    target_sites: tuple[str, ...] = EVERYWHERE
    """Globs; `!` takes out; the last match wins."""
    leaving: frozenset[str] = frozenset()
    """Sites that an operator wants emptied, whatever their status: they take no copies."""
    limits: Limits = Limits()
    vetoes: tuple[Veto, ...] = ()
    requests: tuple[Request, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    protections: Protections | None = None
    """What the latest Detox cycle protected; None = there was none."""
    endangered: Flags | None = None
    """Block replicas that sites being emptied take down with them unless they are copied into the
    partition, whatever Detox says; None = what it protects."""
    stalled: Flags | None = None
    """Block replicas that lack files which nobody brings: they rescue nothing; None = none is."""
    enforcer: Enforcer | None = None
    free: Numbers | None = None
    """Measured free bytes per site; NaN where unknown."""
    filled: Occupancy | None = None
    """What fills the partition; None = the block replicas of the snapshot, which are all then."""
    weights: Numbers | None = None
    """How much of what is shared out each site gets, beside its free space; 1 where not given."""
    open_blocks: Flags | None = None
    """Blocks that are still being filled: never copied."""
    recoverable: Flags | None = None
    """Blocks without a complete replica whose files are nevertheless all somewhere."""
