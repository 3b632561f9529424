"""What proposers ask for, as columns: datasets or blocks of them, to a named site or to any."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dynamo.dealer.requests import RequestVerdict
from dynamo.inventory.snapshot import Amounts, Codes, Flags
from dynamo.policy.image import Places, spread

ANYWHERE = -1
"""The engine chooses the site."""
DEFAULT_GROUP = -1
"""New replicas belong to the group that the cycle copies for."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Columns of proposals, the most important first; numbers are places in the snapshot."""

    dataset: Codes
    site: Codes
    """`ANYWHERE` where the engine shall choose."""
    group: Codes
    whole: Flags
    """The dataset with all its blocks, also those to come; else only the blocks listed."""
    first: Amounts
    """Where the listed blocks begin; one entry more than proposals."""
    block: Codes
    exempt: Flags
    """Does not count against the volume of the cycle, as the last copies at a dying site."""
    ranked: bool = True
    """What does not fit into the cycle's volume is not overtaken by what comes after it."""
    divisible: bool = False
    """What is too large for one cycle may go in several; it is proposed again until done."""
    once: bool = False
    """One copy anywhere is enough, however often it is proposed in a cycle."""
    verdicts: tuple[RequestVerdict, ...] = ()
    """What was decided about the requests that these proposals come from."""

    def __len__(self) -> int:
        return len(self.dataset)

    @classmethod
    def of_datasets(cls, dataset: Codes | Places, site: Codes | None = None) -> "Proposals":
        """Propose whole datasets."""
        size = len(dataset)
        return cls(
            dataset=dataset.astype(np.int32),
            site=np.full(size, ANYWHERE, np.int32) if site is None else site.astype(np.int32),
            group=np.full(size, DEFAULT_GROUP, np.int32),
            whole=np.ones(size, np.bool_),
            first=np.zeros(size + 1, np.int64),
            block=np.zeros(0, np.int32),
            exempt=np.zeros(size, np.bool_),
        )

    def blocks_of(self, place: int) -> Codes:
        """Return the blocks that one proposal lists."""
        return self.block[int(self.first[place]) : int(self.first[place + 1])]

    def take(self, order: Places) -> "Proposals":
        """Return some of them, in another order."""
        pieces, which = spread(self.first[order], self.first[order + 1])
        return replace(
            self,
            dataset=self.dataset[order],
            site=self.site[order],
            group=self.group[order],
            whole=self.whole[order],
            first=_offsets(np.bincount(which, minlength=len(order))),
            block=self.block[pieces],
            exempt=self.exempt[order],
        )


def joined(lists: Sequence[Proposals]) -> Proposals:
    """Put lists of proposals one behind the other."""
    if not lists:
        return Proposals.of_datasets(np.zeros(0, np.int32))
    counts = np.concatenate([np.diff(one.first) for one in lists])
    return Proposals(
        dataset=np.concatenate([one.dataset for one in lists]),
        site=np.concatenate([one.site for one in lists]),
        group=np.concatenate([one.group for one in lists]),
        whole=np.concatenate([one.whole for one in lists]),
        first=_offsets(counts),
        block=np.concatenate([one.block for one in lists]),
        exempt=np.concatenate([one.exempt for one in lists]),
    )


def _offsets(counts: Places) -> Amounts:
    first = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=first[1:])
    return first


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to propose: a dataset, or some of its blocks."""

    dataset: int
    blocks: tuple[int, ...] | None = None
    site: int = ANYWHERE
    group: int = DEFAULT_GROUP
    exempt: bool = False


@dataclass(slots=True)
class ProposalBuilder:
    """Proposals that come one by one."""

    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Take one more; no blocks at all is nothing to propose."""
        if item.blocks is None or item.blocks:
            self.items.append(item)

    def proposals(self) -> Proposals:
        """Return them as columns; what else is known of them is added by `replace`."""
        listed = [item.blocks or () for item in self.items]
        return Proposals(
            dataset=_codes(item.dataset for item in self.items),
            site=_codes(item.site for item in self.items),
            group=_codes(item.group for item in self.items),
            whole=np.array([item.blocks is None for item in self.items], np.bool_),
            first=_offsets(np.array([len(blocks) for blocks in listed], np.intp)),
            block=_codes(block for blocks in listed for block in blocks),
            exempt=np.array([item.exempt for item in self.items], np.bool_),
        )


def _codes(values: Iterable[int]) -> Codes:
    return np.fromiter(values, np.int32)
