"""Query parameters: filters, cursor and page size."""

import re
from collections.abc import Iterable
from typing import NoReturn

from flask import request

from dynamo.errors import Fault, Invalid
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.reasons import Reason
from dynamo.services.pagination import PageRequest

DEFAULT = 100
MOST = 1000
_PLAIN = re.compile(r"[!-~]{1,1000}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)


def known(*names: str) -> None:
    """Refuse unknown parameters: a misspelled filter must not mean all."""
    for name in request.args:
        if name not in names:
            refuse(name, f"is not a parameter of this call; it takes {', '.join(names) or 'none'}")
        if len(request.args.getlist(name)) > 1:
            refuse(name, "is given twice")


def text(name: str) -> str | None:
    """Return a parameter, None where it is absent or empty."""
    value = request.args.get(name)
    if not value:
        return None
    if _PLAIN.fullmatch(value) is None:
        refuse(name, "is not a name", Reason.NAME_INVALID)
    return value


def exact(name: str) -> str | None:
    """Return a parameter that takes no wildcards."""
    value = text(name)
    if value is not None and not Glob.parse(value).exact:
        refuse(name, "takes a whole name, no wildcards", Reason.NAME_INVALID)
    return value


def glob(name: str) -> Glob | None:
    """Return a name or a pattern of names."""
    value = text(name)
    return None if value is None else Glob.parse(value)


def block(name: str) -> BlockName | None:
    """Return a full block name."""
    value = text(name)
    return None if value is None else BlockName.parse(value)


def one_of(name: str, words: Iterable[str]) -> str | None:
    """Return a parameter that must be one of these words."""
    value = text(name)
    choices = list(words)
    if value is not None and value not in choices:
        refuse(name, f"is none of {', '.join(choices)}")
    return value


def number(name: str) -> int | None:
    """Return a whole number."""
    value = text(name)
    if value is not None and _NUMBER.fullmatch(value) is None:
        refuse(name, "is not a number")
    return None if value is None else int(value)


def place() -> PageRequest:
    """Return the requested page."""
    limit = text("limit")
    if limit is None:
        return PageRequest(text("cursor"), DEFAULT)
    if _COUNT.fullmatch(limit) is None or not 1 <= int(limit) <= MOST:
        refuse("limit", f"is not a number from 1 to {MOST}")
    return PageRequest(text("cursor"), int(limit))


def refuse(name: str, detail: str, reason: Reason = Reason.INVALID) -> NoReturn:
    """Refuse a parameter."""
    raise Invalid(
        f"the parameter {name[:100]!r} {detail}", reason, faults=[Fault(f"?{name[:100]}", detail)]
    )
