"""The injection JSON of the first Dynamo, turned into calls of this one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dynamo.client.client import Json

MOST_BYTES = 8_000_000
MOST_COMMAS = 100_000
"""Of one call: about half of what the API takes."""

STATUSES = {
    "valid": "valid",
    "unknown": "valid",
    "ignored": "valid",
    "production": "production",
    "invalid": "invalid",
    "deprecated": "deprecated",
}
"""What the first Dynamo called a dataset; one that was deleted there is left out."""

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
    """Owners, and at which level they own."""

    name: str
    olevel: str = "Block"


class BlockReplica(msgspec.Struct):
    """A block at a site; it is whole unless files are named."""

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
    """A block as it is put together from all parts of a document."""

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
    """Read a document. Raises msgspec.ValidationError, msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Document)


def sites(document: Document) -> Iterator[tuple[str, Json]]:
    """Yield the sites of a document, as `PUT /v1/sites/<name>` takes them."""
    for site in document.site:
        kind = KINDS.get(site.storage_type.lower(), "disk")
        yield site.name, {"kind": kind, "status": site.status.lower(), "url": site.backend}


def owners(document: Document, known: Mapping[str, str]) -> dict[str, str]:
    """Return who owns here what a group owned there: as told, else by the level of the group."""
    levels = {group.name: group.olevel.lower() for group in document.group}
    named = {replica.group for replica in document.datasetreplica}
    named |= {one.group for replica in document.datasetreplica for one in replica.blockreplicas}
    own = {"analysis": "analysis", "production": "production"} | dict(known)
    by_level = {"dataset": "analysis"}
    return {
        name: own.get(name) or by_level.get(levels.get(name, ""), "production")
        for name in sorted(filter(None, named))
    }


def left_out(document: Document) -> list[str]:
    """Return the datasets that are not taken: they were deleted."""
    return [one.name for one in document.dataset if one.status.lower() not in STATUSES]


def calls(document: Document, groups: Mapping[str, str], *, leave_open: bool) -> Iterator[Any]:
    """Yield the bodies of `POST /v1/datasets`, each as large as is good, blocks never cut."""
    body: list[Json] = []
    size = commas = 0
    for head, block in _pieces(_put_together(document, groups), leave_open=leave_open):
        told = json.dumps(block or head)
        if body and (size + len(told) > MOST_BYTES or commas + told.count(",") > MOST_COMMAS):
            yield body
            body, size, commas = [], 0, 0
        if not body or body[-1]["name"] != head["name"]:
            body.append({**head, "blocks": []})
        if block is not None:
            body[-1]["blocks"].append(block)
        size, commas = size + len(told), commas + told.count(",")
    if body:
        yield body


def _put_together(document: Document, groups: Mapping[str, str]) -> Sequence[_Dataset]:
    """Bring together what the parts of a document say of each dataset."""
    found: dict[str, _Dataset] = {}
    gone = set(left_out(document))
    for one in document.dataset:
        if one.name not in gone:
            head = {"name": one.name, "status": STATUSES[one.status.lower()]}
            dataset = found.setdefault(one.name, _Dataset({**head, "type": one.data_type}))
            for block in one.blocks:
                _add_files(dataset.block(block.name), block.files)
    for replica in document.datasetreplica:
        if replica.dataset not in gone:
            dataset = found.setdefault(replica.dataset, _Dataset({"name": replica.dataset}))
            _add_replica(dataset, replica, groups)
    return list(found.values())


def _add_files(block: _Block, files: Sequence[File]) -> None:
    for file in files:
        told: Json = {"lfn": file.name, "size": file.size}
        if file.adler32 is not None:
            told["adler32"] = file.adler32.lower().zfill(8)
        block.files.append(told)
        if file.site is not None:
            at = block.replicas.setdefault(file.site, {"site": file.site, "files": []})
            at["files"].append(file.name)


def _add_replica(dataset: _Dataset, replica: DatasetReplica, groups: Mapping[str, str]) -> None:
    at: Json = {"site": replica.site, "growing": bool(replica.growing)}
    if replica.group is not None:
        at["group"] = groups[replica.group]
    dataset.at[replica.site] = at
    for one in replica.blockreplicas:
        block = dataset.block(one.block)
        told = block.replicas.setdefault(replica.site, {"site": replica.site, "files": []})
        if one.group is not None:
            told["group"] = groups[one.group]
        if one.files is None:
            told.pop("files", None)
        elif "files" in told:
            told["files"] = list(dict.fromkeys([*told["files"], *one.files]))


def _pieces(
    datasets: Sequence[_Dataset], *, leave_open: bool
) -> Iterator[tuple[Json, Json | None]]:
    """Yield blocks, each with the head of its dataset; a dataset without any yields none."""
    for dataset in datasets:
        head = {**dataset.head, "replicas": list(dataset.at.values())}
        if not dataset.blocks:
            yield head, None
        for name, block in dataset.blocks.items():
            told: Json = {"name": name, "files": block.files}
            told["replicas"] = [one for one in block.replicas.values() if one.get("files") != []]
            yield head, told if leave_open else {**told, "open": False}
