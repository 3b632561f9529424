"""Cycles of Detox that protect what rules want."""

from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from tests.services.world import OPERATOR, World


def detox(world: World) -> None:
    """Run a cycle of Detox, whose protections the Dealer looks at."""
    cycles_submission.file(world.ctx, schemas.CycleBody(kind="detox", partition="User"), OPERATOR)
    world.work()
