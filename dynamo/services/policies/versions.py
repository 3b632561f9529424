"""Versioned texts: author, time and changes of each version."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.policies import versions as policy_versions
from dynamo.db.policies.versions import Table, VersionRow
from dynamo.errors import Fault, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.policy.diagnostics import Problem
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, write

MOST_VERSIONS = 20
"""Limit of versions on a page, as each is compared with the previous one."""


@dataclass(frozen=True, slots=True)
class VersionedTexts:
    """Texts of one kind."""

    table: Table
    noun: str
    """The word for such a text."""
    event: str
    """The word for a change in the history."""

    def get(self, ctx: Context, partition: str, version: int | None = None) -> Item:
        """Return the text in force, or an earlier version. Raises NotFound."""
        with ctx.begin.reading() as work:
            return _shown(work, self, partition, version)

    def versions(self, ctx: Context, partition: str, place: PageRequest) -> Page:
        """Return a page of all versions, newest first, with author, time and changes."""
        with ctx.begin.reading() as work:
            known(work, partition)
            after = place.span((int,)).after
            number = None if after is None else int(after[0])
            limit = min(place.limit, MOST_VERSIONS)
            rows = policy_versions.before(work, partition, number, limit + 1, self.table)
            items = [_version(row, older) for row, older in _with_older(rows)[:limit]]
            return Page(items, write((rows[limit - 1].version,) if len(rows) > limit else None))


@retried
def update(ctx: Context, kind: VersionedTexts, partition: str, text: str, caller: Caller) -> Item:
    """Put a valid text in force."""
    with ctx.begin() as work:
        key = policy_versions.locked(work, partition)
        if key is None:
            raise _unknown(partition)
        before = policy_versions.in_force(work, partition, kind.table)
        if before is None or before.text != text:
            version = policy_versions.add(work, key, text, caller.name, kind.table)
            changes = _summary(difference(before, text, version))
            why = f"{partition}: version {version}, {changes}"
            record(work, [Event(kind.event, caller.name, why=why)])
        return _shown(work, kind, partition, None)


def check_path(partition: str, body: schemas.PolicyBody) -> None:
    """Refuse a body for another partition than that of the path. Raises Invalid."""
    if body.partition not in (None, partition):
        fault = Fault("/partition", f"is not {partition}")
        raise Invalid("the path and the body name two partitions", faults=[fault])


def check_named(named: str, partition: str, noun: str) -> None:
    """Refuse a text for another partition than that of the path. Raises Invalid."""
    if named != partition:
        detail = f"the {noun} is for the partition {named}, not {partition}"
        raise Invalid(detail, faults=[Fault("/text", detail)])


def refuse(errors: Sequence[Problem], noun: str, source: str) -> None:
    """Refuse a text with errors, each with its line and a caret. Raises Invalid."""
    if not errors:
        return
    count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    faults = [
        Fault("/text", problem.show(source), line=problem.spot.line, column=problem.spot.column)
        for problem in errors
    ]
    raise Invalid(f"the {noun} has {count}; the one in force stays", faults=faults)


def known(work: Work, partition: str) -> list[str]:
    """Return the names of all partitions, if this is one of them. Raises NotFound."""
    names = policy_versions.partitions(work)
    if partition not in names:
        raise _unknown(partition)
    return names


def _unknown(partition: str) -> NotFound:
    return NotFound(f"there is no partition {partition!r}")


def _shown(work: Work, kind: VersionedTexts, partition: str, version: int | None) -> Item:
    known(work, partition)
    row = (
        policy_versions.in_force(work, partition, kind.table)
        if version is None
        else policy_versions.version(work, partition, version, kind.table)
    )
    if row is None:
        noun = kind.noun if version is None else f"version {version} of the {kind.noun}"
        raise NotFound(f"the partition {partition} has no {noun}")
    return {"partition": partition, **_signed(row), "text": row.text}


def _version(row: VersionRow, older: VersionRow | None) -> Item:
    return {**_signed(row), "difference": difference(older, row.text, row.version)}


def _signed(row: VersionRow) -> Item:
    return {"version": row.version, "who": row.who, "at": row.at}


def _with_older(rows: Sequence[VersionRow]) -> list[tuple[VersionRow, VersionRow | None]]:
    return list(zip(rows, [*rows[1:], None], strict=True))


def difference(older: VersionRow | None, text: str, version: int) -> str:
    """Return the unified difference to an older version (None = to an empty text)."""
    names = ("nothing" if older is None else f"version {older.version}", f"version {version}")
    lines = difflib.unified_diff(
        [] if older is None else older.text.splitlines(), text.splitlines(), *names, lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _summary(diff: str) -> str:
    lines = diff.splitlines()[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"{added} lines added, {removed} removed"
