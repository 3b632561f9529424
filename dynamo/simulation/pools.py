"""The worker pools of a simulation: they run hints at their time, and copies take time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import NotNullable, select
from sqlalchemy.orm import aliased

from dynamo.db.tables import BlockReplica, File, Site, Transfer
from dynamo.operations.hints import Hint
from dynamo.simulation.agenda import Agenda
from dynamo.simulation.storage import Network
from dynamo.task_runner import TaskRunner

STRIDE = timedelta(hours=1)
"""Files that arrive on a link within this time are recorded together."""


class _Copy(NamedTuple):
    """A file that is copied, and the endpoints of its sites."""

    id: int
    size: int
    site: str
    source: str


@dataclass(slots=True)
class Pools:
    """All workers: any number of them, but links have a limited rate."""

    agenda: Agenda
    network: Network
    runner: TaskRunner = field(init=False)
    _under_way: set[int] = field(default_factory=set)
    _busy: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """(endpoint, `in` or `out`) → time until which it is busy."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Take messages, like the broker."""
        for hint in hints:
            self.agenda.at(self.agenda.now, partial(self._take, hint))

    def _take(self, hint: Hint) -> None:
        if hint.task == "copy":
            self._send(hint.ids)
        else:
            self.runner.run(hint.task, hint.ids)

    def _send(self, ids: Sequence[int]) -> None:
        """Run copies at the time when their links have carried them."""
        parts: dict[tuple[str, str], list[int]] = {}
        begun: dict[tuple[str, str], datetime] = {}
        waiting = [key for key in ids if key not in self._under_way]
        rows = self._rows(waiting)
        known = {row.id for row in rows}
        if sourceless := [key for key in waiting if key not in known]:
            self._bring(self.agenda.now, sourceless)
        for row in rows:
            link = (row.source, row.site)
            arrival = self._carried(link, row.size)
            begun.setdefault(link, arrival)
            parts.setdefault(link, []).append(row.id)
            if arrival - begun[link] > STRIDE:
                self._bring(arrival, parts.pop(link))
                del begun[link]
        for link, members in parts.items():
            self._bring(max(self._busy[link[0], "out"], self._busy[link[1], "in"]), members)

    def _rows(self, ids: Sequence[int]) -> list[_Copy]:
        source = aliased(Site)
        wanted = (
            select(
                Transfer.id,
                NotNullable(File.size),
                Site.url.label("site"),
                source.url.label("source"),
            )
            .join(File, File.id == Transfer.file_id)
            .join(Site, Site.id == Transfer.site_id)
            .join(BlockReplica, BlockReplica.id == Transfer.source_id)
            .join(source, source.id == BlockReplica.site_id)
            .where(Transfer.id.in_(ids))
            .order_by(Transfer.id)
        )
        with self.runner.ctx.begin.reading() as work:
            return work.read(_Copy, wanted) if ids else []

    def _carried(self, link: tuple[str, str], size: int) -> datetime:
        """Return the arrival of a file; both ends share their rate among all files."""
        takes = timedelta(seconds=size / self.network.rate(*link))
        ends = [(link[0], "out"), (link[1], "in")]
        for end in ends:
            self._busy[end] = max(self._busy.get(end, self.agenda.now), self.agenda.now) + takes
        return max(self._busy[end] for end in ends)

    def _bring(self, moment: datetime, ids: list[int]) -> None:
        self._under_way.update(ids)

        def bring() -> None:
            self._under_way.difference_update(ids)
            self.runner.run("copy", ids)

        self.agenda.at(moment, bring)
