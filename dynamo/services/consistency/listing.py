"""Lists a site between two reads of the catalogue, and compares."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from dynamo.consistency import name_hashes
from dynamo.consistency.comparison import Catalogue, compare
from dynamo.consistency.decision import Finding, Kind
from dynamo.consistency.listing import Coverage, Folder, Listed
from dynamo.consistency.name_hashes import Numbers
from dynamo.db.consistency import expected, incidents
from dynamo.db.consistency.scans import HeldScan
from dynamo.db.engine.unit_of_work import retried
from dynamo.inventory.names import is_lfn, within
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.settings import Settings
from dynamo.storage import protocol
from dynamo.storage.protocol import StorageError

_RENEW_SECONDS = 10.0


@dataclass(slots=True)
class _Listing:
    """A listing in progress."""

    coverage: Coverage
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    modified: list[int] = field(default_factory=list)
    odd: int = 0
    """Number of entries with unusable names, which are left alone."""
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, folder: protocol.Folder) -> None:
        """Add a folder."""
        self.coverage.add(Folder(folder.path, folder.below, folder.complete))
        if not folder.complete:
            self.errors[folder.path] = folder.error or "it was listed in part only"
        for entry in folder.entries:
            if not is_lfn(entry.lfn):
                self.odd += 1
                continue
            self.odd += entry.size is None
            self.names.append(entry.lfn)
            self.sizes.append(-1 if entry.size is None else entry.size)
            self.modified.append(int(entry.modified.timestamp()))

    def listed(self) -> Listed:
        """Return the listed files as columns."""
        return Listed(
            self.names,
            expected.keys(self.names),
            np.array(self.sizes, np.int64),
            np.array(self.modified, np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The differences between a site and the catalogue."""

    findings: Sequence[Finding]
    n_files: int
    coverage: Coverage
    names: Collection[str]
    odd: int
    errors: Mapping[str, str]
    reported: Mapping[str, datetime]
    """Copies reported as bad, with the time of the report."""
    cleared: Collection[str]
    """Copies reported as bad that need no remedy."""

    def says_of(self, lfn: str) -> bool:
        """Return whether the listing proves presence or absence of a file."""
        return lfn in self.names or self.coverage.proves_absent(lfn)


def compare_site(ctx: Context, held: HeldScan, renew: Callable[[], None]) -> Result:
    """List a site and compare. Raises StorageError if the listing is not trustworthy."""
    before = _known(ctx, held)
    listing = _listed(ctx, held, renew)
    after = _known(ctx, held)
    listed = listing.listed()
    difference = compare(listed, before, after)
    missing = _names(ctx, before.ids[difference.missing].tolist())
    absent = [
        Finding(Kind.MISSING, missing[key], max(0, size))
        for key, size in zip(
            before.ids[difference.missing].tolist(),
            before.sizes[difference.missing].tolist(),
            strict=True,
        )
        if key in missing and listing.coverage.proves_absent(missing[key])
    ]
    _check_trust(listing, listed, missing.values(), absent)
    own = ctx.settings.user.namespace
    dark = [f for f in _findings(Kind.DARK, listed, difference.dark) if _is_ours(ctx, own, f.lfn)]
    wrong = _findings(Kind.WRONG, listed, difference.found)
    corrupt, reported, cleared = _reported(
        ctx, held, listed, before, {f.lfn for f in (*absent, *wrong)}
    )
    return Result(
        _once([*absent, *wrong, *corrupt, *dark]),
        max(len(listed), int(np.count_nonzero(before.sure))),
        listing.coverage,
        set(listing.names),
        listing.odd,
        listing.errors,
        reported,
        cleared,
    )


def _once(findings: Sequence[Finding]) -> list[Finding]:
    return list({finding.lfn: finding for finding in reversed(findings)}.values())[::-1]


def _is_ours(ctx: Context, namespace: str, lfn: str) -> bool:
    """Return whether only Dynamo can have put a file there; the incoming area is left alone."""
    apart = (ctx.settings.injection.area, ctx.settings.consistency.quarantine)
    return within(lfn, namespace) and not any(within(lfn, area) for area in apart)


def _findings(kind: Kind, listed: Listed, places: Numbers) -> list[Finding]:
    return [
        Finding(
            kind,
            listed.names[place],
            int(listed.sizes[place]),
            datetime.fromtimestamp(int(listed.modified[place]), UTC),
        )
        for place in places.tolist()
    ]


def _check_trust(
    listing: _Listing, listed: Listed, missing: Collection[str], absent: Collection[Finding]
) -> None:
    """Refuse a listing that failed as a whole, or is empty where files are expected."""
    for area in listing.coverage.areas:
        if area in listing.errors and any(within(lfn, area) for lfn in missing):
            raise StorageError(
                Reason.DESTINATION_ERROR, f"{area} was not listed: {listing.errors[area]}"
            )
    if absent and not len(listed):
        text = f"the listing is empty, but {len(absent)} files should be at the site"
        raise StorageError(Reason.DESTINATION_ERROR, text)


def _reported(
    ctx: Context, held: HeldScan, listed: Listed, before: Catalogue, already: Collection[str]
) -> tuple[list[Finding], dict[str, datetime], list[str]]:
    """Return copies reported as bad that may be so, times of reports, and cleared reports."""
    with ctx.begin.reading() as work:
        rows = incidents.at_site(work, held.site)
    wanted = expected.keys(row.lfn for row in rows)
    places = name_hashes.places(wanted, listed.keys).tolist()
    sure = name_hashes.among(wanted, before.keys[before.sure]).tolist()
    corrupt: dict[str, Finding] = {}
    reported: dict[str, datetime] = {}
    cleared = []
    for row, place, known in zip(rows, places, sure, strict=True):
        if row.lfn in already or (known and place < 0):
            continue
        if known and row.kind == Kind.CORRUPT:
            corrupt[row.lfn] = _findings(Kind.CORRUPT, listed, np.array([place]))[0]
            reported[row.lfn] = row.at
        else:
            cleared.append(row.lfn)
    return list(corrupt.values()), reported, cleared


@retried
def _known(ctx: Context, held: HeldScan) -> Catalogue:
    with ctx.begin.snapshot() as work:
        return expected.known(work, held.site_id)


@retried
def _names(ctx: Context, file_ids: Sequence[int]) -> dict[int, str]:
    with ctx.begin.reading() as work:
        return dict(expected.names(work, file_ids))


def areas(settings: Settings) -> list[str]:
    """Return the folders to list at each site, none of them within another."""
    wanted = sorted({settings.user.namespace, *settings.consistency.areas}, key=len)
    chosen: list[str] = []
    for area in wanted:
        if not any(within(area, other) for other in chosen):
            chosen.append(area)
    return chosen


def _listed(ctx: Context, held: HeldScan, renew: Callable[[], None]) -> _Listing:
    storage = ctx.storages.at(held.url, held.rules)
    wanted = areas(ctx.settings)
    listing = _Listing(Coverage(wanted))
    renewed = time.monotonic()
    for folder in _folders(storage, wanted):
        listing.add(folder)
        if time.monotonic() - renewed > _RENEW_SECONDS:
            renew()
            renewed = time.monotonic()
    return listing


def _folders(storage: protocol.Storage, wanted: Sequence[str]) -> Iterator[protocol.Folder]:
    for area in wanted:
        yield from storage.listing(area)
