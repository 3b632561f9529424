"""Takes blocks from a dataset replica: deletes them, or hands them to the owner of the rest."""

from dataclasses import dataclass, field

import numpy as np

from dynamo.detox.state import CycleState
from dynamo.inventory.snapshot import Flags
from dynamo.policy.image import Places, View
from dynamo.policy.partitions import Members


@dataclass(slots=True, eq=False)
class Unlinker:
    """Deletes rows or hands them over; it knows which handed-over rows leave the partition."""

    cycle: CycleState
    members: Members
    _stays: dict[tuple[int, int], bool] = field(default_factory=dict)

    def unlink(self, replica: int, rows: Places, line: int) -> Places:
        """Unlink rows of one dataset replica; return the rows that left the image.

        Blocks of block-level owners are handed to the replica's dataset-level owner, unless the
        replica is unlinked as a whole or has no such owner.
        """
        present = self.cycle.image.rows_of(replica)
        if len(rows) == len(present):
            return self._delete(rows, line)
        whole = self.cycle.image.snapshot.groups.whole
        groups = self.cycle.image.group
        owners = groups[present[whole[groups[present]]]]
        if not len(owners):
            return self._delete(rows, line)
        by_dataset = whole[groups[rows]]
        deleted, handed = rows[by_dataset], rows[~by_dataset]
        left = self._hand_over(replica, handed, int(owners[0])) if len(handed) else handed
        return np.concatenate([self._delete(deleted, line) if len(deleted) else deleted, left])

    def _delete(self, rows: Places, line: int) -> Places:
        self.cycle.delete(rows, np.full(len(rows), line, np.int32), np.arange(len(rows)) == 0)
        return rows

    def _hand_over(self, replica: int, rows: Places, owner: int) -> Places:
        self.cycle.hand_over(rows, owner)
        left = rows[~self._still_members(replica, rows, owner)]
        if len(left):
            self.cycle.leave(left)
        return left

    def _still_members(self, replica: int, rows: Places, owner: int) -> Flags:
        if not self.members.by_owner_and_site:
            view = View.of(self.cycle.image, np.array([replica]))
            return np.isin(rows, view.rows[self.members.rows(view)])
        key = int(self.cycle.image.site[replica]), owner
        if key not in self._stays:
            view = View.of(self.cycle.image, np.array([replica]))
            self._stays[key] = bool(self.members.rows(view)[view.rows == rows[0]].all())
        return np.full(len(rows), self._stays[key])


def may_hand_over(view: View) -> Flags:
    """Return flags of replicas with a dataset-level owner, who may get blocks of others."""
    whole = view.image.snapshot.groups.whole
    alive = view.image.alive[view.rows]
    flags = np.zeros(len(view.replicas), np.bool_)
    flags[view.place[alive & whole[view.image.group[view.rows]]]] = True
    return flags
