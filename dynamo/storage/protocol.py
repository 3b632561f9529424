"""What Dynamo asks of a storage, and what can go wrong there."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from dynamo.errors import RETRYABLE, Unavailable


class StorageError(Unavailable):
    """A storage did not do what it was asked; `reason` is one of `errors.RETRYABLE`.

    Where it leaves the worker it means "repeat later", as for any other part that is away.
    """

    default = "destination-error"

    def __init__(
        self, reason: str, text: str, *, corrupt_source: bool = False, unknown: bool = False
    ) -> None:
        """Keep the reason, the sentence, and what is certain.

        `corrupt_source`: the bytes at the source are the wrong ones. `unknown`: nobody answered, so
        the call may have had its effect, or have it later; look before anything is done again.
        """
        if reason not in RETRYABLE:
            raise ValueError(f"{reason!r} is not a reason")
        super().__init__(text, reason)
        self.corrupt_source = corrupt_source
        self.unknown = unknown


_FIRST_SECOND = 0
_LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def moment(seconds: float) -> datetime:
    """Return the moment of a modification time in seconds since 1970.

    A storage tells any number that somebody has set; beyond the calendar it is cut to its ends.
    """
    return datetime.fromtimestamp(min(max(seconds, _FIRST_SECOND), _LAST_SECOND), UTC)


@dataclass(frozen=True, slots=True)
class Stat:
    """What a storage knows of a file without reading it."""

    size: int
    modified: datetime | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the catalogue says of a file; None where nobody has told yet."""

    size: int | None
    adler32: str | None
    ours: bool = True
    """What lies in its place with other bytes is Dynamo's own, and may be replaced."""

    def fits(self, size: int, adler32: str) -> bool:
        """Tell whether these are the right bytes, as far as it is known."""
        return self.size in {None, size} and self.adler32 in {None, adler32}

    @property
    def is_known(self) -> bool:
        """Tell whether a file can be recognised by it."""
        return self.size is not None and self.adler32 is not None


@dataclass(frozen=True, slots=True)
class Copied:
    """What has been written and verified."""

    size: int
    adler32: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a listing found; `size` is None where it is something else than a file."""

    lfn: str
    size: int | None
    modified: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a listing; only a complete one proves what is absent."""

    path: str
    entries: Sequence[Entry]
    complete: bool
    error: str | None = None
    below: Sequence[str] = ()
    """Its sub-folders: one that is named here and does not follow was never listed."""


class Readable(Protocol):
    """A stream of bytes."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as bytes are at hand; 0 is the end."""


class Writable(Protocol):
    """A place for bytes."""

    def write(self, data: memoryview, /) -> int:
        """Write some of the bytes and say how many."""


class Source(Protocol):
    """One file that can be read: at a site, or anywhere else."""

    def stat(self) -> Stat | None:
        """Return its size and age; None where there is no such file."""

    def adler32(self) -> str:
        """Return the checksum of its bytes. Raises StorageError."""

    def read(self) -> AbstractContextManager[Readable]:
        """Open it for reading. Raises StorageError."""


class Storage(Protocol):
    """The files of one site by logical name; every failure is a StorageError."""

    def pfn(self, lfn: str) -> str:
        """Return the address of a name at this site."""

    def stat(self, lfn: str) -> Stat | None:
        """Return size and age; None only where it is certain that there is no such file."""

    def adler32(self, lfn: str) -> str:
        """Return the checksum of the bytes that lie there now."""

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Return what lies under a name after it was written; None where nothing does.

        Where a network was on the way the checksum is that of the bytes behind it.
        """

    def read(self, lfn: str) -> AbstractContextManager[Readable]:
        """Open a file for reading."""

    def prepare(self, temporary: str) -> None:
        """Make room for a job's upload: its folder exists and the job may create files in it."""

    def write(self, temporary: str) -> AbstractContextManager[Writable]:
        """Create a new file under a temporary name; one that exists already is an error."""

    def adopt(self, upload: str, temporary: str) -> None:
        """Take an upload away from its job: afterwards only Dynamo can change it.

        Raises `not-uploaded` while somebody still writes, or where there is nothing.
        """

    def give_back(self, temporary: str, upload: str) -> None:
        """Return an adopted upload to its job, which may mend it."""

    def rename(self, temporary: str, lfn: str) -> None:
        """Put a temporary file into its place, durably: at once or not at all.

        It replaces what lies there.
        """

    def persist(self, lfn: str) -> None:
        """Make durable what lies there already."""

    def delete(self, lfn: str) -> bool:
        """Remove a file; False where there was none, which is success too."""

    def discard(self, temporary: str) -> None:
        """Remove a temporary file if it is there; refuses any other name."""

    def move(self, lfn: str, other: str) -> None:
        """Give a file in its place another such name, and replace nothing; again is harmless."""

    def listing(self, area: str) -> Iterator[Folder]:
        """Walk an area folder by folder, each with the mark whether all of it was seen."""

    def clean(
        self, area: str, before: datetime, needed: Callable[[Collection[str]], Collection[str]]
    ) -> int:
        """Remove an area's temporary files that were last changed before a moment; count them.

        Which of them somebody still needs is asked first.
        """

    def free(self) -> int | None:
        """Return the bytes that can still be written; None where the storage cannot tell."""

    def batched(self) -> AbstractContextManager["Storage"]:
        """Give the same storage, durable not per file but for all at the end of the block."""


@runtime_checkable
class Addressed(Protocol):
    """A source that another server can fetch by itself."""

    def address(self) -> str:
        """Return the URL under which it finds the file."""


@runtime_checkable
class Fetching(Protocol):
    """A storage whose server can fetch a file from another one."""

    def fetch(
        self, source: str, temporary: str, size: int | None, alive: Callable[[], None]
    ) -> bool:
        """Fetch a file to a temporary name; False where its bytes had better pass through us."""


@runtime_checkable
class Guarded(Protocol):
    """A storage that can tell who else may write to it."""

    def open_to_others(self, lfn: str) -> bool:
        """Tell whether somebody else than Dynamo could write where this file of ours lies."""
