"""Accesses and demands of datasets: written in bulk, read as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import Executable, delete, select
from sqlalchemy.dialects import mysql, sqlite

from dynamo.db.engine.column_reader import ColumnQuery, numbers, seconds
from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Access, Base, Demand
from dynamo.inventory.snapshot import Amounts, Column, Flags, Numbers, Snapshot
from dynamo.policy.popularity import request_weight, usage_rank

PRODUCED = frozenset(
    {"last_access", "num_access", "usage_rank", "request_weight", "recent_accesses"}
)
"""The attributes of datasets that this module provides."""

ACCESSES_KEPT = timedelta(days=730)
DEMANDS_KEPT = timedelta(days=365)
"""Age after which reports are deleted."""
RECENT = timedelta(days=7)
"""Period of recent accesses."""
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Accessed:
    """Accesses of datasets, by key; the last day as its begin in seconds since 1970."""

    dataset_ids: Amounts
    num_access: Numbers
    recent: Numbers
    """Accesses in the recent period."""
    last_access: Amounts


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs that wait for datasets, by key; a dataset has one entry per time."""

    dataset_ids: Amounts
    jobs: Numbers
    since: Numbers
    """Seconds since 1970."""


# --- reporting -----------------------------------------------------------------------------------


def report_accesses(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write daily counts; the same dataset, site and day is replaced."""
    _replace(work, Access, rows, ("accesses", "cpu_seconds"))


def report_demands(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write waiting jobs; the same source, dataset and time is replaced."""
    _replace(work, Demand, rows, ("jobs",))


def _replace(
    work: Work, table: type[Base], rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> None:
    into = table.__table__
    statement: Executable
    if work.is_mysql:
        mine = mysql.insert(into)  # type: ignore[arg-type]
        statement = mine.on_duplicate_key_update({name: mine.inserted[name] for name in columns})
    else:
        ours = sqlite.insert(into)  # type: ignore[arg-type]
        statement = ours.on_conflict_do_update(
            index_elements=list(into.primary_key),
            set_={name: ours.excluded[name] for name in columns},
        )
    # in the order of the key, so that parallel reports wait instead of deadlocking
    ordered = sorted(rows, key=lambda row: [row[column.name] for column in into.primary_key])
    for start in range(0, len(ordered), _CHUNK):
        work.execute(statement, ordered[start : start + _CHUNK])


def purge(work: Work) -> int:
    """Delete old accesses and demands; return their number."""
    old = work.changed(delete(Access).where(Access.day < (work.now - ACCESSES_KEPT).date()))
    return old + work.changed(delete(Demand).where(Demand.since < work.now - DEMANDS_KEPT))


# --- reading -------------------------------------------------------------------------------------


def accessed(work: Work) -> Accessed:
    """Return the accesses of the last two years, summed over sites and days."""
    first = (work.now - ACCESSES_KEPT).date().isoformat()
    lately = (work.now - RECENT).date().isoformat()
    read = (
        "(SELECT dataset_id, SUM(accesses) AS number, MAX(day) AS day,"  # noqa: S608 - no text of callers
        f" SUM(CASE WHEN day >= '{lately}' THEN accesses ELSE 0 END) AS recent FROM accesses"
        f" WHERE day >= '{first}' AND accesses > 0 GROUP BY dataset_id) AS accessed"
    )
    wanted = ("dataset_id", "number", "recent", seconds(work, "day"))
    ids, number, recent, last = numbers(work, ColumnQuery(read, wanted, key="dataset_id"))
    return Accessed(ids, number.astype(np.float64), recent.astype(np.float64), last)


def waiting(work: Work) -> Waiting:
    """Return the jobs that waited within the last year, summed over sources."""
    recent = Demand.since.between(work.now - DEMANDS_KEPT, work.now)
    rows = work.rows(
        select(Demand.dataset_id, total(Demand.jobs), Demand.since)
        .where(recent, Demand.jobs > 0)
        .group_by(Demand.dataset_id, Demand.since)
        .order_by(Demand.dataset_id, Demand.since)
    )
    return Waiting(
        np.fromiter((row[0] for row in rows), np.int64, len(rows)),
        np.fromiter((row[1] for row in rows), np.float64, len(rows)),
        np.fromiter((row[2].timestamp() for row in rows), np.float64, len(rows)),
    )


def columns(work: Work, dataset_ids: Amounts, now: float) -> dict[str, Column]:
    """Return the popularity of these datasets, one value each, at a time in seconds."""
    read, jobs = accessed(work), waiting(work)
    num_access, recent = np.zeros(len(dataset_ids)), np.zeros(len(dataset_ids))
    last_access = np.zeros(len(dataset_ids), np.int64)
    positions, known = _places(dataset_ids, read.dataset_ids)
    num_access[positions] = read.num_access[known]
    recent[positions] = read.recent[known]
    last_access[positions] = read.last_access[known]
    wanted, matching = _places(dataset_ids, jobs.dataset_ids)
    weight = request_weight(
        wanted, jobs.since[matching], len(dataset_ids), now, jobs=jobs.jobs[matching]
    )
    return {
        "num_access": num_access,
        "recent_accesses": recent,
        "last_access": last_access,
        "request_weight": weight,
    }


def attributes(work: Work, snapshot: Snapshot, now: float) -> dict[str, Column]:
    """Return all attributes of this module, for `Snapshot.with_attributes`."""
    known = columns(work, snapshot.datasets.ids, now)
    rank = usage_rank(
        snapshot, known["last_access"].astype(np.int64), known["num_access"].astype(float), now
    )
    return {**known, "usage_rank": rank}


def _places(ids: Amounts, wanted: Amounts) -> tuple[Amounts, Flags]:
    """Return the positions of the wanted keys, and flags of the wanted keys that exist."""
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(len(wanted), np.bool_)
    order = np.argsort(ids)
    near = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    places = order[near]
    known = ids[places] == wanted
    return places[known].astype(np.int64), known
