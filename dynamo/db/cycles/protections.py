"""What the latest Detox cycle of a partition protected, read as columns for the Dealer."""

import numpy as np
from sqlalchemy import func, select

from dynamo.db.engine import column_reader
from dynamo.db.engine.column_reader import ColumnQuery
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Cycle, Decision
from dynamo.dealer.protections import Protections
from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Codes, Snapshot
from dynamo.inventory.states import CycleKind, RequestState

PROTECT = "protect"
_BLANK = " "
"""Between two names: none of them holds one."""


def latest(work: Work, partition_id: int, snapshot: Snapshot) -> Protections | None:
    """Return what the last cycle that was carried out decided; None = there was none."""
    done = (
        Cycle.kind == CycleKind.DETOX,
        Cycle.partition_id == partition_id,
        Cycle.state == RequestState.DONE,
        Cycle.dry_run.is_(False),
    )
    cycle_id = work.scalar(select(func.max(Cycle.id)).where(*done))
    return None if cycle_id is None else _read(work, cycle_id, snapshot)


def _read(work: Work, cycle_id: int, snapshot: Snapshot) -> Protections:
    said = f"CASE WHEN action = '{PROTECT}' THEN 1 ELSE 0 END"
    both = (
        f"CONCAT(site, '{_BLANK}', dataset)" if work.is_mysql else f"site || '{_BLANK}' || dataset"
    )
    wanted = ColumnQuery("decisions", ("line", "bytes", said, both), f"cycle_id = {int(cycle_id)}")
    (line, size, protected), names = column_reader.named(work, wanted)
    pairs = [name.split(_BLANK, 1) for name in names]
    texts = _lines(work, cycle_id)
    numbers = {number: place for place, number in enumerate(texts)}
    return Protections(
        dataset=_places([pair[1] for pair in pairs], snapshot.datasets.labels),
        site=_places([pair[0] for pair in pairs], snapshot.sites.labels),
        size=size,
        protected=protected.astype(np.bool_),
        reason=np.array([numbers.get(one, -1) for one in line.tolist()], np.int32),
        reasons=tuple(texts.values()),
    )


def _lines(work: Work, cycle_id: int) -> dict[int, str]:
    """Return the conditions of the lines that decided, by number: what stands behind the verb."""
    rows = work.rows(
        select(Decision.line, func.max(Decision.text))
        .where(Decision.cycle_id == cycle_id, Decision.line > 0)
        .group_by(Decision.line)
        .order_by(Decision.line)
    )
    return {line: text.partition(_BLANK)[2].strip() for line, text in rows}


def _places(names: list[str], labels: Labels) -> Codes:
    known = {name: labels.find(name) for name in set(names)}
    return np.fromiter((known[name] for name in names), np.int32, len(names))
