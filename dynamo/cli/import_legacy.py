"""Converts the injection JSON of the first Dynamo into calls of this one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from dynamo.client.client import Json

MOST_BYTES = 8_000_000
MOST_COMMAS = 100_000
"""Limits of one call: about half of those of the API."""

STATUSES = {
    "valid": "valid",
    "unknown": "valid",
    "ignored": "valid",
    "production": "production",
    "invalid": "invalid",
    "deprecated": "deprecated",
}
"""Statuses of the first Dynamo; deleted datasets are left out."""

KINDS = {"disk": "disk", "buffer": "disk", "unknown": "disk", "mss": "tape"}


class File(msgspec.Struct):
    """A file; checksums other than Adler-32 are left out."""

    name: str
    size: int
    adler32: str | None = None
    site: str | None = None


class Block(msgspec.Struct):
    """A block with new files."""

    name: str
    files: list[File] = []


class Dataset(msgspec.Struct):
    """A dataset with new blocks, or new files in known ones."""

    name: str
    status: str = "unknown"
    data_type: str = "unknown"
    blocks: list[Block] = []


class Site(msgspec.Struct):
    """A storage endpoint."""

    name: str
    host: str = ""
    storage_type: str = "unknown"
    backend: str = ""
    status: str = "unknown"


class Group(msgspec.Struct):
    """A group, and the level of its ownership."""

    name: str
    olevel: str = "Block"


class BlockReplica(msgspec.Struct):
    """A block at a site, complete unless files are listed."""

    block: str
    group: str | None = None
    files: list[str] | None = None


class DatasetReplica(msgspec.Struct):
    """A dataset at a site."""

    dataset: str
    site: str
    growing: bool | None = None
    group: str | None = None
    blockreplicas: list[BlockReplica] = []


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A whole file."""

    dataset: list[Dataset] = []
    site: list[Site] = []
    group: list[Group] = []
    datasetreplica: list[DatasetReplica] = []


@dataclass(slots=True)
class _Block:
    """A block, collected from all parts of a document."""

    files: list[Json] = field(default_factory=list)
    replicas: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class _Dataset:
    head: Json
    at: dict[str, Json] = field(default_factory=dict)
    blocks: dict[str, _Block] = field(default_factory=dict)

    def block(self, name: str) -> _Block:
        return self.blocks.setdefault(name.rpartition("#")[2], _Block())


def read(text: bytes) -> Document:
    """Return a document. Raises msgspec.ValidationError, msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Document)


def sites(document: Document) -> Iterator[tuple[str, Json]]:
    """Yield the sites of a document, as bodies of `PUT /v1/sites/<name>`."""
    for site in document.site:
        kind = KINDS.get(site.storage_type.lower(), "disk")
        yield site.name, {"kind": kind, "status": site.status.lower(), "url": site.backend}


def owners(document: Document, known: Mapping[str, str]) -> dict[str, str]:
    """Return the new owner of each group: as given, else by the level of the group."""
    levels = {group.name: group.olevel.lower() for group in document.group}
    named = {replica.group for replica in document.datasetreplica}
    named |= {
        block_replica.group
        for replica in document.datasetreplica
        for block_replica in replica.blockreplicas
    }
    own = {"analysis": "analysis", "production": "production"} | dict(known)
    by_level = {"dataset": "analysis"}
    return {
        name: own.get(name) or by_level.get(levels.get(name, ""), "production")
        for name in sorted(filter(None, named))
    }


def left_out(document: Document) -> list[str]:
    """Return the datasets that are left out because they were deleted."""
    return [dataset.name for dataset in document.dataset if dataset.status.lower() not in STATUSES]


def calls(
    document: Document, groups: Mapping[str, str], *, leave_open: bool
) -> Iterator[list[Json]]:
    """Yield bodies of `POST /v1/datasets` within the limits; blocks are never split."""
    body: list[Json] = []
    size = commas = 0
    for head, block in _pieces(_put_together(document, groups), leave_open=leave_open):
        text = json.dumps(block or head)
        if body and (size + len(text) > MOST_BYTES or commas + text.count(",") > MOST_COMMAS):
            yield body
            body, size, commas = [], 0, 0
        if not body or body[-1]["name"] != head["name"]:
            body.append({**head, "blocks": []})
        if block is not None:
            body[-1]["blocks"].append(block)
        size, commas = size + len(text), commas + text.count(",")
    if body:
        yield body


def _put_together(document: Document, groups: Mapping[str, str]) -> Sequence[_Dataset]:
    """Return the content of all parts of a document, by dataset."""
    datasets: dict[str, _Dataset] = {}
    deleted = set(left_out(document))
    for entry in document.dataset:
        if entry.name not in deleted:
            head = {"name": entry.name, "status": STATUSES[entry.status.lower()]}
            dataset = datasets.setdefault(entry.name, _Dataset({**head, "type": entry.data_type}))
            for block in entry.blocks:
                _add_files(dataset.block(block.name), block.files)
    for replica in document.datasetreplica:
        if replica.dataset not in deleted:
            dataset = datasets.setdefault(replica.dataset, _Dataset({"name": replica.dataset}))
            _add_replica(dataset, replica, groups)
    return list(datasets.values())


def _add_files(block: _Block, files: Sequence[File]) -> None:
    for file in files:
        entry: Json = {"lfn": file.name, "size": file.size}
        if file.adler32 is not None:
            entry["adler32"] = file.adler32.lower().zfill(8)
        block.files.append(entry)
        if file.site is not None:
            at = block.replicas.setdefault(file.site, {"site": file.site, "files": []})
            at["files"].append(file.name)


def _add_replica(dataset: _Dataset, replica: DatasetReplica, groups: Mapping[str, str]) -> None:
    at: Json = {"site": replica.site, "growing": bool(replica.growing)}
    if replica.group is not None:
        at["group"] = groups[replica.group]
    dataset.at[replica.site] = at
    for block_replica in replica.blockreplicas:
        block = dataset.block(block_replica.block)
        entry = block.replicas.setdefault(replica.site, {"site": replica.site, "files": []})
        if block_replica.group is not None:
            entry["group"] = groups[block_replica.group]
        if block_replica.files is None:
            entry.pop("files", None)
        elif "files" in entry:
            entry["files"] = list(dict.fromkeys([*entry["files"], *block_replica.files]))


def _pieces(
    datasets: Sequence[_Dataset], *, leave_open: bool
) -> Iterator[tuple[Json, Json | None]]:
    """Yield blocks with the head of their dataset; a dataset without blocks yields None once."""
    for dataset in datasets:
        head = {**dataset.head, "replicas": list(dataset.at.values())}
        if not dataset.blocks:
            yield head, None
        for name, block in dataset.blocks.items():
            entry: Json = {"name": name, "files": block.files}
            entry["replicas"] = [
                replica for replica in block.replicas.values() if replica.get("files") != []
            ]
            yield head, entry if leave_open else {**entry, "open": False}
