"""Where the blocks of a call lie: new replicas, and what comes to those that were incomplete."""

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
    """What came to a block replica."""

    at: "Destination"
    is_new: bool
    files: Sizes

    @property
    def size(self) -> int:
        """Return the bytes that came."""
        return sum(self.files.values())


@dataclass(frozen=True, slots=True)
class Destination:
    """A block at a site, as stated, and the files of it that lie there."""

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
    """All that came, and how the bytes at sites (projected, used) change by it."""

    placed: Sequence[Placed]
    changes: Mapping[QuotaKey, tuple[int, int]]


_There = Mapping[tuple[int, int], PlacedBlock]
"""By block and site: what lies there already."""


def place(work: Work, blocks: Sequence[BlockStanding], known: NameLookup) -> Placing:
    """Write down where blocks lie; return what was new, and where."""
    wanted = list(_wanted(work, blocks, known))
    _check_placed(wanted, blocks)
    there = {
        (row.block_id, row.site_id): row
        for row in bulk_registration.replicas(work, [one.key for one in blocks if not one.is_new])
    }
    _check_staying(wanted, there)
    fresh = [at for at in wanted if at.key not in there]
    belonging = destinations(work, known, {_whose(at): at.block.dataset.status for at in fresh})
    new = _add(work, fresh, belonging)
    more = _fill(
        work, [at for at in wanted if at.key in there and not there[at.key].complete], there
    )
    grown = {one.key: one.fresh_bytes for one in blocks}
    changes = [
        (row.site_id, row.partition_id, grown[row.block_id], 0)
        for row in there.values()
        if row.state == ReplicaState.VALID
    ]
    changes += [
        (one.at.site_id, belonging[_whose(one.at)], one.at.block.bytes, one.size) for one in new
    ]
    changes += [(one.at.site_id, there[one.at.key].partition_id, 0, one.size) for one in more]
    return Placing([*new, *more], accounting.summed(changes))


def _wanted(
    work: Work, blocks: Sequence[BlockStanding], known: NameLookup
) -> Iterator[Destination]:
    """Go through all places that the call names, with the files that lie there."""
    whole = [one.key for one in blocks if not one.is_new and one.stated.block.replicas]
    registered = bulk_registration.files_of(work, whole)
    for one in blocks:
        files = registered[one.key] if one.key in registered else _fresh(one)
        for n, replica in enumerate(one.stated.block.replicas):
            pointer = f"{one.stated.pointer}/replicas/{n}"
            held = files if replica.files is None else _listed(one, replica.files, files, pointer)
            group_id = known.group(replica.group) or _group_at(one, replica.site, known)
            yield Destination(one, replica, pointer, known.sites[replica.site], group_id, held)


def _fresh(one: BlockStanding) -> Sizes:
    return {one.fresh_keys[file.lfn]: file.size for file in one.fresh}


def _group_at(one: BlockStanding, site: str, known: NameLookup) -> int | None:
    """Return who owns a dataset's replicas at a site: as the call says, else as the dataset."""
    said = [at.group for at in one.stated.dataset.replicas if at.site == site]
    return known.group(next(iter(said), None)) or one.dataset.group_id


def _listed(one: BlockStanding, lfns: Sequence[str], files: Sizes, pointer: str) -> Sizes:
    """Return those files of a block that are named. Raises NotFound."""
    keys = {lfn: row.id for lfn, row in one.known.items()} | one.fresh_keys
    strange = [lfn for lfn in lfns if keys.get(lfn) not in files]
    if strange:
        faults = [Fault(f"{pointer}/files", "is no file of this block", lfn) for lfn in strange]
        raise NotFound("some files are not of the block", Reason.FILE_UNKNOWN, faults=faults)
    return {keys[lfn]: files[keys[lfn]] for lfn in lfns}


def _check_placed(wanted: Sequence[Destination], blocks: Sequence[BlockStanding]) -> None:
    """Refuse new files that lie nowhere: they would be lost from the first moment on."""
    lying: dict[int, set[int]] = {}
    for at in wanted:
        lying.setdefault(at.block.key, set()).update(at.files)
    faults = [
        Fault(one.stated.pointer, "lies at no site of the call", lfn)
        for one in blocks
        for lfn, key in one.fresh_keys.items()
        if key not in lying.get(one.key, ())
    ]
    if faults:
        raise Invalid("some new files lie nowhere", faults=faults)


def _check_staying(wanted: Sequence[Destination], there: _There) -> None:
    faults = [
        Fault(at.pointer, "is being deleted there; rescue it or wait until it is gone")
        for at in wanted
        if at.key in there and there[at.key].state == ReplicaState.CONDEMNED
    ]
    if faults:
        raise Conflict("some replicas are being deleted", Reason.BEING_DELETED, faults=faults)


def _whose(at: Destination) -> Whose:
    return at.block.dataset.name, at.site_id, at.group_id


def _add(work: Work, new: Sequence[Destination], belonging: Mapping[Whose, int]) -> list[Placed]:
    """Write down replicas that were not known."""
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


def _fill(work: Work, some: Sequence[Destination], there: _There) -> list[Placed]:
    """Write down what came to replicas that were incomplete."""
    ids = [there[at.key].id for at in some]
    held, coming = bulk_registration.held(work, ids), bulk_registration.coming(work, ids)
    placed: list[Placed] = []
    for at in some:
        replica = there[at.key].id
        files = {key: size for key, size in at.files.items() if key not in held[replica]}
        if coming[replica] & files.keys():
            faults = [Fault(at.pointer, "some files are just being brought there")]
            raise Conflict(
                "files are on their way; repeat the call later", Reason.IN_USE, faults=faults
            )
        if files:
            placed.append(Placed(at, is_new=False, files=files))
    replicas.arrive(work, {there[one.at.key].id: list(one.files.items()) for one in placed})
    return placed
