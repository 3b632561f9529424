"""Good copies: which block replicas really have a block, or a file of it.

A replica **holds** a file of its block if it is complete or lists the file. It has a **good copy**
of the file if it is valid and holds the file; it has one of the block if it is valid and complete.

Two questions are told apart:

- **readable**: the copy can be read now. Its site may be in the waitroom or the morgue, but its
  status is known, and no switch stops the site.
- **safe to count**: another copy may leave because this one stays. Its site is ready and is not
  being emptied. A copy on tape counts like one on disk.

Everybody who counts or lists copies asks here: the functions return conditions for statements, or
sets. An argument `replica`, `site` or `file` is the table or an alias of it; a file may also be
one that was read.
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
    """Tell whether a replica of the file's block holds the file, whatever is known of it."""
    listed = exists().where(ReplicaFile.replica_id == replica.id, ReplicaFile.file_id == file.id)
    return or_(replica.complete.is_(True), listed.correlate_except(ReplicaFile))


def of_block(replica: type[BlockReplica] = BlockReplica) -> Condition:
    """Tell whether a replica is a good copy of its block."""
    return and_(replica.state == ReplicaState.VALID, replica.complete.is_(True))


def of_file(replica: type[BlockReplica] = BlockReplica, file: type[File] = File) -> Condition:
    """Tell whether a replica of the file's block has a good copy of the file."""
    return and_(replica.state == ReplicaState.VALID, holds(replica, file))


def readable_at(site: type[Site], stopped: Collection[str]) -> Condition:
    """Tell whether copies at a site can be read; `stopped` are the sites that switches stop."""
    return and_(site.status != SiteStatus.UNKNOWN, site.name.not_in(stopped))


def stays_at(site: type[Site], dying: Collection[int]) -> Condition:
    """Tell whether copies at a site are safe to count; `dying` sites are being emptied."""
    return and_(site.status == SiteStatus.READY, site.id.not_in(dying))


def others(
    work: Work, block_ids: Collection[int], leaving: Collection[int], dying: Collection[int]
) -> dict[int, int]:
    """Count, for each block, the copies that are safe to count at other sites than those it leaves.

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
