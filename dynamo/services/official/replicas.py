"""Places the blocks of a call at sites: new replicas, and files of incomplete ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dynamo.db.catalogue import accounting, bulk_registration, replicas
from dynamo.db.catalogue.accounting import QuotaKey
from dynamo.db.catalogue.bulk_registration import NewReplica, PlacedBlock, Sizes
from dynamo.db.engine.unit_of_work import Work
from dynamo.errors import Conflict, Fault, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.states import ReplicaState
from dynamo.reasons import Reason
from dynamo.services.official.comparison import BlockStanding
from dynamo.services.official.lookup import NameLookup, Whose, destinations


@dataclass(frozen=True, slots=True)
class Placed:
    """New files of a block replica."""

    at: "Destination"
    is_new: bool
    files: Sizes

    @property
    def size(self) -> int:
        """Return the bytes of the new files."""
        return sum(self.files.values())


@dataclass(frozen=True, slots=True)
class Destination:
    """A block at a site as stated, with its files there."""

    block: BlockStanding
    replica: schemas.OfficialReplica
    pointer: str
    site_id: int
    group_id: int | None
    files: Sizes

    @property
    def key(self) -> tuple[int, int]:
        """Return the keys of block and site."""
        return self.block.key, self.site_id


@dataclass(frozen=True, slots=True)
class Placing:
    """All new files, and the changes of bytes (projected, used) per quota."""

    placed: Sequence[Placed]
    changes: Mapping[QuotaKey, tuple[int, int]]


_There = Mapping[tuple[int, int], PlacedBlock]
"""By block and site: what lies there already."""


def place(work: Work, blocks: Sequence[BlockStanding], known: NameLookup) -> Placing:
    """Insert replicas and their files; return the new ones."""
    wanted = list(_wanted(work, blocks, known))
    _check_placed(wanted, blocks)
    registered = {
        (row.block_id, row.site_id): row
        for row in bulk_registration.replicas(
            work, [block.key for block in blocks if not block.is_new]
        )
    }
    _check_staying(wanted, registered)
    fresh = [at for at in wanted if at.key not in registered]
    belonging = destinations(work, known, {_whose(at): at.block.dataset.status for at in fresh})
    new = _add(work, fresh, belonging)
    more = _fill(
        work,
        [at for at in wanted if at.key in registered and not registered[at.key].complete],
        registered,
    )
    grown = {block.key: block.fresh_bytes for block in blocks}
    changes = [
        (row.site_id, row.partition_id, grown[row.block_id], 0)
        for row in registered.values()
        if row.state == ReplicaState.VALID
    ]
    changes += [
        (block.at.site_id, belonging[_whose(block.at)], block.at.block.bytes, block.size)
        for block in new
    ]
    changes += [
        (block.at.site_id, registered[block.at.key].partition_id, 0, block.size) for block in more
    ]
    return Placing([*new, *more], accounting.summed(changes))


def _wanted(
    work: Work, blocks: Sequence[BlockStanding], known: NameLookup
) -> Iterator[Destination]:
    """Yield all replicas of the call, with their files."""
    whole = [block.key for block in blocks if not block.is_new and block.stated.block.replicas]
    registered = bulk_registration.files_of(work, whole)
    for block in blocks:
        files = registered[block.key] if block.key in registered else _fresh(block)
        for n, replica in enumerate(block.stated.block.replicas):
            pointer = f"{block.stated.pointer}/replicas/{n}"
            replica_files = (
                files if replica.files is None else _listed(block, replica.files, files, pointer)
            )
            group_id = known.group(replica.group) or _group_at(block, replica.site, known)
            yield Destination(
                block, replica, pointer, known.sites[replica.site], group_id, replica_files
            )


def _fresh(block: BlockStanding) -> Sizes:
    return {block.fresh_keys[file.lfn]: file.size for file in block.fresh}


def _group_at(block: BlockStanding, site: str, known: NameLookup) -> int | None:
    """Return the owner of a dataset's replicas at a site: as stated, else the dataset's."""
    stated_groups = [at.group for at in block.stated.dataset.replicas if at.site == site]
    return known.group(next(iter(stated_groups), None)) or block.dataset.group_id


def _listed(block: BlockStanding, lfns: Sequence[str], files: Sizes, pointer: str) -> Sizes:
    """Return the named files of a block. Raises NotFound."""
    keys = {lfn: row.id for lfn, row in block.known.items()} | block.fresh_keys
    foreign = [lfn for lfn in lfns if keys.get(lfn) not in files]
    if foreign:
        faults = [Fault(f"{pointer}/files", "is not a file of this block", lfn) for lfn in foreign]
        raise NotFound("some files are not of the block", Reason.FILE_UNKNOWN, faults=faults)
    return {keys[lfn]: files[keys[lfn]] for lfn in lfns}


def _check_placed(wanted: Sequence[Destination], blocks: Sequence[BlockStanding]) -> None:
    """Refuse new files without a site: they would be lost at once."""
    placed: dict[int, set[int]] = {}
    for at in wanted:
        placed.setdefault(at.block.key, set()).update(at.files)
    faults = [
        Fault(block.stated.pointer, "is at no site of the call", lfn)
        for block in blocks
        for lfn, key in block.fresh_keys.items()
        if key not in placed.get(block.key, ())
    ]
    if faults:
        raise Invalid("some new files are at no site", faults=faults)


def _check_staying(wanted: Sequence[Destination], registered: _There) -> None:
    faults = [
        Fault(at.pointer, "is being deleted there; rescue it or wait for the end of the deletion")
        for at in wanted
        if at.key in registered and registered[at.key].state == ReplicaState.CONDEMNED
    ]
    if faults:
        raise Conflict("some replicas are being deleted", Reason.BEING_DELETED, faults=faults)


def _whose(at: Destination) -> Whose:
    return at.block.dataset.name, at.site_id, at.group_id


def _add(work: Work, new: Sequence[Destination], belonging: Mapping[Whose, int]) -> list[Placed]:
    """Insert new replicas."""
    rows = [
        NewReplica(
            at.block.key,
            at.block.dataset.id,
            at.site_id,
            at.group_id,
            belonging[_whose(at)],
            at.replica.custodial,
            at.files,
            at.block.closed and len(at.files) == at.block.n_files,
        )
        for at in new
    ]
    bulk_registration.add_replicas(work, rows)
    return [Placed(at, is_new=True, files=at.files) for at in new]


def _fill(work: Work, wanted: Sequence[Destination], registered: _There) -> list[Placed]:
    """Insert new files of incomplete replicas."""
    ids = [registered[at.key].id for at in wanted]
    present, coming = bulk_registration.held(work, ids), bulk_registration.coming(work, ids)
    placed: list[Placed] = []
    for at in wanted:
        replica = registered[at.key].id
        files = {key: size for key, size in at.files.items() if key not in present[replica]}
        if coming[replica] & files.keys():
            faults = [Fault(at.pointer, "transfers bring some files there now")]
            raise Conflict(
                "transfers of files are running; repeat the call later",
                Reason.IN_USE,
                faults=faults,
            )
        if files:
            placed.append(Placed(at, is_new=False, files=files))
    replicas.arrive(work, {registered[new.at.key].id: list(new.files.items()) for new in placed})
    return placed
