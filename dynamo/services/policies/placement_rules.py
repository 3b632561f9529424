"""Placement rules: versions, the one in force, and changes.

They set how many copies must be where. The Dealer makes missing copies; Detox knows needed ones as
`replica.enforcer_protected`.
"""

from sqlalchemy import select

from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import Group, PlacementRules
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.policy.diagnostics import Problem
from dynamo.policy.partitions import read_partitions
from dynamo.policy.placement_evaluation import unmet
from dynamo.policy.placement_rules import RulesReading, check_rules
from dynamo.policy.reader import Known
from dynamo.services.context import Context
from dynamo.services.pagination import Item
from dynamo.services.policies import versions as texts

TEXTS = texts.VersionedTexts(PlacementRules, "set of placement rules", "rules-changed")


def update(ctx: Context, partition: str, body: schemas.PolicyBody, caller: Caller) -> Item:
    """Put rules in force if they are valid; else the old ones stay. Raises Invalid."""
    texts.check_path(partition, body)
    reading = read(ctx, partition, body.text)
    warnings = [warning.show(partition) for warning in _unmet(ctx, reading)]
    return {**texts.update(ctx, TEXTS, partition, body.text, caller), "warnings": warnings}


def _unmet(ctx: Context, reading: RulesReading) -> list[Problem]:
    """Return warnings from the sites alone; each cycle checks the data too."""
    with ctx.begin.reading() as work:
        seen = snapshot_loader.narrow(work, ())
        now = work.now.timestamp()
    return unmet(reading, seen, read_partitions(seen.partitions), now)


def read(ctx: Context, partition: str, text: str) -> RulesReading:
    """Return valid rules for a partition. Raises Invalid with positions of errors, NotFound."""
    with ctx.begin.reading() as work:
        known = Known(texts.known(work, partition))
        groups = work.scalars(select(Group.name))
    reading = check_rules(text, partition, partition=partition, known=known, groups=groups)
    texts.refuse(reading.errors, TEXTS.noun, reading.source)
    texts.check_named(reading.enforcer.partition, partition, TEXTS.noun)
    return reading
