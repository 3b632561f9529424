"""Storage on an XRootD server, `root://host:port//prefix`.

A time-out says nothing about what the server has done, or will do later. Such errors are marked
unknown, and their files are looked at again before anything is written anew. Acknowledged
operations count as durable: how the server keeps its files is its own affair.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from dynamo.errors import Invalid
from dynamo.reasons import Reason
from dynamo.storage.checksum import CHUNK, adler32_of
from dynamo.storage.lfn2pfn import Addresses
from dynamo.storage.protocol import Copied, Entry, Folder, Stat, StorageError
from dynamo.storage.temporary_cleanup import Needed, clean
from dynamo.storage.temporary_names import check_any, check_final, check_temporary
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd import anonymous_write_check
from dynamo.storage.xrootd.errors import LockedError
from dynamo.storage.xrootd.server import Server, server
from dynamo.storage.xrootd.streams import Reader, Writer, reading, writing
from dynamo.storage.xrootd.third_party_copy import fetch

PORT = 1094
_URL = re.compile(
    r"(roots?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/*((?:/[A-Za-z0-9_.+=-]+)*)/*",
    re.ASCII,
)
_ROOT_SECONDS = 30
"""Seconds for which a site's folder counts as present after it was seen."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server and an absolute path on it."""

    address: str
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the server and path of a URL. Raises Invalid."""
        match = _URL.fullmatch(url)
        if match is None or {".", ".."} & set(url.split("/")):
            raise Invalid(
                f"{url!r} is not a place on an XRootD server; write root://host:1094//path"
            )
        scheme, host, port, path = match.groups()
        return cls(f"{scheme}://{host.lower()}{port or f':{PORT}'}", path)


@dataclass(slots=True)
class _Root:
    """When the folder of a site was last seen."""

    seen: float = float("-inf")


@dataclass(frozen=True, slots=True)
class XRootDStorage:
    """A folder tree of a server as a `Storage`."""

    addresses: Addresses
    area: str
    server: Server
    prefix: str
    _root: _Root = field(default_factory=_Root, compare=False)

    @classmethod
    def at(cls, addresses: Addresses, area: str, limits: Timeouts) -> Self:
        """Return the storage at a `root:` URL, not yet connected. Raises Invalid."""
        place = Place.of(addresses.url)
        whole = Addresses(f"{place.address}/{place.path}", addresses.steps)
        return cls(whole, area, server(place.address, limits), place.path)

    def pfn(self, lfn: str) -> str:
        """Return the `root:` URL of a name."""
        return self.addresses.pfn(lfn)

    def stat(self, lfn: str) -> Stat | None:
        """Return size and modification time; None if the file is absent and the root exists."""
        known = self.server.stat(self._path(lfn))
        if known is None:
            self._check_root()
        return known

    def adler32(self, lfn: str) -> str:
        """Return the server's checksum, or compute it by reading the file."""
        return self.server.adler32(self._path(lfn)) or self._read(lfn).adler32

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Return the server's checksum of a large file; read a small file back.

        Servers compute few checksums at once, and let further callers wait for seconds.
        """
        check_temporary(temporary, self.area)
        if written.size <= CHUNK:
            return self._read(temporary, written.size)
        known = self.server.stat(self._path(temporary))
        return None if known is None else Copied(known.size, self.adler32(temporary))

    def read(self, lfn: str) -> contextlib.AbstractContextManager[Reader]:
        """Open a file for reading."""
        return reading(self.server, self._path(lfn))

    def prepare(self, temporary: str) -> None:
        """Make the folder of an upload; the server decides who may write there."""
        check_temporary(temporary, self.area)
        self.server.make_folder(self._path(temporary).rpartition("/")[0])

    def write(self, temporary: str) -> contextlib.AbstractContextManager[Writer]:
        """Create a new file under a temporary name."""
        check_temporary(temporary, self.area)
        return writing(self.server, self._path(temporary))

    def fetch(
        self, source: str, temporary: str, size: int | None, alive: Callable[[], None]
    ) -> bool:
        """Let the server fetch a file from another; return False if streaming it is better."""
        check_temporary(temporary, self.area)
        return fetch(self.server, source, self._path(temporary), size, alive)

    def adopt(self, upload: str, temporary: str) -> None:
        """Move an upload to a name that its job does not know.

        The server refuses to open for reading a file that is open for writing under that name. A
        writer that opens it between this check and the move goes unnoticed.
        """
        for name in (upload, temporary):
            check_temporary(name, self.area)
        path, own = self._path(upload), self._path(temporary)
        if self.server.stat(own) is not None:
            return
        try:
            with reading(self.server, path):
                pass
        except StorageError as error:
            raise _not_uploaded(error) from error
        self.server.move(path, own)

    def give_back(self, temporary: str, upload: str) -> None:
        """Move an adopted upload back, unless its job has written another file."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        path, own = self._path(upload), self._path(temporary)
        if self.server.stat(path) is not None:
            self.server.remove(own)
        else:
            self.server.move(own, path)

    def rename(self, temporary: str, lfn: str) -> None:
        """Rename a temporary file to its final name."""
        check_temporary(temporary, self.area)
        check_final(lfn, self.area)
        self.server.move(self._path(temporary), self._path(lfn))

    def persist(self, lfn: str) -> None:
        """Do nothing: acknowledged operations are durable."""
        self._path(lfn)

    def delete(self, lfn: str) -> bool:
        """Delete a file and folders that become empty."""
        check_final(lfn, self.area)
        path = self._path(lfn)
        existed = self.server.remove(path)
        if not existed:
            self._check_root()
            return False
        above = path.rpartition("/")[0]
        while len(above) > len(self.prefix) and self.server.remove_folder(above):
            above = above.rpartition("/")[0]
        return True

    def discard(self, temporary: str) -> None:
        """Delete a temporary file if it exists."""
        check_temporary(temporary, self.area)
        self.server.remove(self._path(temporary))

    def move(self, lfn: str, other: str) -> None:
        """Rename a file.

        On some servers a file that appears between the check and the move is replaced. That is
        safe, as the targets are new names, or names that Dynamo found free.
        """
        for name in (lfn, other):
            check_final(name, self.area)
        if self.server.stat(self._path(other)) is None:
            self.server.move(self._path(lfn), self._path(other))
        elif self.server.stat(self._path(lfn)) is not None:
            raise StorageError(Reason.DESTINATION_ERROR, f"{other} is there already")

    def listing(self, area: str) -> Iterator[Folder]:
        """Yield the folders of an area; names that are not LFNs are included as they are."""
        return _walk(self.server, self._path(area), area)

    def clean(self, area: str, before: datetime, needed: Needed) -> int:
        """Delete temporary files that are old and not in use; return their number."""
        return clean(self, area, before, needed)

    def free(self) -> int | None:
        """Return the bytes that can be written, as the server reports."""
        return self.server.free(self.prefix or "/")

    def open_to_others(self, lfn: str) -> bool:
        """Try to create a file beside this one without credentials."""
        return anonymous_write_check.can_write(self.server, self._path(f"{lfn}.stranger"))

    @contextlib.contextmanager
    def batched(self) -> Iterator[Self]:
        """Return the storage itself: each file is as durable as the server makes it."""
        yield self

    def _path(self, name: str) -> str:
        """Return the path of a name on the server; no rule leads to another server or folder."""
        check_any(name, self.area)
        if not self.addresses.steps:
            return self.prefix + name
        pfn = self.addresses.pfn(name)
        try:
            place = Place.of(pfn)
        except Invalid as error:
            raise StorageError(
                Reason.DESTINATION_ERROR, f"the rules of the site give {name} no usable address"
            ) from error
        if place.address != self.server.address or not place.path.startswith(f"{self.prefix}/"):
            raise StorageError(
                Reason.DESTINATION_ERROR,
                f"the rules of the site put {name} outside of {self.addresses.url}",
            )
        return place.path

    def _read(self, lfn: str, size: int | None = None) -> Copied:
        with self.read(lfn) as stream:
            return adler32_of(stream, size)

    def _check_root(self) -> None:
        """Raise StorageError if the site's folder is absent, as when it is not mounted."""
        now = time.monotonic()
        if self.prefix and now - self._root.seen > _ROOT_SECONDS:
            if not self.server.is_folder(self.prefix):
                raise StorageError(
                    Reason.DESTINATION_ERROR,
                    f"{self.prefix} is not there: the folder of the whole site",
                )
            self._root.seen = now


def _not_uploaded(error: StorageError) -> StorageError:
    if error.reason is Reason.SOURCE_MISSING:
        return StorageError(Reason.NOT_UPLOADED, f"nothing lies there yet: {error.detail}")
    if isinstance(error, LockedError):
        return StorageError(Reason.NOT_UPLOADED, f"somebody still writes to it: {error.detail}")
    return error


def _walk(server: Server, path: str, name: str) -> Iterator[Folder]:
    waiting = [(path, name)]
    while waiting:
        folder, shown = waiting.pop()
        try:
            items = sorted(server.entries(folder), key=lambda entry: entry.name)
        except StorageError as error:
            yield Folder(shown, [], complete=False, error=error.detail)
            continue
        entries = [
            Entry(
                f"{shown}/{item.name}", None if item.stat is None else item.stat.size, item.modified
            )
            for item in items
            if not item.is_folder
        ]
        below = [item.name for item in items if item.is_folder]
        yield Folder(shown, entries, complete=True, below=below)
        waiting += [(f"{folder}/{name}", f"{shown}/{name}") for name in reversed(below)]
