"""Why a request is not met yet: what the Dealer decided about it, in words for its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamo.dealer.closed_reason import ClosedReason
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.plan import Plan, ProposalOutcome
from dynamo.dealer.refusals import Refusal, RefusalKind
from dynamo.dealer.requests import RequestVerdict
from dynamo.reasons import Reason
from dynamo.services.copies.request import CopyRequest, Target
from dynamo.services.copies.status import Explanation
from dynamo.services.dealer.question import Inventory, Requested
from dynamo.services.replication.scheduler import Sent

_FULL = (Reason.STORAGE_FULL, "no room for more at {site}")
_BUSY = (Reason.WAITING, "much is on its way to {site}; the rest follows when it is there")
_NOT_ALLOWED = (Reason.PERMISSION_DENIED, "the dataset must not come to {site}")
_OF_OUTCOME: Mapping[ProposalOutcome, tuple[Reason, str]] = {
    ProposalOutcome.NO_SOURCE: (Reason.NO_SOURCE, "nothing of it is at any site"),
    ProposalOutcome.NOT_VALID: (Reason.INVALID, "the dataset is neither valid nor in production"),
    ProposalOutcome.FILES_MISSING: (Reason.NO_SOURCE, "some files are complete at no site"),
    ProposalOutcome.NOT_ALLOWED: _NOT_ALLOWED,
    ProposalOutcome.FULL: _FULL,
    ProposalOutcome.BUSY: _BUSY,
    ProposalOutcome.VOLUME: (
        Reason.WAITING,
        "the volume of one cycle is used up; the rest follows",
    ),
    ProposalOutcome.NO_DESTINATION: (Reason.STORAGE_FULL, "no site has room for it"),
    ProposalOutcome.IN_PART: (Reason.WAITING, "copied to {site} in parts; the rest follows"),
}


_OF_SENDING: Mapping[Reason, tuple[Reason, str]] = {
    Reason.STORAGE_FULL: _FULL,
    Reason.NO_SOURCE: (Reason.NO_SOURCE, "some of it can be read nowhere now"),
    Reason.BEING_DELETED: (
        Reason.BEING_DELETED,
        "some of it is being deleted at {site}: it follows then",
    ),
    Reason.SWITCHED_OFF: (Reason.SWITCHED_OFF, "an operator has stopped all copying"),
    Reason.WAITING: (Reason.WAITING, "another request keeps it at {site} for the group it names"),
}
_OF_REFUSAL: Mapping[RefusalKind, Reason] = {
    RefusalKind.UNKNOWN_ITEMS: Reason.NOT_FOUND,
    RefusalKind.UNKNOWN_GROUP: Reason.NOT_FOUND,
    RefusalKind.DATASET_TOO_LARGE: Reason.TOO_LARGE,
    RefusalKind.BLOCKS_TOO_LARGE: Reason.TOO_LARGE,
}
"""Refusals of requests whatever their sites are; for all others the sites say why."""
_OF_SHUT: Mapping[ClosedReason, tuple[Reason, str]] = {
    ClosedReason.BUSY: _BUSY,
    ClosedReason.FULL: _FULL,
    ClosedReason.NOT_READY: (Reason.SITE_NOT_READY, "{site} takes nothing now"),
    ClosedReason.LEAVING: (Reason.SITE_NOT_READY, "the settings want {site} emptied"),
    ClosedReason.NO_QUOTA: (Reason.NO_QUOTA, "there is no quota for it at {site}"),
    ClosedReason.NOT_NAMED: (Reason.PERMISSION_DENIED, "the settings keep copies away from {site}"),
}


def explain(
    plan: Plan,
    inventory: Inventory,
    requested: Requested,
    now: Mapping[int, CopyRequest | None],
    sent: Sent | None,
) -> dict[int, Explanation]:
    """Return by request why it is not met; for those that go on, nothing.

    `now` is what requests want since sites were chosen for them. What was sent is None where an
    operator has stopped all copying.
    """
    if sent is None:
        halted = Explanation(*_OF_SENDING[Reason.SWITCHED_OFF])
        return {request.id: halted for request, _ in requested.of.values()}
    ordered = _Explainer(
        plan, inventory, InventoryView(plan.asked), _refused(plan), _unsent(plan, sent)
    )
    verdicts = {verdict.key: verdict for verdict in plan.verdicts}
    found: dict[int, list[Explanation]] = {}
    for key, (request, sites) in requested.of.items():
        after = now.get(request.id) or request
        if sites == request.others and not request.lacking and after.sites == request.sites:
            continue  # what its sites refuse is told by the files that they do not take
        open_to = after.others if sites == request.others and after.others else sites
        explanation = ordered.explanation(verdicts.get(key), request, sites, open_to)
        if explanation is not None:
            found.setdefault(request.id, []).append(explanation)
    return {request_id: _together(some) for request_id, some in found.items()}


def _together(some: Sequence[Explanation]) -> Explanation:
    """Say all that holds a request up at its sites, or what it waits for where nothing does."""
    holding = [one for one in some if one.holds] or some[:1]
    details = dict.fromkeys(one.detail for one in holding)
    return Explanation(holding[0].reason, "; ".join(details)[:1000])


def _refused(plan: Plan) -> dict[tuple[int, int], ProposalOutcome]:
    """Return why proposals of datasets at sites were not carried out in full."""
    outcomes, found = plan.outcomes, dict[tuple[int, int], ProposalOutcome]()
    columns = (outcomes.proposer.tolist(), outcomes.place.tolist(), outcomes.site.tolist())
    for proposer, place, site, reason in zip(*columns, outcomes.reason.tolist(), strict=True):
        if ProposalOutcome(reason) in _OF_OUTCOME or reason == ProposalOutcome.NOT_A_TARGET:
            dataset = int(plan.proposals[plan.proposers[proposer]].dataset[place])
            found[dataset, site] = ProposalOutcome(reason)
    return found


def _unsent(plan: Plan, sent: Sent) -> dict[tuple[int, int], Reason]:
    """Return why copies of datasets to sites were not sent in full, although the plan had them."""
    datasets, sites = plan.copies.dataset, plan.copies.site
    return {(int(datasets[at]), int(sites[at])): why for at, why in sent.refused.items()}


@dataclass(frozen=True, slots=True)
class _Explainer:
    """All that was decided about datasets at sites, by their places."""

    plan: Plan
    inventory: Inventory
    view: InventoryView
    refused: Mapping[tuple[int, int], ProposalOutcome]
    unsent: Mapping[tuple[int, int], Reason]

    def explanation(
        self,
        verdict: RequestVerdict | None,
        request: CopyRequest,
        sites: Sequence[Target],
        open_to: Sequence[Target],
    ) -> Explanation | None:
        """Say why sites do not get what is wanted; `open_to` are those that were not chosen."""
        dataset = self.inventory.dataset(request.dataset.id)
        if not self.plan.targets.any():  # then nobody was asked
            return self._closed(dataset, sites)
        if verdict is not None and verdict.refusal is not None:
            return self._rejection(verdict.refusal, dataset, open_to)
        for site in sites:
            here = (dataset, self.inventory.site(site.id))
            outcome, unsent = self.refused.get(here), self.unsent.get(here)
            if outcome is ProposalOutcome.NOT_A_TARGET:
                return self._closed(dataset, [site])
            if outcome is not None:
                return _explanation(_OF_OUTCOME[outcome], site.name)
            if unsent is not None and unsent in _OF_SENDING:
                return _explanation(_OF_SENDING[unsent], site.name)
        return None

    def _rejection(self, refusal: Refusal, dataset: int, sites: Sequence[Target]) -> Explanation:
        reason = _OF_REFUSAL.get(refusal.kind)
        if reason is None:
            return self._closed(dataset, sites)
        return Explanation(reason, refusal.text)

    def _closed(self, dataset: int, sites: Sequence[Target]) -> Explanation:
        """Say why sites take nothing; the reason is the one that may pass soonest."""
        against: dict[tuple[Reason, str], list[str]] = {}
        for site in sites:
            against.setdefault(self._against(dataset, site), []).append(site.name)
        known = [words for words in (*_OF_SHUT.values(), _NOT_ALLOWED) if words in against]
        texts = [_explanation(words, ", ".join(against[words])).detail for words in known]
        return Explanation(known[0][0], "; ".join(texts)[:1000])

    def _against(self, dataset: int, site: Target) -> tuple[Reason, str]:
        place, vetoed = self.inventory.site(site.id), self.view.closed_to(dataset)
        if vetoed is not None and vetoed[place]:
            return _NOT_ALLOWED
        # what takes copies and was not chosen is too small for this one
        return _OF_SHUT.get(ClosedReason(int(self.view.shut[place])), _FULL)


def _explanation(words: tuple[Reason, str], site: str) -> Explanation:
    reason, text = words
    return Explanation(reason, text.format(site=site))
