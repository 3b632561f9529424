"""Why a copy request does not go on."""

from dataclasses import dataclass

WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something does not go on, as `problems` and requests show it."""

    reason: str
    detail: str

    @property
    def holds(self) -> bool:
        """Tell whether it waits for a person or a site, not just for its turn."""
        return self.reason != WAITING
