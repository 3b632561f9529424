"""First contact: who is new becomes a user by asking, and a full or closed site sends on."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from dynamo.client import client
from dynamo.client.client import Dynamo, Output
from dynamo.db.tables import User
from tests.api.web import Web, booking
from tests.services.world import DATASET, lfn

CALLERS = 8


def registered(web: Web) -> list[tuple[str, int | None, list[str]]]:
    with web.world.ctx.begin.reading() as work:
        rows = work.rows(select(User.name, User.max_bytes, User.roles).order_by(User.name))
        return [tuple(row) for row in rows]


def test_who_asks_for_something_becomes_a_user_with_the_default_quota(web: Web) -> None:
    quota = web.world.ctx.settings.user.quota
    web.get("/v1/sites", by="reader")
    assert registered(web) == [], "reading needs no account"

    web.post("/v1/injections", booking("a", site="T2_NONE"))
    assert registered(web) == [("alice", quota, [])], "even where the call itself is refused"
    (shown,) = web.items("/v1/quotas")
    assert (shown["user"], shown["limit"], shown["used"]) == ("alice", quota, 0)


def test_many_first_calls_at_once_make_one_user_and_are_all_answered(web: Web) -> None:
    together = threading.Barrier(CALLERS)
    given: list[int] = []

    def call(number: int) -> None:
        body = booking(f"{number}.root")
        together.wait()
        given.append(web.post("/v1/injections", body).status_code)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert given == [202] * CALLERS
    assert registered(web) == [("alice", web.world.ctx.settings.user.quota, [])]
    (shown,) = web.items("/v1/quotas")
    assert (shown["used"], shown["files"]) == (10 * CALLERS, CALLERS)


def test_a_limit_that_an_operator_has_set_stays(web: Web) -> None:
    web.post("/v1/injections", booking("a"))
    web.put("/v1/quotas/alice", {"limit": 15})
    web.post("/v1/injections", booking("b"))
    assert registered(web) == [("alice", 15, [])]


# --- the client at a site that has no room --------------------------------------------------------


@pytest.fixture
def service(web: Web) -> Iterator[Dynamo]:
    """The real client, by a real connection to the real service."""
    server = make_server("127.0.0.1", 0, web.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield Dynamo(address, web.token("alice"), patience=30, pause=0.01)
    server.shutdown()
    thread.join()
    server.server_close()


def output(folder: Path) -> Output:
    (folder / "out.root").write_bytes(b"events")
    return client.describe(str(folder / "out.root"), lfn("out.root"))


CASES: dict[str, Any] = {
    "full": lambda world: world.site_quota("T2_A", 5),
    "closed": lambda world: world.status("T2_A", "waitroom"),
    "dying": lambda world: world.status("T2_A", "morgue"),
}


@pytest.mark.parametrize("why", CASES)
def test_the_client_brings_the_output_to_an_alternative(
    web: Web, service: Dynamo, tmp_path: Path, why: str
) -> None:
    CASES[why](web.world)

    request = client.hand_over(service, DATASET, "T2_A", [output(tmp_path)])
    web.world.work()

    (file,) = web.items(f"/v1/files?lfn={lfn('out.root')}")
    assert [(one["site"], one["state"]) for one in file["replicas"]] == [("T2_B", "available")]
    assert web.get(f"/v1/injections/{request['id']}")["state"] == "done"
    assert web.world.on_disk("T2_A") == {}
    assert list(web.world.on_disk("T2_B").values()) == [b"events"]


def test_where_no_site_has_room_the_client_says_so(
    web: Web, service: Dynamo, tmp_path: Path
) -> None:
    for site in ("T2_A", "T2_B"):
        web.world.site_quota(site, 5)
    with pytest.raises(client.Problem) as refused:
        client.hand_over(service, DATASET, "T2_A", [output(tmp_path)])
    assert (refused.value.status, refused.value.reason) == (507, "storage-full")
    assert refused.value.exit_code == 3
    assert web.items("/v1/datasets") == []
