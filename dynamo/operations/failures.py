"""Classifies error texts, and decides what the last look at an upload address proves."""

import re
from datetime import datetime

from dynamo.reasons import NOTHING_UPLOADED, Reason


def proves_nothing_uploaded(
    reason: str | None, not_before: datetime | None, updated: datetime
) -> bool:
    """Return whether the last look at an upload address proves a missing upload.

    A confirmation after that look makes the transfer due at once.
    """
    return reason in NOTHING_UPLOADED and not_before is not None and not_before > updated


_VAGUE = frozenset(
    {Reason.DESTINATION_ERROR, Reason.SOURCE_ERROR, Reason.TRANSFER_ERROR, Reason.INTERNAL}
)
"""Reasons that only say where it failed; the text may say more."""

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
    # a full disk cannot be the source's fault; a source that refuses access fails as a whole,
    # but `permission-denied` would blame the other end
    (_FULL, Reason.SOURCE_ERROR, Reason.STORAGE_FULL),
    (_SUMS, Reason.CHECKSUM_MISMATCH, Reason.CHECKSUM_MISMATCH),
    (_MISSING, Reason.SOURCE_MISSING, Reason.DESTINATION_ERROR),
    (_REFUSED, Reason.SOURCE_ERROR, Reason.PERMISSION_DENIED),
    (_SILENT, Reason.SOURCE_ERROR, Reason.QUEUE_TIMEOUT),
)
"""Texts of storages and transfer services -> reason for a source, reason otherwise.

The first match counts.
"""
_MEANINGS = tuple(
    (re.compile(phrase, re.IGNORECASE), of_source, of_all_else)
    for phrase, of_source, of_all_else in _PHRASES
)


def classify(reason: Reason, text: str) -> Reason:
    """Return the reason of an error text, if the given reason is vague."""
    if reason not in _VAGUE:
        return reason
    for phrase, of_source, of_all_else in _MEANINGS:
        if phrase.search(text):
            return of_source if reason is Reason.SOURCE_ERROR else of_all_else
    return reason
