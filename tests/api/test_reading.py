"""What callers see of data in every state, on both databases."""

from typing import Any

import pytest
from sqlalchemy import event, select, update

from dynamo.db.tables import Block, BlockReplica, Deletion, Request, Site, Transfer
from dynamo.inventory.globs import Glob
from dynamo.services.injection import closure
from tests.api.web import Web, problem
from tests.services.world import DATASET, lfn


def _state(web: Web, name: str, site: str = "T2_A") -> dict[str, Any]:
    (file,) = web.items(f"/v1/files?lfn={lfn(name)}")
    return next(replica for replica in file["replicas"] if replica["site"] == site)


def _set(web: Web, table: Any, **values: object) -> None:
    with web.world.ctx.begin() as work:
        work.changed(update(table).values(**values))


@pytest.fixture
def arrived(web: Web) -> Web:
    """Seven files at T2_A, five of them in a closed block."""
    web.world.many("T2_A", 7)
    web.world.work()
    return web


def test_a_file_is_expected_copied_and_available(web: Web) -> None:
    web.world.many("T2_A", 1)
    name = "T2_A_0.root"
    assert _state(web, name)["state"] == "expected"
    _set(web, Transfer, state="active")
    assert _state(web, name)["state"] == "copying"
    _set(web, Transfer, state="queued")
    web.world.work()
    shown = _state(web, name)
    assert shown == {
        "site": "T2_A",
        "state": "available",
        "pfn": f"file://{web.world.folder}/T2_A{lfn(name)}",
        "safe_to_delete": True,
    }
    assert web.world.path("T2_A", lfn(name)).exists()


@pytest.mark.parametrize("state", ["held", "failed"])
def test_what_did_not_come_says_why_and_when_it_is_tried_again(web: Web, state: str) -> None:
    web.world.many("T2_A", 1)
    later = web.world.ctx.begin
    with later() as work:
        now = work.now
    _set(web, Transfer, state=state, reason="source-missing", attempts=6, not_before=now)
    shown = _state(web, "T2_A_0.root")
    assert (shown["state"], shown["reason"], shown["attempts"]) == (state, "source-missing", 6)
    assert shown["next_try"] == "2026-11-22T12:00:00Z"
    assert not shown["safe_to_delete"]


def test_a_reason_that_a_newer_version_wrote_is_shown_as_it_is(web: Web) -> None:
    request = web.world.many("T2_A", 1)
    with web.world.ctx.begin() as work:
        now = work.now
    newer = {"state": "held", "reason": "not-invented-yet"}
    _set(web, Transfer, **newer, attempts=1, not_before=now)
    _set(web, Request, **newer, detail="?")

    assert _state(web, "T2_A_0.root")["reason"] == "not-invented-yet"
    shown = web.get(f"/v1/injections/{request}")
    assert shown["reason"] == shown["problems"][0]["reason"] == "not-invented-yet"


def test_a_source_may_go_only_when_its_copy_is_recorded(web: Web) -> None:
    web.world.many("T2_A", 1)
    path = f"/v1/files?lfn={lfn('T2_A_0.root')}"
    assert web.items(path)[0]["safe_to_delete"] is False
    web.world.work()
    assert web.items(path)[0]["safe_to_delete"] is True


def test_a_file_of_unknown_size_is_expected(web: Web) -> None:
    web.world.output("T2_A", "x.root", b"content")
    url = f"file://{web.world.folder}/T2_A-scratch/x.root"
    body = {"dataset": DATASET, "site": "T2_A", "files": [{"lfn": lfn("x"), "source": url}]}
    assert web.post("/v1/injections", body).status_code == 202
    (file,) = web.items(f"/v1/files?lfn={lfn('x')}")
    assert (file["size"], file["block"], file["replicas"][0]["state"]) == (None, None, "expected")


def test_a_copy_on_its_way_is_seen_at_its_destination(arrived: Web) -> None:
    arrived.world.copy("T2_B", consolidate=False)
    arrived.world.step("plan")
    assert _state(arrived, "T2_A_0.root", "T2_B")["state"] == "expected"
    arrived.world.work()
    assert _state(arrived, "T2_A_0.root", "T2_B")["state"] == "available"
    assert _state(arrived, "T2_A_0.root", "T2_A")["state"] == "available"


def test_condemned_files_are_told_from_those_being_deleted(arrived: Web) -> None:
    arrived.world.delete()
    arrived.world.work()
    shown = _state(arrived, "T2_A_0.root")
    assert shown["state"] == "condemned"
    assert shown["next_try"] == "2026-11-23T12:00:00Z"
    assert not shown["safe_to_delete"]
    _set(arrived, Deletion, state="active")
    assert _state(arrived, "T2_A_0.root")["state"] == "deleting"
    _set(arrived, Deletion, state="held", reason="destination-error", attempts=3)
    assert _state(arrived, "T2_A_0.root")["reason"] == "destination-error"


def test_a_site_that_nobody_speaks_to_still_shows_its_files(arrived: Web) -> None:
    _set(arrived, Site, url="gopher://old.example/")
    shown = _state(arrived, "T2_A_0.root")
    assert (shown["state"], shown["pfn"]) == ("available", None)


def test_files_are_found_by_dataset_block_and_name(arrived: Web) -> None:
    blocks = arrived.items(f"/v1/blocks?dataset={DATASET}")
    assert sorted((block["files"], block["open"]) for block in blocks) == [(2, True), (5, False)]
    closed = next(block["name"] for block in blocks if not block["open"]).replace("#", "%23")
    assert len(arrived.items(f"/v1/files?dataset={DATASET}")) == 7
    assert len(arrived.items("/v1/files?dataset=/Higgs/*")) == 7
    assert len(arrived.items(f"/v1/files?block={closed}")) == 5
    assert len(arrived.items(f"/v1/files?dataset={DATASET}&lfn=*_3.root")) == 1
    assert len(arrived.items(f"/v1/files?block={closed}&lfn={lfn('T2_A_6.root')}")) == 0
    assert arrived.items(f"/v1/files?lfn={lfn('no')}") == []
    assert arrived.items("/v1/files?lfn=../x") == []
    assert arrived.items("/v1/files?dataset=/no/such/USER") == []
    assert len(arrived.items(f"/v1/blocks?block={closed}")) == 1


def test_a_dataset_says_how_complete_it_is_where(arrived: Web) -> None:
    arrived.world.copy("T2_B", consolidate=False)
    arrived.world.work()
    shown = arrived.get(f"/v1/datasets{DATASET}")
    assert (shown["owner"], shown["open"], shown["files"], shown["blocks"]) == ("alice", True, 7, 2)
    here, there = shown["sites"]
    assert (here["site"], here["files"], here["share"], here["full"]) == ("T2_A", 7, 1.0, False)
    assert (there["site"], there["files"], there["complete_blocks"]) == ("T2_B", 5, 1)
    arrived.world.close()
    arrived.world.work()
    assert all(site["full"] for site in arrived.get(f"/v1/datasets{DATASET}")["sites"])


def test_datasets_are_found_by_name_owner_and_status(web: Web) -> None:
    web.world.many("T2_A", 1)
    web.world.many("T2_A", 1, start=50, dataset="/Higgs/alice-v2/USER")
    names = [item["name"] for item in web.items("/v1/datasets?owner=alice")]
    assert names == ["/Higgs/alice-v1/USER", "/Higgs/alice-v2/USER"]
    assert [i["name"] for i in web.items("/v1/datasets?name=/Higgs/*-v2/*")] == names[1:]
    assert [i["name"] for i in web.items("/v1/datasets?name=/Higgs/alice-v?/USER")] == names
    assert web.items("/v1/datasets?name=/higgs/*") == []
    assert web.items("/v1/datasets?owner=nobody") == []
    assert web.items("/v1/datasets?status=deleted") == []


def test_replicas_are_found_by_dataset_site_and_group(arrived: Web) -> None:
    for query, number in {
        "": 2,
        "?site=T2_A": 2,
        "?site=T2_*": 2,
        "?site=T2_B": 0,
        "?site=T9": 0,
        f"?dataset={DATASET}": 2,
        f"?dataset={DATASET}&site=T2_?": 2,
        "?dataset=/Higgs/*&group=analysis": 2,
        "?group=production": 0,
    }.items():
        assert len(arrived.items(f"/v1/replicas{query}")) == number, query
    replica = next(one for one in arrived.items("/v1/replicas") if one["complete"])
    assert (replica["site"], replica["files"], replica["block_files"]) == ("T2_A", 5, 5)
    assert (replica["group"], replica["partition"], replica["state"]) == (
        "analysis",
        "User",
        "valid",
    )


def test_locations_are_the_ready_disk_sites_with_complete_copies(arrived: Web) -> None:
    arrived.world.close()
    arrived.world.work()
    arrived.world.copy("T2_B", consolidate=False, blocks=(arrived.world.block_names()[0],))
    arrived.world.work()
    (found,) = arrived.items(f"/v1/locations?dataset={DATASET}")
    assert sorted(block["sites"] for block in found["blocks"]) == [["T2_A"], ["T2_A", "T2_B"]]
    assert found["sites"] == ["T2_A"]
    arrived.world.status("T2_A", "morgue")
    (found,) = arrived.items("/v1/locations?dataset=/Higgs/*")
    assert sorted(block["sites"] for block in found["blocks"]) == [[], ["T2_B"]]
    _set(arrived, Site, kind="tape", status="ready")
    (found,) = arrived.items(f"/v1/locations?dataset={DATASET}")
    assert found["sites"] == []
    assert found["known"]


def test_many_locations_take_one_query(arrived: Web) -> None:
    names = [DATASET, "/no/such/USER", "not a name"]
    statements: list[str] = []
    engine = arrived.world.ctx.begin.engine
    token = {"Authorization": f"Bearer {arrived.token('alice')}"}
    arrived.post("/v1/locations", {"datasets": names})
    event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    answer = arrived.call("POST", "/v1/locations", by=None, headers=token, json=names)
    found = answer.get_json()["items"]
    assert [item["known"] for item in found] == [True, False, False]
    assert len([one for one in statements if "block_replicas" in one]) == 1
    problem(arrived.post("/v1/locations", {"datasets": names * 400}), 422)
    problem(arrived.post("/v1/locations", []), 422)


def test_a_page_of_files_takes_a_handful_of_queries(web: Web) -> None:
    web.world.many("T2_A", 60)
    statements: list[str] = []
    event.listen(
        web.world.ctx.begin.engine, "before_cursor_execute", lambda *a: statements.append(a[2])
    )
    assert len(web.items(f"/v1/files?dataset={DATASET}")) == 60
    assert len([one for one in statements if one.startswith("SELECT")]) <= 8


def test_unique_bytes_count_each_block_once(arrived: Web) -> None:
    total = arrived.get(f"/v1/datasets{DATASET}")["bytes"]
    (block,) = [one for one in arrived.items("/v1/replicas") if one["complete"]]
    arrived.world.copy("T2_B", consolidate=False)
    arrived.world.work()
    shown = arrived.get("/v1/partitions/User")
    assert (shown["unique"], shown["used"]) == (total, total + block["bytes"])
    assert [(one["site"], one["unique"]) for one in shown["sites"]] == [
        ("T2_A", total),
        ("T2_B", 0),
    ]
    assert shown["promised"] == 10**12
    quota = arrived.get("/v1/sites/T2_B")["quotas"][0]
    assert (quota["partition"], quota["used"], quota["unique"]) == ("User", block["bytes"], 0)
    assert arrived.items("/v1/quotas?user=ali*")[0]["used"] == total


def test_the_share_of_unique_bytes_is_shown_and_alarming(arrived: Web) -> None:
    total = arrived.get("/v1/partitions/User")["unique"]
    for share, level in ((0.5, "ok"), (0.65, "notice"), (0.8, "alarm")):
        arrived.world.site_quota("T2_A", int(total / share))
        arrived.world.site_quota("T2_B", 0)
        shown = arrived.get("/v1/partitions/User")
        assert shown["level"] == level
        assert [one["level"] for one in shown["sites"]] == [level, "ok"]
        assert arrived.get("/v1/sites/T2_A")["quotas"][0]["level"] == level


def test_a_quota_without_limit_has_no_share(arrived: Web) -> None:
    assert arrived.put("/v1/sites/T2_A/quotas/User", {"limit": None}).get_json()["share"] == 0.0
    shown = arrived.get("/v1/partitions/User")
    assert (shown["limit"], shown["share"], shown["level"]) == (None, 0.0, "ok")
    arrived.put("/v1/quotas/alice", {"limit": None})
    assert arrived.get("/v1/partitions/User")["promised"] is None


def test_the_history_of_a_file_holds_that_of_its_block_and_dataset(arrived: Web) -> None:
    with arrived.world.ctx.begin.reading() as work:
        open_ones = work.scalars(select(Block.id).where(Block.closed.is_(False)))
    for block in open_ones:
        closure.close_block(arrived.world.ctx, block)
    arrived.world.many("T2_A", 1, start=50, dataset="/Higgs/alice-v9/USER")
    whats = [one["what"] for one in arrived.items(f"/v1/history?lfn={lfn('T2_A_6.root')}")]
    assert "injected" in whats
    assert "block-closed" in whats
    ids = [one["id"] for one in arrived.items(f"/v1/history?dataset={DATASET}")]
    assert ids == sorted(ids, reverse=True)
    assert arrived.items("/v1/history?site=T9_NONE") == []
    assert arrived.items(f"/v1/history?lfn={lfn('unknown')}") == []
    assert arrived.items(f"/v1/history?dataset={DATASET}&site=T2_A")


@pytest.mark.parametrize(
    ("text", "fits", "not_"),
    [
        ("/Higgs/*/USER", ["/Higgs/a-v1/USER"], ["/higgs/a-v1/USER", "/Higgs/a-v1/USER2"]),
        ("T2_?S_*", ["T2_US_MIT"], ["T2XUS_MIT", "T2_S_MIT"]),
        ("a.b", ["a.b"], ["axb"]),
        ("**", ["", "x"], []),
    ],
)
def test_a_glob_means_what_it_means_in_a_shell(text: str, fits: list[str], not_: list[str]) -> None:
    glob = Glob.parse(text)
    assert all(glob.fits(name) for name in fits)
    assert not any(glob.fits(name) for name in not_)


def test_the_replica_that_is_counted_is_the_oldest_complete_one(arrived: Web) -> None:
    arrived.world.copy("T2_B", consolidate=False)
    arrived.world.work()
    with arrived.world.ctx.begin() as work:
        partial = (BlockReplica.complete.is_(True), BlockReplica.site_id == 1)
        work.changed(update(BlockReplica).where(*partial).values(complete=False))
    by_site = {one["site"]: one["unique"] for one in arrived.get("/v1/partitions/User")["sites"]}
    assert by_site["T2_B"] > 0
