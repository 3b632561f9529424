"""Rounds of an evacuation, and what was lost in it."""

from sqlalchemy import select

from dynamo.db.tables import Incident
from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.evacuation import runner as evacuation_runner
from tests.conftest import Clock
from tests.services.world import OPERATOR, World


def rounds(world: World, clock: Clock, n: int, *partitions: str) -> None:
    """Let cycles and all that is due go on, half a day at a time."""
    for _ in range(n):
        for partition in partitions or ("User",):
            body = schemas.CycleBody(kind="dealer", partition=partition, dry_run=False)
            cycles_submission.file(world.ctx, body, OPERATOR)
        world.work()
        evacuation_runner.evacuate(world.ctx)
        world.work()
        clock.forward(hours=13)
        world.sweep()


def lost(world: World, of: str | None = "alice") -> list[str]:
    """Return the files that their owner was told are lost; official data have none."""
    with world.ctx.begin.reading() as work:
        whose = Incident.owner.is_(None) if of is None else Incident.owner == of
        told = (Incident.kind == "lost", Incident.ended.is_(None), whose)
        return sorted(set(work.scalars(select(Incident.lfn).where(*told))))
