"""What the Dealer decided: copies, and why the rest is not copied; nothing is done yet."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from dynamo.dealer.proposals import Proposals
from dynamo.dealer.question import Question
from dynamo.dealer.requests import RequestVerdict
from dynamo.inventory.snapshot import Amounts, Codes, Flags, Words
from dynamo.policy.image import Places


class ProposalOutcome(IntEnum):
    """What became of a proposal."""

    ACCEPTED = 0
    IN_PART = 1
    """Too large for one cycle: some blocks are sent, the others when it is proposed again."""
    NO_SOURCE = 2
    NOT_VALID = 3
    FILES_MISSING = 4
    NOT_A_TARGET = 5
    NOT_ALLOWED = 6
    EXISTS = 7
    FULL = 8
    BUSY = 9
    NO_DESTINATION = 10
    VOLUME = 11

    @property
    def accepted(self) -> bool:
        """Tell whether anything is copied."""
        return self <= ProposalOutcome.IN_PART

    @property
    def word(self) -> str:
        """Return it as a word for tables and routes."""
        return self.name.lower().replace("_", "-")

    @property
    def text(self) -> str:
        """Return it as a sentence for people."""
        return _TEXTS[self]


_TEXTS: Mapping[ProposalOutcome, str] = {
    ProposalOutcome.ACCEPTED: "copied",
    ProposalOutcome.IN_PART: "copied in part; the rest follows",
    ProposalOutcome.NO_SOURCE: "nothing of it is at any site",
    ProposalOutcome.NOT_VALID: "the dataset is neither valid nor in production",
    ProposalOutcome.FILES_MISSING: "some files are nowhere complete",
    ProposalOutcome.NOT_A_TARGET: "the site takes no copies now",
    ProposalOutcome.NOT_ALLOWED: "the dataset must not go to the site",
    ProposalOutcome.EXISTS: "it is there or on its way already",
    ProposalOutcome.FULL: "the site is full",
    ProposalOutcome.BUSY: "too much is on its way to the site",
    ProposalOutcome.NO_DESTINATION: "no site that lacks it has room for it",
    ProposalOutcome.VOLUME: "the cycle's volume is used up",
}


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Columns of what became of each proposal, in the order of their turns."""

    proposer: Codes
    """Place in the plan's `proposers`."""
    place: Codes
    """Place in that proposer's list."""
    site: Codes
    """Where it goes; where it was refused, the site it named, else -1."""
    reason: Words


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Columns of copies, one per site and dataset, by site and dataset; below them their blocks."""

    dataset: Codes
    site: Codes
    group: Codes
    growing: Flags
    """New blocks shall follow; false changes nothing for a replica that grows already."""
    proposer: Codes
    """The proposer with the highest priority that wanted it."""
    first: Amounts
    """Where the blocks begin; one entry more than copies."""
    block: Codes
    owner: Codes
    """The group that each block replica shall belong to."""
    row: Codes
    """The block replica that is there or on its way, a place in the snapshot; -1 = a new one."""
    moves: Amounts
    """Bytes to be sent: nothing for what exists."""

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True, slots=True)
class Copy:
    """One dataset, or some of its blocks, to one site."""

    dataset: str
    site: str
    group: str
    growing: bool
    proposer: str
    blocks: Codes
    """Places in the snapshot: all blocks it is about."""
    new: Codes
    """Those that have no block replica at the site yet."""
    size: int
    """Bytes of all blocks."""
    moves: int
    """Bytes of the new ones."""


@dataclass(frozen=True, slots=True)
class SiteState:
    """A site that takes copies, before and after the cycle."""

    site: str
    quota: float
    """Capped by the measured free space; infinite = unlimited."""
    physical: int
    projected: int
    sent: int
    """Bytes that this cycle sends there."""
    reowned: int
    """Bytes there that come into the partition by a change of owner, at most."""

    @property
    def after(self) -> int:
        """Return what the partition takes when all has arrived."""
        return self.projected + self.sent + self.reowned


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that the Dealer decided in one cycle."""

    asked: Question
    targets: Flags
    """The sites that took copies when the cycle began."""
    proposers: tuple[str, ...]
    """Names of the proposers that took part."""
    proposals: Mapping[str, Proposals]
    outcomes: Outcomes
    copies: Copies
    verdicts: tuple[RequestVerdict, ...]
    """What was decided about the requests, with the actions that are now under way."""
    sites: tuple[SiteState, ...]

    @property
    def volume(self) -> int:
        """Return the bytes that are sent."""
        return int(self.copies.moves.sum())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Return for each proposer how many proposals came to which end."""
        found: dict[str, dict[str, int]] = {name: {} for name in self.proposers}
        pairs = zip(self.outcomes.proposer.tolist(), self.outcomes.reason.tolist(), strict=True)
        for (proposer, reason), count in sorted(Counter(pairs).items()):
            found[self.proposers[proposer]][ProposalOutcome(reason).word] = count
        return found

    def each_copy(self) -> Iterator[Copy]:
        """Go through the copies, by site and dataset."""
        copies, snapshot = self.copies, self.asked.snapshot
        for place in range(len(copies)):
            pieces = slice(int(copies.first[place]), int(copies.first[place + 1]))
            blocks = copies.block[pieces]
            yield Copy(
                dataset=snapshot.datasets.labels[int(copies.dataset[place])],
                site=snapshot.sites.labels[int(copies.site[place])],
                group=snapshot.groups.labels[int(copies.group[place])],
                growing=bool(copies.growing[place]),
                proposer=self.proposers[int(copies.proposer[place])],
                blocks=blocks,
                new=blocks[copies.row[pieces] < 0],
                size=int(snapshot.blocks.size[blocks].sum()),
                moves=int(copies.moves[pieces].sum()),
            )

    def refused(self, reason: ProposalOutcome) -> Places:
        """Return the places, among the outcomes, of what came to one end."""
        return np.flatnonzero(self.outcomes.reason == reason)
