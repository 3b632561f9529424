"""Which actions of requests are under way after the cycle."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.lookup import Lookup
from dynamo.dealer.plan import Copies
from dynamo.dealer.requests import Action, ActionState, RequestVerdict


def settled(
    view: InventoryView, verdicts: Sequence[RequestVerdict], copies: Copies
) -> tuple[RequestVerdict, ...]:
    """Mark as queued the actions whose blocks are all in a copy; the others stay new."""
    under_way = _UnderWay(view, copies)
    return tuple(
        replace(verdict, actions=tuple(map(under_way.judged, verdict.actions)))
        for verdict in verdicts
    )


@dataclass(slots=True)
class _UnderWay:
    """What the copies bring."""

    view: InventoryView
    copies: Copies
    catalogue: Lookup = field(init=False)
    cells: dict[tuple[int, int], int] = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = Lookup(self.view)
        pairs = zip(self.copies.site.tolist(), self.copies.dataset.tolist(), strict=True)
        self.cells = {pair: place for place, pair in enumerate(pairs)}

    def judged(self, action: Action) -> Action:
        if action.state is not ActionState.NEW:
            return action
        site = self.view.snapshot.sites.labels.find(action.site)
        found = self.catalogue.find(action.item)
        copy = self.cells.get((site, found.dataset)) if found is not None else None
        if found is None or copy is None:
            return action
        brought = self._brought(copy)
        wanted = (
            {found.block}
            if found.block is not None
            else set(self.view.blocks_of(found.dataset).tolist())
        )
        return replace(action, state=ActionState.QUEUED) if wanted <= brought else action

    def _brought(self, copy: int) -> set[int]:
        begin, end = int(self.copies.first[copy]), int(self.copies.first[copy + 1])
        return set(self.copies.block[begin:end].tolist())
