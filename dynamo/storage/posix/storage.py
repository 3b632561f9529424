"""Storage on a file system, `file:///root`."""

import contextlib
import io
import os
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from dynamo.errors import Invalid
from dynamo.storage.checksum import adler32_of
from dynamo.storage.errno_reasons import told
from dynamo.storage.lfn2pfn import Addresses
from dynamo.storage.posix import access, sealing
from dynamo.storage.posix.listing import walk
from dynamo.storage.posix.tree import Tree
from dynamo.storage.posix.writer import Sink
from dynamo.storage.protocol import Copied, Folder, Stat, StorageError, moment
from dynamo.storage.temporary_cleanup import Needed, clean
from dynamo.storage.temporary_names import check_any, check_final, check_temporary


@dataclass(frozen=True, slots=True)
class PosixStorage:
    """One folder tree; keeps the promises of `Storage`, follows no link below its root."""

    addresses: Addresses
    tree: Tree
    area: str

    @classmethod
    def at(cls, addresses: Addresses, area: str) -> Self:
        """Open the storage at a `file:` URL. Raises Invalid."""
        return cls(addresses, Tree(file_path(addresses.url)), area)

    def pfn(self, lfn: str) -> str:
        """Return the `file:` URL of a name."""
        return self.addresses.pfn(lfn)

    def stat(self, lfn: str) -> Stat | None:
        """Return size and age; None where there is no such file and the root is there."""
        path = self._path(lfn)
        with told(lfn, "destination-error"):
            found = self.tree.look(path)
        return found and Stat(found.st_size, moment(found.st_mtime))

    def adler32(self, lfn: str) -> str:
        """Read the file and sum it up."""
        with self.read(lfn) as stream:
            return adler32_of(stream).adler32

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Return the size found; the bytes were summed up as the system took them."""
        found = self.stat(temporary)
        return None if found is None else Copied(found.size, written.adler32)

    @contextlib.contextmanager
    def read(self, lfn: str) -> Iterator[io.FileIO]:
        """Open a file for reading, unbuffered."""
        path = self._path(lfn)
        with told(lfn, "source-error"):
            stream = io.FileIO(self.tree.open_file(path))
        with stream:
            yield stream

    def prepare(self, temporary: str) -> None:
        """Make the folder of an upload: any job may create files in it and none lists them."""
        check_temporary(temporary, self.area)
        with told(temporary, "destination-error"):
            sealing.drop_box(self.tree, self._parts(temporary)[:-1])

    @contextlib.contextmanager
    def write(self, temporary: str) -> Iterator[Sink]:
        """Create a new file under a temporary name, unbuffered."""
        check_temporary(temporary, self.area)
        with told(temporary, "destination-error"):
            stream = Sink(self.tree.create(self._parts(temporary)))
        with stream:
            yield stream
            with told(temporary, "destination-error"):
                stream.close()

    def adopt(self, upload: str, temporary: str) -> None:
        """Move an upload into Dynamo's own folder, where nobody can write to it any more."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        with told(upload, "source-error"):
            sealing.adopt(self._hasty, self._parts(upload), self._parts(temporary))

    def give_back(self, temporary: str, upload: str) -> None:
        """Move an adopted upload back to where its job may mend it."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        with told(upload, "destination-error"):
            sealing.give_back(self._hasty, self._parts(temporary), self._parts(upload))

    def rename(self, temporary: str, lfn: str) -> None:
        """Put a temporary file into its place."""
        check_temporary(temporary, self.area)
        check_final(lfn, self.area)
        with told(lfn, "destination-error"):
            self.tree.move(self._parts(temporary), self._parts(lfn))

    def persist(self, lfn: str) -> None:
        """Bring to the disk what lies there."""
        path = self._path(lfn)
        if self.tree.durable:
            with told(lfn, "destination-error"):
                self.tree.persist(path)

    def delete(self, lfn: str) -> bool:
        """Remove a file, and the folders that this leaves empty."""
        check_final(lfn, self.area)
        path = self._parts(lfn)
        with told(lfn, "destination-error"):
            found = self.tree.remove(path)
            self.tree.prune(path[:-1])
        return found

    def discard(self, temporary: str) -> None:
        """Remove a temporary file if it is there."""
        check_temporary(temporary, self.area)
        with told(temporary, "destination-error"):
            self.tree.remove(self._parts(temporary))

    def move(self, lfn: str, other: str) -> None:
        """Give a file another name; the folders that this leaves empty go."""
        for name in (lfn, other):
            check_final(name, self.area)
        with told(lfn, "destination-error"):
            self.tree.move_new(self._parts(lfn), self._parts(other))
            self.tree.prune(self._parts(lfn)[:-1])

    def listing(self, area: str) -> Iterator[Folder]:
        """Walk an area; names that are no LFNs are given too, as they lie on the disk."""
        return walk(self.tree, self._path(area), area)

    def clean(self, area: str, before: datetime, needed: Needed) -> int:
        """Remove temporary files that nobody has touched for long, nor needs."""
        return clean(self, area, before, needed)

    def free(self) -> int | None:
        """Return the bytes that the file system has left for us."""
        with told(self.addresses.url, "destination-error"):
            return self.tree.free()

    def open_to_others(self, lfn: str) -> bool:
        """Look at the modes of the folders on the way to a file of ours."""
        path = self._path(lfn)
        with told(lfn, "destination-error"):
            return access.open_to_others(self.tree, path)

    @contextlib.contextmanager
    def batched(self) -> Iterator[Self]:
        """Sync the file system once at the end, instead of each file and folder."""
        yield replace(self, tree=self._hasty)
        with told(self.addresses.url, "destination-error"):
            self.tree.sync()

    @property
    def _hasty(self) -> Tree:
        """The same folders for changes that need not be on the disk at once."""
        return replace(self.tree, durable=False)

    def _path(self, name: str) -> list[str]:
        check_any(name, self.area)
        return self._parts(name)

    def _parts(self, name: str) -> list[str]:
        """Cut an address into its components below the root; no rule leads out of it."""
        if not self.addresses.steps:
            return name.strip("/").split("/")
        path, root = file_path(self.addresses.pfn(name)), self.tree.root.rstrip("/") + "/"
        if not path.startswith(root) or not _is_plain(path):
            raise StorageError(
                "destination-error", f"the rules of the site put {name} outside of {root}"
            )
        return path[len(root) :].split("/")


def file_path(url: str) -> str:
    """Return the absolute path of a `file:` URL. Raises Invalid."""
    found = urllib.parse.urlsplit(url)
    if (
        found.scheme != "file"
        or found.netloc not in {"", "localhost"}
        or found.query
        or found.fragment
    ):
        raise Invalid(f"{url!r} is not the URL of a folder; write file:///path")
    path = urllib.parse.unquote(found.path)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"{url!r} has no absolute path; write file:///path")
    return os.path.normpath(path)


def _is_plain(path: str) -> bool:
    return not set(path.split("/")[1:]) & {"", ".", ".."} and "\0" not in path
