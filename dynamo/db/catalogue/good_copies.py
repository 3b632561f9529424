"""Good copies: which block replicas really have a block, or a file of it.

A replica **holds** a file of its block if it is complete or lists the file. It has a **good copy**
of the file if it is valid and holds the file; it has one of the block if it is valid and complete.

There are two questions:

- **readable**: the copy can be read now. Its site may be in the waitroom or the morgue, but its
  status is known, and no switch stops the site.
- **safe to count**: another copy may leave because this one stays. Its site is ready and is not
  being emptied. A copy on tape counts like one on disk.

All code that counts or lists copies uses this module. Functions return conditions for statements,
or sets. The argument `replica`, `site` or `file` is the table or an alias of it, or a file's row.
"""

from collections.abc import Collection
from typing import Protocol

from sqlalchemy import and_, exists, func, or_, select

from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, File, ReplicaFile, Site
from dynamo.inventory.states import ReplicaState, SiteStatus


class ReadFile(Protocol):
    """A file that was read, known by its key."""

    @property
    def id(self) -> int:
        """Return its key."""


def holds(
    replica: type[BlockReplica] = BlockReplica, file: type[File] | ReadFile = File
) -> Condition:
    """Return the condition that a replica of the file's block holds the file, in any state."""
    listed = exists().where(ReplicaFile.replica_id == replica.id, ReplicaFile.file_id == file.id)
    return or_(replica.complete.is_(True), listed.correlate_except(ReplicaFile))


def of_block(replica: type[BlockReplica] = BlockReplica) -> Condition:
    """Return the condition that a replica is a good copy of its block."""
    return and_(replica.state == ReplicaState.VALID, replica.complete.is_(True))


def of_file(replica: type[BlockReplica] = BlockReplica, file: type[File] = File) -> Condition:
    """Return the condition that a replica of the file's block has a good copy of the file."""
    return and_(replica.state == ReplicaState.VALID, holds(replica, file))


def readable_at(site: type[Site], stopped: Collection[str]) -> Condition:
    """Return the condition that copies at a site are readable; `stopped` sites are switched off."""
    return and_(site.status != SiteStatus.UNKNOWN, site.name.not_in(stopped))


def stays_at(site: type[Site], dying: Collection[int]) -> Condition:
    """Return the condition that copies at a site are safe to count; `dying` sites are evacuated."""
    return and_(site.status == SiteStatus.READY, site.id.not_in(dying))


def others(
    work: Work, block_ids: Collection[int], leaving: Collection[int], dying: Collection[int]
) -> dict[int, int]:
    """Return for each block the number of safe copies at sites other than `leaving`.

    Blocks without such a copy are absent. To decide by it, lock the blocks first.
    """
    counted = (
        select(BlockReplica.block_id, func.count())
        .join(Site, Site.id == BlockReplica.site_id)
        .where(
            BlockReplica.block_id.in_(block_ids),
            BlockReplica.site_id.not_in(leaving),
            of_block(),
            stays_at(Site, dying),
        )
        .group_by(BlockReplica.block_id)
    )
    return dict(work.rows(counted))
