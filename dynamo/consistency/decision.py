"""Judging findings: which of them have been seen often enough, and whether they are too many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dynamo.consistency.name_hashes import Numbers


class Kind(StrEnum):
    """What is wrong with a file at a site."""

    DARK = "dark"
    MISSING = "missing"
    WRONG = "wrong"
    """Another size than the catalogue says."""
    CORRUPT = "corrupt"
    """The right size, and other bytes: a copy that read it has said so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a scan found, and that its listing proves."""

    kind: Kind
    lfn: str
    size: int
    """Bytes that lie there; of a missing file those that should."""
    modified: datetime | None = None
    """Of what lies there."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """When something was first seen, and how it looked."""

    kind: Kind
    first: datetime
    size: int
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """How careful to be; above a limit nothing is done about anything at the site."""

    young: timedelta
    """Dark files that were changed later than this before now are left alone."""
    apart: timedelta
    """Time between the first sighting and one that counts."""
    files: int
    """Files at most, of what is dark and of what is missing or bad each."""
    bytes: int
    """Bytes at most, likewise."""
    share: float
    """Fraction (0 to 1) of the site's files at most, likewise."""
    few: int
    """So many files may be concerned whatever their share."""

    def most(self, n_files: int) -> int:
        """Return how many files may be concerned at a site of so many."""
        return min(self.files, max(self.few, int(self.share * n_files)))


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """What is to be done."""

    due: Sequence[Finding]
    """Act on these; empty where there are too many."""
    seen: Sequence[Finding]
    """All that is not young: to be remembered until the next scan."""
    young: int
    """Dark files that were left alone for their age."""
    held: str | None
    """Why nothing is done, in a sentence."""


def judge(
    findings: Sequence[Finding],
    earlier: Mapping[str, Sighting],
    n_files: int,
    limits: ScanLimits,
    now: datetime,
) -> ScanVerdict:
    """Say which findings to act upon: those that were seen before, long enough ago, and unchanged.

    `n_files` is the number of files of the site, by listing or catalogue, whichever is larger.
    """
    young = _young(findings, limits, now)
    seen = [finding for finding, early in zip(findings, young, strict=True) if not early]
    held = _held(seen, n_files, limits)
    due = _due(seen, earlier, limits, now)
    return ScanVerdict(
        () if held else [finding for finding, is_due in zip(seen, due, strict=True) if is_due],
        seen,
        int(np.count_nonzero(young)),
        held,
    )


def _young(findings: Sequence[Finding], limits: ScanLimits, now: datetime) -> NDArray[np.bool_]:
    """Find dark files that somebody may still be writing, or has just brought."""
    old = (now - limits.young).timestamp()
    dark = np.array([finding.kind is Kind.DARK for finding in findings], np.bool_)
    # a file without an age is never old enough
    changed = np.array([_seconds(one.modified, otherwise=np.inf) for one in findings])
    return dark & (changed > old)


def _due(
    seen: Sequence[Finding], earlier: Mapping[str, Sighting], limits: ScanLimits, now: datetime
) -> NDArray[np.bool_]:
    first = np.array([_first(finding, earlier.get(finding.lfn)) for finding in seen])
    return first <= (now - limits.apart).timestamp()


def _first(finding: Finding, sighting: Sighting | None) -> float:
    """Return when the same thing was first seen, in seconds; never where it has changed since."""
    if sighting is None or not is_same(finding, sighting):
        return float(np.inf)
    return sighting.first.timestamp()


def is_same(finding: Finding, sighting: Sighting) -> bool:
    """Tell whether a sighting was of this very thing."""
    return (finding.kind, finding.size, finding.modified) == (
        sighting.kind,
        sighting.size,
        sighting.modified,
    )


def _held(seen: Sequence[Finding], n_files: int, limits: ScanLimits) -> str | None:
    most = limits.most(n_files)
    sizes: Numbers = np.array([finding.size for finding in seen], np.int64)
    dark = np.array([finding.kind is Kind.DARK for finding in seen], np.bool_)
    for name, mine in (("dark", dark), ("missing or bad", ~dark)):
        count, size = int(np.count_nonzero(mine)), sum(sizes[mine].tolist())
        if count > most:
            return f"{count} files are {name}, of {n_files}; at most {most} may be"
        if size > limits.bytes:
            return f"{size} bytes are {name}; at most {limits.bytes} may be"
    return None


def _seconds(moment: datetime | None, *, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
