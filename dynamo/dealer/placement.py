"""Goes through proposals in the order of their turns and finds each a place within the limits."""

from dataclasses import dataclass, field

import numpy as np

from dynamo.dealer.cost import Cost, Costs, OrderedProposals
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.occupancy import BOUNDLESS
from dynamo.dealer.plan import ProposalOutcome
from dynamo.dealer.proposals import ANYWHERE
from dynamo.inventory.snapshot import Amounts, Codes, Flags, Words
from dynamo.policy.image import Places


@dataclass(slots=True, eq=False)
class Placements:
    """What became of all proposals; accepted ones are listed in order."""

    reason: Words
    site: Codes
    sent: Amounts
    """Per site."""
    reowned: Amounts
    """Per site."""
    accepted: list[int] = field(default_factory=list)
    portion: dict[int, Codes] = field(default_factory=dict)
    """The blocks of what goes in part, by proposal."""


class Placer:
    """One pass over all proposals."""

    def __init__(
        self, view: InventoryView, ordered: OrderedProposals, rng: np.random.Generator
    ) -> None:
        """Start with all room that the limits leave."""
        self._view, self._ordered, self._rng = view, ordered, rng
        filling, limits = view.filling, view.asked.limits
        self._needs = Costs(view, ordered)
        self._space, self._slack = filling.space(limits), filling.slack(limits)
        self._burst = filling.burst(limits)
        self._projected = filling.projected.astype(np.float64)
        bounded = np.isfinite(filling.quota) & (filling.quota > 0)
        self._per_byte = np.where(bounded, 1.0 / np.where(bounded, filling.quota, 1.0), 0.0)
        self._brim = limits.occupancy >= 1
        self._volume = self._remaining = int(min(limits.volume, BOUNDLESS))
        self._stopped: set[int] = set()
        nothing = np.zeros(view.n_sites, np.int64)
        self._placed = Placements(
            ordered.screened.copy(), ordered.proposals.site.copy(), nothing, nothing.copy()
        )

    def run(self) -> Placements:
        """Place everything, in order."""
        least = self._least().tolist()
        proposers, named = self._ordered.proposer.tolist(), self._ordered.proposals.site.tolist()
        for place in np.flatnonzero(self._ordered.screened == ProposalOutcome.ACCEPTED).tolist():
            if proposers[place] in self._stopped:
                reason = ProposalOutcome.VOLUME
            elif named[place] != ANYWHERE:
                reason = self._at_named(place, named[place])
            elif least[place] > self._remaining and not self._too_large(place, least[place]):
                reason = self._over_volume(place, least[place])
            else:
                reason = self._anywhere(place)
            self._placed.reason[place] = reason
        return self._placed

    def _least(self) -> Amounts:
        """Return the fewest bytes that each proposal could cost, wherever it goes."""
        stock = self._ordered.stock
        largest = np.zeros(len(stock.wanted), np.int64)
        np.maximum.at(largest, stock.proposal, stock.size)
        least = stock.bytes - largest
        least[self._ordered.proposals.exempt] = 0
        return least

    def _too_large(self, place: int, sent: int) -> bool:
        """Tell whether it may be divided because no cycle could ever send it."""
        return self._ordered.divisible[int(self._ordered.proposer[place])] and sent > self._volume

    def _at_named(self, place: int, site: int) -> ProposalOutcome:
        need = self._needs.at(place, site)
        if not need.space:
            return self._accept(place, site, need)
        if self._overfull(site, need):
            return ProposalOutcome.FULL
        if need.slack > int(self._slack[site]):
            divisible = self._ordered.divisible[int(self._ordered.proposer[place])]
            if divisible and need.slack > int(self._burst[site]):
                return self._portion(place, site)
            return ProposalOutcome.BUSY
        return self._within_volume(place, site, need)

    def _overfull(self, site: int, need: Cost) -> bool:
        """Tell whether the site would be too full; without a target, it stays below its quota."""
        space = int(self._space[site])
        return need.sent > 0 and need.sent >= space if self._brim else need.space > space

    def _within_volume(self, place: int, site: int, need: Cost) -> ProposalOutcome:
        if need.sent <= self._remaining or self._ordered.proposals.exempt[place]:
            return self._accept(place, site, need)
        if self._too_large(place, need.sent):
            return self._portion(place, site)
        return self._over_volume(place, need.sent)

    def _over_volume(self, place: int, sent: int) -> ProposalOutcome:
        """Refuse; the rest of a ranked list does not overtake it, unless no cycle could send it."""
        proposer = int(self._ordered.proposer[place])
        if self._ordered.ranked[proposer] and sent <= self._volume:
            self._stopped.add(proposer)
        return ProposalOutcome.VOLUME

    def _anywhere(self, place: int) -> ProposalOutcome:
        if self._ordered.once[int(self._ordered.proposer[place])] and self._needs.sent_anywhere(
            place
        ):
            return ProposalOutcome.EXISTS
        fits = np.minimum(self._space, self._slack) >= self._needs.size(place)
        fits &= self._view.targets
        closed = self._view.closed_to(int(self._ordered.proposals.dataset[place]))
        lacking = self._lacking(place, fits)
        if closed is not None:
            fits &= ~closed
            lacking &= ~closed
        sites = np.flatnonzero(fits)
        if len(sites):
            site = self._pick(place, sites)
            return self._within_volume(place, site, self._needs.at(place, site))
        if not (lacking & self._view.targets).any():
            return ProposalOutcome.EXISTS
        return self._divided(place, lacking)

    def _lacking(self, place: int, fits: Flags) -> Flags:
        """Look closer at the sites that have some of it; return those that do not have all."""
        lacking = np.ones(len(fits), np.bool_)
        for site in self._needs.sites(place):
            if self._needs.covered(place, site):
                lacking[site] = fits[site] = False
            elif self._view.targets[site]:
                need = self._needs.at(place, site)
                fits[site] = need.space <= self._space[site] and need.slack <= self._slack[site]
        return lacking

    def _pick(self, place: int, sites: Places) -> int:
        """Draw a site; how likely depends on how empty it is when the copy has arrived."""
        after = (self._projected[sites] + self._needs.size(place)) * self._per_byte[sites]
        weight = np.cumsum(np.maximum(1.0 - after, 0.0))
        if weight[-1] <= 0:
            return int(self._rng.choice(sites))
        chosen = np.searchsorted(weight, self._rng.random() * weight[-1], side="right")
        return int(sites[min(int(chosen), len(sites) - 1)])

    def _divided(self, place: int, lacking: Flags) -> ProposalOutcome:
        """Send a part of what is too large to be on its way to any site at once."""
        proposer = int(self._ordered.proposer[place])
        if not self._ordered.divisible[proposer]:
            return ProposalOutcome.NO_DESTINATION
        size = self._needs.size(place)
        able = lacking & self._view.targets & (self._space >= size)
        able &= (size > self._burst) & (self._slack > 0)
        sites = np.flatnonzero(able)
        return (
            self._portion(place, self._pick(place, sites))
            if len(sites)
            else ProposalOutcome.NO_DESTINATION
        )

    def _portion(self, place: int, site: int) -> ProposalOutcome:
        """Send as many blocks as the site and the cycle can take."""
        exempt = bool(self._ordered.proposals.exempt[place])
        need = self._needs.at(place, site)
        slack = int(self._slack[site]) - need.arriving
        budget = slack if exempt else min(slack, self._remaining)
        blocks = self._needs.missing(place, site)
        sizes = self._view.snapshot.blocks.size[blocks]
        sent = np.cumsum(sizes) <= budget
        if not sent.any():
            return ProposalOutcome.BUSY if budget == slack else ProposalOutcome.VOLUME
        self._placed.portion[place] = blocks[sent]
        self._book(place, site, Cost(int(sizes[sent].sum())))
        self._needs.send(place, site, blocks[sent])
        return ProposalOutcome.IN_PART

    def _accept(self, place: int, site: int, need: Cost) -> ProposalOutcome:
        self._book(place, site, need)
        self._needs.send(place, site, self._needs.blocks(place))
        return ProposalOutcome.ACCEPTED

    def _book(self, place: int, site: int, need: Cost) -> None:
        self._space[site] -= need.space
        self._slack[site] -= need.slack
        self._projected[site] += need.space
        self._placed.sent[site] += need.sent
        self._placed.reowned[site] += need.reowned
        self._placed.site[place] = site
        self._placed.accepted.append(place)
        if not self._ordered.proposals.exempt[place]:
            self._remaining -= need.sent
