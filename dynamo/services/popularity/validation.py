"""Checks of reported lists, item by item; any error refuses the whole list."""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TypeVar

from dynamo.errors import Fault, Invalid, NotFound
from dynamo.reasons import Reason

Item = TypeVar("Item")


def check_once(items: Sequence[Item], key: Callable[[Item], Hashable], noun: str) -> None:
    """Refuse items with the same key, whose values would conflict. Raises Invalid."""
    seen: set[Hashable] = set()
    faults: list[Fault] = []
    for n, item in enumerate(items):
        value = key(item)
        if value in seen:
            faults.append(Fault(f"/{n}", f"occurs twice: {noun}"))
        seen.add(value)
    if faults:
        raise Invalid("some items occur twice", faults=faults)


def check_each(
    items: Sequence[Item], holds: Callable[[Item], bool], field: str, detail: str
) -> None:
    """Refuse items with an impossible field. Raises Invalid."""
    faults = [Fault(f"/{n}/{field}", detail) for n, item in enumerate(items) if not holds(item)]
    if faults:
        raise Invalid(f"some items have an impossible {field}", faults=faults)


_UNKNOWN = {"dataset": Reason.DATASET_UNKNOWN, "site": Reason.SITE_UNKNOWN}


def check_known(named: Sequence[str], known: Collection[str], noun: str) -> None:
    """Refuse unknown names; `noun` is `dataset` or `site`. Raises NotFound."""
    faults = [
        Fault(f"/{n}/{noun}", f"there is no {noun} {name!r}")
        for n, name in enumerate(named)
        if name not in known
    ]
    if faults:
        raise NotFound(f"some {noun}s are unknown", _UNKNOWN[noun], faults=faults)
