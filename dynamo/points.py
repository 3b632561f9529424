"""Named points between two steps that belong together: here a test lets a worker die.

Work is cut so that a process may end anywhere. That this is true is proved where the next step has
not been taken: a file is in its place and no row says so, a unit is committed and nobody was told.
Nothing happens at a point unless somebody watches; only a pool that was started with a folder for
it does, and it dies once for each file there that bears a point's name.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path


class Point(StrEnum):
    """Where a worker may be when it dies, by what has just been done."""

    COMMITTED = "committed"
    """A unit of work is committed; what it announces is not sent."""
    ADMITTED = "admitted"
    """A stream has its place on a way; nothing is claimed."""
    CLAIMED = "claimed"
    """Transfers are claimed; no storage was touched."""
    SIZED = "sized"
    """Size and checksum of a file are noted; its bytes are not booked."""
    WRITTEN = "written"
    """A copy lies whole under its temporary name."""
    ADOPTED = "adopted"
    """An upload was taken from its job and not yet verified."""
    PLACED = "placed"
    """A file has its name at the destination; nothing else has been done about it."""
    BROUGHT = "brought"
    """A stride is brought or has failed; nothing of it is recorded."""
    RECORDED = "recorded"
    """A stride is recorded; its stream still holds its place."""
    BLOCK_CLOSED = "block-closed"
    """A block of a closure is closed; the closure does not know how it stands."""
    SENT = "sent"
    """Some copies of a plan are written; the requests that asked for them do not know."""
    GATHERED = "gathered"
    """Scattered replicas of some blocks are condemned behind a consolidation."""
    CONDEMNED = "condemned"
    """A part of what a deletion names is condemned."""
    DELETION_CLAIMED = "deletion-claimed"
    """Deletions are claimed; no storage was touched."""
    DELETED = "deleted"
    """A file is gone from its storage; no row says so."""
    CYCLE_CLAIMED = "cycle-claimed"
    """A cycle is taken; it has not looked."""
    CYCLE_DECIDED = "cycle-decided"
    """Decisions are kept; none is carried out."""
    CYCLE_FILED = "cycle-filed"
    """The deletion of a cycle is filed; nothing of it is condemned."""
    CYCLE_CONDEMNED = "cycle-condemned"
    """One unit of a cycle's deletion is condemned."""
    SWEPT = "swept"
    """Operations were looked after by a sweep; requests were not."""
    PROBED = "probed"
    """A probe lies at a site under its last name; nothing is noted."""
    BEAT_TAKEN = "beat-taken"
    """A periodic task is taken; nothing of it is done."""
    SCAN_CLAIMED = "scan-claimed"
    """A scan is taken; it has not looked."""
    SCANNED = "scanned"
    """A site is listed and compared; nothing of it is recorded."""
    SCAN_RECORDED = "scan-recorded"
    """What a scan found is recorded; old temporaries still lie there."""
    REMEDY_CLAIMED = "remedy-claimed"
    """Remedies are claimed; no storage was touched."""
    LINKED = "linked"
    """A file that moves has its new name, and still the old one."""
    REMEDIED = "remedied"
    """A file is looked after; no row says so."""
    EVACUATION_FILED = "evacuation-filed"
    """The deletion of an evacuation is filed; nothing of it is condemned."""
    EVACUATION_CONDEMNED = "evacuation-condemned"
    """A part of what leaves a dying site is condemned."""


Watch = Callable[[Point], None]


def _nobody(_: Point) -> None:
    """Let it pass."""


_watch: Watch = _nobody


def reached(point: Point) -> None:
    """Say that a point is reached."""
    _watch(point)


def watch(by: Watch) -> None:
    """Let somebody know of every point that this process reaches."""
    global _watch  # noqa: PLW0603 - there is one process to die
    _watch = by


def death(folder: Path) -> Watch:
    """Return what ends this process as `kill -9` does, once for each file named as a point."""

    def die(point: Point) -> None:
        try:
            (folder / point).rename(folder / f"{point}.died")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return die
