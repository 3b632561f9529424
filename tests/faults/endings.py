"""How fault tests end: nothing is stuck, nothing is wrong, the disks hold what the rows say."""

import os
import zlib
from pathlib import Path

from sqlalchemy import and_, or_, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Deletion,
    File,
    ReplicaFile,
    Request,
    Site,
    Transfer,
)
from dynamo.inventory.states import ENDED, ReplicaState
from dynamo.operations.lifecycle import OPEN, State
from dynamo.services.maintenance import invariants
from tests.services.world import World

Seen = dict[str, tuple[int, str]]
"""Logical name → size and Adler-32."""

AREA = "/store/temp/dynamo/"


def seen(root: Path) -> Seen:
    """Look at every file below a folder with eyes that know nothing of Dynamo."""
    found: Seen = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found[f"/{path.relative_to(root)}"] = (path.stat().st_size, _adler32(path))
    return found


def how_many(root: Path) -> int:
    """Count the files below a folder, also while they and their folders go."""
    return sum(len(names) for _, _, names in os.walk(root))


def described(contents: dict[str, bytes]) -> Seen:
    """Describe contents as `seen` does."""
    return {lfn: (len(text), f"{zlib.adler32(text):08x}") for lfn, text in contents.items()}


def assert_well(world: World) -> None:
    """Check that no row is stuck, no invariant broken, and that disks and rows agree."""
    with world.ctx.begin.snapshot() as work:
        assert _stuck(work) == []
        expected = _catalogued(work)
    assert [str(found) for found in invariants.check(world.ctx) if not found.is_warning] == []
    for site, files in expected.items():
        found = seen(world.folder / site)
        assert found == files, f"{site} differs by {found.items() ^ files.items()}"


def assert_all_ended(world: World) -> None:
    """Check besides that nothing is left to do."""
    assert_well(world)
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(Request.id).where(Request.state.not_in(ENDED))) == []
        assert work.scalars(select(Transfer.id).where(Transfer.state.in_(OPEN))) == []
        assert work.scalars(select(Deletion.id)) == []


def _adler32(path: Path) -> str:
    value = 1
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            value = zlib.adler32(piece, value)
    return f"{value:08x}"


def _stuck(work: Work) -> list[str]:
    """Name rows that have neither an end, nor a holder, nor a next moment."""
    found: list[str] = []
    for table in (Transfer, Deletion):
        waits = or_(
            and_(table.state == State.QUEUED, table.not_before.is_(None)),
            and_(
                table.state == State.HELD,
                table.not_before.is_(None),
                table.reason != "needs-decision",
            ),
            and_(table.state == State.ACTIVE, table.lease_until.is_(None)),
        )
        found += [
            f"{table.__tablename__} {key}" for key in work.scalars(select(table.id).where(waits))
        ]
    moving = select(Transfer.id).where(Transfer.request_id == Request.id, Transfer.state.in_(OPEN))
    leaving = select(Deletion.id).where(Deletion.request_id == Request.id)
    forgotten = (
        Request.state.not_in(ENDED),
        Request.not_before.is_(None),
        ~moving.exists(),
        ~leaving.exists(),
    )
    found += [f"request {key}" for key in work.scalars(select(Request.id).where(*forgotten))]
    return found


def _catalogued(work: Work) -> dict[str, Seen]:
    """Return what should lie where by the rows: arrived and not yet gone."""
    expected: dict[str, Seen] = {name: {} for name in work.scalars(select(Site.name))}
    listed = (ReplicaFile.replica_id == BlockReplica.id) & (ReplicaFile.file_id == File.id)
    held = (
        select(Site.name, File.lfn, File.size, File.adler32)
        .select_from(BlockReplica)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(File, File.block_id == Block.id)
        .join(Site, Site.id == BlockReplica.site_id)
        .outerjoin(ReplicaFile, listed)
        .where(
            File.condemned_by.is_(None),
            BlockReplica.state == ReplicaState.VALID,  # of the others go file by file
            BlockReplica.complete.is_(True) | ReplicaFile.file_id.is_not(None),
        )
    )
    leaving = (
        select(Site.name, File.lfn, File.size, File.adler32)
        .select_from(Deletion)
        .join(File, File.id == Deletion.file_id)
        .join(Site, Site.id == Deletion.site_id)
        .where(Deletion.bytes > 0)
    )
    for row in (*work.rows(held), *work.rows(leaving)):
        expected[row.name][row.lfn] = (row.size, row.adler32)
    return expected
