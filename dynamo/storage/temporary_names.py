"""Temporary names: where uploads and unfinished copies lie until they are verified."""

import re
import secrets

from dynamo.errors import Invalid
from dynamo.inventory.names import is_lfn, within

OWN = ".copies"
"""Folder of Dynamo's own temporaries; no part of an LFN starts with a dot, so none can name it."""

PROBE = "_probe"
"""What the names of probes begin with; no name of a user does."""

_LAST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)


def upload(area: str, user: str, key: int | str) -> str:
    """Make a name that a job may write to; the random part cannot be guessed by others."""
    return f"{area}/{user}/{key}.{secrets.token_hex(8)}"


def own(area: str, key: int, lease_no: int) -> str:
    """Make a name for a copy by Dynamo, new for each attempt."""
    return f"{area}/{OWN}/{key}.{lease_no}.{secrets.token_hex(4)}"


def probe(area: str, key: str) -> str:
    """Make a name for a probe."""
    return f"{area}/{OWN}/{PROBE}.{key}"


def adopted(area: str, upload: str) -> str:
    """Return the one name that an upload gets when Dynamo takes it: a repetition finds it."""
    return f"{area}/{OWN}/{'.'.join(upload.removeprefix(area).strip('/').split('/'))}"


def owner_of(name: str, area: str) -> int | str | None:
    """Return what a temporary name was made for: a transfer's key, or the name of an upload.

    None for what nobody ever comes back to.
    """
    if not is_own(name, area):
        return name
    first, _, rest = name.rpartition("/")[2].partition(".")
    if first == PROBE:
        return None
    return int(first) if first.isdigit() else f"{area}/{first}/{rest}"


def is_own(name: str, area: str) -> bool:
    """Tell whether this is a temporary name of Dynamo's own."""
    folder, _, last = name.rpartition("/")
    return folder == f"{area}/{OWN}" and _LAST.fullmatch(last) is not None and ".." not in last


def is_temporary(name: str, area: str) -> bool:
    """Tell whether this lies in the incoming area: an upload's name or one of Dynamo's own."""
    return is_own(name, area) or (is_lfn(name) and within(name, area))


def check_temporary(name: str, area: str) -> None:
    """Refuse any name outside the incoming area. Raises Invalid."""
    if not is_temporary(name, area):
        raise Invalid(f"{name!r} is not a temporary name below {area}", "name-invalid")


def check_final(lfn: str, area: str) -> None:
    """Refuse what is no LFN, and LFNs within the incoming area. Raises Invalid."""
    if not is_lfn(lfn) or within(lfn, area):
        raise Invalid(f"{lfn!r} cannot be the name of a file", "name-invalid")


def check_any(name: str, area: str) -> None:
    """Refuse what is neither an LFN nor a temporary name. Raises Invalid."""
    if not is_lfn(name) and not is_own(name, area):
        raise Invalid(f"{name!r} cannot be the name of a file", "name-invalid")
