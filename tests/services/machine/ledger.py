"""What was handed over and what may be expected of it, kept as simply as one can."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dynamo.inventory.request_bodies import DeletionBody
from dynamo.operations.lifecycle import OPEN
from dynamo.storage.temporary_names import adopted
from tests.services.machine.picture import ENDED, Picture
from tests.services.world import adler32, lfn

AREA = "/store/temp/dynamo"


@dataclass(frozen=True)
class Upload:
    """Right bytes that a job has written to its address."""

    transfer: Any

    @property
    def is_bound(self) -> bool:
        """Tell whether the job has confirmed it, after the last look that found nothing right."""
        row = self.transfer
        refuted = row.reason in ("not-uploaded", "checksum-mismatch")
        return row.confirmed and not (refuted and row.not_before > row.updated)


@dataclass
class Ledger:
    """The side of the users: what they gave, what they were promised, what they gave up."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """What was handed over under each name that is registered."""
    versions: dict[str, int] = field(default_factory=dict)
    """How often each name was registered before."""
    safe: set[str] = field(default_factory=set)
    """Names that were said to be available and that nobody has given up since."""
    given_up: dict[int, set[str]] = field(default_factory=dict)
    """Open deletion -> the names that its owner gave up with it."""
    frozen: dict[int, set[str]] = field(default_factory=dict)
    """Closed dataset -> all the names it may ever have."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    """Names whose right bytes lay at their upload address and that nobody has given up since."""
    _requests: set[int] = field(default_factory=set)

    def content(self, name: str) -> bytes:
        """Return the bytes of the name that is registered, or of its next registration."""
        if name in self.contents:
            return self.contents[name]
        version = self.versions.get(name, 0)
        word = name.rpartition("/")[2]
        return f"{word} {version};".encode() * (1 + len(word) % 3 + version % 2)

    def turn(self, before: Picture, now: Picture) -> Iterator[str]:
        """Go on to what the rows say now, and yield which promises were broken."""
        for request in (now.requests[key] for key in sorted(set(now.requests) - self._requests)):
            self._requests.add(request.id)
            if request.kind == "deletion":
                self.given_up[request.id] = _named(before, request) | _named(now, request)
        for key in [key for key in self.given_up if now.requests[key].state in ENDED]:
            gone = self.given_up.pop(key) - now.available
            self.safe -= gone
            self.uploads = {name: one for name, one in self.uploads.items() if name not in gone}
        yield from self._names(now)
        yield from self._closures(now)
        yield from self._uploads(now)
        self.safe -= set().union(*self.given_up.values())
        for name in sorted(self.safe):
            if name not in now.available:
                yield f"{name} was safe, is not available and nobody gave it up"
            elif not any(files.get(name) == self.content(name) for files in now.disks.values()):
                yield f"{name} was safe and lies nowhere"
        self.safe |= now.available

    def _names(self, now: Picture) -> Iterator[str]:
        for name in set(self.contents) - set(now.files):
            del self.contents[name]
            self.versions[name] = self.versions.get(name, 0) + 1
        for name, row in now.files.items():
            bytes_ = self.contents.setdefault(name, self.content(name))
            if row.size not in (None, len(bytes_)) or row.adler32 not in (None, adler32(bytes_)):
                yield f"{name} is registered with {row.size} bytes, {row.adler32}"

    def spoil(self, name: str) -> None:
        """Take back what is expected of an upload: its job has written other bytes over it."""
        self.uploads.pop(name, None)

    def owed(self, now: Picture) -> Iterator[str]:
        """Yield, once everything runs, which right uploads are not available."""
        for name in sorted(set(self.uploads) - now.available):
            address = self.uploads[name].transfer.upload
            yield f"the right bytes of {name} lay at {address} and it is not available"

    def _uploads(self, now: Picture) -> Iterator[str]:
        rows = {now.by_id[row.file_id].lfn: row for row in now.transfers if row.kind != "copy"}
        for name in [name for name in self.uploads if self._is_given_up(now, name)]:
            del self.uploads[name]
        for name, upload in list(self.uploads.items()):
            row, address = rows.get(name), upload.transfer.upload
            if name in now.available:  # it is safe from now on
                del self.uploads[name]
            elif row is not None and row.upload != address:
                if upload.is_bound:
                    yield f"{name} was confirmed at {address} and is awaited elsewhere"
                del self.uploads[name]  # booked elsewhere by its job
            elif row is not None and row.state == "failed":
                del self.uploads[name]  # tried for a month in vain
        for name, row in rows.items():
            if row.upload is not None and self._lies_right(now, name, row):
                self.uploads[name] = Upload(row)
                if self._is_given_up(now, name):
                    del self.uploads[name]

    def _lies_right(self, now: Picture, name: str, row: Any) -> bool:
        here = now.disks[now.sites[row.site_id].name]
        found = (here.get(row.upload), here.get(adopted(AREA, row.upload)))
        wanted = row.state in OPEN and now.is_alive(now.files[name])
        return wanted and self.content(name) in found

    def _is_given_up(self, now: Picture, name: str) -> bool:
        request = now.requests[self.uploads[name].transfer.request_id]
        return request.state == "cancelled" or name in set().union(*self.given_up.values())

    def _closures(self, now: Picture) -> Iterator[str]:
        for key in set(self.frozen) - set(now.datasets):
            del self.frozen[key]
        for row in now.datasets.values():
            names = {file.lfn for file in now.by_id.values() if file.dataset_id == row.id}
            asked = [
                r for r in now.requests.values() if (r.kind, r.dataset) == ("closure", row.name)
            ]
            if any(_is_of(now, request, row) for request in asked):
                late = names - self.frozen.setdefault(row.id, names)
                if late:
                    yield f"{row.name} took {sorted(late)} after its closure"
                if row.is_open:
                    yield f"{row.name} was closed and is open"


def _is_of(now: Picture, closure: Any, dataset: Any) -> bool:
    """Tell whether a closure is of this dataset, not of one of its name that was deleted before."""
    if closure.created != dataset.created:
        return bool(closure.created > dataset.created)
    again = (r for r in now.requests.values() if (r.kind, r.dataset) == ("injection", dataset.name))
    return not any(r.id > closure.id and r.created == dataset.created for r in again)


def _named(picture: Picture, request: Any) -> set[str]:
    """Return the names that a deletion gives up, as far as they are in a picture."""
    body = request.body
    if not isinstance(body, DeletionBody) or (body.site is not None and not body.last_copy):
        return set()
    if body.files is not None:
        return {file.lfn for file in picture.by_id.values() if file.id in body.files}
    uuids = None if body.blocks is None else {b.partition("#")[2] for b in body.blocks}
    here = {
        row.block_id
        for row in picture.replicas.values()
        if body.site in (None, picture.sites[row.site_id].name)
    }
    found = set()
    for file in picture.by_id.values():
        block = picture.blocks.get(file.block_id)
        if picture.datasets[file.dataset_id].name != request.dataset:
            continue
        if uuids is not None and (block is None or block.uuid not in uuids):
            continue
        if body.site is None or (block is not None and block.id in here):
            found.add(file.lfn)
    return found


def name_of(number: int, dataset: int) -> str:
    """Return the logical name of a file by number."""
    return lfn(f"v{dataset}/f{number}.root")
