"""Judges copy requests: refused, there already, under way, or to be copied to which site."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dynamo.dealer.block_distribution import lacking, share_out, shares
from dynamo.dealer.inventory_view import MIXED, InventoryView
from dynamo.dealer.lookup import Lookup
from dynamo.dealer.proposals import Item, ProposalBuilder, Proposals
from dynamo.dealer.refusals import Refusal, RefusalKind, Refused
from dynamo.dealer.request_parts import Part, Parts
from dynamo.dealer.requests import Action, ActionState, Request, RequestState, RequestVerdict
from dynamo.dealer.site_draw import draw_site
from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Flags
from dynamo.policy.patterns import match_ordered

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What is asked of requests."""

    max_size: float
    block_request_max: float
    overwritten_groups: tuple[str, ...]


@dataclass(slots=True)
class _Decided:
    """What comes of one request: parts and sites."""

    group: int
    in_part: bool
    """What has no room takes nothing from the rest."""
    open: list[tuple[Part, int]] = field(default_factory=list)
    """To be copied."""
    shared: list[tuple[Part, int]] = field(default_factory=list)
    """To be copied for another request too, which was first."""
    waiting: list[tuple[Part, int]] = field(default_factory=list)
    """On its way already."""
    short: Refusal | None = None
    """What of it has no room at any of the sites."""

    def __bool__(self) -> bool:
        return bool(self.open or self.shared or self.waiting)


@dataclass(slots=True)
class _OpenRequest:
    """What is to be copied of one dataset to one site, for all requests."""

    group: int
    turn: tuple[int, int]
    blocks: set[int] = field(default_factory=set)
    whole: bool = False


class RequestEvaluator:
    """Goes through requests; later ones see what earlier ones have proposed."""

    def __init__(self, view: InventoryView, rules: RequestRules, rng: np.random.Generator) -> None:
        """Start with nothing proposed."""
        self._view, self._rules, self._rng = view, rules, rng
        self._catalogue = Lookup(view)
        self._parts = Parts(view, self._catalogue)
        self._open: dict[tuple[int, int], _OpenRequest] = {}
        """By dataset and site."""
        self._opened: dict[int, set[int]] = {}
        """The sites of them, by dataset."""
        self._requests = 0
        self._turn = 0

    def judge(self, request: Request) -> RequestVerdict:
        """Judge one request."""
        self._requests, self._turn = self._requests + 1, 0
        if request.activated:
            return RequestVerdict(request.key, RequestState.ACTIVATED, None, self._go_on(request))
        try:
            decided = self._decide(request)
        except Refused as refused:
            return RequestVerdict(request.key, RequestState.REJECTED, refused.refusal)
        if not decided:
            state = RequestState.REJECTED if decided.short else RequestState.COMPLETED
            return RequestVerdict(request.key, state, decided.short)
        for part, site in [*decided.open, *decided.shared]:
            self._propose(part, site, decided.group)
        return RequestVerdict(
            request.key, RequestState.ACTIVATED, decided.short, self._actions(decided)
        )

    def proposals(self) -> Proposals:
        """Return all that is to be copied: a first item of each request, then a second, and so on.

        So a request for very much does not hold up those behind it.
        """
        found = ProposalBuilder()
        for (dataset, site), one in sorted(self._open.items(), key=lambda entry: entry[1].turn):
            whole = one.whole or len(one.blocks) == int(self._view.n_blocks[dataset])
            blocks = None if whole else tuple(sorted(one.blocks))
            found.add(Item(dataset, blocks, site, one.group))
        return found.proposals()

    def _go_on(self, request: Request) -> tuple[Action, ...]:
        """Look again at the actions that are not under way yet."""
        group = self._view.snapshot.groups.labels.find(request.group) if request.group else -1
        group = group if group >= 0 else self._view.group
        return tuple(
            self._again(action, group) if action.state is ActionState.NEW else action
            for action in request.actions
        )

    def _again(self, action: Action, group: int) -> Action:
        site = self._view.snapshot.sites.labels.find(action.site)
        found = self._catalogue.find(action.item)
        if site < 0 or found is None:
            return Action(action.item, action.site, ActionState.FAILED)
        if found.block is None:
            part = self._parts.whole(found.dataset)
        else:
            part = Part(found.dataset, (found.block,), whole=False)
        there = self._parts.at(part, site)
        if there.all_there and there.owner == group:
            state = ActionState.COMPLETED if there.complete else ActionState.QUEUED
            return Action(action.item, action.site, state)
        self._propose(part, site, group)
        return action

    def _decide(self, request: Request) -> _Decided:
        decided = _Decided(self._group(request), request.in_part)
        parts = self._parts.of(request.items)
        meant = self._meant(request.sites)
        sites = self._targets(meant)
        for part in parts:
            self._parts.check_size(part, self._rules.max_size)
        for part in parts:
            whole = self._parts.enlarged(part, self._rules.block_request_max)
            if request.spread:
                self._spread(part, meant, max(request.copies, 1), decided)
            elif request.copies == 0:
                self._at_each(whole, sites, decided)
            else:
                self._some(whole, sites, request.copies, decided)
        return decided

    def _group(self, request: Request) -> int:
        if request.group is None:
            return self._view.group
        place = self._view.snapshot.groups.labels.find(request.group)
        if place < 0:
            raise Refused(Refusal(RefusalKind.UNKNOWN_GROUP, request.group))
        return place

    def _meant(self, named: Sequence[str]) -> list[int]:
        """Return the sites that are meant, in the order in which they are named."""
        labels = self._view.snapshot.sites.labels
        return list(dict.fromkeys(place for text in named for place in _meant(text, labels)))

    def _targets(self, meant: Sequence[int]) -> list[int]:
        targets = [place for place in meant if self._view.targets[place]]
        if not targets:
            raise Refused(Refusal(RefusalKind.NO_TARGET))
        return targets

    def _at_each(self, part: Part, sites: list[int], decided: _Decided) -> None:
        """Want one copy at each site; what cannot be met at one of them is refused as a whole."""
        for site in sites:
            there = self._parts.at(part, site)
            if there.all_there and there.owner == decided.group:
                if not there.complete:
                    decided.waiting.append((part, site))
            elif self._parts.possible(part, site):
                decided.open.append((part, site))
            else:
                place = self._view.snapshot.sites.labels[site]
                name = self._parts.name(part)
                raise Refused(Refusal(RefusalKind.NOT_POSSIBLE, name, place))

    def _some(self, part: Part, sites: list[int], copies: int, decided: _Decided) -> None:
        """Want so many copies in all: those that exist count, others go where space is."""
        missing, free = copies, np.zeros(self._view.n_sites, np.bool_)
        free[sites] = True
        some = self._parts.sites_of(part.dataset) | self._opened.get(part.dataset, set())
        occupied = [site for site in sites if site in some]
        for serves in (self._counts, self._taken_over):
            for site in occupied:
                if missing and free[site] and serves(part, site, decided):
                    missing -= 1
                    free[site] = False
        for site in occupied:
            free[site] &= not self._parts.at(part, site).all_there
        self._draw(part, free, missing, decided)

    def _draw(self, part: Part, free: Flags, missing: int, decided: _Decided) -> None:
        closed = self._view.closed_to(part.dataset)
        if closed is not None:
            free &= ~closed
        for number in range(missing):
            site = draw_site(self._view, self._parts.size(part), free, self._rng)
            if site < 0:
                name = self._parts.name(part)
                decided.short = Refusal(RefusalKind.NO_DESTINATION, name, number=number)
                if not decided.in_part:
                    raise Refused(decided.short)
                return
            free[site] = False
            decided.open.append((part, site))

    def _counts(self, part: Part, site: int, decided: _Decided) -> bool:
        """Tell whether a site has or gets a copy."""
        open_there = self._open.get((part.dataset, site))
        if open_there is not None and open_there.blocks.issuperset(part.blocks):
            decided.shared.append((part, site))
            return True
        there = self._parts.at(part, site)
        if not there.all_there or there.owner != decided.group:
            return False
        if not there.complete:
            decided.waiting.append((part, site))
        return True

    def _taken_over(self, part: Part, site: int, decided: _Decided) -> bool:
        """Tell whether a site has a copy that may change hands."""
        there = self._parts.at(part, site)
        if not there.all_there or there.owner == MIXED:
            return False
        owner = self._view.snapshot.groups.labels[there.owner]
        if owner not in self._rules.overwritten_groups:
            return False
        decided.open.append((part, site))
        return True

    def _spread(self, part: Part, sites: list[int], copies: int, decided: _Decided) -> None:
        """Share the blocks out over the sites; what lies at one that takes no more counts."""
        among = np.zeros(self._view.n_sites, np.bool_)
        among[sites] = True
        among &= self._view.staying
        wanted = set(part.blocks)
        sizes = {
            block: size
            for block, size in self._catalogue.sizes(part.dataset).items()
            if block in wanted
        }
        there = {
            block: places
            for block, places in self._catalogue.places(part.dataset, among).items()
            if block in wanted
        }
        for block, places in there.items():
            one = Part(part.dataset, (block,), whole=False)
            coming = [site for site in places if not self._parts.at(one, site).complete]
            decided.waiting.extend((one, site) for site in coming)
        each = min(copies, int(among.sum()))
        room = self._view.filling.space(self._view.asked.limits)
        parts = shares(self._view, among & self._view.takers(part.dataset))
        given = share_out(parts, sizes, there, each, room)
        n_short = sum(lacking(sizes, there, given, each).values())
        if n_short:
            decided.short = Refusal(
                RefusalKind.NO_DESTINATION_FOR_BLOCKS, self._parts.name(part), number=n_short
            )
        for site, blocks in sorted(given.items()):
            decided.open.append((Part(part.dataset, tuple(sorted(blocks)), whole=False), site))

    def _propose(self, part: Part, site: int, group: int) -> None:
        key = (part.dataset, site)
        if key not in self._open:
            self._open[key] = _OpenRequest(group, (self._turn, self._requests))
            self._opened.setdefault(part.dataset, set()).add(site)
            self._turn += 1
        self._open[key].blocks.update(part.blocks)
        self._open[key].whole |= part.whole

    def _actions(self, decided: _Decided) -> tuple[Action, ...]:
        new, queued = ActionState.NEW, ActionState.QUEUED
        return (
            *(one for pair in decided.open for one in self._parts.actions(*pair, new)),
            *(
                one
                for pair in decided.shared
                for one in self._parts.actions(*pair, new, shared=True)
            ),
            *(one for pair in decided.waiting for one in self._parts.actions(*pair, queued)),
        )


def _meant(text: str, labels: Labels) -> list[int]:
    if not _WILD & set(text):
        place = labels.find(text)
        return [place] if place >= 0 else []
    return [int(place) for place in np.flatnonzero(match_ordered((text,), labels)).tolist()]
