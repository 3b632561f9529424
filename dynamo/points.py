"""Named points between two steps that belong together, at which tests kill a worker.

Work is split so that a process may die anywhere. Tests prove it at points where the next step has
not happened: a file is in its place and no row says so, or a transaction is committed and no hint
was sent. A point does nothing unless a watch is set. Only a pool that was started with a folder for
it sets one; it dies once for each file in the folder that has a point's name.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path


class Point(StrEnum):
    """Points of a worker's death, named by the step just done."""

    COMMITTED = "committed"
    """A unit of work is committed; its hints are not sent."""
    ADMITTED = "admitted"
    """A stream has its place on a link; nothing is claimed."""
    CLAIMED = "claimed"
    """Transfers are claimed; no storage was touched."""
    SIZED = "sized"
    """Size and checksum of a file are recorded; its bytes are not booked."""
    WRITTEN = "written"
    """A copy is complete under its temporary name."""
    ADOPTED = "adopted"
    """An upload was taken from its job and not yet verified."""
    PLACED = "placed"
    """A file has its final name at the destination; nothing is recorded."""
    BROUGHT = "brought"
    """A stride of files is copied or has failed; nothing is recorded."""
    RECORDED = "recorded"
    """A stride is recorded; its stream still holds its place."""
    BLOCK_CLOSED = "block-closed"
    """A block of a closure is closed; the state of the closure is not updated."""
    SENT = "sent"
    """Some copies of a plan are written; their requests are not updated."""
    GATHERED = "gathered"
    """Scattered replicas of some blocks are condemned behind a consolidation."""
    CONDEMNED = "condemned"
    """A part of a deletion request is condemned."""
    DELETION_CLAIMED = "deletion-claimed"
    """Deletions are claimed; no storage was touched."""
    DELETED = "deleted"
    """A file is deleted from its storage; no row says so."""
    CYCLE_CLAIMED = "cycle-claimed"
    """A cycle is claimed; it has not read the inventory."""
    CYCLE_DECIDED = "cycle-decided"
    """Decisions are recorded; none is carried out."""
    CYCLE_FILED = "cycle-filed"
    """The deletion of a cycle is filed; nothing of it is condemned."""
    CYCLE_CONDEMNED = "cycle-condemned"
    """One unit of a cycle's deletion is condemned."""
    SWEPT = "swept"
    """A sweep has handled operations; requests not yet."""
    PROBED = "probed"
    """The file of a probe has its final name; nothing is recorded."""
    BEAT_TAKEN = "beat-taken"
    """A periodic task is claimed; nothing of it is done."""
    SCAN_CLAIMED = "scan-claimed"
    """A scan is claimed; nothing is listed."""
    SCANNED = "scanned"
    """A site is listed and compared; nothing is recorded."""
    SCAN_RECORDED = "scan-recorded"
    """The findings of a scan are recorded; old temporary files are not deleted."""
    REMEDY_CLAIMED = "remedy-claimed"
    """Remedies are claimed; no storage was touched."""
    LINKED = "linked"
    """A moving file has its new name and still the old one."""
    REMEDIED = "remedied"
    """A remedy is applied; no row says so."""
    EVACUATION_FILED = "evacuation-filed"
    """The deletion of an evacuation is filed; nothing of it is condemned."""
    EVACUATION_CONDEMNED = "evacuation-condemned"
    """A part of an evacuation's deletion is condemned."""


Watch = Callable[[Point], None]


def _nobody(_: Point) -> None:
    """Do nothing."""


_watch: Watch = _nobody


def reached(point: Point) -> None:
    """Report a point to the watch."""
    _watch(point)


def watch(by: Watch) -> None:
    """Set the watch of this process."""
    global _watch  # noqa: PLW0603 - one watch per process
    _watch = by


def death(folder: Path) -> Watch:
    """Return a watch that kills this process like `kill -9`, once per file with a point's name."""

    def die(point: Point) -> None:
        try:
            (folder / point).rename(folder / f"{point}.died")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return die
