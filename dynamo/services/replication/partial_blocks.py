"""Piecing: what parts of blocks lack is sent for file by file, each from where it is read best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import NotNullable, exists, select

from dynamo.db.catalogue import replicas
from dynamo.db.engine import bulk_insert, transitions
from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, File, ReplicaFile, Transfer
from dynamo.db.transfers import source_selection, transfers
from dynamo.db.transfers.streams import UNSENT
from dynamo.inventory.states import ReplicaState, TransferKind
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason

PART = (BlockReplica.state == ReplicaState.VALID, BlockReplica.complete.is_(False))
ENDED_COPIES = (Transfer.kind == TransferKind.COPY) & Transfer.state.in_(
    (State.FAILED, State.CANCELLED)
)


@dataclass(frozen=True, slots=True)
class PartialBlockOrder:
    """For which request parts are filled."""

    request_id: int
    again: Condition = ENDED_COPIES
    """Which ended copies are tried again."""
    waits: bool = False
    """What lies somewhere and can be read nowhere now is waited for, held under its name."""


@dataclass(slots=True)
class CompletedBlocks:
    """What was sent for, and how many files could not be had."""

    sent: int = 0
    bytes: int = 0
    nowhere: int = 0


def fill_up(work: Work, order: PartialBlockOrder, replica_ids: Sequence[int]) -> CompletedBlocks:
    """Send for what parts lack; their blocks are locked by the caller."""
    found = CompletedBlocks()
    here = select(BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
    for part in work.read(_Part, here.where(BlockReplica.id.in_(replica_ids), *PART)):
        _fill_up(work, order, part, found)
    return found


class _Part(NamedTuple):
    """A replica that lacks files."""

    id: int
    block_id: int
    site_id: int


class _File(NamedTuple):
    id: int
    lfn: str
    size: int


def _fill_up(work: Work, order: PartialBlockOrder, part: _Part, filled: CompletedBlocks) -> None:
    files = work.read(
        _File,
        select(File.id, File.lfn, NotNullable(File.size))
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(BlockReplica.id == part.id, *lacks(order.again))
        .order_by(File.id),
    )
    readable = _readable(work, part, files)
    waiting = _lying(work, part, readable, files) if order.waits else ()
    going = {**readable, **dict.fromkeys(waiting)}
    transfers.forget_ended(work, part.site_id, going)
    replicas.pin(work, Counter(readable.values()))
    _send(work, order, part, readable, {"state": transitions.start(Transfer, State.QUEUED)})
    _send(work, order, part, dict.fromkeys(waiting), _UNREAD)
    filled.sent += len(going)
    filled.bytes += sum(file.size for file in files if file.id in going)
    filled.nowhere += len(files) - len(going)


_UNREAD = {"state": transitions.start(Transfer, State.HELD), "reason": Reason.NO_SOURCE}


def _send(
    work: Work,
    order: PartialBlockOrder,
    part: _Part,
    sent: Mapping[int, int | None],
    how: Mapping[str, object],
) -> None:
    if not sent:
        return
    shared = {
        "kind": TransferKind.COPY,
        "request_id": order.request_id,
        "site_id": part.site_id,
        "replica_id": part.id,
        "confirmed": True,
        "not_before": work.now,
        "hinted": UNSENT,
        **how,
        **transfers.untried(work),
    }
    bulk_insert.insert(work, Transfer, shared, ("file_id", "source_id"), list(sent.items()))


def _readable(work: Work, part: _Part, files: Sequence[_File]) -> dict[int, int]:
    """Return from which replica each file is read: a whole one, else one that holds it."""
    block, site = part.block_id, part.site_id
    whole = source_selection.best(work, [block], [site], to=site).get(block)
    if whole is not None:
        return {file.id: whole for file in files}
    found = source_selection.of_files(work, block, [file.lfn for file in files], site)
    return {file.id: found[file.lfn] for file in files if file.lfn in found}


def _lying(
    work: Work, part: _Part, readable: Mapping[int, int], files: Sequence[_File]
) -> Sequence[int]:
    """Return those of the other files that should lie at another site."""
    others = [file.id for file in files if file.id not in readable]
    some = (File.id.in_(others), source_selection.lies_elsewhere(work, part.site_id))
    return work.scalars(select(File.id).where(*some).order_by(File.id)) if others else ()


def lacks(again: Condition) -> Conditions:
    """Return the conditions for files that a part lacks and nobody is about to bring.

    `again` says which copies that have ended may be tried again.
    """
    listed = (ReplicaFile.replica_id == BlockReplica.id, ReplicaFile.file_id == File.id)
    known = (Transfer.file_id == File.id, Transfer.site_id == BlockReplica.site_id, ~again)
    return (
        File.condemned_by.is_(None),
        ~exists().where(*listed).correlate_except(ReplicaFile),
        ~exists().where(*known).correlate_except(Transfer),
    )
