"""Sources: from which replica a block, or one file of it, is best read now."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import (
    NotNullable,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    and_,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from dynamo.db.catalogue import good_copies
from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.catalogue.replicas import pin
from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers, downtimes
from dynamo.db.sites.switches import stopped_sites
from dynamo.db.tables import (
    Base,
    Block,
    BlockReplica,
    File,
    Incident,
    ReplicaFile,
    Site,
    Stream,
    Transfer,
)
from dynamo.db.transfers import links
from dynamo.db.transfers.streams import UNSENT
from dynamo.inventory.states import ReplicaState, SiteKind, SiteStatus, TransferKind
from dynamo.operations.breakers import Operation, Position
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason

SiteId = int | SQLColumnExpression[int]

_LFNS_AT_ONCE = 1000
_STREAM = 50
"""Files that a stream at work is taken to have before it."""


class Readable(NamedTuple):
    """A replica that can be read."""

    id: int
    block_id: int
    site_id: int
    n_files: int
    in_use: int
    complete: bool
    site: str
    kind: str
    status: str


def best(
    work: Work, block_ids: Collection[int], not_at: Collection[int] = (), to: int | None = None
) -> dict[int, int]:
    """Return, for each block, the complete replica to read from.

    Healthy sites come before others, and among them those from which the files are at the site
    `to` soonest, by the speed of the links and by what is read from there already.

    Sites that are only readable serve when there is no ready one: evacuation must work by itself.
    Tape is read last, where no disk has it.
    """
    wanted = (BlockReplica.block_id.in_(block_ids), BlockReplica.site_id.not_in(not_at))
    whole = _readable(work).where(BlockReplica.complete.is_(True), *wanted)
    rows = work.read(Readable, whole)
    choice = _Choice(work, rows, to)
    replicas: dict[int, list[Readable]] = {}
    for row in rows:
        replicas.setdefault(row.block_id, []).append(row)
    return {block: choice.of(some).id for block, some in replicas.items()}


def change(work: Work, transfer_id: int, block_id: int, lfn: str, site_id: int) -> bool:
    """Read one file from another replica, one that nothing bad is known of; from tape at last.

    Where there is no other the one that was read stays, if nothing bad is known of it either. False
    = there is none.
    """
    before = work.scalar(select(Transfer.source_id).where(Transfer.id == transfer_id))
    after = of_file(work, block_id, lfn, site_id, but=before)
    if before == after:
        return after is not None
    pin(work, {key: step for key, step in ((before, -1), (after, 1)) if key is not None})
    work.changed(update(Transfer).where(Transfer.id == transfer_id).values(source_id=after))
    return after is not None


def of_file(
    work: Work, block_id: int, lfn: str, site_id: int, but: int | None = None
) -> int | None:
    """Return the replica from which a site reads one file best, if nothing bad is known of it.

    `but` is taken only where all else is on tape, and not even then where its site is set aside.
    """
    return of_files(work, block_id, [lfn], site_id, but).get(lfn)


def of_files(
    work: Work, block_id: int, lfns: Sequence[str], site_id: int, but: int | None = None
) -> dict[str, int]:
    """Return, for each file of a block, the replica from which a site reads it best.

    It need not be complete, as long as it holds the file and nothing bad is known of it there.
    """
    others = (BlockReplica.block_id == block_id, BlockReplica.site_id != site_id)
    rows = work.read(Readable, _readable(work).where(*others))
    choice = _Choice(work, rows, site_id)
    found: dict[str, int] = {}
    for some in batches(lfns, _LFNS_AT_ONCE):
        listed, bad = _listed(work, rows, some), _bad(work, rows, some)
        for lfn in some:
            having = [row for row in rows if row.complete or (row.id, lfn) in listed]
            preferred = _preferred([row for row in having if (row.site, lfn) not in bad], but)
            if preferred:
                found[lfn] = choice.of(preferred).id
    return found


def _listed(work: Work, rows: Sequence[Readable], lfns: Sequence[str]) -> set[tuple[int, str]]:
    """Return which parts hold which files."""
    parts = [row.id for row in rows if not row.complete]
    hashes = [lfn_hash(lfn) for lfn in lfns]
    held = (
        select(ReplicaFile.replica_id, File.lfn)
        .join(File, File.id == ReplicaFile.file_id)
        .where(ReplicaFile.replica_id.in_(parts), File.lfn_hash.in_(hashes))
    )
    return set(work.rows(held)) if parts else set()


def _bad(work: Work, rows: Sequence[Readable], lfns: Sequence[str]) -> set[tuple[str, str]]:
    """Return at which sites something bad is known of which files."""
    told = (Incident.site.in_({row.site for row in rows}), Incident.ended.is_(None))
    known = select(Incident.site, Incident.lfn).where(Incident.lfn.in_(lfns), *told)
    return set(work.rows(known)) if rows else set()


def _preferred(rows: Sequence[Readable], but: int | None) -> Sequence[Readable]:
    """Return the replicas to choose from when one has failed."""
    others = [row for row in rows if row.id != but]
    if any(row.id == but and row.status != SiteStatus.READY for row in rows):
        ready = [row for row in others if row.status == SiteStatus.READY]
        if ready:
            return _disks(ready) or ready
    return _disks(others) or rows


def _disks(rows: Sequence[Readable]) -> list[Readable]:
    return [row for row in rows if row.kind == SiteKind.DISK]


class StrandedBlock(NamedTuple):
    """A block at an ill site from which transfers wait to read."""

    block_id: int
    source_id: int
    """Its replica there."""
    site_id: int
    """The site that wants it."""


def stranded(work: Work, most: int) -> list[StrandedBlock]:
    """Return replicas at ill sites from which transfers wait to read what lies at a well one too.

    A disk is waited for rather than tape is read, but not one that is given up.
    """
    well, tapes = _well(work, SiteKind.DISK), _well(work, SiteKind.TAPE)
    other = aliased(BlockReplica)
    given_up = and_(Site.status == SiteStatus.MORGUE, other.site_id.in_(tapes))
    elsewhere = exists().where(
        other.block_id == BlockReplica.block_id,
        or_(other.site_id.in_(well), given_up),
        other.site_id != Transfer.site_id,
        good_copies.of_block(other),
    )
    wanted = (
        select(BlockReplica.block_id, NotNullable(Transfer.source_id), Transfer.site_id)
        .join(BlockReplica, BlockReplica.id == Transfer.source_id)
        .join(Site, Site.id == BlockReplica.site_id)
        .where(
            _WAITS,
            BlockReplica.in_use > 0,
            Site.kind == SiteKind.DISK,
            Site.id.not_in(well),
            elsewhere,
        )
    )
    return work.read(StrandedBlock, wanted.distinct().limit(most))


def reroute(work: Work, some: Collection[StrandedBlock]) -> None:
    """Let what waits for such replicas be read at well sites; what waited for that goes on now."""
    well = _well(work, SiteKind.DISK) | _well(work, SiteKind.TAPE)
    ill = set(work.scalars(select(Site.id).where(Site.id.not_in(well))))
    wanted: dict[int, list[StrandedBlock]] = {}
    for row in some:
        wanted.setdefault(row.site_id, []).append(row)
    steps: Counter[int] = Counter()
    for site, rows in wanted.items():
        chosen = best(work, {row.block_id for row in rows}, {*ill, site}, to=site)
        for row in rows:
            if row.block_id in chosen:
                after = chosen[row.block_id]
                moved = _move(work, row, after)
                steps.update({row.source_id: -moved, after: moved})
    pin(work, steps)


def _move(work: Work, row: StrandedBlock, after: int) -> int:
    """Let what waits for a replica be read from another; return how many transfers that were."""
    mine = (Transfer.source_id == row.source_id, Transfer.site_id == row.site_id, _WAITS)
    bad = select(File.id).join(Incident, Incident.lfn == File.lfn)
    bad = bad.where(File.block_id == row.block_id, Incident.ended.is_(None))
    ids = work.scalars(select(Transfer.id).where(*mine, Transfer.file_id.not_in(bad)))
    moved = work.changed(
        update(Transfer).where(Transfer.id.in_(ids), *mine).values(source_id=after)
    )
    waited = (Transfer.id.in_(ids), _WAITS, Transfer.reason.in_(_AS_SOURCE_IS_ILL))
    goes_on = {"not_before": work.now, "hinted": UNSENT}
    work.changed(update(Transfer).where(*waited).values(goes_on))
    return moved


def read_elsewhere(work: Work, here: SiteId) -> Condition:
    """Tell whether a file can be read at another site than `here`, one where it is not known bad.

    It is what `of_file` looks for.
    """
    other, destination = aliased(BlockReplica), aliased(Site)
    bad = exists().where(
        Incident.lfn == File.lfn, Incident.site == destination.name, Incident.ended.is_(None)
    )
    return _lies(work, other, destination, other.site_id != here, ~bad.correlate(destination, File))


def lies_elsewhere(work: Work, here: SiteId) -> Condition:
    """Tell whether a file should lie at another site than `here`, whatever is known of it."""
    other, destination = aliased(BlockReplica), aliased(Site)
    return _lies(work, other, destination, other.site_id != here)


def _lies(
    work: Work, other: type[BlockReplica], destination: type[Site], *more: Condition
) -> Condition:
    """Tell whether a site that can be read has a file, in a whole block or in a part of one."""
    holds = good_copies.holds(other)
    here = (other.block_id == File.block_id, holds, *_usable(work, other, destination))
    return exists().where(*here, *more).correlate_except(other, destination)


def _usable(work: Work, replica: type[BlockReplica], destination: type[Site]) -> Conditions:
    """Return the conditions for replicas that can be read, and the sites that they are at."""
    return (
        replica.state == ReplicaState.VALID,
        destination.id == replica.site_id,
        good_copies.readable_at(destination, stopped_sites(work)),
    )


def in_parts(work: Work, block_id: SQLColumnExpression[int]) -> Condition:
    """Tell of a closed block that each of its files lies somewhere, though no site has all."""
    mine, other, destination = aliased(Block), aliased(BlockReplica), aliased(Site)
    closed = (mine.id == block_id, mine.closed.is_(True), mine.condemned_by.is_(None))
    whole = (
        other.block_id == block_id,
        other.complete.is_(True),
        *_usable(work, other, destination),
    )
    gone = ~_lies(work, aliased(BlockReplica), aliased(Site))
    lost = (File.block_id == block_id, File.condemned_by.is_(None), gone)
    return and_(
        _first(mine.id, *closed, mine.n_files > 0, of=(mine,)).is_not(None),
        _first(other.id, *whole, of=(other, destination)).is_(None),
        _first(File.id, *lost, of=(File,)).is_(None),
    )


def _first(
    key: SQLColumnExpression[int], *where: Condition, of: Sequence[type[Base]]
) -> ScalarSelect[int]:
    """Look for one row of the tables `of`, block by block.

    MariaDB would answer an EXISTS by going through all files there are.
    """
    return select(key).where(*where).limit(1).correlate_except(*of).scalar_subquery()


def found_in_parts(work: Work, block_ids: Collection[int]) -> list[int]:
    """Return those of some blocks that can be put together from parts."""
    found = select(Block.id).where(Block.id.in_(block_ids), in_parts(work, Block.id))
    return work.scalars(found) if block_ids else []


class ReadableCopy(NamedTuple):
    """A copy that is held as there was nothing to read, and whose file can be read now."""

    id: int
    site_id: int
    block_id: int
    lfn: str


def found_again(work: Work, most: int) -> list[ReadableCopy]:
    """Return copies that are held as there was nothing to read, and whose files can be read now."""
    columns = (Transfer.id, Transfer.site_id, NotNullable(File.block_id), File.lfn)
    held = select(*columns).join(File, File.id == Transfer.file_id).where(*_UNFED)
    again = held.where(read_elsewhere(work, Transfer.site_id)).limit(most)
    return work.read(ReadableCopy, again)


def feed(work: Work, some: Collection[ReadableCopy]) -> None:
    """Let such copies be read where they can be, as if nobody had tried them."""
    ids = select(Transfer.id).where(Transfer.id.in_([row.id for row in some]), *_UNFED)
    still = set(work.scalars(ids.order_by(Transfer.id).with_for_update()))
    fed = [
        row.id
        for row in some
        if row.id in still and change(work, row.id, row.block_id, row.lfn, row.site_id)
    ]
    goes_on = {"not_before": work.now, "attempts": 0, "hinted": UNSENT, "updated": work.now}
    transitions.move(
        work,
        Transfer,
        fed,
        State.QUEUED,
        from_=(State.HELD,),
        reason=None,
        error=None,
        **goes_on,
    )


_UNFED = (
    Transfer.kind == TransferKind.COPY,
    Transfer.state == State.HELD,
    Transfer.reason == Reason.NO_SOURCE,
    Transfer.source_id.is_(None),
)
_WAITS = Transfer.state.in_((State.QUEUED, State.HELD))
_AS_SOURCE_IS_ILL = (Reason.SOURCE_ERROR, Reason.SITE_FAILING)


def _well(work: Work, kind: SiteKind) -> set[int]:
    """Return the ready sites that can be read: no breaker is open, nothing is stopped."""
    ready = (Site.kind == kind, Site.status == SiteStatus.READY)
    named = select(Site.id).where(*ready, Site.name.not_in(stopped_sites(work)))
    return set(work.scalars(named)) - _ill(work)


def _ill(work: Work) -> set[int]:
    failing = {
        rest.site_id
        for rest in breakers.resting(work, None, Operation.READ)
        if rest.position is Position.OPEN  # a half-open one needs somebody who tries it
    }
    return failing | downtimes.under_way(work)


def _readable(work: Work) -> Select[int, int, int, int, int, bool, str, str, str]:
    return (
        select(
            BlockReplica.id,
            BlockReplica.block_id,
            BlockReplica.site_id,
            BlockReplica.n_files,
            BlockReplica.in_use,
            BlockReplica.complete,
            Site.name.label("site"),
            Site.kind,
            Site.status,
        )
        .where(*_usable(work, BlockReplica, Site))
        .order_by(BlockReplica.block_id, BlockReplica.id)
    )


class _Choice:
    """What is known of the sites that could be read, as choices go on."""

    def __init__(self, work: Work, rows: Sequence[Readable], to: int | None) -> None:
        sites = {row.site_id for row in rows}
        several = len(sites) > 1
        self._to = to or 0
        self._ranks = _ranks(work, rows) if several else dict.fromkeys(sites, 0)
        self._speeds = links.rates(work, sites, [to]) if several and to is not None else {}
        self._usual = sum(self._speeds.values()) / len(self._speeds) if self._speeds else 1.0
        self._busy = _busy(work, sites) if several else Counter[int]()

    def of(self, replicas: Sequence[Readable]) -> Readable:
        """Return the best replica; it is counted as read from now."""
        found = min(replicas, key=self._merit)
        self._busy[found.site_id] += found.n_files
        return found

    def _merit(self, row: Readable) -> tuple[int, float, int]:
        speed = self._speeds.get((row.site_id, self._to), self._usual)
        wait = (1 + self._busy[row.site_id] + row.in_use) / max(speed, 1e-9)
        return self._ranks[row.site_id], wait, row.id


def _ranks(work: Work, rows: Sequence[Readable]) -> dict[int, int]:
    """Return for each site how good a source it is, whatever the links; 0 is best."""
    ill = _ill(work)
    return {
        row.site_id: 4 * (row.kind == SiteKind.TAPE)
        + 2 * (row.site_id in ill)
        + (row.status != SiteStatus.READY)
        for row in rows
    }


def _busy(work: Work, site_ids: Collection[int]) -> Counter[int]:
    """Return how many files are about to be read from sites."""
    reading = (Stream.source_id.in_(site_ids), Stream.until > work.now)
    counted = select(Stream.source_id, func.count()).where(*reading).group_by(Stream.source_id)
    return Counter({site: _STREAM * n for site, n in work.rows(counted)})
