"""Temporary names, for uploads and unfinished copies until they are verified."""

import re
import secrets

from dynamo.errors import Invalid
from dynamo.inventory.names import is_lfn, within
from dynamo.reasons import Reason

OWN = ".copies"
"""Folder of Dynamo's own temporary files; no part of an LFN can start with a dot."""

PROBE = "_probe"
"""Prefix of probes' names; no user's name begins with `_`."""

_LAST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)


def upload(area: str, user: str, key: int | str) -> str:
    """Return a new name that a job may write to; others cannot guess the random part."""
    return f"{area}/{user}/{key}.{secrets.token_hex(8)}"


def own(area: str, key: int, lease_no: int) -> str:
    """Return a new name for an attempt of Dynamo to copy."""
    return f"{area}/{OWN}/{key}.{lease_no}.{secrets.token_hex(4)}"


def probe(area: str, key: str) -> str:
    """Return the name of a probe."""
    return f"{area}/{OWN}/{PROBE}.{key}"


def adopted(area: str, upload: str) -> str:
    """Return the name of an adopted upload, always the same, so that a repetition finds it."""
    return f"{area}/{OWN}/{'.'.join(upload.removeprefix(area).strip('/').split('/'))}"


def owner_of(name: str, area: str) -> int | str | None:
    """Return the owner of a temporary name: a transfer's key, or the name of an upload.

    None for probes, which have no owner.
    """
    if not is_own(name, area):
        return name
    first, _, remainder = name.rpartition("/")[2].partition(".")
    if first == PROBE:
        return None
    return int(first) if first.isdigit() else f"{area}/{first}/{remainder}"


def is_own(name: str, area: str) -> bool:
    """Return whether this is one of Dynamo's own temporary names."""
    folder, _, last = name.rpartition("/")
    return folder == f"{area}/{OWN}" and _LAST.fullmatch(last) is not None and ".." not in last


def is_temporary(name: str, area: str) -> bool:
    """Return whether this is a temporary name: of an upload, or one of Dynamo's own."""
    return is_own(name, area) or (is_lfn(name) and within(name, area))


def check_temporary(name: str, area: str) -> None:
    """Refuse names outside the incoming area. Raises Invalid."""
    if not is_temporary(name, area):
        raise Invalid(f"{name!r} is not a temporary name below {area}", Reason.NAME_INVALID)


def check_final(lfn: str, area: str) -> None:
    """Refuse texts that are not LFNs, and LFNs in the incoming area. Raises Invalid."""
    if not is_lfn(lfn) or within(lfn, area):
        raise Invalid(f"{lfn!r} cannot be the name of a file", Reason.NAME_INVALID)


def check_any(name: str, area: str) -> None:
    """Refuse names that are neither LFNs nor temporary. Raises Invalid."""
    if not is_lfn(name) and not is_own(name, area):
        raise Invalid(f"{name!r} cannot be the name of a file", Reason.NAME_INVALID)
