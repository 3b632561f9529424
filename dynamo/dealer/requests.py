"""Copy requests with their single actions, and what is decided about them."""

from dataclasses import dataclass, field
from enum import StrEnum

from dynamo.dealer.refusals import Refusal

Block = str | int
"""A block by its name behind the `#`, or by its key."""


class ActionState(StrEnum):
    """How far one item at one site is."""

    NEW = "new"
    QUEUED = "queued"
    COMPLETED = "completed"
    FAILED = "failed"


class RequestState(StrEnum):
    """What was decided about a request."""

    NEW = "new"
    ACTIVATED = "activated"
    COMPLETED = "completed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RequestedItem:
    """A dataset, or one of its blocks."""

    dataset: str
    block: Block | None = None

    @classmethod
    def named(cls, item: str) -> "RequestedItem":
        """Split the item at its `#`, if it names one block."""
        dataset, mark, block = item.partition("#")
        return cls(dataset, block if mark else None)

    def __str__(self) -> str:
        return self.dataset if self.block is None else f"{self.dataset}#{self.block}"


@dataclass(frozen=True, slots=True)
class Action:
    """One item that shall come to one site."""

    item: RequestedItem
    site: str
    state: ActionState = ActionState.NEW
    shared: bool = False
    """Another request, judged before, wants the same: one copy serves both."""


@dataclass(frozen=True, slots=True)
class Request:
    """A copy request."""

    key: int
    items: tuple[RequestedItem, ...]
    sites: tuple[str, ...]
    """Names and globs."""
    copies: int = 0
    """In all, among the sites; 0 = one at each of them."""
    group: str | None = None
    spread: bool = False
    """Share the blocks out over the sites, `copies` of each, instead of copying datasets."""
    in_part: bool = False
    """Of so many copies make those that can be made, instead of none."""
    activated: bool = False
    """It was accepted in an earlier cycle; its actions say what is left to do."""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """The standing request that a user's scattered data be gathered at one site."""

    key: int
    dataset: str
    site: str
    group: str | None = None
    blocks: tuple[Block, ...] | None = None
    """Those that are closed and wanted; None = all."""


@dataclass(frozen=True, slots=True)
class RequestVerdict:
    """What is decided about one request."""

    key: int
    state: RequestState
    refusal: Refusal | None = None
    actions: tuple[Action, ...] = field(default=())
