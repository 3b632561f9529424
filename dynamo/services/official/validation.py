"""Checks the shape of official data in a call, without the inventory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynamo.errors import DynamoError, Fault, Forbidden, Invalid
from dynamo.inventory import names, schemas
from dynamo.inventory.names import BlockName
from dynamo.inventory.ownership import Namespace
from dynamo.reasons import Reason

MOST_FILES = 50_000
"""Limit of files per call: with three fields each, about the limit of values of a body."""
MOST_BLOCKS = 10_000


@dataclass(frozen=True, slots=True)
class Stated:
    """A block of a call, with its position in the call."""

    dataset: schemas.OfficialDataset
    block: schemas.OfficialBlock
    id: str
    pointer: str

    @property
    def closes(self) -> bool:
        """Return whether the call closes the block."""
        return self.block.open is False or self.dataset.open is False

    @property
    def lfns(self) -> Iterator[str]:
        """Yield all file names of the block and its replicas."""
        yield from (file.lfn for file in self.block.files)
        for replica in self.block.replicas:
            yield from replica.files or ()


def stated(wanted: Sequence[schemas.OfficialDataset], reserved: Namespace) -> list[Stated]:
    """Return the blocks of a valid call. Raises Invalid, Forbidden."""
    faults = list(_datasets(wanted))
    if faults:
        raise Invalid("some datasets are not valid", Reason.NAME_INVALID, faults=faults)
    blocks = [
        Stated(dataset, block, _block_id(dataset, block), f"/{n}/blocks/{m}")
        for n, dataset in enumerate(wanted)
        for m, block in enumerate(dataset.blocks)
    ]
    if len(blocks) > MOST_BLOCKS or sum(len(entry.block.files) for entry in blocks) > MOST_FILES:
        detail = f"at most {MOST_FILES} files and {MOST_BLOCKS} blocks in one call; make several"
        raise Invalid(detail, Reason.TOO_LARGE)
    _refuse(Invalid("some blocks are not valid", faults=list(_blocks(blocks))))
    _refuse(Invalid("some files are not valid", faults=list(_files(blocks))))
    _refuse(
        Forbidden(
            "some names are reserved for users' data",
            Reason.NOT_YOUR_NAMESPACE,
            faults=[
                Fault(pointer, refusal, file.lfn)
                for pointer, file in _all_files(blocks)
                if (refusal := reserved.refusal(file.lfn, None)) is not None
            ],
        )
    )
    return blocks


def _refuse(error: DynamoError) -> None:
    if error.faults:
        raise error


def _datasets(wanted: Sequence[schemas.OfficialDataset]) -> Iterator[Fault]:
    seen: set[str] = set()
    for n, dataset in enumerate(wanted):
        if not names.is_dataset(dataset.name):
            yield Fault(f"/{n}/name", "is not a dataset name; write /primary/processed/TIER")
        if dataset.name in seen:
            yield Fault(f"/{n}/name", "occurs twice in this call")
        seen.add(dataset.name)


def _block_id(dataset: schemas.OfficialDataset, block: schemas.OfficialBlock) -> str:
    """Return the id of a block, named by id or in full. Raises Invalid."""
    full = block.name if "#" in block.name else f"{dataset.name}#{block.name}"
    parsed = BlockName.parse(full)
    if parsed.dataset != dataset.name:
        raise Invalid(f"{block.name!r} is not a block of {dataset.name}", Reason.NAME_INVALID)
    return parsed.id


def _blocks(blocks: Sequence[Stated]) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for entry in blocks:
        if (entry.dataset.name, entry.id) in seen:
            yield Fault(entry.pointer, "occurs twice in this call")
        seen.add((entry.dataset.name, entry.id))
        sites = [replica.site for replica in entry.block.replicas]
        if len(set(sites)) < len(sites):
            yield Fault(f"{entry.pointer}/replicas", "a site occurs twice")
        for n, replica in enumerate(entry.block.replicas):
            bad = [lfn for lfn in replica.files or () if not names.is_lfn(lfn)]
            for lfn in bad:
                yield Fault(
                    f"{entry.pointer}/replicas/{n}/files", "is not a logical file name", lfn
                )


def _all_files(blocks: Sequence[Stated]) -> Iterator[tuple[str, schemas.OfficialFile]]:
    for entry in blocks:
        for n, file in enumerate(entry.block.files):
            yield f"{entry.pointer}/files/{n}", file


def _files(blocks: Sequence[Stated]) -> Iterator[Fault]:
    seen: set[str] = set()
    for pointer, file in _all_files(blocks):
        if not names.is_lfn(file.lfn):
            yield Fault(f"{pointer}/lfn", "is not a logical file name", file.lfn)
        if file.lfn in seen:
            yield Fault(f"{pointer}/lfn", "occurs twice in this call", file.lfn)
        seen.add(file.lfn)
        if file.adler32 is not None and not names.is_adler32(file.adler32):
            yield Fault(f"{pointer}/adler32", "is not eight lower-case hex digits", file.lfn)
