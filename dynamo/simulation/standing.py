"""Since when items have been unchanged, from evening to evening."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class RequestStanding:
    """Tracks since when items have been unchanged, from evening to evening."""

    _since: dict[str, dict[Hashable, tuple[object, datetime]]] = field(default_factory=dict)

    def still(self, kind: str, now: datetime, marks: Mapping[K, object]) -> dict[K, timedelta]:
        """Return how long each item of a kind has kept its mark; other items are forgotten."""
        known = self._since.get(kind, {})
        since_by_key: dict[Hashable, tuple[object, datetime]] = {}
        for key, mark in marks.items():
            before = known.get(key)
            since_by_key[key] = before if before is not None and before[0] == mark else (mark, now)
        self._since[kind] = since_by_key
        return {key: now - since_by_key[key][1] for key in marks}
