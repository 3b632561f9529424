"""Failures: what an error text means, and what the last look at an upload address proves."""

import re
from datetime import datetime

from dynamo.reasons import NOTHING_UPLOADED, Reason


def proves_nothing_uploaded(
    reason: str | None, not_before: datetime | None, updated: datetime
) -> bool:
    """Tell whether the last look at an upload address found nothing right.

    A confirmation that came after it is due at once, and not looked at yet.
    """
    return reason in NOTHING_UPLOADED and not_before is not None and not_before > updated


_VAGUE = frozenset(
    {Reason.DESTINATION_ERROR, Reason.SOURCE_ERROR, Reason.TRANSFER_ERROR, Reason.INTERNAL}
)
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
_PHRASES: tuple[tuple[str, Reason, Reason], ...] = (
    # a source cannot be at fault for a full disk, and one that refuses us fails as a whole:
    # `permission-denied` would blame the other end
    (_FULL, Reason.SOURCE_ERROR, Reason.STORAGE_FULL),
    (_SUMS, Reason.CHECKSUM_MISMATCH, Reason.CHECKSUM_MISMATCH),
    (_MISSING, Reason.SOURCE_MISSING, Reason.DESTINATION_ERROR),
    (_REFUSED, Reason.SOURCE_ERROR, Reason.PERMISSION_DENIED),
    (_SILENT, Reason.SOURCE_ERROR, Reason.QUEUE_TIMEOUT),
)
"""What storages and transfer services write -> what it means of a source, and of all else.

The first that is found counts.
"""
_MEANINGS = tuple(
    (re.compile(phrase, re.IGNORECASE), of_source, of_all_else)
    for phrase, of_source, of_all_else in _PHRASES
)


def classify(reason: Reason, text: str) -> Reason:
    """Return the reason that an error text stands for, where the given one is vague."""
    if reason not in _VAGUE:
        return reason
    for phrase, of_source, of_all_else in _MEANINGS:
        if phrase.search(text):
            return of_source if reason is Reason.SOURCE_ERROR else of_all_else
    return reason
