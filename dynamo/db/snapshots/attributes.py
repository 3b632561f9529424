"""Producers of attributes: what is found out before a cycle looks, by entry points.

A package that declares one in the group `dynamo.attributes` is asked like those that come along:

    [project.entry-points."dynamo.attributes"]
    tape_requests = "mine.tape:REQUESTS"

where `REQUESTS = Producer(frozenset({"tape_copy_requested"}), find)` and `find(work, snapshot)`
returns `snapshot.with_attributes(tape_copy_requested=...)`, one value per dataset of the snapshot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points

from sqlalchemy.exc import SQLAlchemyError

from dynamo.db import requests
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.policies import locks
from dynamo.db.policies import popularity as popularity_rows
from dynamo.db.policies import versions as policy_versions
from dynamo.db.tables import PlacementRules
from dynamo.errors import DynamoError, Invalid
from dynamo.inventory.snapshot import Definition, Snapshot
from dynamo.logs import logger

log = logger("attributes")
GROUP = "dynamo.attributes"


@dataclass(frozen=True, slots=True)
class Producer:
    """Finds something out about datasets."""

    attributes: frozenset[str]
    """The attributes that it fills; none for what the snapshot has a place of its own for."""
    find: Callable[[Work, Snapshot], Snapshot]


def _locks(work: Work, found: Snapshot) -> Snapshot:
    return replace(found, locks=locks.holding(work))


def _rules(work: Work, found: Snapshot) -> Snapshot:
    """Add the placement rules in force, by partition."""
    rows = policy_versions.all_in_force(work, PlacementRules)
    return replace(found, rules=tuple(Definition(row.partition, row.text) for row in rows))


def _unhandled_copies(work: Work, found: Snapshot) -> Snapshot:
    """Add what open copy requests name: datasets, or their blocks in full."""
    return replace(found, waiting_copies=requests.names_to_copy(work))


def _popularity(work: Work, found: Snapshot) -> Snapshot:
    return found.with_attributes(**popularity_rows.attributes(work, found, work.now.timestamp()))


LOCKS = Producer(frozenset(), _locks)
POPULARITY = Producer(popularity_rows.PRODUCED, _popularity)
RULES = Producer(frozenset(), _rules)
UNHANDLED_COPIES = Producer(frozenset(), _unhandled_copies)

OWN: Mapping[str, Producer] = {
    "locks": LOCKS,
    "popularity": POPULARITY,
    "rules": RULES,
    "unhandled_copies": UNHANDLED_COPIES,
}
"""Those that come along: they are asked even if the package's metadata are older than this file.

Protected sites and relative ages need none, as the engine knows them.
"""


def installed() -> dict[str, Producer]:
    """Return all producers by name. Raises Invalid where two fill the same attribute."""
    found = dict(OWN)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            producer = point.load()
        except (ImportError, AttributeError) as failed:
            detail = f"the entry point {point.name} of {GROUP} cannot be loaded: {failed}"
            raise Invalid(detail) from failed
        if not isinstance(producer, Producer):
            raise Invalid(f"the entry point {point.name} of {GROUP} names no producer")
        found[point.name] = producer
    filled: dict[str, str] = {}
    for name, producer in found.items():
        for attribute in sorted(producer.attributes):
            if attribute in filled:
                both = f"{filled[attribute]} and {name}"
                raise Invalid(f"two producers fill the attribute {attribute}: {both}")
            filled[attribute] = name
    return found


def produced() -> frozenset[str]:
    """Return the attributes that somebody here finds out."""
    return frozenset().union(*(producer.attributes for producer in installed().values()))


def added(work: Work, found: Snapshot) -> Snapshot:
    """Ask all producers. Raises Invalid where one fails: no cycle decides on half the facts."""
    for name, producer in installed().items():
        try:
            found = producer.find(work, found)
        except (DynamoError, SQLAlchemyError):
            raise
        except Exception as failed:
            log.warning("attribute producer failed", producer=name, error=repr(failed))
            raise Invalid(f"the attribute producer {name} failed: {failed}") from failed
    return found
