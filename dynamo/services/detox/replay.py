"""Cycles played again from the file of their snapshot: no database, no storage, on any machine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from dynamo.db.cycles.decisions import NewDecision
from dynamo.db.snapshots import file as snapshot_file
from dynamo.detox import summary
from dynamo.detox.decision_records import Records, records
from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Plan
from dynamo.errors import Invalid
from dynamo.policy.lint import check_policy
from dynamo.policy.partitions import read_partitions
from dynamo.policy.placement_rules import in_force
from dynamo.policy.reader import Known
from dynamo.services.detox.cycle import RECORDS_AT_ONCE, rows
from dynamo.services.pagination import Item


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was decided again."""

    partition: str
    moment: float
    summary: Item
    decisions: list[Item]


def replay(path: Path, policy: str | None = None, partition: str | None = None) -> Replayed:
    """Decide again what a cycle has decided, or what another policy would. Raises Invalid."""
    try:
        snapshot, moment = snapshot_file.read(path)
        asked = snapshot_file.asked(path)
    except (OSError, BadZipFile, KeyError, ValueError, TypeError) as wrong:
        raise Invalid(f"{path} is not the snapshot of a cycle: {wrong}") from None
    if asked is not None:
        policy, partition = policy or asked.policy, partition or asked.partition
    if policy is None:
        raise Invalid(f"{path} holds no policy; name one")
    partitions = read_partitions(snapshot.partitions)
    known = Known(partitions.by_name.keys(), snapshot.attributes.keys())
    reading = check_policy(policy, "policy", partition=partition, known=known)
    question = Question(snapshot, partitions, reading.policy, moment, in_force(snapshot))
    plan = decide(question, Limits() if asked is None else Limits(**dict(asked.limits)))  # type: ignore[arg-type]
    warnings = [one.show("policy") for one in reading.warnings]
    shown = {"warnings": warnings, **summary.summary(plan)}
    return Replayed(reading.policy.partition, moment, shown, list(_decisions(plan)))


def _decisions(plan: Plan) -> Iterator[Item]:
    position = 0
    for some in records(plan, RECORDS_AT_ONCE):
        for row in rows(plan, some, _names(plan, some), position):
            yield _decision(row)
        position += len(some.facts)


def _names(plan: Plan, some: Records) -> list[str | None]:
    """Return what stands behind the `#` of blocks that are meant alone, None for whole datasets."""
    places = plan.rows.block[some.rows[some.first[:-1]]]
    names, keys = plan.snapshot.blocks.names, plan.snapshot.blocks.ids
    shown = (str(keys[place]) if names is None else names[place] for place in places.tolist())
    whole = np.asarray(some.whole).tolist()
    return [None if all_of_it else name for all_of_it, name in zip(whole, shown, strict=True)]


def _decision(row: NewDecision) -> Item:
    return {
        "site": row.site,
        "dataset": row.dataset,
        "block": None if row.block is None else f"{row.dataset}#{row.block}",
        "action": row.action,
        "line": row.line,
        "text": row.text,
        "values": json.loads(row.facts),
        "files": row.n_files,
        "bytes": row.bytes,
        "refused": None,
    }
