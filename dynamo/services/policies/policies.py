"""Policies: versions, the one in force, and changes."""

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.policies import versions as policy_versions
from dynamo.db.policies.versions import VersionRow
from dynamo.db.snapshots import attributes
from dynamo.db.tables import Policy
from dynamo.errors import NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.policy.lint import check_policy
from dynamo.policy.reader import Known, Reading
from dynamo.services.context import Context
from dynamo.services.pagination import Item
from dynamo.services.policies import versions as texts

TEXTS = texts.VersionedTexts(Policy, "policy", "policy-changed")


def in_force(work: Work, partition: str) -> VersionRow:
    """Return the policy in force for a partition. Raises NotFound."""
    row = policy_versions.in_force(work, partition)
    if row is None:
        raise NotFound(f"the partition {partition} has no policy")
    return row


def update(ctx: Context, partition: str, body: schemas.PolicyBody, caller: Caller) -> Item:
    """Put a policy in force if it is valid; else the old one stays. Raises Invalid."""
    texts.check_path(partition, body)
    reading = read(ctx, partition, body.text)
    shown = texts.update(ctx, TEXTS, partition, body.text, caller)
    return {**shown, "warnings": [warning.show(partition) for warning in reading.warnings]}


def read(ctx: Context, partition: str, text: str) -> Reading:
    """Return a valid policy for a partition. Raises Invalid with positions of errors, NotFound."""
    with ctx.begin.reading() as work:
        known = Known(texts.known(work, partition), attributes.produced())
    reading = check_policy(text, partition, partition=partition, known=known)
    texts.refuse(reading.errors, "policy", reading.source)
    texts.check_named(reading.policy.partition, partition, "policy")
    return reading
