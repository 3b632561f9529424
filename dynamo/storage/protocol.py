"""The port to storages: operations and errors."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from dynamo.errors import Unavailable
from dynamo.reasons import Reason


class StorageError(Unavailable):
    """An operation of a storage failed.

    Outside of workers it means "repeat later", as for any other part that is unavailable.
    """

    default = Reason.DESTINATION_ERROR

    def __init__(
        self, reason: Reason, text: str, *, corrupt_source: bool = False, unknown: bool = False
    ) -> None:
        """Keep the reason, the sentence, and two certainties.

        `corrupt_source`: the bytes at the source are wrong. `unknown`: no answer came, so the call
        may have had its effect, or have it later; look before repeating it.
        """
        super().__init__(text, reason)
        self.corrupt_source = corrupt_source
        self.unknown = unknown


_FIRST_SECOND = 0
_LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def moment(seconds: float) -> datetime:
    """Return the time of a modification in seconds since 1970.

    Storages report any number that a client has set; it is cut to the years 1970 to 9999.
    """
    return datetime.fromtimestamp(min(max(seconds, _FIRST_SECOND), _LAST_SECOND), UTC)


@dataclass(frozen=True, slots=True)
class Stat:
    """Metadata of a file, known without reading it."""

    size: int
    modified: datetime | None


@dataclass(frozen=True, slots=True)
class Expected:
    """Size and checksum in the catalogue; None = not known yet."""

    size: int | None
    adler32: str | None
    ours: bool = True
    """A file with other bytes at the name is Dynamo's own, and may be replaced."""

    def fits(self, size: int, adler32: str) -> bool:
        """Return whether size and checksum agree with the catalogue, as far as known."""
        return self.size in {None, size} and self.adler32 in {None, adler32}

    @property
    def is_known(self) -> bool:
        """Return whether size and checksum are both known."""
        return self.size is not None and self.adler32 is not None


@dataclass(frozen=True, slots=True)
class Copied:
    """Size and checksum of a file that was written and verified."""

    size: int
    adler32: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a listing; `size` is None for anything but a file."""

    lfn: str
    size: int | None
    modified: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a listing; only a complete folder proves that files are absent."""

    path: str
    entries: Sequence[Entry]
    complete: bool
    error: str | None = None
    below: Sequence[str] = ()
    """Sub-folders; one that does not follow in the listing was never listed."""


class Readable(Protocol):
    """A stream of bytes."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with available bytes; 0 = end."""


class Writable(Protocol):
    """A place for bytes."""

    def write(self, data: memoryview, /) -> int:
        """Write a part of the bytes and return its length."""


class Source(Protocol):
    """A file that can be read, at a site or elsewhere."""

    def stat(self) -> Stat | None:
        """Return size and modification time; None if there is no such file."""

    def adler32(self) -> str:
        """Return the checksum of the bytes. Raises StorageError."""

    def read(self) -> AbstractContextManager[Readable]:
        """Open the file for reading. Raises StorageError."""


class Storage(Protocol):
    """The files of one site by logical name; every failure is a StorageError."""

    def pfn(self, lfn: str) -> str:
        """Return the address of a name at this site."""

    def stat(self, lfn: str) -> Stat | None:
        """Return size and modification time; None only if the file certainly does not exist."""

    def adler32(self, lfn: str) -> str:
        """Return the checksum of the bytes at the site now."""

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Return size and checksum of a written temporary file; None if it is absent.

        Behind a network the checksum is computed from the bytes at the far end.
        """

    def read(self, lfn: str) -> AbstractContextManager[Readable]:
        """Open a file for reading."""

    def prepare(self, temporary: str) -> None:
        """Make the folder of an upload, in which the job may create files."""

    def write(self, temporary: str) -> AbstractContextManager[Writable]:
        """Create a new file under a temporary name; an existing file is an error."""

    def adopt(self, upload: str, temporary: str) -> None:
        """Take an upload from its job: afterwards only Dynamo can change it.

        Raises `not-uploaded` if the file is absent or still open for writing.
        """

    def give_back(self, temporary: str, upload: str) -> None:
        """Return an adopted upload to its job, which may repair it."""

    def rename(self, temporary: str, lfn: str) -> None:
        """Rename a temporary file to its final name, durably and atomically.

        It replaces an existing file.
        """

    def persist(self, lfn: str) -> None:
        """Make an existing file durable."""

    def delete(self, lfn: str) -> bool:
        """Delete a file; return False if it was absent, which is success too."""

    def discard(self, temporary: str) -> None:
        """Delete a temporary file if it exists; refuse any other name."""

    def move(self, lfn: str, other: str) -> None:
        """Rename a file to another final name without replacing anything; repeatable."""

    def listing(self, area: str) -> Iterator[Folder]:
        """Yield the folders of an area, each with a flag whether it is complete."""

    def clean(
        self, area: str, before: datetime, needed: Callable[[Collection[str]], Collection[str]]
    ) -> int:
        """Delete an area's temporary files last changed before a moment; return their number.

        `needed` is asked first which of them are still in use.
        """

    def free(self) -> int | None:
        """Return the bytes that can still be written; None if the storage cannot tell."""

    def batched(self) -> AbstractContextManager["Storage"]:
        """Return the same storage, durable for all files at the end of the block, not per file."""


@runtime_checkable
class Addressed(Protocol):
    """A source that another server can fetch."""

    def address(self) -> str:
        """Return the URL under which another server finds it."""


@runtime_checkable
class Fetching(Protocol):
    """A storage whose server can fetch a file from another server."""

    def fetch(
        self, source: str, temporary: str, size: int | None, alive: Callable[[], None]
    ) -> bool:
        """Fetch a file to a temporary name; return False if streaming it is better."""


@runtime_checkable
class Guarded(Protocol):
    """A storage that can tell who else may write to it."""

    def open_to_others(self, lfn: str) -> bool:
        """Return whether anyone but Dynamo could write beside this file."""
