"""Temporaries that nobody needs are removed by the scans of a site; all others stay."""

from sqlalchemy import select

from dynamo.db.tables import Transfer
from dynamo.inventory import schemas
from dynamo.services.sites import switches
from dynamo.storage import temporary_names
from tests.conftest import Clock
from tests.services.world import OPERATOR, World
from tests.steps.spoiling import by_hand, scan

AREA = "/store/temp/dynamo"


def old(world: World, clock: Clock, name: str, days: float = 30) -> str:
    """Put something under a temporary name, and let it be old."""
    by_hand(world.path("T2_A", name), clock.now, b"part", days)
    return name


def test_what_the_dead_have_left_goes_and_what_is_awaited_stays(world: World, clock: Clock):
    booking = world.book("T2_A", "late.root", b"events")  # nobody has written it yet
    world.many("T2_A", 1)
    with world.ctx.begin.reading() as work:
        upload = work.scalar(select(Transfer.upload).where(Transfer.request_id == booking))
        coming = work.scalar(select(Transfer.id).where(Transfer.request_id != booking))
    kept = {
        old(world, clock, upload),
        old(world, clock, temporary_names.adopted(AREA, upload)),
        old(world, clock, temporary_names.own(AREA, coming, 1)),
        old(world, clock, temporary_names.own(AREA, 999, 1), days=6),
        old(world, clock, f"{AREA}/odd name"),
    }
    gone = {
        old(world, clock, temporary_names.own(AREA, 999, 1)),
        old(world, clock, temporary_names.probe(AREA, "0a")),
        old(world, clock, f"{AREA}/bob/{'0' * 32}"),
        old(world, clock, temporary_names.adopted(AREA, f"{AREA}/bob/{'1' * 32}")),
    }
    world.published.clear()

    scan(world)

    assert set(world.on_disk("T2_A")) == kept
    assert len(gone) == 4


def test_nothing_is_cleaned_while_deletions_are_stopped(world: World, clock: Clock):
    name = old(world, clock, temporary_names.own(AREA, 999, 1))
    switches.update(world.ctx, "deletions", schemas.SwitchBody(stopped=True), OPERATOR)

    scan(world)

    assert set(world.on_disk("T2_A")) == {name}
