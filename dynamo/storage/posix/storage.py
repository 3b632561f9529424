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
from dynamo.reasons import Reason
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
    """A folder tree as a `Storage`; follows no links below its root."""

    addresses: Addresses
    tree: Tree
    area: str

    @classmethod
    def at(cls, addresses: Addresses, area: str) -> Self:
        """Return the storage at a `file:` URL. Raises Invalid."""
        return cls(addresses, Tree(file_path(addresses.url)), area)

    def pfn(self, lfn: str) -> str:
        """Return the `file:` URL of a name."""
        return self.addresses.pfn(lfn)

    def stat(self, lfn: str) -> Stat | None:
        """Return size and modification time; None if the file is absent and the root exists."""
        path = self._path(lfn)
        with told(lfn, Reason.DESTINATION_ERROR):
            known = self.tree.look(path)
        return known and Stat(known.st_size, moment(known.st_mtime))

    def adler32(self, lfn: str) -> str:
        """Return the checksum, by reading the file."""
        with self.read(lfn) as stream:
            return adler32_of(stream).adler32

    def arrived(self, temporary: str, written: Copied) -> Copied | None:
        """Return the file's size; the checksum is that of the written bytes."""
        known = self.stat(temporary)
        return None if known is None else Copied(known.size, written.adler32)

    @contextlib.contextmanager
    def read(self, lfn: str) -> Iterator[io.FileIO]:
        """Open a file for reading, unbuffered."""
        path = self._path(lfn)
        with told(lfn, Reason.SOURCE_ERROR):
            stream = io.FileIO(self.tree.open_file(path))
        with stream:
            yield stream

    def prepare(self, temporary: str) -> None:
        """Make the folder of an upload: any job may create files in it, and none lists them."""
        check_temporary(temporary, self.area)
        with told(temporary, Reason.DESTINATION_ERROR):
            sealing.drop_box(self.tree, self._parts(temporary)[:-1])

    @contextlib.contextmanager
    def write(self, temporary: str) -> Iterator[Sink]:
        """Create a new file under a temporary name, unbuffered."""
        check_temporary(temporary, self.area)
        with told(temporary, Reason.DESTINATION_ERROR):
            stream = Sink(self.tree.create(self._parts(temporary)))
        with stream:
            yield stream
            with told(temporary, Reason.DESTINATION_ERROR):
                stream.close()

    def adopt(self, upload: str, temporary: str) -> None:
        """Move an upload into Dynamo's own folder, where no job can write to it."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        with told(upload, Reason.SOURCE_ERROR):
            sealing.adopt(self._hasty, self._parts(upload), self._parts(temporary))

    def give_back(self, temporary: str, upload: str) -> None:
        """Move an adopted upload back to its job."""
        for name in (upload, temporary):
            check_temporary(name, self.area)
        with told(upload, Reason.DESTINATION_ERROR):
            sealing.give_back(self._hasty, self._parts(temporary), self._parts(upload))

    def rename(self, temporary: str, lfn: str) -> None:
        """Rename a temporary file to its final name."""
        check_temporary(temporary, self.area)
        check_final(lfn, self.area)
        with told(lfn, Reason.DESTINATION_ERROR):
            self.tree.move(self._parts(temporary), self._parts(lfn))

    def persist(self, lfn: str) -> None:
        """Sync an existing file to the disk."""
        path = self._path(lfn)
        if self.tree.durable:
            with told(lfn, Reason.DESTINATION_ERROR):
                self.tree.persist(path)

    def delete(self, lfn: str) -> bool:
        """Delete a file and folders that become empty."""
        check_final(lfn, self.area)
        path = self._parts(lfn)
        with told(lfn, Reason.DESTINATION_ERROR):
            existed = self.tree.remove(path)
            self.tree.prune(path[:-1])
        return existed

    def discard(self, temporary: str) -> None:
        """Delete a temporary file if it exists."""
        check_temporary(temporary, self.area)
        with told(temporary, Reason.DESTINATION_ERROR):
            self.tree.remove(self._parts(temporary))

    def move(self, lfn: str, other: str) -> None:
        """Rename a file and delete folders that become empty."""
        for name in (lfn, other):
            check_final(name, self.area)
        with told(lfn, Reason.DESTINATION_ERROR):
            self.tree.move_new(self._parts(lfn), self._parts(other))
            self.tree.prune(self._parts(lfn)[:-1])

    def listing(self, area: str) -> Iterator[Folder]:
        """Yield the folders of an area; names that are not LFNs are included as they are."""
        return walk(self.tree, self._path(area), area)

    def clean(self, area: str, before: datetime, needed: Needed) -> int:
        """Delete temporary files that are old and not in use; return their number."""
        return clean(self, area, before, needed)

    def free(self) -> int | None:
        """Return the bytes that Dynamo may still write."""
        with told(self.addresses.url, Reason.DESTINATION_ERROR):
            return self.tree.free()

    def open_to_others(self, lfn: str) -> bool:
        """Check the modes of the folders above a file."""
        path = self._path(lfn)
        with told(lfn, Reason.DESTINATION_ERROR):
            return access.open_to_others(self.tree, path)

    @contextlib.contextmanager
    def batched(self) -> Iterator[Self]:
        """Sync the file system once at the end, instead of each file and folder."""
        yield replace(self, tree=self._hasty)
        with told(self.addresses.url, Reason.DESTINATION_ERROR):
            self.tree.sync()

    @property
    def _hasty(self) -> Tree:
        """Return the same tree for changes that need not be durable at once."""
        return replace(self.tree, durable=False)

    def _path(self, name: str) -> list[str]:
        check_any(name, self.area)
        return self._parts(name)

    def _parts(self, name: str) -> list[str]:
        """Split an address into its parts below the root; no rule leads out of it."""
        if not self.addresses.steps:
            return name.strip("/").split("/")
        path, root = file_path(self.addresses.pfn(name)), self.tree.root.rstrip("/") + "/"
        if not path.startswith(root) or not _is_plain(path):
            raise StorageError(
                Reason.DESTINATION_ERROR, f"the rules of the site put {name} outside of {root}"
            )
        return path[len(root) :].split("/")


def file_path(url: str) -> str:
    """Return the absolute path of a `file:` URL. Raises Invalid."""
    parts = urllib.parse.urlsplit(url)
    if (
        parts.scheme != "file"
        or parts.netloc not in {"", "localhost"}
        or parts.query
        or parts.fragment
    ):
        raise Invalid(f"{url!r} is not the URL of a folder; write file:///path")
    path = urllib.parse.unquote(parts.path)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"{url!r} has no absolute path; write file:///path")
    return os.path.normpath(path)


def _is_plain(path: str) -> bool:
    return not set(path.split("/")[1:]) & {"", ".", ".."} and "\0" not in path
