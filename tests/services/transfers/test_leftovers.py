"""What a killed worker leaves on a storage goes when its transfer is taken up again."""

from sqlalchemy import select

from dynamo.db.tables import Transfer
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.storage import temporary_names
from tests.conftest import Clock
from tests.services.world import World, lfn

AREA = "/store/temp/dynamo"


def test_the_part_that_a_killed_worker_had_written_goes(world: World, clock: Clock) -> None:
    world.inject("T2_A", [world.pulled("T2_A", "out.root", b"events")])
    world.published.clear()  # the message was with the worker that is killed
    with world.ctx.begin() as work:
        [transfer] = work.scalars(select(Transfer.id))
        assert claims.claim(work, Transfer, [transfer], Holder("killed", 30)) == {transfer: 1}
    part = world.path("T2_A", temporary_names.own(AREA, transfer, 1))
    other = world.path("T2_A", temporary_names.own(AREA, transfer * 10, 1))
    for path in (part, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"eve")
    clock.forward(minutes=2)
    world.sweep()
    clock.forward(minutes=2)
    world.sweep()

    other.unlink()  # somebody else's: still there
    assert world.on_disk("T2_A") == {lfn("out.root"): b"events"}
