"""The image a cycle works on: block replicas of its partition at its sites, and their changes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.snapshot import (
    DISK,
    NOBODY,
    READY,
    TAPE,
    Amounts,
    Codes,
    Flags,
    Numbers,
    Sites,
    Snapshot,
)

Places = NDArray[np.intp]
Bits = NDArray[np.uint64]
S = TypeVar("S", bound=np.generic)
T = TypeVar("T")


@dataclass(eq=False)
class Image:
    """Columns of the replicas that a cycle sees; the plan's changes happen here only.

    Rows are block replicas, by dataset, site and block; the dataset replica `r` has the rows
    `first[r]:first[r + 1]`. It counts while `visible[r]` is set, even without rows.
    """

    snapshot: Snapshot
    sites: Flags
    """Flags of the sites that the image shows."""
    origin: Codes
    """The number of the dataset replica in the snapshot."""
    dataset: Codes
    site: Codes
    first: Amounts
    visible: Flags
    source: Codes
    """The number of the block replica in the snapshot; -1 for an empty tape replica."""
    replica: Codes
    block: Codes
    group: Codes
    size: Amounts
    updated: Amounts
    complete: Flags
    alive: Flags
    locked: Flags
    enforced: Flags
    """Flags of dataset replicas that placement rules protect."""

    @cached_property
    def counts(self) -> "Counts":
        """Return the numbers of copies."""
        return Counts(self)

    @cached_property
    def owners(self) -> "Owners":
        """Return the owners of each dataset replica."""
        return Owners(self)

    @cached_property
    def newest(self) -> int:
        """Return the newest update of any row, deleted or not, in seconds since 1970."""
        return int(self.updated.max(initial=0))

    @cached_property
    def replicas_from(self) -> Amounts:
        """Return offsets of the replicas of each dataset; one entry more than datasets."""
        datasets = np.arange(len(self.snapshot.datasets.ids) + 1, dtype=np.int32)
        return np.searchsorted(self.dataset, datasets).astype(np.int64)

    def replicas_of(self, datasets: NDArray[np.integer]) -> tuple[Places, Places]:
        """Return the replicas of the given datasets, and the index of each one's dataset."""
        return spread(self.replicas_from[datasets], self.replicas_from[datasets + 1])

    @classmethod
    def whole(cls, snapshot: Snapshot) -> "Image":
        """Return an image of the whole snapshot."""
        rows = np.arange(len(snapshot.block_replicas.ids))
        sites = np.ones(len(snapshot.sites.labels), np.bool_)
        return cls._of(snapshot, sites, np.arange(len(snapshot.replicas.dataset)), rows)

    @classmethod
    def cut(cls, snapshot: Snapshot, within: Flags, sites: Flags) -> "Image":
        """Return an image of the given block replicas at the given sites.

        A dataset replica on tape without block replicas gets an empty one for every block, so that
        it counts as partly on tape, not as missing.
        """
        parts, at = snapshot.block_replicas, snapshot.replicas.site
        rows = np.flatnonzero(within & sites[at][parts.replica])
        on_tape = sites & (snapshot.sites.kind == TAPE)
        empty = np.flatnonzero((snapshot.rows_by_replica == 0) & on_tape[at])
        seen = np.zeros(len(at), np.bool_)
        seen[parts.replica[rows]] = True
        seen[empty] = True
        image = cls._of(snapshot, sites, np.flatnonzero(seen), rows)
        return image.with_ghosts(empty) if len(empty) else image

    @classmethod
    def _of(cls, snapshot: Snapshot, sites: Flags, origin: Places, rows: Places) -> "Image":
        parts = snapshot.block_replicas
        number = np.zeros(len(snapshot.replicas.dataset), np.int32)
        number[origin] = np.arange(len(origin), dtype=np.int32)
        replica = number[parts.replica[rows]]
        return cls(
            snapshot=snapshot,
            sites=sites,
            origin=origin.astype(np.int32),
            dataset=snapshot.replicas.dataset[origin],
            site=snapshot.replicas.site[origin],
            first=_offsets(replica, len(origin)),
            visible=np.ones(len(origin), np.bool_),
            source=rows.astype(np.int32),
            replica=replica,
            block=parts.block[rows],
            group=parts.group[rows],
            size=parts.size[rows],
            updated=parts.updated[rows],
            complete=parts.complete[rows],
            alive=np.ones(len(rows), np.bool_),
            locked=np.zeros(len(rows), np.bool_),
            enforced=np.zeros(len(origin), np.bool_),
        )

    def with_ghosts(self, empty: Places) -> "Image":
        """Return the image with an empty block replica for each block of the given replicas."""
        blocks = self.snapshot.blocks
        dataset = self.snapshot.replicas.dataset[empty]
        low = np.searchsorted(blocks.dataset, dataset, side="left")
        block, which = spread(low, np.searchsorted(blocks.dataset, dataset, side="right"))
        replica = np.searchsorted(self.origin, empty)[which]
        before = self.first[replica]
        nothing = np.zeros(len(block), np.int32)

        def joined(column: NDArray[S], ghostly: NDArray[np.generic]) -> NDArray[S]:
            return np.insert(column, before, ghostly.astype(column.dtype))

        whole = joined(self.replica, replica)
        return replace(
            self,
            first=_offsets(whole, self.n_replicas),
            source=joined(self.source, nothing - 1),
            replica=whole,
            block=joined(self.block, block),
            group=joined(self.group, nothing + NOBODY),
            size=joined(self.size, nothing),
            updated=joined(self.updated, nothing),
            complete=joined(
                self.complete, (blocks.size[block] == 0) & (blocks.n_files[block] == 0)
            ),
            alive=np.ones(len(whole), np.bool_),
            locked=np.zeros(len(whole), np.bool_),
        )

    @property
    def n_replicas(self) -> int:
        """Return the number of dataset replicas."""
        return len(self.dataset)

    def rows_of(self, replica: int) -> Places:
        """Return the rows of a dataset replica that are alive."""
        begin, end = int(self.first[replica]), int(self.first[replica + 1])
        return np.flatnonzero(self.alive[begin:end]) + begin

    def used(self) -> Amounts:
        """Return bytes of the rows that are alive, per site."""
        total = np.zeros(len(self.snapshot.sites.labels), np.int64)
        np.add.at(total, self.site[self.replica[self.alive]], self.size[self.alive])
        return total

    def remove(self, rows: Places) -> None:
        """Remove block replicas."""
        self.counts.leave(rows)
        self.alive[rows] = False
        self.owners.forget(self.replica[rows])

    def hand_over(self, rows: Places, group: int) -> None:
        """Give block replicas to another group."""
        self.group[rows] = group
        self.owners.forget(self.replica[rows])

    def hide(self, replicas: Places) -> None:
        """Remove emptied dataset replicas, so that they no longer count as copies."""
        self.counts.vanish(replicas)
        self.visible[replicas] = False


def spread(begins: NDArray[np.integer], ends: NDArray[np.integer]) -> tuple[Places, Places]:
    """Return all positions in the given ranges, and for each the number of its range."""
    sizes = ends - begins
    which = np.repeat(np.arange(len(sizes)), sizes)
    shift = begins - (np.cumsum(sizes) - sizes)
    return np.arange(len(which)) + shift[which], which


def _offsets(replica: NDArray[np.integer], n_replicas: int) -> Amounts:
    first = np.zeros(n_replicas + 1, np.int64)
    np.cumsum(np.bincount(replica, minlength=n_replicas), out=first[1:])
    return first


class Counts:
    """Numbers of copies, kept up to date when rows are removed."""

    __slots__ = (
        "_image",
        "complete",
        "complete_on_disk",
        "complete_on_tape",
        "full",
        "full_on_disk",
        "full_on_tape",
        "incomplete",
        "on_tape",
        "rows",
    )

    def __init__(self, image: Image) -> None:
        """Count all rows."""
        self._image = image
        sites = image.snapshot.sites
        ready_disk = (sites.kind == DISK) & (sites.status == READY)
        tape = sites.kind == TAPE
        n_blocks, n_datasets = len(image.snapshot.blocks.ids), len(image.snapshot.datasets.ids)
        self.rows = np.bincount(image.replica, minlength=image.n_replicas)
        lacking = np.bincount(image.replica[~image.complete], minlength=image.n_replicas)
        expected = image.snapshot.datasets.n_blocks[image.dataset]
        self.full: Flags = (self.rows == expected) & (lacking == 0)
        """Flags of dataset replicas that have all blocks, all complete."""
        self.full_on_disk = np.bincount(
            image.dataset[self.full & ready_disk[image.site]], minlength=n_datasets
        )
        self.full_on_tape = np.bincount(
            image.dataset[self.full & tape[image.site]], minlength=n_datasets
        )
        self.on_tape = np.bincount(image.dataset[tape[image.site]], minlength=n_datasets)
        site = image.site[image.replica]
        self.complete = np.bincount(image.block[image.complete], minlength=n_blocks)
        self.incomplete = np.bincount(image.block[~image.complete], minlength=n_blocks)
        self.complete_on_disk = np.bincount(
            image.block[image.complete & ready_disk[site]], minlength=n_blocks
        )
        self.complete_on_tape = np.bincount(
            image.block[image.complete & tape[site]], minlength=n_blocks
        )

    def leave(self, rows: Places) -> None:
        """Subtract block replicas."""
        image, sites = self._image, self._image.snapshot.sites
        block, complete = image.block[rows], image.complete[rows]
        site = image.site[image.replica[rows]]
        on_disk = complete & (sites.kind[site] == DISK) & (sites.status[site] == READY)
        on_tape = complete & (sites.kind[site] == TAPE)
        np.subtract.at(self.complete, block[complete], 1)
        np.subtract.at(self.incomplete, block[~complete], 1)
        np.subtract.at(self.complete_on_disk, block[on_disk], 1)
        np.subtract.at(self.complete_on_tape, block[on_tape], 1)
        np.subtract.at(self.rows, image.replica[rows], 1)
        self._no_longer_full(np.unique(image.replica[rows]))

    def _no_longer_full(self, replicas: Codes) -> None:
        image, sites = self._image, self._image.snapshot.sites
        were = replicas[self.full[replicas]]
        site, dataset = image.site[were], image.dataset[were]
        on_disk = (sites.kind[site] == DISK) & (sites.status[site] == READY)
        np.subtract.at(self.full_on_disk, dataset[on_disk], 1)
        np.subtract.at(self.full_on_tape, dataset[sites.kind[site] == TAPE], 1)
        self.full[were] = False

    def vanish(self, replicas: Places) -> None:
        """Subtract dataset replicas that have no rows left."""
        image = self._image
        on_tape = image.snapshot.sites.kind[image.site[replicas]] == TAPE
        np.subtract.at(self.on_tape, image.dataset[replicas[on_tape]], 1)


class Owners:
    """The groups that own parts of each dataset replica, as bits."""

    def __init__(self, image: Image) -> None:
        """Assign a bit to each group that occurs."""
        self._image = image
        occurring = np.unique(image.group)
        self._bit = np.zeros(len(image.snapshot.groups.ids), np.int64)
        self._bit[occurring] = np.arange(len(occurring))
        self._words = max(1, -(-len(occurring) // 64))
        self._bits: Bits | None = None

    def forget(self, replicas: Codes) -> None:
        """Compute the owners of these dataset replicas again."""
        if self._bits is not None and len(replicas):
            changed = np.unique(replicas).astype(np.intp)
            self._bits[changed] = self.of(View.of(self._image, changed))

    def of(self, view: "View") -> "Bits":
        """Return the owners of the present rows."""
        bits = np.zeros((len(view.replicas), self._words), np.uint64)
        word, bit = np.divmod(self._bit[self._image.group[view.rows]], 64)
        owner = np.uint64(1) << bit.astype(np.uint64)
        for number in range(self._words):
            bits[:, number] = view.reduced(
                np.bitwise_or, np.where(word == number, owner, np.uint64(0)), np.uint64(0)
            )
        return bits

    def sharing(self, view: "View", counted: Flags) -> Places:
        """Return for each replica how many other counted replicas share an owner."""
        if self._bits is None:
            self._bits = self.of(View.of(self._image))
        others, own_index = self._image.replicas_of(view.dataset)
        near = counted[others] & (others != view.replicas[own_index])
        own_index, others = own_index[near], others[near]
        own_bits = self.of(view) if view.version else self._bits[view.replicas]
        common = (own_bits[own_index] & self._bits[others]).any(axis=1)
        return np.bincount(own_index[common], minlength=len(view.replicas))


@dataclass(frozen=True, slots=True)
class Standing:
    """How full a partition is at sites; a site may occur twice, with different bytes."""

    sites: Sites
    places: Codes
    quota: Numbers
    used: Amounts

    @property
    def occupancy(self) -> Numbers:
        """Return used ÷ quota: 0 if unlimited, the largest number if the quota is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.used / self.quota
        return np.where(self.quota == 0, np.finfo(np.float64).max, share)


@dataclass(slots=True, eq=False)
class View:
    """Dataset replicas of an image, with the rows that no line has taken away so far."""

    image: Image
    replicas: Places
    rows: Places
    place: Places
    """The index in `replicas` of each row."""
    present: Flags
    version: int = 0
    """Incremented whenever rows are taken away."""
    _kept: dict[str, tuple[int, object]] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Image, replicas: Places | None = None) -> "View":
        """Return a view of the given dataset replicas in that order; None = all."""
        if replicas is None:
            rows, place = np.arange(len(image.replica)), image.replica.astype(np.intp)
            return cls(image, np.arange(image.n_replicas), rows, place, image.alive.copy())
        rows, place = spread(image.first[replicas], image.first[replicas + 1])
        return cls(image, replicas, rows, place, image.alive[rows])

    @property
    def dataset(self) -> Codes:
        """Return the dataset of each replica."""
        return self.image.dataset[self.replicas]

    @property
    def site(self) -> Codes:
        """Return the site of each replica."""
        return self.image.site[self.replicas]

    def take_away(self, rows: Flags) -> None:
        """Hide rows from the lines that follow."""
        self.present &= ~rows
        self.version += 1

    def any(self, rows: Flags) -> Flags:
        """Return for each replica whether the flag is set for any present row."""
        flags = np.zeros(len(self.replicas), np.bool_)
        flags[self.place[rows & self.present]] = True
        return flags

    def count(self, rows: Flags) -> Places:
        """Return the number of flagged rows per replica."""
        return np.bincount(self.place[rows], minlength=len(self.replicas))

    def total(self, amounts: Amounts) -> Amounts:
        """Return the exact sum over the present rows of each replica."""
        sums = np.zeros(len(amounts) + 1, np.int64)
        np.cumsum(np.where(self.present, amounts, 0), out=sums[1:])
        return np.diff(sums[self.offsets])

    @property
    def offsets(self) -> Amounts:
        """Return where the rows of each replica begin; one entry more than replicas."""
        first = self.image.first
        sizes = first[self.replicas + 1] - first[self.replicas]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

    def reduced(self, combine: np.ufunc, amounts: NDArray[S], default: S | int) -> NDArray[S]:
        """Combine the amounts of each replica's present rows; the default without rows."""
        results = np.full(len(self.replicas), default, amounts.dtype)
        place = self.place[self.present]
        if len(place):
            begins = np.flatnonzero(np.diff(place, prepend=-1))
            results[place[begins]] = combine.reduceat(amounts[self.present], begins)
        return results

    @property
    def remaining(self) -> Places:
        """Return the number of present rows of each replica."""
        return self.count(self.present)

    @property
    def stripped(self) -> Flags:
        """Return flags of replicas that lost rows to earlier lines: they are no longer full."""
        if not self.version:
            return np.zeros(len(self.replicas), np.bool_)
        return np.asarray(self.remaining != self.image.counts.rows[self.replicas])

    @property
    def full(self) -> Flags:
        """Return flags of replicas that have all blocks, all complete, with none taken away."""
        return np.asarray(self.image.counts.full[self.replicas] & ~self.stripped)

    def column(self, name: str, compute: Callable[["View"], T]) -> T:
        """Return a computed value, cached until rows are taken away."""
        version, column = self._kept.get(name, (-1, None))
        if version != self.version:
            column = compute(self)
            self._kept[name] = (self.version, column)
        return cast("T", column)
