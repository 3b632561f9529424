"""Storage on an XRootD server, `root://host:port//prefix`.

A time-out says nothing about what the server has done, or will still do when it wakes up: such
errors are marked unknown, and what they concern is looked at again before anything is written anew.
What a server has acknowledged is taken for durable: how it keeps its files is its own affair.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from dynamo.errors import Invalid
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
"""How long the folder of a site is believed to be there once it was seen."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server and an absolute path on it."""

    address: str
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Take a URL apart. Raises Invalid."""
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
    """One folder tree of a server; keeps the promises of `Storage`."""

    addresses: Addresses
    area: str
    server: Server
    prefix: str
    _root: _Root = field(default_factory=_Root, compare=False)

    @classmethod
    def at(cls, addresses: Addresses, area: str, limits: Timeouts) -> Self:
        """Take the storage at a `root:` URL; nothing is connected yet. Raises Invalid."""
        place = Place.of(addresses.url)
        whole = Addresses(f"{place.address}/{place.path}", addresses.steps)
        return cls(whole, area, server(place.address, limits), place.path)

    def pfn(self, lfn: str) -> str:
        """Return the `root:` URL of a name."""
        return self.addresses.pfn(lfn)

    def stat(self, lfn: str) -> Stat | None:
        """Return size and age; None where there is no such file and the site's folder is there."""
        found = self.server.stat(self._path(lfn))
        if found is None:
            self._check_root()
        return found

    def adler32(self, lfn: str) -> str:
        """Ask the server; where it does not compute checksums, read the file and sum it up."""
        return self.server.adler32(self._path(lfn)) or self._read(lfn).adler32

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Ask the server about a large file; read a small one back.

        Servers compute few checksums at once, and let who asks for more wait for seconds.
        """
        check_temporary(temporary, self.area)
        if written.size <= CHUNK:
            return self._read(temporary, written.size)
        found = self.server.stat(self._path(temporary))
        return None if found is None else Copied(found.size, self.adler32(temporary))

    def read(self, lfn: str) -> contextlib.AbstractContextManager[Reader]:
        """Open a file for reading."""
        return reading(self.server, self._path(lfn))

    def prepare(self, temporary: str) -> None:
        """Make the folder of an upload; who may write there is decided by the server."""
        check_temporary(temporary, self.area)
        self.server.make_folder(self._path(temporary).rpartition("/")[0])

    def write(self, temporary: str) -> contextlib.AbstractContextManager[Writer]:
        """Create a new file under a temporary name."""
        check_temporary(temporary, self.area)
        return writing(self.server, self._path(temporary))

    def fetch(
        self, source: str, temporary: str, size: int | None, alive: Callable[[], None]
    ) -> bool:
        """Let the server fetch a file from another one; False where streaming is the better way."""
        check_temporary(temporary, self.area)
        return fetch(self.server, source, self._path(temporary), size, alive)

    def adopt(self, upload: str, temporary: str) -> None:
        """Move an upload to a name that its job does not know.

        The server refuses to open for reading what somebody has open for writing under that name;
        a writer that comes between this look and the move is not seen.
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
        """Move an adopted upload back, unless its job has written another one."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        path, own = self._path(upload), self._path(temporary)
        if self.server.stat(path) is not None:
            self.server.remove(own)
        else:
            self.server.move(own, path)

    def rename(self, temporary: str, lfn: str) -> None:
        """Put a temporary file into its place."""
        check_temporary(temporary, self.area)
        check_final(lfn, self.area)
        self.server.move(self._path(temporary), self._path(lfn))

    def persist(self, lfn: str) -> None:
        """Do nothing: what the server shows, it keeps."""
        self._path(lfn)

    def delete(self, lfn: str) -> bool:
        """Remove a file, and the folders that this leaves empty."""
        check_final(lfn, self.area)
        path = self._path(lfn)
        found = self.server.remove(path)
        if not found:
            self._check_root()
            return False
        above = path.rpartition("/")[0]
        while len(above) > len(self.prefix) and self.server.remove_folder(above):
            above = above.rpartition("/")[0]
        return True

    def discard(self, temporary: str) -> None:
        """Remove a temporary file if it is there."""
        check_temporary(temporary, self.area)
        self.server.remove(self._path(temporary))

    def move(self, lfn: str, other: str) -> None:
        """Give a file another name.

        Who writes there between this look and the move is replaced on some servers: other names
        are new ones, or such that Dynamo has found free.
        """
        for name in (lfn, other):
            check_final(name, self.area)
        if self.server.stat(self._path(other)) is None:
            self.server.move(self._path(lfn), self._path(other))
        elif self.server.stat(self._path(lfn)) is not None:
            raise StorageError("destination-error", f"{other} is there already")

    def listing(self, area: str) -> Iterator[Folder]:
        """Walk an area; names that are no LFNs are given too, as they lie there."""
        return _walk(self.server, self._path(area), area)

    def clean(self, area: str, before: datetime, needed: Needed) -> int:
        """Remove temporary files that nobody has touched for long, nor needs."""
        return clean(self, area, before, needed)

    def free(self) -> int | None:
        """Return the bytes that the server says can be written."""
        return self.server.free(self.prefix or "/")

    def open_to_others(self, lfn: str) -> bool:
        """Try to make a file beside ours without any credentials."""
        return anonymous_write_check.can_write(self.server, self._path(f"{lfn}.stranger"))

    @contextlib.contextmanager
    def batched(self) -> Iterator[Self]:
        """Give the storage itself: each file is as durable as the server makes it."""
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
                "destination-error", f"the rules of the site give {name} no usable address"
            ) from error
        if place.address != self.server.address or not place.path.startswith(f"{self.prefix}/"):
            raise StorageError(
                "destination-error",
                f"the rules of the site put {name} outside of {self.addresses.url}",
            )
        return place.path

    def _read(self, lfn: str, size: int | None = None) -> Copied:
        with self.read(lfn) as stream:
            return adler32_of(stream, size)

    def _check_root(self) -> None:
        """Refuse to call a file absent while its site is: a folder that is not mounted is empty."""
        now = time.monotonic()
        if self.prefix and now - self._root.seen > _ROOT_SECONDS:
            if not self.server.is_folder(self.prefix):
                raise StorageError(
                    "destination-error", f"{self.prefix} is not there: the folder of the whole site"
                )
            self._root.seen = now


def _not_uploaded(error: StorageError) -> StorageError:
    if error.reason == "source-missing":
        return StorageError("not-uploaded", f"nothing lies there yet: {error.detail}")
    if isinstance(error, LockedError):
        return StorageError("not-uploaded", f"somebody still writes to it: {error.detail}")
    return error


def _walk(server: Server, path: str, name: str) -> Iterator[Folder]:
    waiting = [(path, name)]
    while waiting:
        where, shown = waiting.pop()
        try:
            found = sorted(server.entries(where), key=lambda one: one.name)
        except StorageError as error:
            yield Folder(shown, [], complete=False, error=error.detail)
            continue
        entries = [
            Entry(f"{shown}/{one.name}", None if one.stat is None else one.stat.size, one.modified)
            for one in found
            if not one.is_folder
        ]
        below = [one.name for one in found if one.is_folder]
        yield Folder(shown, entries, complete=True, below=below)
        waiting += [(f"{where}/{name}", f"{shown}/{name}") for name in reversed(below)]
