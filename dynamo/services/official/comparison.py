"""How what a call states stands to what is registered: what is new, known or refused."""

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
"""Blocks that are named in one statement."""


@dataclass(slots=True)
class BlockStanding:
    """A block as it is stated and as it is registered."""

    stated: Stated
    dataset: OfficialRow
    row: LockedBlock | None
    """The block's row, locked; None for a new one."""
    key: int = 0
    known: dict[str, KnownFile] = field(default_factory=dict)
    """Those of its names that are registered, with their rows."""
    fresh: list[schemas.OfficialFile] = field(default_factory=list)
    fresh_keys: dict[str, int] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Tell whether the block is registered by this call."""
        return self.row is None

    @property
    def was_closed(self) -> bool:
        """Tell whether it was closed before."""
        return self.row is not None and self.row.closed

    @property
    def closed(self) -> bool:
        """Tell whether it is closed when the call is done."""
        return self.was_closed or self.stated.closes

    @property
    def takes_files(self) -> bool:
        """Tell whether the dataset takes more files."""
        worth = (DatasetStatus.VALID, DatasetStatus.PRODUCTION)
        return self.dataset.is_open and self.dataset.status in worth

    @property
    def fresh_bytes(self) -> int:
        """Return the bytes of its new files."""
        return sum(file.size for file in self.fresh)

    @property
    def n_files(self) -> int:
        """Return how many files it has when the call is done."""
        return len(self.fresh) + (0 if self.row is None else self.row.n_files)

    @property
    def bytes(self) -> int:
        """Return its bytes when the call is done."""
        return self.fresh_bytes + (0 if self.row is None else self.row.bytes)


def standings(
    work: Work, blocks: Sequence[Stated], rows: Mapping[str, OfficialRow], new: Collection[str]
) -> list[BlockStanding]:
    """Compare the blocks of a call with what is registered; lock those that are."""
    registered = [one for one in blocks if one.dataset.name not in new]
    keys = bulk_registration.block_keys(
        work, [(rows[one.dataset.name].id, one.id) for one in registered]
    )
    locked: dict[int, LockedBlock] = {}
    for some in batches(sorted(keys.values()), AT_ONCE):
        locked |= replicas.lock_blocks(work, some)
    if len(locked) < len(keys):
        raise Again("a block was removed meanwhile")
    found = [_standing(one, rows[one.dataset.name], keys, locked) for one in blocks]
    leaving = [one for one in found if one.row is not None and one.row.condemned_by is not None]
    if leaving:
        faults = [Fault(one.stated.pointer, "is being deleted") for one in leaving]
        raise Conflict("some blocks are being deleted", Reason.BEING_DELETED, faults=faults)
    _compare(
        found,
        catalogue_names.known_files(work, sorted({lfn for one in blocks for lfn in one.lfns})),
    )
    return found


def _standing(
    one: Stated,
    dataset: OfficialRow,
    keys: Mapping[tuple[int, str], int],
    locked: Mapping[int, LockedBlock],
) -> BlockStanding:
    key = keys.get((dataset.id, one.id))
    return (
        BlockStanding(one, dataset, None)
        if key is None
        else BlockStanding(one, dataset, locked[key], key)
    )


def _compare(blocks: Sequence[BlockStanding], known: Mapping[str, KnownFile]) -> None:
    """Tell new files from known ones, which must be what they are said to be. Raises Conflict."""
    faults: list[Fault] = []
    for one in blocks:
        one.known = {lfn: known[lfn] for lfn in one.stated.lfns if lfn in known}
        for n, file in enumerate(one.stated.block.files):
            row = known.get(file.lfn)
            if row is None:
                one.fresh.append(file)
            elif (why := _contradiction(one, file, row)) is not None:
                faults.append(Fault(f"{one.stated.pointer}/files/{n}", why, file.lfn))
    if faults:
        raise Conflict("some names are taken", Reason.NAME_CONFLICT, faults=faults)
    for one in blocks:
        _check_open(one)


def _check_open(one: BlockStanding) -> None:
    """Refuse new files and blocks where no more are taken. Raises Conflict."""
    name = one.stated.dataset.name
    if one.fresh and one.was_closed:
        detail = f"the block {one.stated.id} of {name} is closed; it takes no more files"
        raise Conflict(detail, Reason.BLOCK_CLOSED, faults=[Fault(one.stated.pointer, detail)])
    if (one.fresh or one.is_new) and not one.takes_files:
        detail = f"{name} is closed, invalid or deprecated; it takes no more files"
        raise Conflict(detail, Reason.DATASET_CLOSED, faults=[Fault(one.stated.pointer, detail)])


def _contradiction(one: BlockStanding, file: schemas.OfficialFile, row: KnownFile) -> str | None:
    if row.condemned_by is not None or row.block_condemned_by is not None:
        return "is being deleted; rescue it or wait until it is gone"
    for name, told, registered in (
        ("dataset", one.dataset.id, row.dataset_id),
        ("block", one.key, row.block_id),
        ("size", file.size, row.size),
        ("adler32", file.adler32 or row.adler32, row.adler32 or file.adler32),
    ):
        if told != registered:
            return f"is registered with another {name}"
    return None
