"""The proposers that are installed, as the settings want them."""

from collections.abc import Collection, Mapping
from typing import get_type_hints

import msgspec

from dynamo.dealer.proposer import PRIORITIES, Proposer, WeightedProposer, installed
from dynamo.errors import Invalid
from dynamo.settings import Dealer

PROMPT = frozenset({"requests", "subscriptions"})
"""The proposers that serve requests at once, without waiting for the next cycle."""
LAST = 3.0
"""The priority of a proposer of which nothing is requested."""


def weighted_proposers(
    wanted: Dealer, groups: Collection[str], only: Collection[str] | None = None
) -> dict[str, WeightedProposer]:
    """Return them all, or some by name. Raises Invalid for settings that a proposer does not have.

    Of a request that names blocks just those are copied, and what any of the groups has at a site
    already counts as a copy there.
    """
    kinds = installed()
    unknown = sorted({*wanted.priorities, *wanted.proposers} - kinds.keys())
    if unknown:
        raise Invalid(f"there is no proposer {', '.join(unknown)}; there are {', '.join(kinds)}")
    usual: dict[str, dict[str, object]] = {
        "requests": {"block_request_max": 1.0, "overwritten_groups": sorted(groups)}
    }
    return {
        name: WeightedProposer(
            _proposer(name, kind, {**usual.get(name, {}), **wanted.proposers.get(name, {})}),
            wanted.priorities.get(name, PRIORITIES.get(name, LAST)),
        )
        for name, kind in kinds.items()
        if only is None or name in only
    }


def _proposer(name: str, kind: type[Proposer], given: Mapping[str, object]) -> Proposer:
    """Make a proposer; the fields of its class are what can be set."""
    hints = get_type_hints(kind)
    strange = sorted(given.keys() - hints.keys())
    if strange:
        raise Invalid(f"the proposer {name} has no setting {', '.join(strange)}")
    try:
        values = {
            field: msgspec.convert(value, hints[field], strict=False)
            for field, value in given.items()
        }
    except msgspec.ValidationError as wrong:
        raise Invalid(f"settings of the proposer {name}: {wrong}") from None
    return kind(**values)
