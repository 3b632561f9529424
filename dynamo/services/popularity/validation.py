"""Reports: what the lists that others send have in common, judged item by item, all or none."""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TypeVar

from dynamo.errors import Fault, Invalid, NotFound
from dynamo.reasons import Reason

Item = TypeVar("Item")


def check_once(items: Sequence[Item], key: Callable[[Item], Hashable], what: str) -> None:
    """Refuse items that say different things of the same: which one is meant? Raises Invalid."""
    seen: set[Hashable] = set()
    faults: list[Fault] = []
    for n, item in enumerate(items):
        found = key(item)
        if found in seen:
            faults.append(Fault(f"/{n}", f"stands twice: {what}"))
        seen.add(found)
    if faults:
        raise Invalid("some items stand twice", faults=faults)


def check_each(
    items: Sequence[Item], holds: Callable[[Item], bool], field: str, detail: str
) -> None:
    """Refuse items whose field cannot be right. Raises Invalid."""
    faults = [Fault(f"/{n}/{field}", detail) for n, item in enumerate(items) if not holds(item)]
    if faults:
        raise Invalid(f"some items have an impossible {field}", faults=faults)


_UNKNOWN = {"dataset": Reason.DATASET_UNKNOWN, "site": Reason.SITE_UNKNOWN}


def check_known(named: Sequence[str], known: Collection[str], what: str) -> None:
    """Refuse names of nothing; `what` is `dataset` or `site`. Raises NotFound."""
    faults = [
        Fault(f"/{n}/{what}", f"there is no {what} {name!r}")
        for n, name in enumerate(named)
        if name not in known
    ]
    if faults:
        raise NotFound(f"some {what}s are unknown", _UNKNOWN[what], faults=faults)
