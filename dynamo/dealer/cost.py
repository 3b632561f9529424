"""What a proposal costs at a site: the blocks that are not there, and those that change hands."""

from bisect import bisect_left
from dataclasses import dataclass, field

from dynamo.dealer.existing_copies import ExistingCopies
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.proposals import Proposals
from dynamo.inventory.snapshot import Codes, Words


@dataclass(frozen=True, slots=True, eq=False)
class OrderedProposals:
    """Proposals of all proposers in the order of their turns, and what is known about them."""

    proposals: Proposals
    """With all groups filled in."""
    proposer: Codes
    """Who proposed it."""
    place: Codes
    """Place in the proposer's own list."""
    ranked: tuple[bool, ...]
    """Per proposer."""
    divisible: tuple[bool, ...]
    once: tuple[bool, ...]
    stock: ExistingCopies
    screened: Words
    """What speaks against it before anything is placed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that a proposal costs at a site."""

    sent: int
    reowned: int = 0
    """Come into the partition by a change of owner; they are at the site, or on their way."""
    arriving: int = 0
    """As much of them as is still on its way."""

    @property
    def space(self) -> int:
        """Return by how much the partition grows."""
        return self.sent + self.reowned

    @property
    def slack(self) -> int:
        """Return by how much more is on its way."""
        return self.sent + self.arriving


@dataclass(slots=True, eq=False)
class Costs:
    """Answers what proposals cost, also after other proposals of the cycle."""

    view: InventoryView
    ordered: OrderedProposals
    planned: dict[int, dict[int, set[int]]] = field(default_factory=dict)
    """Blocks that this cycle sends already, by dataset and site."""
    _first: list[int] = field(init=False)
    _site: list[int] = field(init=False)
    _n: list[int] = field(init=False)
    _wanted: list[int] = field(init=False)
    _bytes: list[int] = field(init=False)
    _dataset: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Keep as plain numbers what is asked at every proposal."""
        stock = self.ordered.stock
        self._first, self._site = stock.first.tolist(), stock.site.tolist()
        self._n, self._wanted = stock.n.tolist(), stock.wanted.tolist()
        self._bytes, self._dataset = stock.bytes.tolist(), self.ordered.proposals.dataset.tolist()

    def size(self, proposal: int) -> int:
        """Return what it takes where nothing of it is."""
        return self._bytes[proposal]

    def sites(self, proposal: int) -> list[int]:
        """Return the sites where anything of it is, or will be after this cycle."""
        there = self._site[self._first[proposal] : self._first[proposal + 1]]
        planned = self.planned.get(self._dataset[proposal])
        return sorted({*there, *planned}) if planned else there

    def at(self, proposal: int, site: int) -> Cost:
        """Return what it costs at a site."""
        if site in self.planned.get(self._dataset[proposal], ()):
            blocks = self.missing(proposal, site)
            sent = int(self.view.snapshot.blocks.size[blocks].sum())
            return self._reowning(proposal, site, sent)
        entry = self._entry(proposal, site)
        if entry < 0:
            return Cost(self._bytes[proposal])
        return self._reowning(
            proposal, site, self._bytes[proposal] - int(self.ordered.stock.size[entry])
        )

    def _reowning(self, proposal: int, site: int, sent: int) -> Cost:
        entry = self._entry(proposal, site)
        if entry < 0:
            return Cost(sent)
        stock = self.ordered.stock
        return Cost(sent, int(stock.outside[entry]), int(stock.arriving[entry]))

    def covered(self, proposal: int, site: int) -> bool:
        """Tell whether all of it is at a site, on its way or sent in this cycle."""
        entry = self._entry(proposal, site)
        if entry >= 0 and self._n[entry] == self._wanted[proposal]:
            return True
        if site not in self.planned.get(self._dataset[proposal], ()):
            return False
        return not len(self.missing(proposal, site))

    def sent_anywhere(self, proposal: int) -> bool:
        """Tell whether this cycle brings all of it to some site already."""
        planned = self.planned.get(self._dataset[proposal])
        if not planned:
            return False
        blocks = set(self.blocks(proposal).tolist())
        return any(blocks <= sent for sent in planned.values())

    def missing(self, proposal: int, site: int) -> Codes:
        """Return the blocks that are neither there, nor on their way, nor sent in this cycle."""
        dataset = self._dataset[proposal]
        blocks = self.blocks(proposal)
        there = self.planned.get(dataset, {}).get(site, set())
        replica = next(
            (
                place
                for place in self.view.replicas_of(dataset)
                if int(self.view.snapshot.replicas.site[place]) == site
            ),
            None,
        )
        if replica is not None:
            rows = self.view.rows_of(replica)
            there = there.union(self.view.snapshot.block_replicas.block[rows].tolist())
        return blocks[[block not in there for block in blocks.tolist()]] if there else blocks

    def blocks(self, proposal: int) -> Codes:
        """Return all blocks that it is about."""
        proposals = self.ordered.proposals
        if proposals.whole[proposal]:
            return self.view.blocks_of(int(proposals.dataset[proposal]))
        return proposals.blocks_of(proposal)

    def send(self, proposal: int, site: int, blocks: Codes) -> None:
        """Note that these blocks are sent."""
        dataset = self._dataset[proposal]
        self.planned.setdefault(dataset, {}).setdefault(site, set()).update(blocks.tolist())

    def _entry(self, proposal: int, site: int) -> int:
        begin, end = self._first[proposal], self._first[proposal + 1]
        entry = bisect_left(self._site, site, begin, end)
        return entry if entry < end and self._site[entry] == site else -1
