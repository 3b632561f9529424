"""Requests that the system files itself are shown like all others, with what they name: nothing."""

from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from dynamo.db import requests
from dynamo.db.tables import Request
from dynamo.inventory.request_bodies import RequestBody, SystemCopyBody, SystemDeletionBody
from dynamo.inventory.states import Origin, RequestKind
from dynamo.services import system_requests
from dynamo.services.requests import views
from dynamo.services.system_requests import RepairedFile
from tests.services.world import World

SHOWN = ("sites", "chosen", "refused", "copies", "consolidate", "spread", "blocks", "group")
SHOWN_OF_DELETIONS = ("site", "blocks", "last_copy")


def shown(world: World, kind: RequestKind, request_id: int) -> dict[str, Any]:
    """Return what a request is shown to ask."""
    found = views.get(world.ctx, kind, request_id)
    return {name: found[name] for name in (*SHOWN, *SHOWN_OF_DELETIONS) if name in found}


@pytest.mark.parametrize("origin", [Origin.CYCLE, Origin.EVACUATION, Origin.RESCUE])
def test_a_copy_of_the_system_names_no_site(world: World, origin: Origin) -> None:
    with world.ctx.begin() as work:
        key = system_requests.file(work, world.ctx, origin, SystemCopyBody(cycle_id=3))
    assert shown(world, RequestKind.COPY, key) == {"sites": [], "consolidate": False}
    assert views.get(world.ctx, RequestKind.COPY, key)["owner"] == "dynamo"


def test_a_repair_names_its_dataset_and_keeps_its_file(world: World) -> None:
    file = RepairedFile("/Higgs/alice-v1/USER", "/store/user/dynamo/alice/a", "T2_A", 10)
    with world.ctx.begin() as work:
        key = system_requests.file_repair(work, world.ctx, file)
        lost = system_requests.file_failed_repair(work, file)
    assert shown(world, RequestKind.COPY, key) == {"sites": []}
    assert views.get(world.ctx, RequestKind.COPY, key)["dataset"] == file.dataset
    assert views.get(world.ctx, RequestKind.COPY, lost)["state"] == "failed"
    with world.ctx.begin.reading() as work:
        row = requests.get(work, key, SystemCopyBody)
    assert row is not None
    assert (row.origin, row.body) == (Origin.REPAIR, SystemCopyBody(lfn=file.lfn, site="T2_A"))


def test_a_deletion_of_the_system_names_no_block(world: World) -> None:
    with world.ctx.begin() as work:
        body = SystemDeletionBody(site="T2_A")
        key = system_requests.file(work, world.ctx, Origin.EVACUATION, body)
    assert shown(world, RequestKind.DELETION, key) == {"blocks": [], "last_copy": False}


def test_a_request_is_read_only_as_what_it_asks(world: World) -> None:
    with world.ctx.begin() as work:
        key = system_requests.file(work, world.ctx, Origin.RESCUE, SystemCopyBody(deletion_id=9))
        assert requests.get(work, key, SystemDeletionBody) is None
        assert requests.locked(work, key, SystemDeletionBody) is None
        assert requests.all_locked(work, [key], SystemDeletionBody) == []
        for body in (RequestBody, SystemCopyBody):
            row = requests.get(work, key, body)
            assert row is not None
            assert row.body == SystemCopyBody(deletion_id=9)


def test_the_database_refuses_an_origin_that_is_none(world: World) -> None:
    with world.ctx.begin() as work:
        key = system_requests.file(work, world.ctx, Origin.RESCUE, SystemCopyBody())
    with pytest.raises(DBAPIError), world.ctx.begin() as work:
        work.changed(update(Request).where(Request.id == key).values(origin="rumour"))
