"""Decides which findings a scan acts upon: seen twice, long enough apart, and not too many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dynamo.consistency.name_hashes import Numbers


class Kind(StrEnum):
    """Kind of inconsistency of a file at a site."""

    DARK = "dark"
    MISSING = "missing"
    WRONG = "wrong"
    """The size differs from the catalogue."""
    CORRUPT = "corrupt"
    """The size is right, the bytes are not: a copy that read the file reported it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An inconsistency that a scan found and its listing proves."""

    kind: Kind
    lfn: str
    size: int
    """Bytes at the site; for a missing file, bytes in the catalogue."""
    modified: datetime | None = None
    """Modification time of the file at the site."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first sighting of an inconsistency."""

    kind: Kind
    first: datetime
    size: int
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """Limits of a scan; beyond any limit, nothing at the site is repaired."""

    young: timedelta
    """Age up to which dark files are left alone."""
    apart: timedelta
    """Minimum time between the first sighting and the one that counts."""
    files: int
    """Limit of dark files, and of missing or bad files."""
    bytes: int
    """Limit of bytes, likewise."""
    share: float
    """Limit as a fraction (0 to 1) of the site's files, likewise."""
    few: int
    """Number of files that is always allowed, whatever the fraction."""

    def most(self, n_files: int) -> int:
        """Return the limit of affected files for a site with `n_files` files."""
        return min(self.files, max(self.few, int(self.share * n_files)))


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """The decision of a scan."""

    due: Sequence[Finding]
    """Findings to act upon; empty if there are too many."""
    seen: Sequence[Finding]
    """All findings that are not young, to be kept until the next scan."""
    young: int
    """Number of dark files that are too young to act upon."""
    held: str | None
    """Why nothing is done, as a sentence; None = no limit exceeded."""


def judge(
    findings: Sequence[Finding],
    earlier: Mapping[str, Sighting],
    n_files: int,
    limits: ScanLimits,
    now: datetime,
) -> ScanVerdict:
    """Return the findings to act upon: seen before, long enough ago, and unchanged.

    `n_files` is the number of files of the site, by listing or catalogue, whichever is larger.
    """
    young = _young(findings, limits, now)
    seen = [finding for finding, early in zip(findings, young, strict=True) if not early]
    refusal = _held(seen, n_files, limits)
    due = _due(seen, earlier, limits, now)
    return ScanVerdict(
        () if refusal else [finding for finding, is_due in zip(seen, due, strict=True) if is_due],
        seen,
        int(np.count_nonzero(young)),
        refusal,
    )


def _young(findings: Sequence[Finding], limits: ScanLimits, now: datetime) -> NDArray[np.bool_]:
    """Return flags of dark files that may still be in writing, or have just arrived."""
    old = (now - limits.young).timestamp()
    dark = np.array([finding.kind is Kind.DARK for finding in findings], np.bool_)
    # a file without a modification time counts as young for ever
    changed = np.array([_seconds(finding.modified, otherwise=np.inf) for finding in findings])
    return dark & (changed > old)


def _due(
    seen: Sequence[Finding], earlier: Mapping[str, Sighting], limits: ScanLimits, now: datetime
) -> NDArray[np.bool_]:
    first = np.array([_first(finding, earlier.get(finding.lfn)) for finding in seen])
    return first <= (now - limits.apart).timestamp()


def _first(finding: Finding, sighting: Sighting | None) -> float:
    """Return seconds since 1970 of the first sighting; infinite if the file changed since."""
    if sighting is None or not is_same(finding, sighting):
        return float(np.inf)
    return sighting.first.timestamp()


def is_same(finding: Finding, sighting: Sighting) -> bool:
    """Return whether a sighting was of this finding, unchanged."""
    return (finding.kind, finding.size, finding.modified) == (
        sighting.kind,
        sighting.size,
        sighting.modified,
    )


def _held(seen: Sequence[Finding], n_files: int, limits: ScanLimits) -> str | None:
    most = limits.most(n_files)
    sizes: Numbers = np.array([finding.size for finding in seen], np.int64)
    dark = np.array([finding.kind is Kind.DARK for finding in seen], np.bool_)
    for name, flags in (("dark", dark), ("missing or bad", ~dark)):
        count, size = int(np.count_nonzero(flags)), sum(sizes[flags].tolist())
        if count > most:
            return f"{count} files are {name}, of {n_files}; at most {most} may be"
        if size > limits.bytes:
            return f"{size} bytes are {name}; at most {limits.bytes} may be"
    return None


def _seconds(moment: datetime | None, *, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
