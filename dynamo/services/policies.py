"""Policies: which text is in force for a partition, which were before, and how one is changed."""

import difflib
from collections.abc import Sequence
from typing import Any

from dynamo.db import policies
from dynamo.db.history_log import Event, record
from dynamo.db.popularity import PRODUCED
from dynamo.db.work import Work, retried
from dynamo.errors import Fault, Invalid, NotFound
from dynamo.inventory import asked
from dynamo.inventory.callers import Caller
from dynamo.policy.advice import check_policy
from dynamo.policy.reading import Known, Reading
from dynamo.services.pages import Item, Page, Place, write
from dynamo.services.tools import Tools

MOST_VERSIONS = 20
"""On one page, as each is compared with the one before."""


def show(use: Tools, partition: str, version: int | None = None) -> Item:
    """Return the policy in force, or an earlier version. Raises NotFound."""
    with use.begin.reading() as work:
        return _shown(work, partition, version)


def versions(use: Tools, partition: str, place: Place) -> Page:
    """Return a page of all versions, newest first: who, when, and what was changed."""
    with use.begin.reading() as work:
        _check_partition(work, partition)
        after = place.span((int,)).after
        number = None if after is None else int(after[0])
        limit = min(place.limit, MOST_VERSIONS)
        rows = policies.before(work, partition, number, limit + 1)
        items = [_version(row, older) for row, older in _with_older(rows)[:limit]]
        return Page(items, write((rows[limit - 1].version,) if len(rows) > limit else None))


def put(use: Tools, partition: str, body: asked.PolicyBody, caller: Caller) -> Item:
    """Put a text in force once it is found right; else the one in force stays. Raises Invalid."""
    if body.partition not in (None, partition):
        fault = Fault("/partition", f"is not {partition}")
        raise Invalid("the path and the body name two partitions", faults=[fault])
    reading = read(use, partition, body.text)
    shown = _put(use, partition, body.text, caller)
    return {**shown, "warnings": [one.show(partition) for one in reading.warnings]}


def read(use: Tools, partition: str, text: str) -> Reading:
    """Read a policy for a partition. Raises Invalid with the place of each error, NotFound."""
    with use.begin.reading() as work:
        known = Known(_check_partition(work, partition), PRODUCED)
    reading = check_policy(text, partition, partition=partition, known=known)
    if reading.errors:
        n = len(reading.errors)
        what = "an error" if n == 1 else f"{n} errors"
        raise Invalid(f"the policy has {what}; the one in force stays", faults=_faults(reading))
    if reading.policy.partition != partition:
        detail = f"the policy is for the partition {reading.policy.partition}, not {partition}"
        raise Invalid(detail, faults=[Fault("/text", detail)])
    return reading


@retried
def _put(use: Tools, partition: str, text: str, caller: Caller) -> Item:
    with use.begin() as work:
        key = policies.locked(work, partition)
        if key is None:
            raise _unknown(partition)
        before = policies.in_force(work, partition)
        if before is None or before.text != text:
            version = policies.add(work, key, text, caller.name)
            changes = _summary(difference(before, text, version))
            why = f"{partition}: version {version}, {changes}"
            record(work, [Event("policy-changed", caller.name, why=why)])
        return _shown(work, partition, None)


def _faults(reading: Reading) -> list[Fault]:
    """Say of each error where it is, and show the line with a caret under the place."""
    return [
        Fault("/text", one.show(reading.source), line=one.spot.line, column=one.spot.column)
        for one in reading.errors
    ]


def _check_partition(work: Work, partition: str) -> list[str]:
    """Return the names of all partitions, if this is one. Raises NotFound."""
    known = policies.partitions(work)
    if partition not in known:
        raise _unknown(partition)
    return known


def _unknown(partition: str) -> NotFound:
    return NotFound(f"there is no partition {partition!r}")


def _shown(work: Work, partition: str, version: int | None) -> Item:
    _check_partition(work, partition)
    row = (
        policies.in_force(work, partition)
        if version is None
        else policies.version(work, partition, version)
    )
    if row is None:
        which = "policy" if version is None else f"version {version} of the policy"
        raise NotFound(f"the partition {partition} has no {which}")
    return {"partition": partition, **_signed(row), "text": row.text}


def _version(row: Any, older: Any) -> Item:
    return {**_signed(row), "difference": difference(older, row.text, row.version)}


def _signed(row: Any) -> Item:
    return {"version": row.version, "who": row.who, "at": row.at}


def _with_older(rows: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(rows, [*rows[1:], None], strict=True))


def difference(older: Any, text: str, version: int) -> str:
    """Return the unified difference of a version to an older one (None = to nothing)."""
    names = ("nothing" if older is None else f"version {older.version}", f"version {version}")
    lines = difflib.unified_diff(
        [] if older is None else older.text.splitlines(), text.splitlines(), *names, lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _summary(told: str) -> str:
    lines = told.splitlines()[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"{added} lines added, {removed} removed"
