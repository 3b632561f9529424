"""Why a request is not met yet: what the Dealer said about it, in words for its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamo.dealer.plan import Plan, Reason
from dynamo.dealer.wishes import Verdict, WishState
from dynamo.services.asking import Ground, Voiced
from dynamo.services.sending import Sent
from dynamo.services.wishes import Target, Wish

WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why something does not go on, as `problems` and requests show it."""

    reason: str
    detail: str

    @property
    def holds(self) -> bool:
        """Tell whether it waits for a person or a site, not just for its turn."""
        return self.reason != WAITING


_OF_REASON: Mapping[Reason, tuple[str, str]] = {
    Reason.NO_SOURCE: ("no-source", "nothing of it is at any site"),
    Reason.NOT_VALID: ("invalid", "the dataset is neither valid nor in production"),
    Reason.FILES_MISSING: ("no-source", "some files are complete at no site"),
    Reason.NOT_ALLOWED: ("permission-denied", "the dataset must not come to {site}"),
    Reason.FULL: ("storage-full", "no room for more at {site}"),
    Reason.BUSY: (WAITING, "much is on its way to {site}; the rest follows when it is there"),
    Reason.VOLUME: (WAITING, "the volume of one cycle is used up; the rest follows"),
    Reason.NO_DESTINATION: ("storage-full", "no site has room for it"),
    Reason.IN_PART: (WAITING, "copied to {site} in parts; the rest follows"),
}


def excuses(plan: Plan, ground: Ground, said: Voiced, sent: Sent | None) -> dict[int, Excuse]:
    """Return by request why it is not met; for those that go on, nothing.

    What was sent is None where an operator has stopped all copying.
    """
    if sent is None:
        halted = Excuse("switched-off", "an operator has stopped all copying")
        return {wish.request_id: halted for wish, _ in said.of.values()}
    if not plan.targets.any():  # then nobody was asked
        return {wish.request_id: _closed(sites) for wish, sites in said.of.values()}
    refused = _refused(plan)
    verdicts = {verdict.key: verdict for verdict in plan.verdicts}
    found: dict[int, Excuse] = {}
    # where no site takes copies at all, nobody was asked
    asked = bool(plan.targets.any())
    for key, (wish, sites) in said.of.items():
        verdict = verdicts.get(key)
        excuse = _excuse(ground, verdict, wish, sites, refused) if asked else _closed(sites)
        if excuse is None and (full := [site.name for site in sites if site.id in sent.full]):
            excuse = Excuse("storage-full", f"no room for more at {', '.join(full)}")
        before = found.get(wish.request_id)
        if excuse is not None and (before is None or not before.holds):
            found[wish.request_id] = excuse
    return found


def _refused(plan: Plan) -> dict[tuple[int, int], Reason]:
    """Return why proposals of datasets at sites were not carried out in full."""
    outcomes, found = plan.outcomes, dict[tuple[int, int], Reason]()
    columns = (outcomes.voice.tolist(), outcomes.place.tolist(), outcomes.site.tolist())
    for voice, place, site, reason in zip(*columns, outcomes.reason.tolist(), strict=True):
        if Reason(reason) in _OF_REASON or reason == Reason.NOT_A_TARGET:
            dataset = int(plan.proposals[plan.voices[voice]].dataset[place])
            found[dataset, site] = Reason(reason)
    return found


def _excuse(
    ground: Ground,
    verdict: Verdict | None,
    wish: Wish,
    sites: Sequence[Target],
    refused: Mapping[tuple[int, int], Reason],
) -> Excuse | None:
    if verdict is not None and verdict.state is WishState.REJECTED:
        return _rejection(verdict.reason or "", sites)
    dataset = ground.dataset(wish.dataset.id)
    for site in sites:
        reason = refused.get((dataset, ground.site(site.id)))
        if reason is Reason.NOT_A_TARGET:
            return _closed([site])
        if reason is not None:
            word, text = _OF_REASON[reason]
            return Excuse(word, text.format(site=site.name))
    return None


def _rejection(text: str, sites: Sequence[Target]) -> Excuse:
    if "too large" in text:
        return Excuse("too-large", text)
    if "Invalid" in text:
        return Excuse("not-found", text)
    return _closed(sites)


def _closed(sites: Sequence[Target]) -> Excuse:
    """Say why sites take nothing: they are away, or the best of them is full."""
    names = ", ".join(site.name for site in sites)
    if not any(site.ready for site in sites):
        return Excuse("site-not-ready", f"{names} takes nothing now")
    return Excuse("storage-full", f"no room for more at {names}")
