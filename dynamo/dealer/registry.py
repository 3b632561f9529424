"""Finds the proposers that are installed."""

from importlib.metadata import entry_points
from typing import cast

from dynamo.dealer.voices import Proposer

GROUP = "dynamo.proposers"


def installed() -> dict[str, type[Proposer]]:
    """Return the classes of all proposers by name; their fields are what can be configured."""
    return {
        point.name: cast("type[Proposer]", point.load())
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)
    }
