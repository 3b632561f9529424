"""Failures by kind: what an error text means, what is done about it, and whose fault it is."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dynamo.errors import RETRYABLE


class Again(StrEnum):
    """When what failed is tried again."""

    SOON = "soon"
    """With exponential back-off; after the settled number of attempts only daily."""
    DAILY = "daily"
    """Held at once, as trying again soon does not help; goes on when its cause has gone."""
    BY_HAND = "by hand"
    """Held until a person decides."""


class Blame(StrEnum):
    """Which end of a transfer has failed as a whole, rather than for this one file."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done about a failure."""

    again: Again = Again.SOON
    blame: Blame | None = None


_OTHER = Kind()
KINDS: dict[str, Kind] = {
    "destination-error": Kind(blame=Blame.DESTINATION),
    "queue-timeout": Kind(blame=Blame.DESTINATION),
    "permission-denied": Kind(blame=Blame.DESTINATION),
    "source-error": Kind(blame=Blame.SOURCE),
    "storage-full": Kind(Again.DAILY),
    "quota-exceeded": Kind(Again.DAILY),
    "worker-lost": Kind(Again.DAILY),
    "source-not-allowed": Kind(Again.DAILY),
    "name-conflict": Kind(Again.DAILY),
    "needs-decision": Kind(Again.BY_HAND),
}
"""Reasons that are more than bad luck with one file; all others are tried again soon."""


def blamed_on(end: Blame) -> frozenset[str]:
    """Return the reasons for which one end of a transfer has failed as a whole."""
    return frozenset(reason for reason, kind in KINDS.items() if kind.blame is end)


REFUSED_BY_STORAGE = blamed_on(Blame.DESTINATION) | {"storage-full", "name-conflict"}
"""Why the storage of a site does not take a file, whatever the site's status is."""

REFUSED_THERE = REFUSED_BY_STORAGE | {"site-not-ready", "switched-off"}
"""What keeps a file from one site, and perhaps from no other."""

NOTHING_UPLOADED = frozenset({"not-uploaded", "checksum-mismatch"})
"""What proves that the right bytes were not uploaded; a storage that fails proves nothing."""


def proves_nothing_uploaded(
    reason: str | None, not_before: datetime | None, updated: datetime
) -> bool:
    """Tell whether the last look at an upload address found nothing right.

    A confirmation that came after it is due at once, and not looked at yet.
    """
    return reason in NOTHING_UPLOADED and not_before is not None and not_before > updated


def kind_of(reason: str) -> Kind:
    """Return what is done about a failure. Raises ValueError for what is no reason."""
    if reason not in RETRYABLE:
        raise ValueError(f"{reason!r} is not a reason")
    return KINDS.get(reason, _OTHER)


_VAGUE = frozenset({"destination-error", "source-error", "transfer-error", "internal"})
"""Reasons that say no more than where it failed: the text may say what."""

_FULL = (
    r"no space left|disk quota exceeded|insufficient (free )?space|507 insufficient"
    r"|srm_no_free_space"
)
_SUMS = r"checksums? (do not|don't) match|checksum mismatch|digest mismatch"
_MISSING = r"no such file|file not found|srm_invalid_path|404 not found"
_REFUSED = (
    r"permission denied|not authori[sz]ed|write denied|401 unauthorized|403 forbidden"
    r"|(proxy|certificate|crl|token) (has )?expired|authentication (failed|error|failure)"
    r"|srm_author?i[sz]ation_failure|srm_authentication_failure|could not load client cred"
)
_SILENT = r"connection timed out|operation timed out|operation timeout|idle timeout"
_PHRASES: tuple[tuple[str, str], ...] = (
    (_FULL, "storage-full"),
    (_SUMS, "checksum-mismatch"),
    (_MISSING, "file-missing"),
    (_REFUSED, "permission-denied"),
    (_SILENT, "timeout"),
)
"""What storages and transfer services write -> what it means; the first that is found counts."""
_TOLD = tuple((re.compile(phrase, re.IGNORECASE), reason) for phrase, reason in _PHRASES)

_AT_SOURCE = {"file-missing": "source-missing", "timeout": "source-error"}
_ELSEWHERE = {"file-missing": "destination-error", "timeout": "queue-timeout"}
_OF_THE_DESTINATION = frozenset({"storage-full"})
"""What a source cannot be at fault for."""


def classify(reason: str, text: str) -> str:
    """Return the reason that an error text stands for, where the given one is vague."""
    if reason not in _VAGUE:
        return reason
    said = next((meaning for phrase, meaning in _TOLD if phrase.search(text)), None)
    if said is None:
        return reason
    if reason == "source-error":
        found = _AT_SOURCE.get(said, said)
        # a source that refuses us fails as a whole: `permission-denied` would blame the other end
        return reason if found in {"permission-denied", *_OF_THE_DESTINATION} else found
    return _ELSEWHERE.get(said, said)
