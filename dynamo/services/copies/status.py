"""Why a copy request does not go on."""

from dataclasses import dataclass

from dynamo.reasons import Reason, ReasonWord


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something does not go on, as `problems` and requests show it."""

    reason: ReasonWord
    detail: str

    @property
    def holds(self) -> bool:
        """Tell whether it waits for a person or a site, not just for its turn."""
        return self.reason != Reason.WAITING
