"""Why a request is not met, or not in full: a kind, what it is about, and a sentence for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class RefusalKind(Enum):
    """What is wrong with a request."""

    UNKNOWN_ITEMS = auto()
    UNKNOWN_GROUP = auto()
    DATASET_TOO_LARGE = auto()
    BLOCKS_TOO_LARGE = auto()
    """Together, those that are wanted of one dataset."""
    NO_TARGET = auto()
    """None of its sites takes copies now."""
    NOT_POSSIBLE = auto()
    """A site could never take the dataset, as its quota is."""
    NO_DESTINATION = auto()
    """No site has room for one more copy."""
    NO_DESTINATION_FOR_BLOCKS = auto()
    """No site has room for some of the blocks that are shared out."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not met; which fields are filled depends on the kind."""

    kind: RefusalKind
    name: str = ""
    """Of the dataset or the group; of all items that are unknown."""
    site: str = ""
    number: int = 0
    """The copy, from 0, or how many blocks."""
    limit: float = 0
    """Bytes."""

    @property
    def text(self) -> str:
        """Return it as a sentence for people."""
        return _TEXTS[self.kind].format(
            name=self.name, site=self.site, number=self.number, terabytes=self.limit / 1e12
        )


class Refused(Exception):
    """The whole request cannot be met."""

    def __init__(self, refusal: Refusal) -> None:
        """Keep why."""
        super().__init__(refusal.text)
        self.refusal = refusal


_TEXTS: Mapping[RefusalKind, str] = {
    RefusalKind.UNKNOWN_ITEMS: "Invalid item names: [{name}]",
    RefusalKind.UNKNOWN_GROUP: "Invalid group name {name}",
    RefusalKind.DATASET_TOO_LARGE: "Dataset {name} is too large (>{terabytes:g} TB)",
    RefusalKind.BLOCKS_TOO_LARGE: "Request size for {name} too large (>{terabytes:g} TB)",
    RefusalKind.NO_TARGET: "Target sites not available for transfers",
    RefusalKind.NOT_POSSIBLE: "Cannot copy {name} to {site}",
    RefusalKind.NO_DESTINATION: "Destination {number} for {name} not available",
    RefusalKind.NO_DESTINATION_FOR_BLOCKS: (
        "Destination for {number} blocks of {name} not available"
    ),
}
