"""All rows and all files at one moment, joined by hand, and what must hold of them."""

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.db import requests
from dynamo.db.invariants.limits import InvariantLimits
from dynamo.db.invariants.registry import INVARIANTS, Invariant, Severity
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Quota,
    ReplicaFile,
    Site,
    Transfer,
    User,
)
from tests.services.world import World, adler32

AREA = "/store/temp/dynamo/"
ENDED = ("done", "failed", "cancelled")
PUNCTUAL = frozenset({"old-leases", "forgotten-bookings", "stuck-requests"})
"""Invariants that hold a little after each sweep, not at the moment when the clock is moved."""


class Picture:
    """Rows by key, files by site and name; everything else is worked out in plain loops."""

    def __init__(self, world: World) -> None:
        with world.ctx.begin.snapshot() as work:

            def rows(table: Any) -> list[Any]:
                return list(work.rows(select(*table.__table__.columns)))

            self.now = work.now
            self.sites = {row.id: row for row in rows(Site)}
            self.users = {row.id: row for row in rows(User)}
            self.datasets = {row.id: row for row in rows(Dataset)}
            self.blocks = {row.id: row for row in rows(Block)}
            self.by_id = {row.id: row for row in rows(File)}
            self.replicas = {row.id: row for row in rows(BlockReplica)}
            self.listed = {(row.replica_id, row.file_id) for row in rows(ReplicaFile)}
            self.requests = {row.id: requests.of(row) for row in work.rows(requests.STORED)}
            self.transfers = rows(Transfer)
            self.deletions = rows(Deletion)
            self.quotas = rows(Quota)
            self.broken = [
                f"{invariant.name}: {row}"
                for invariant, statement in _statements(_limits(world))
                for row in work.rows(statement)
            ]
        self.files = {row.lfn: row for row in self.by_id.values()}
        self.disks = {row.name: _seen(world.folder / row.name) for row in self.sites.values()}
        self.members: dict[int, list[Any]] = defaultdict(list)
        for row in self.by_id.values():
            if row.block_id is not None:
                self.members[row.block_id].append(row)
        self.held = dict(self._held())
        """(site, name) -> the row of a file that a replica says to have."""
        self.available = {name for (_, name), row in self.held.items() if self.is_alive(row)}

    def is_alive(self, file: Any) -> bool:
        """Tell whether nobody has condemned a file, alone or with its block."""
        block = self.blocks.get(file.block_id)
        return file.condemned_by is None and (block is None or block.condemned_by is None)

    def _held(self) -> Iterator[tuple[tuple[str, str], Any]]:
        for replica in self.replicas.values():
            if replica.state != "valid":
                continue
            for file in self.members[replica.block_id]:
                if file.condemned_by is not None:
                    continue
                if replica.complete or (replica.id, file.id) in self.listed:
                    yield (self.sites[replica.site_id].name, file.lfn), file

    def leaving(self) -> dict[tuple[str, str], Any]:
        """Return the deletions by site and name."""
        return {
            (self.sites[row.site_id].name, self.by_id[row.file_id].lfn): row
            for row in self.deletions
        }

    def arriving(self) -> dict[tuple[str, str], Any]:
        """Return the transfers by site and name."""
        return {
            (self.sites[row.site_id].name, self.by_id[row.file_id].lfn): row
            for row in self.transfers
        }

    # --- what must hold ------------------------------------------------------------------------

    def faults(self, max_files: int, max_bytes: int) -> Iterator[str]:
        """Yield what is wrong, however it came about."""
        yield from self.broken
        yield from self._disk_faults()
        yield from self._block_faults(max_files, max_bytes)
        yield from self._quota_faults()
        yield from self._end_faults()

    def _disk_faults(self) -> Iterator[str]:
        leaving, arriving = self.leaving(), self.arriving()
        for (site, name), file in self.held.items():
            if not self.is_right(site, file):
                yield f"{name} is not at {site}, or is another one"
        for (site, name), row in leaving.items():
            untouched = row.bytes > 0 and row.lease_no == 0
            if untouched and not self.is_right(site, self.files[name]):
                yield f"{name} has left {site} before its time"
        for site, files in self.disks.items():
            for name in files:
                known = {(site, name)} & (self.held.keys() | leaving.keys() | arriving.keys())
                if not known and not name.startswith(AREA):
                    yield f"{name} lies at {site} and nobody knows"

    def is_right(self, site: str, file: Any) -> bool:
        """Tell whether the bytes of a file lie at a site."""
        found = self.disks[site].get(file.lfn)
        return found is not None and len(found) == file.size and adler32(found) == file.adler32

    def _block_faults(self, max_files: int, max_bytes: int) -> Iterator[str]:
        open_at = Counter(
            (row.dataset_id, row.site_id) for row in self.blocks.values() if not row.closed
        )
        yield from (f"{n} open blocks of {key}" for key, n in open_at.items() if n > 1)
        for key, files in self.members.items():
            size = sum(file.size for file in files if file.condemned_by is None)
            number = sum(file.condemned_by is None for file in files)
            if number > max_files or (size > max_bytes and number > 1):
                yield f"block {key} has {number} files, {size} bytes"
            sums = (self.blocks[key].n_files, self.blocks[key].bytes)
            if sums != (number, size):
                yield f"block {key} has {(number, size)} and says {sums}"

    def _quota_faults(self) -> Iterator[str]:
        booked: Counter[int] = Counter()
        there: Counter[int] = Counter()
        for replica in self.replicas.values():
            if replica.state == "valid":
                files = self.members[replica.block_id]
                booked[replica.site_id] += sum(f.size for f in files if f.condemned_by is None)
        for (site, _), file in self.held.items():
            there[_key(self.sites, site)] += file.size
        for row in self.deletions:
            booked[row.site_id] += row.bytes
            there[row.site_id] += row.bytes
        for row in self.quotas:
            if (row.projected, row.used) != (booked[row.site_id], there[row.site_id]):
                naive = (booked[row.site_id], there[row.site_id])
                yield f"site {row.site_id} is booked {naive} and says {(row.projected, row.used)}"
        alive = [file for file in self.by_id.values() if self.is_alive(file)]
        for user in self.users.values():
            mine = [f for f in alive if self.datasets[f.dataset_id].owner_id == user.id]
            size = sum(file.size for file in mine if file.block_id is not None)
            if (user.n_files, user.used) != (len(mine), size):
                yield f"{user.name} has {(len(mine), size)} and says {(user.n_files, user.used)}"
            if user.max_bytes is not None and user.used > user.max_bytes:
                yield f"{user.name} has {user.used} bytes of {user.max_bytes}"

    def _end_faults(self) -> Iterator[str]:
        """Yield requests that count wrongly, or have ended although they have something to do."""
        for request in self.requests.values():
            if request.n_done + request.n_failed > request.n_files:
                yield f"{request.kind} {request.id} counts more than there is"
            if request.state != "done" or request.kind != "injection":
                continue
            mine = [row for row in self.transfers if row.request_id == request.id]
            if any(row.kind != "copy" and row.state != "done" for row in mine):
                yield f"injection {request.id} is done and has open transfers"


@functools.cache
def _statements(limits: InvariantLimits) -> list[tuple[Invariant, Any]]:
    """Make the statements of `services.checks` once: that takes longer than running them."""
    return [
        (invariant, statement)
        for invariant in INVARIANTS
        if invariant.severity is Severity.VIOLATION and invariant.name not in PUNCTUAL
        for statement in invariant.find(limits)
    ]


def _limits(world: World) -> InvariantLimits:
    settings = world.ctx.settings
    return InvariantLimits(
        now=datetime(2026, 11, 22, tzinfo=UTC),  # no invariant asked here goes by it
        block_files=settings.block.max_files,
        block_bytes=settings.block.max_bytes,
        user_partition=settings.user.partition,
        alarm_share=settings.user.alarm_share,
        notice_share=settings.user.notice_share,
    )


def _key(sites: dict[int, Any], name: str) -> int:
    return next(key for key, row in sites.items() if row.name == name)


def _seen(root: Path) -> dict[str, bytes]:
    return {
        f"/{path.relative_to(root)}": path.read_bytes()
        for folder, _, names in os.walk(root)
        for path in (Path(folder, name) for name in names)
    }
