"""What a request asks: one frozen structure for each kind, as it is kept in the request's row."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct

from dynamo.inventory.states import Origin, RequestKind


class RequestBody(Struct, frozen=True, kw_only=True):
    """What a request asks, whatever its kind; what a row holds beyond it is ignored."""

    kind: ClassVar[RequestKind]


class InjectionBody(RequestBody, frozen=True, kw_only=True):
    """Files that were registered already when the call came; the new ones name the request."""

    kind = RequestKind.INJECTION

    known: tuple[int, ...] = ()
    """Keys of files that earlier calls have registered."""
    pending: tuple[int, ...] = ()
    """Those of them that had not arrived when the request was last looked at."""


class CopyBody(RequestBody, frozen=True, kw_only=True):
    """The standing request of a caller that data be at some sites."""

    kind = RequestKind.COPY

    sites: tuple[str, ...]
    """Names and globs."""
    copies: int | None = None
    """Of each block among the sites; None = one at each."""
    blocks: tuple[str, ...] | None = None
    """Full names; None = the whole dataset."""
    group: str | None = None
    """Who shall own the copies; None = the dataset's owner."""
    consolidate: bool = False
    spread: bool = False
    chosen: tuple[str, ...] | None = None
    """The sites at which the copies are, where the Dealer chooses them; None = none yet."""
    refused: tuple[str, ...] | None = None
    """Sites that were chosen once and did not take the data."""

    @property
    def n_copies(self) -> int | None:
        """Return how many copies of each block are wanted; None = one at each site."""
        if self.consolidate:
            return None
        return self.copies or (1 if self.spread else None)

    @property
    def by_choice(self) -> bool:
        """Tell whether the Dealer chooses the sites."""
        return self.n_copies is not None and not self.spread

    @property
    def block_ids(self) -> tuple[str, ...] | None:
        """Return the ids of the blocks that are named; None = the whole dataset."""
        if not self.blocks:
            return None
        return tuple(name.partition("#")[2] for name in self.blocks)


class ClosureBody(RequestBody, frozen=True, kw_only=True):
    """The dataset takes no more files; nothing else is said."""

    kind = RequestKind.CLOSURE


class DeletionBody(RequestBody, frozen=True, kw_only=True):
    """What a caller gives up: data everywhere with their names, or replicas at one site."""

    kind = RequestKind.DELETION

    site: str | None = None
    """None = everywhere."""
    blocks: tuple[str, ...] | None = None
    """Full names; None = not told by blocks."""
    lay: tuple[str, ...] | None = None
    """Ids of the blocks that lay at the site when the call came, where none are named."""
    files: tuple[int, ...] | None = None
    """Keys; None = whole blocks."""
    last_copy: bool = False
    """Whether the last copies may go as well."""
    whole: bool = False
    """Whether the whole dataset goes, with its name."""
    was_open: bool = False
    """Whether the dataset took files before; a rescue opens it again."""

    @property
    def block_ids(self) -> frozenset[str] | None:
        """Return the ids of the blocks that are given up; None = all of the dataset."""
        if self.blocks is not None:
            return frozenset(name.partition("#")[2] for name in self.blocks)
        return None if self.lay is None else frozenset(self.lay)


class SystemCopyBody(RequestBody, frozen=True, kw_only=True):
    """Why the system copies by itself; what it is about is sent under the request later."""

    kind = RequestKind.COPY

    cycle_id: int | None = None
    """The cycle of the Dealer that has decided it."""
    site: str | None = None
    """The site that is emptied, or at which a file is repaired."""
    lfn: str | None = None
    """The file that is repaired."""
    deletion_id: int | None = None
    """The deletion whose data are rescued."""


class SystemDeletionBody(RequestBody, frozen=True, kw_only=True):
    """Why the system deletes by itself; what it is about is condemned under the request later."""

    kind = RequestKind.DELETION

    cycle_id: int | None = None
    """The cycle of Detox that has decided it."""
    site: str | None = None
    """The site that is emptied."""


_OF_CALLER: Mapping[RequestKind, type[RequestBody]] = {
    RequestKind.INJECTION: InjectionBody,
    RequestKind.COPY: CopyBody,
    RequestKind.CLOSURE: ClosureBody,
    RequestKind.DELETION: DeletionBody,
}
_OF_SYSTEM: Mapping[RequestKind, type[RequestBody]] = {
    RequestKind.COPY: SystemCopyBody,
    RequestKind.DELETION: SystemDeletionBody,
}


def body_type(kind: RequestKind, origin: Origin) -> type[RequestBody]:
    """Return the structure that says what requests of a kind and an origin ask."""
    return (_OF_CALLER if origin == Origin.CALLER else _OF_SYSTEM)[kind]
