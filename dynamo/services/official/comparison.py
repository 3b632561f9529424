"""Compares the data of a call with registered data: new, known or refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dynamo.db.catalogue import bulk_registration, replicas
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue.bulk_registration import OfficialRow
from dynamo.db.catalogue.names import KnownFile
from dynamo.db.catalogue.replicas import LockedBlock
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.errors import Conflict, Fault
from dynamo.inventory import schemas
from dynamo.inventory.states import DatasetStatus
from dynamo.operations.hints import batches
from dynamo.reasons import Reason
from dynamo.services.official.validation import Stated

AT_ONCE = 1000
"""Limit of blocks per statement."""


@dataclass(slots=True)
class BlockStanding:
    """A block as stated by the call, and as registered."""

    stated: Stated
    dataset: OfficialRow
    row: LockedBlock | None
    """The block's locked row; None for a new block."""
    key: int = 0
    known: dict[str, KnownFile] = field(default_factory=dict)
    """Registered files of the block, by name, with their rows."""
    fresh: list[schemas.OfficialFile] = field(default_factory=list)
    fresh_keys: dict[str, int] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Return whether this call registers the block."""
        return self.row is None

    @property
    def was_closed(self) -> bool:
        """Return whether the block was closed before."""
        return self.row is not None and self.row.closed

    @property
    def closed(self) -> bool:
        """Return whether the block is closed after the call."""
        return self.was_closed or self.stated.closes

    @property
    def takes_files(self) -> bool:
        """Return whether the dataset takes more files."""
        worth = (DatasetStatus.VALID, DatasetStatus.PRODUCTION)
        return self.dataset.is_open and self.dataset.status in worth

    @property
    def fresh_bytes(self) -> int:
        """Return the bytes of new files."""
        return sum(file.size for file in self.fresh)

    @property
    def n_files(self) -> int:
        """Return the number of files after the call."""
        return len(self.fresh) + (0 if self.row is None else self.row.n_files)

    @property
    def bytes(self) -> int:
        """Return the bytes after the call."""
        return self.fresh_bytes + (0 if self.row is None else self.row.bytes)


def standings(
    work: Work, blocks: Sequence[Stated], rows: Mapping[str, OfficialRow], new: Collection[str]
) -> list[BlockStanding]:
    """Compare the blocks of a call with registered ones, and lock these."""
    registered = [stated for stated in blocks if stated.dataset.name not in new]
    keys = bulk_registration.block_keys(
        work, [(rows[stated.dataset.name].id, stated.id) for stated in registered]
    )
    locked: dict[int, LockedBlock] = {}
    for batch in batches(sorted(keys.values()), AT_ONCE):
        locked |= replicas.lock_blocks(work, batch)
    if len(locked) < len(keys):
        raise Again("a block was deleted meanwhile")
    compared = [_standing(stated, rows[stated.dataset.name], keys, locked) for stated in blocks]
    leaving = [
        block for block in compared if block.row is not None and block.row.condemned_by is not None
    ]
    if leaving:
        faults = [Fault(block.stated.pointer, "is being deleted") for block in leaving]
        raise Conflict("some blocks are being deleted", Reason.BEING_DELETED, faults=faults)
    _compare(
        compared,
        catalogue_names.known_files(
            work, sorted({lfn for stated in blocks for lfn in stated.lfns})
        ),
    )
    return compared


def _standing(
    stated: Stated,
    dataset: OfficialRow,
    keys: Mapping[tuple[int, str], int],
    locked: Mapping[int, LockedBlock],
) -> BlockStanding:
    key = keys.get((dataset.id, stated.id))
    return (
        BlockStanding(stated, dataset, None)
        if key is None
        else BlockStanding(stated, dataset, locked[key], key)
    )


def _compare(blocks: Sequence[BlockStanding], known: Mapping[str, KnownFile]) -> None:
    """Split new files from known ones, which must agree with the call. Raises Conflict."""
    faults: list[Fault] = []
    for block in blocks:
        block.known = {lfn: known[lfn] for lfn in block.stated.lfns if lfn in known}
        for n, file in enumerate(block.stated.block.files):
            row = known.get(file.lfn)
            if row is None:
                block.fresh.append(file)
            elif (detail := _contradiction(block, file, row)) is not None:
                faults.append(Fault(f"{block.stated.pointer}/files/{n}", detail, file.lfn))
    if faults:
        raise Conflict("some names are taken", Reason.NAME_CONFLICT, faults=faults)
    for block in blocks:
        _check_open(block)


def _check_open(block: BlockStanding) -> None:
    """Refuse new files and blocks in closed blocks and datasets. Raises Conflict."""
    name = block.stated.dataset.name
    if block.fresh and block.was_closed:
        detail = f"the block {block.stated.id} of {name} is closed; it takes no more files"
        raise Conflict(detail, Reason.BLOCK_CLOSED, faults=[Fault(block.stated.pointer, detail)])
    if (block.fresh or block.is_new) and not block.takes_files:
        detail = f"{name} is closed, invalid or deprecated; it takes no more files"
        raise Conflict(detail, Reason.DATASET_CLOSED, faults=[Fault(block.stated.pointer, detail)])


def _contradiction(block: BlockStanding, file: schemas.OfficialFile, row: KnownFile) -> str | None:
    if row.condemned_by is not None or row.block_condemned_by is not None:
        return "is being deleted; rescue it or wait for the end of the deletion"
    for name, stated, registered in (
        ("dataset", block.dataset.id, row.dataset_id),
        ("block", block.key, row.block_id),
        ("size", file.size, row.size),
        ("adler32", file.adler32 or row.adler32, row.adler32 or file.adler32),
    ):
        if stated != registered:
            return f"is registered with another {name}"
    return None
