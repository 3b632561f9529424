"""Locks: set, changed, found, and over when their time is over."""

from datetime import timedelta

import pytest

from dynamo.db.policies import locks as lock_rows
from dynamo.errors import DynamoError
from dynamo.inventory import schemas
from dynamo.inventory.snapshot import Lock
from dynamo.services.catalogue import history
from dynamo.services.catalogue.history import HistoryFilter
from dynamo.services.pagination import Item, PageRequest
from dynamo.services.policies import locks
from tests.conftest import Clock
from tests.services.world import OPERATOR, World
from tests.steps.official import RAW, block, dataset, register


def put(
    world: World, item: str, clock: Clock, days: float = 1, **more: object
) -> tuple[Item, bool]:
    body = schemas.LockBody(item=item, expires=clock.now + timedelta(days=days), **more)  # type: ignore[arg-type]
    return locks.update(world.ctx, body, OPERATOR)


def items(world: World, dataset: str | None = None, owner: str | None = None) -> list[str]:
    return [
        one["item"]
        for one in locks.list_page(world.ctx, dataset, owner, PageRequest(None, 100)).items
    ]


def holding(world: World) -> tuple[Lock, ...]:
    with world.ctx.begin.snapshot() as work:
        return lock_rows.holding(work)


def test_a_lock_holds_until_its_end_and_not_a_moment_longer(world: World, clock: Clock) -> None:
    lock, new = put(world, RAW, clock, why="reprocessing")
    assert new
    assert locks.get(world.ctx, lock["id"]) == lock
    assert holding(world) == (Lock(RAW),)

    clock.forward(hours=24)
    assert holding(world) == ()
    assert items(world) == []
    for call in (
        lambda: locks.get(world.ctx, lock["id"]),
        lambda: locks.remove(world.ctx, lock["id"], OPERATOR),
    ):
        with pytest.raises(DynamoError) as refused:
            call()
        assert refused.value.reason == "not-found"


def test_the_same_lock_again_changes_its_end(world: World, clock: Clock) -> None:
    first, _ = put(world, RAW, clock, sites=("T2_B", "T2_A"))
    again, new = put(world, RAW, clock, days=5, sites=("T2_A", "T2_B"), why="longer")

    assert (again["id"], again["why"], new) == (first["id"], "longer", False)
    assert again["expires"] == first["expires"] + timedelta(days=4)
    assert put(world, RAW, clock)[1], "at other sites it is another lock"


def test_an_expired_lock_can_be_set_again(world: World, clock: Clock) -> None:
    put(world, RAW, clock)
    clock.forward(days=2)
    put(world, RAW, clock)
    assert items(world) == [RAW]


def test_a_lock_at_some_sites_for_some_groups_is_one_for_each(world: World, clock: Clock) -> None:
    put(world, "/Cosmics/*/RAW", clock, sites=("T2_A", "T1_*"), groups=("analysis",))
    assert holding(world) == (
        Lock("/Cosmics/*/RAW", None, "T1_*", "analysis"),
        Lock("/Cosmics/*/RAW", None, "T2_A", "analysis"),
    )


def test_a_star_among_the_sites_means_all(world: World, clock: Clock) -> None:
    assert put(world, RAW, clock, sites=("T2_A", "*"))[0]["sites"] == []


def test_a_lock_on_a_block_names_its_key(world: World, clock: Clock) -> None:
    register(world, dataset(block("b1"), block("b2")))
    put(world, f"{RAW}#b2", clock)
    put(world, f"{RAW}#gone", clock)
    assert holding(world) == (Lock(RAW, "b2", None, None, 2),)
    assert items(world) == [f"{RAW}#b2", f"{RAW}#gone"]


def test_locks_are_found_by_what_they_concern(world: World, clock: Clock) -> None:
    for item in (RAW, "/Cosmics/*", "/cosmics/*", "/Cosmics/Run?-v1/RAW", "/Cosmics/Run1_v1/RAW"):
        put(world, item, clock)
    assert items(world, RAW) == [RAW, "/Cosmics/*", "/Cosmics/Run?-v1/RAW"]
    assert len(items(world, owner="root")) == 5
    assert items(world, owner="alice") == []


def test_a_lock_that_can_lock_nothing_is_refused(world: World, clock: Clock) -> None:
    for item, more, reason in (
        ("Cosmics", {}, "name-invalid"),
        ("/a/b", {}, "name-invalid"),
        ("Cosmics*", {}, "name-invalid"),
        ("/a/b/c#*", {}, "name-invalid"),
        ("/a/*/c#b1", {}, "name-invalid"),
        ("/a/b c/d", {}, "name-invalid"),
        (RAW, {"sites": ("T9",)}, "site-unknown"),
        (RAW, {"groups": ("nobody",)}, "not-found"),
        (RAW, {"days": 0}, "invalid"),
        (RAW, {"days": -1}, "invalid"),
        (RAW, {"days": 4000}, "invalid"),
    ):
        with pytest.raises(DynamoError) as refused:
            put(world, item, clock, **more)  # type: ignore[arg-type]
        assert refused.value.reason == reason, item
    assert items(world) == []


def test_who_locked_and_who_took_it_away_stands_in_the_history(world: World, clock: Clock) -> None:
    lock, _ = put(world, RAW, clock, why="thesis")
    assert locks.remove(world.ctx, lock["id"], OPERATOR) == lock
    told = history.list_page(world.ctx, HistoryFilter(RAW), PageRequest(None, 10)).items
    assert [(one["what"], one["who"], one["why"]) for one in told] == [
        ("lock-removed", "root", "of root, until 2026-11-23T12:00:00Z"),
        ("lock-set", "root", "until 2026-11-23T12:00:00Z: thesis"),
    ]


def test_old_locks_are_forgotten(world: World, clock: Clock) -> None:
    put(world, RAW, clock)
    put(world, "/a/*", clock, days=9)
    clock.forward(days=8)
    with world.ctx.begin() as work:
        assert lock_rows.purge(work, work.now) == 1
    assert items(world) == ["/a/*"]
