"""The built-in rule beside the policy: blocks that a copy reads from are not deleted."""

from dataclasses import replace

from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.reader import read_condition
from dynamo.policy.syntax import Line, Policy, Verb
from dynamo.policy.variables import Scope

IN_USE = "blockreplica.in_use"


def guarded(policy: Policy, snapshot: Snapshot) -> Policy:
    """Return the policy with the built-in rule, if any block is in use.

    The guard would refuse those deletions; if planned, they would count as freed space. The rule
    has the last number, so that all other numbers stay, and is evaluated first.
    """
    in_use = snapshot.block_replicas.in_use
    if in_use is None or not in_use.any():
        return policy
    return replace(policy, lines=(*policy.lines, _own(len(policy.lines) + 1)))


def is_own(line: Line) -> bool:
    """Return whether a line is the built-in rule, and not in the text of the policy."""
    return line.at == 0


def _own(number: int) -> Line:
    condition = read_condition(IN_USE, Scope.REPLICA)
    text = f"ProtectBlock {IN_USE} (Dynamo's own rule)"
    return Line(number, Verb.PROTECT, by_block=True, condition=condition, text=text, at=0)
