"""Selects the site that deletes next, and its dismissed replicas in order."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.detox.state import NOTHING, CycleState
from dynamo.detox.unlinking import Unlinker, may_hand_over
from dynamo.inventory.snapshot import Amounts, Codes, Column, Flags
from dynamo.policy.comparisons import Texts
from dynamo.policy.conditions import Holds, any_on_sites, values
from dynamo.policy.image import Places, Standing, View
from dynamo.policy.syntax import SortKey
from dynamo.policy.variables import Level

_FIRST_CHUNK = 32
_SLOTS = 8
"""Dismissals of one replica by several lines are ordered by line number modulo this, as in the
first Dynamo, whose tables had eight slots. The order matters when blocks change owner."""
_LAST = np.iinfo(np.int32).max


@dataclass(slots=True, eq=False)
class Selector:
    """Deletes dismissed replicas, one site after the other."""

    cycle: CycleState
    unlinker: Unlinker
    until: tuple[Holds, ...]
    order: tuple[SortKey, ...]
    per_round: float
    """Fraction of the quota after which a round ends at a site."""

    def turns(self, *, one_site: bool) -> dict[int, Places]:
        """Return the dismissed replicas of the sites whose turn it is, by order, then name."""
        cycle = self.cycle
        sites = np.flatnonzero(cycle.triggered & (cycle.candidates > 0))
        if not len(sites):
            return {}
        if one_site:
            sites = sites[[self._most_protected(sites)]]
        at_sites = np.concatenate([cycle.by_site[site] for site in sites.tolist()])
        replicas = np.sort(at_sites[cycle.has_dismissed[at_sites]])
        view = View.of(self.cycle.image, replicas)
        keys = [_sorted_by(key, view) for key in reversed(self.order)]
        ordered = replicas[np.lexsort((replicas, *keys))]
        site = self.cycle.image.site[ordered]
        return {number: ordered[site == number] for number in dict.fromkeys(site.tolist())}

    def _most_protected(self, sites: Places) -> int:
        """Return the index of the site with the largest protected fraction."""
        quota = self.cycle.quota[sites]
        limited = np.isfinite(quota) & (quota > 0)
        share = np.ones(len(sites))
        share[limited] = self.cycle.protected_bytes[sites[limited]] / quota[limited]
        return int(np.argmax(share))

    def work_off(self, site: int, candidates: Places, *, one_round: bool) -> None:
        """Delete candidates in order until the site is relieved or the round is over."""
        volume = 0
        for chunk in _chunks(candidates):
            done, amount = self._chunk(site, chunk, volume if one_round else None)
            volume += amount
            if done < len(chunk) or not self.cycle.triggered[site]:
                return

    def _chunk(self, site: int, replicas: Places, volume: int | None) -> tuple[int, int]:
        """Delete some candidates; return their number and the bytes deleted."""
        view = View.of(self.cycle.image, replicas)
        hard = np.flatnonzero(self._hard(view))
        done = amount = begin = 0
        for end in [*hard.tolist(), len(replicas)]:
            done, deleted = self._easy(
                site, view, (begin, end), None if volume is None else volume + amount
            )
            amount += deleted
            if done < end or not self.cycle.triggered[site] or end == len(replicas):
                return done, amount
            if volume is not None and self._enough(site, np.array([volume + amount]))[0]:
                return end, amount
            amount += self._one(site, int(replicas[end]))
            begin = done = end + 1
            if not self.cycle.triggered[site]:
                return done, amount
        return done, amount

    def _enough(self, site: int, volumes: Amounts) -> Flags:
        """Return flags of the volumes at which a round is over."""
        quota = self.cycle.quota[site]
        if not np.isfinite(quota) or quota <= 0:
            return np.zeros(len(volumes), np.bool_)
        return np.asarray(volumes / quota > self.per_round)

    def _hard(self, view: View) -> Flags:
        """Return flags of replicas that may hand blocks over.

        They have a dataset-level owner, and one line did not dismiss all their blocks.
        """
        line = self.cycle.dismissed[view.rows]
        going = line != NOTHING
        least = np.full(len(view.replicas), np.iinfo(np.int32).max)
        most = np.full(len(view.replicas), NOTHING)
        np.minimum.at(least, view.place[going], line[going])
        np.maximum.at(most, view.place[going], line[going])
        partly = view.count(going) < view.remaining
        return np.asarray((partly | (least != most)) & may_hand_over(view))

    def _easy(
        self, site: int, view: View, span: tuple[int, int], volume: int | None
    ) -> tuple[int, int]:
        """Delete candidates of a span that hand nothing over, as far as limits allow."""
        begin, end = span
        cycle = self.cycle
        going = cycle.dismissed[view.rows] != NOTHING
        inside = going & (view.place >= begin) & (view.place < end)
        sizes = np.zeros(end - begin, np.int64)
        np.add.at(sizes, view.place[inside] - begin, cycle.image.size[view.rows[inside]])
        total = np.cumsum(sizes)
        count = end - begin
        if volume is not None:
            over = np.flatnonzero(self._enough(site, volume + total - sizes))
            count = int(over[0]) if len(over) else count
        relieved = np.flatnonzero(self._relieved(site, cycle.used[site] - total[:count]))
        if len(relieved):
            count = int(relieved[0]) + 1
            cycle.triggered[site] = False
        if count:
            self._delete(view, inside & (view.place < begin + count))
        return begin + count, int(total[count - 1]) if count else 0

    def _relieved(self, site: int, used: Amounts) -> Flags:
        """Return flags of the fillings at which an `Until` line stops the site."""
        places = np.full(len(used), site, np.int32)
        quota = self.cycle.quota[places]
        return any_on_sites(
            self.until, Standing(self.cycle.image.snapshot.sites, places, quota, used)
        )

    def _delete(self, view: View, going: Flags) -> None:
        cycle = self.cycle
        places = np.flatnonzero(going)
        line = cycle.dismissed[view.rows[places]]
        places = places[np.lexsort((*_turn(line), view.place[places]))]
        rows = view.rows[places]
        line = cycle.dismissed[rows]
        begins = np.diff(view.place[places], prepend=-1) != 0
        begins |= np.diff(line, prepend=NOTHING) != 0
        cycle.delete(rows, line, begins)
        self._tidy(view.replicas[np.unique(view.place[places])])

    def _tidy(self, replicas: Places) -> None:
        """Hide replicas without rows; forget the dismissals of the others."""
        cycle = self.cycle
        empty = replicas[cycle.image.counts.rows[replicas] == 0]
        cycle.vanish(empty)
        nonempty = replicas[cycle.image.counts.rows[replicas] > 0]
        rows = View.of(cycle.image, nonempty).rows
        cycle.reconsider(nonempty, rows)

    def _one(self, site: int, replica: int) -> int:
        """Delete or hand over the dismissed rows of one candidate; return the bytes deleted."""
        cycle = self.cycle
        rows = cycle.image.rows_of(replica)
        lines = cycle.dismissed[rows]
        before = len(cycle.gone.rows)
        numbers = np.unique(lines[lines != NOTHING])
        for number in numbers[np.lexsort(_turn(numbers))].tolist():
            self.unlinker.unlink(replica, rows[lines == number], number)
        self._tidy(np.array([replica]))
        if self._relieved(site, cycle.used[[site]])[0]:
            cycle.triggered[site] = False
        return sum(int(cycle.image.size[piece].sum()) for piece in cycle.gone.rows[before:])


def _turn(lines: Codes) -> tuple[Codes, Codes]:
    """Return sort keys for the order of dismissals by lines, the most important key last."""
    return np.where(lines == 0, _LAST, lines).astype(np.int32), lines % _SLOTS


def _sorted_by(key: SortKey, view: View) -> Column:
    if key.variable.fixed is None:
        column = values(key.variable, view)
    else:
        natural: dict[Level, NDArray[np.integer]] = {
            Level.DATASET: view.dataset,
            Level.SITE: view.site,
            Level.REPLICA: view.replicas,
        }
        column = key.variable.fixed(view.image)
        assert not isinstance(column, Texts)  # noqa: S101 - the checker refuses to sort by texts
        column = column[natural[key.variable.level]]
    assert not isinstance(column, Texts)  # noqa: S101 - the checker refuses to sort by texts
    signed = column.astype(np.int64) if column.dtype.kind in "iu" else column.astype(np.float64)
    return -signed if key.decreasing else signed


def _chunks(replicas: Places) -> Iterator[Places]:
    """Split a list into growing chunks, as mostly the first few items suffice."""
    begin, size = 0, _FIRST_CHUNK
    while begin < len(replicas):
        yield replicas[begin : begin + size]
        begin, size = begin + size, size * 4
