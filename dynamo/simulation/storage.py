"""Simulated storages without bytes: a file is a name, a size and a checksum."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import NoReturn
from zlib import adler32

from dynamo.reasons import Reason
from dynamo.storage import temporary_names
from dynamo.storage.errno_reasons import at_source
from dynamo.storage.protocol import (
    Copied,
    Entry,
    Folder,
    Readable,
    Stat,
    Storage,
    StorageError,
    Writable,
)
from dynamo.storage.registry import Storages
from dynamo.units import adler32_text

MARK = " "
"""Separates endpoint and name in an address; neither can contain it."""


@dataclass(slots=True)
class Place:
    """The storage of one site."""

    url: str
    files: dict[str, Copied] = field(default_factory=dict)
    down: bool = False


@dataclass(slots=True)
class Network:
    """All storages, and the links between them."""

    rate: Callable[[str, str], float]
    """Bytes per second from one endpoint to another."""
    random: Random
    faults: float = 0.0
    """Fraction of files whose first transfer fails."""
    places: dict[str, Place] = field(default_factory=dict)
    seconds: float = 0.0
    """Total seconds of all transfers."""
    moved: int = 0
    deleted: int = 0
    """Bytes since the last reset."""

    def at(self, url: str) -> Place:
        """Return the storage at an endpoint."""
        return self.places.setdefault(url, Place(url))

    def silent(self) -> frozenset[str]:
        """Return the endpoints that do not answer now."""
        return frozenset(url for url, place in self.places.items() if place.down)


@dataclass(slots=True)
class ImaginedStorage:
    """The files of one site; see `Storage` for the promise of each call."""

    place: Place
    network: Network
    area: str

    def pfn(self, lfn: str) -> str:
        """Return an address for `fetch`."""
        return f"{self.place.url}{MARK}{lfn}"

    def stat(self, lfn: str) -> Stat | None:
        """Return the size, without a modification time."""
        known = self._files.get(lfn)
        return None if known is None else Stat(known.size, None)

    def adler32(self, lfn: str) -> str:
        """Return the recorded checksum."""
        return self._known(lfn).adler32

    def arrived(self, temporary: str, written: Copied) -> Copied | None:  # noqa: ARG002 - the protocol
        """Return the recorded size and checksum."""
        return self._files.get(temporary)

    def read(self, lfn: str) -> AbstractContextManager[Readable]:
        """Raise StorageError: the file has no bytes."""
        raise StorageError(Reason.SOURCE_ERROR, f"{lfn} is only simulated")

    def prepare(self, temporary: str) -> None:
        """Do nothing: folders do not exist."""

    @contextmanager
    def write(self, temporary: str) -> Iterator[Writable]:
        """Record size and checksum of the bytes, and drop them."""
        files = self._files
        sink = _Sink()
        yield sink
        files[temporary] = Copied(sink.size, adler32_text(sink.value))

    def adopt(self, upload: str, temporary: str) -> None:
        """Rename."""
        if temporary not in self._files and upload not in self._files:
            raise StorageError(Reason.NOT_UPLOADED, f"nothing lies at {upload} yet")
        if upload in self._files:
            self.network.moved += self._files[upload].size
            self._rename(upload, temporary)

    def give_back(self, temporary: str, upload: str) -> None:
        """Rename."""
        self._rename(temporary, upload)

    def rename(self, temporary: str, lfn: str) -> None:
        """Rename."""
        self._rename(temporary, lfn)

    def persist(self, lfn: str) -> None:
        """Do nothing: files are in memory."""

    def delete(self, lfn: str) -> bool:
        """Delete the record."""
        removed = self._files.pop(lfn, None)
        self.network.deleted += 0 if removed is None else removed.size
        return removed is not None

    def discard(self, temporary: str) -> None:
        """Delete the record."""
        temporary_names.check_temporary(temporary, self.area)
        self._files.pop(temporary, None)

    def move(self, lfn: str, other: str) -> None:
        """Rename, without replacing."""
        if lfn in self._files and other not in self._files:
            self._rename(lfn, other)

    def listing(self, area: str) -> Iterator[Folder]:
        """Yield the folders of an area."""
        folders: dict[str, list[Entry]] = {area: []}
        for lfn, copied in self._files.items():
            if lfn.startswith(f"{area}/"):
                entry = Entry(lfn, copied.size, datetime.min.replace(tzinfo=UTC))
                folders.setdefault(lfn.rpartition("/")[0], []).append(entry)
        for path, entries in sorted(folders.items()):
            yield Folder(path, entries, complete=True)

    def clean(
        self, area: str, before: datetime, needed: Callable[[Collection[str]], Collection[str]]
    ) -> int:
        """Do nothing: no temporary file is left behind."""
        del area, before, needed
        return 0

    def free(self) -> int | None:
        """Return None: unknown."""
        return None

    def batched(self) -> AbstractContextManager[Storage]:
        """Return the storage itself: files are in memory."""
        return nullcontext(self)

    def fetch(
        self, source: str, temporary: str, size: int | None, alive: Callable[[], None]
    ) -> bool:
        """Copy a record from another storage at once, and count its transfer time."""
        del size
        alive()
        files = self._files
        url, _, lfn = source.partition(MARK)
        with at_source():
            known = ImaginedStorage(self.network.at(url), self.network, self.area)._known(lfn)  # noqa: SLF001
        if self.network.random.random() < self.network.faults:
            self.network.seconds += 1
            raise StorageError(Reason.SOURCE_ERROR, "the connection was lost")
        self.network.seconds += known.size / self.network.rate(url, self.place.url)
        self.network.moved += known.size
        files[temporary] = known
        return True

    @property
    def _files(self) -> dict[str, Copied]:
        if self.place.down:
            self._silent()
        return self.place.files

    def _silent(self) -> NoReturn:
        self.network.seconds += 60
        raise StorageError(Reason.QUEUE_TIMEOUT, f"{self.place.url} does not answer")

    def _known(self, lfn: str) -> Copied:
        record = self._files.get(lfn)
        if record is None:
            raise StorageError(Reason.SOURCE_MISSING, f"there is no {lfn} at {self.place.url}")
        return record

    def _rename(self, name: str, other: str) -> None:
        self._known(name)
        self._files[other] = self._files.pop(name)


class _Sink:
    def __init__(self) -> None:
        self.size = 0
        self.value = 1

    def write(self, data: memoryview, /) -> int:
        self.size += len(data)
        self.value = adler32(data, self.value)
        return len(data)


class Imagination(Storages):
    """Simulates the storage of every endpoint, whatever its scheme."""

    def __init__(self, area: str, network: Network) -> None:
        """Take the incoming area and the network of all storages."""
        super().__init__(area)
        self._network = network

    def answering_within(self, seconds: float) -> Storages:
        """Return the same: imagined storages answer at once, or never."""
        del seconds
        return self

    def at(self, url: str, rules: Mapping[str, object]) -> Storage:
        """Return the simulated storage of a site."""
        del rules
        return ImaginedStorage(self._network.at(url), self._network, self.area)
