"""Requests over REST: filed once, watched, repeated, cancelled."""

import threading
from typing import Any

import pytest

from tests.api.web import Web, booking, problem
from tests.conftest import Clock
from tests.services.world import DATASET, lfn


def test_an_injection_is_accepted_with_its_location(web: Web) -> None:
    answer = web.post("/v1/injections", booking("a", "b"))
    told = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/injections/{told['id']}"
    assert {
        "id",
        "kind",
        "state",
        "owner",
        "dataset",
        "created",
        "updated",
        "progress",
        "problems",
        "links",
    } <= set(told)
    assert (told["kind"], told["owner"], told["dataset"]) == ("injection", "alice", DATASET)
    assert told["progress"]["files"] == {"total": 2, "done": 0, "failed": 0}
    assert [file["lfn"] for file in told["files"]] == [lfn("a"), lfn("b")]
    assert all(file["upload_url"] for file in told["files"])
    shown = web.get(answer.headers["Location"])
    assert shown["id"] == told["id"]
    assert told["created"].endswith("Z")


def test_the_answer_to_an_injection_is_what_its_address_shows(web: Web) -> None:
    source = web.world.output("T2_A", "out.root", b"events")
    files = [
        {"lfn": lfn("unknown"), "source": source},
        {"lfn": lfn("pulled"), "size": 6, "adler32": "0a1b2c3d", "source": source},
        {"lfn": lfn("booked"), "size": 6, "adler32": "0a1b2c3d"},
    ]
    answer = web.post("/v1/injections", {"dataset": DATASET, "site": "T2_A", "files": files})
    shown = web.get(answer.headers["Location"])
    assert answer.get_json() == shown
    names = [file["lfn"] for file in shown["files"]]
    assert names == [lfn("pulled"), lfn("booked"), lfn("unknown")]


def test_the_same_key_gets_the_first_answer_to_the_letter(web: Web) -> None:
    headers = {"Idempotency-Key": "job-17"}
    first = web.post("/v1/injections", booking("a"), headers=headers)
    web.call("DELETE", first.headers["Location"])
    again = web.post("/v1/injections", booking("a"), headers=headers)
    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert len(web.items("/v1/injections")) == 1


def test_a_body_that_means_the_same_is_the_same(web: Web) -> None:
    headers = {"Idempotency-Key": "job-17", "Content-Type": "application/json"}
    first = web.call("POST", "/v1/closures", data=b'{"dataset":"/a/b/USER"}', headers=headers)
    again = web.call("POST", "/v1/closures", data=b' { "dataset" : "/a/b/USER" } ', headers=headers)
    assert (first.status_code, again.status_code) == (404, 404)
    web.post("/v1/injections", booking("a"), headers={"Idempotency-Key": "k"})
    other = web.post("/v1/injections", booking("b"), headers={"Idempotency-Key": "k"})
    problem(other, 422, "idempotency-conflict")
    problem(web.post("/v1/closures", {"dataset": DATASET}, headers={"Idempotency-Key": "k"}), 422)


def test_keys_belong_to_their_caller(web: Web) -> None:
    headers = {"Idempotency-Key": "k"}
    web.post("/v1/injections", booking("a"), headers=headers)
    other = {
        "dataset": "/Higgs/bob-v1/USER",
        "site": "T2_A",
        "files": [{"lfn": lfn("a", "bob"), "size": 10, "adler32": "0a1b2c3d"}],
    }
    answer = web.post("/v1/injections", other, by="bob", headers=headers)
    assert answer.status_code == 202
    assert answer.get_json()["owner"] == "bob"


def test_the_same_call_from_many_threads_has_one_effect(web: Web) -> None:
    headers = {"Idempotency-Key": "race"}
    answers: list[Any] = []

    def ask() -> None:
        answers.append(web.post("/v1/injections", booking("a", "b"), headers=headers))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert len(web.items("/v1/injections")) == 1


@pytest.mark.parametrize("spelled", ["0A1B2C3D", "a1b2c3d", "0x0a1b2c3d", "0a1b2c3d ", ""])
def test_a_checksum_that_is_spelled_otherwise_is_refused_in_words(web: Web, spelled: str) -> None:
    told = problem(web.post("/v1/injections", booking("a", adler32=spelled)), 422, "invalid")

    [fault] = told["errors"]
    assert fault["pointer"] == "/files/0/adler32"
    assert fault["detail"] == "is not eight lower-case hex digits, as 0a1b2c3d"


def test_uploads_are_confirmed_with_or_without_names(web: Web) -> None:
    where = web.post("/v1/injections", booking("a", "b")).headers["Location"]
    assert web.post(f"{where}/uploaded", {"lfns": [lfn("a")]}).status_code == 202
    assert web.post(f"{where}/uploaded", {}).status_code == 202
    assert web.call("POST", f"{where}/uploaded").status_code == 202
    told = problem(web.post(f"{where}/uploaded", {"lfns": [lfn("c")]}), 422)
    assert told["errors"] == [
        {"pointer": "/lfns/0", "lfn": lfn("c"), "detail": told["errors"][0]["detail"]}
    ]
    problem(web.post(f"{where}/uploaded", {}, by="bob"), 403)
    problem(web.post(f"{where}/uploaded", {"lfn": []}), 422)


@pytest.mark.parametrize("gone", [False, True], ids=["leaving", "gone"])
def test_confirming_a_cancelled_booking_says_book_again(web: Web, gone: bool) -> None:
    where = web.post("/v1/injections", booking("a", "b")).headers["Location"]
    assert web.call("DELETE", where).status_code == 200
    if gone:
        web.world.work()
        web.world.sweep()

    for body in ({}, {"lfns": [lfn("a")]}):
        told = problem(web.post(f"{where}/uploaded", body), 409, "booking-expired")
        assert told["retryable"] is True
        assert "book again" in told["detail"]


def test_confirming_a_booking_that_expired_says_book_again(web: Web, clock: Clock) -> None:
    first = web.post("/v1/injections", booking("a")).headers["Location"]
    second = web.post("/v1/injections", booking("a")).headers["Location"]
    clock.forward(hours=25)
    web.world.sweep()
    clock.forward(minutes=2)
    web.world.sweep()

    for where in (first, second):
        problem(web.post(f"{where}/uploaded", {}), 409, "booking-expired")
    again = web.post("/v1/injections", booking("a"))
    assert again.status_code == 202
    assert web.post(f"{again.headers['Location']}/uploaded", {}).status_code == 202


def test_confirming_what_has_arrived_is_harmless_for_ever(web: Web, clock: Clock) -> None:
    request = web.world.book("T2_A", "out.root", b"events")
    web.world.upload(request, b"events")
    web.world.confirm(request)
    web.world.work()
    clock.forward(days=60)
    web.world.sweep()

    told = web.post(f"/v1/injections/{request}/uploaded", {})
    assert (told.status_code, told.get_json()["state"]) == (202, "done")


def test_copies_closures_and_deletions_are_filed_too(web: Web) -> None:
    web.world.many("T2_A", 3)
    web.world.work()
    for path, body in (
        ("copies", {"dataset": DATASET, "site": "T2_B"}),
        ("closures", {"dataset": DATASET}),
        ("deletions", {"dataset": DATASET, "lfns": [lfn("T2_A_0.root")]}),
    ):
        answer = web.post(f"/v1/{path}", body)
        assert answer.status_code == 202, answer.data
        number = answer.get_json()["id"]
        assert answer.headers["Location"] == f"/v1/{path}/{number}"
        assert web.get(f"/v1/{path}/{number}")["dataset"] == DATASET
        assert [item["id"] for item in web.items(f"/v1/{path}?dataset={DATASET}")] == [number]
        problem(web.call("GET", f"/v1/injections/{number}"), 404)


def test_a_request_is_cancelled_once(web: Web) -> None:
    where = web.post("/v1/injections", booking("a")).headers["Location"]
    problem(web.call("DELETE", where, by="bob"), 403)
    assert web.call("DELETE", where).status_code == 200
    problem(web.call("DELETE", where), 409, "already-ended")


def test_what_was_condemned_is_rescued(web: Web) -> None:
    web.world.many("T2_A", 3)
    web.world.work()
    where = web.post("/v1/deletions", {"dataset": DATASET}).headers["Location"]
    web.world.work()
    assert web.items(f"/v1/files?dataset={DATASET}")[0]["replicas"][0]["state"] == "condemned"
    assert web.call("DELETE", where).status_code == 200
    assert web.items(f"/v1/files?dataset={DATASET}")[0]["replicas"][0]["state"] == "available"


HOSTILE = [
    "/store/user/dynamo/alice/../bob/x",
    "/store/user/dynamo/alice/..",
    "/store/user/dynamo/alice/.",
    "/store/user/dynamo/alice//x",
    "/store/user/dynamo/alice/",
    "store/user/dynamo/alice/x",
    "/store/user/dynamo/alice/x\n",
    "/store/user/dynamo/alice/x\r\nX: y",
    "/store/user/dynamo/alice/\x00",
    "/store/user/dynamo/alice/%2e%2e/bob",
    "/store/user/dynamo/alice/x'; DROP TABLE files",
    "",
    "/store/user/dynamo/alice/\uff0e\uff0e/x",
    "/store/user/dynamo/alic\u0435/x",
    "/",
    "/store/user/dynamo/alice/\u202egnp.exe",
    "/store/user/dynamo/alice/\u0663",
    "/store/user/dynamo/alice/-rf",
    "/store/user/dynamo/alice/.hidden",
    "/store/user/dynamo/alice/a b",
    "/store/user/dynamo/alice/" + "a" * 256,
    "/store/user/dynamo/alice/" + "a/" * 250 + "a",
    "/store/user/dynamo/alice/x?y=1",
    "/store/user/dynamo/alice/x#y",
    "file:///etc/passwd",
    "/store/user/dynamo/alice/\\..\\bob",
    "/store/user/dynamo/alice/\U0001f600",
    "C:\\x",
    "/store/user/dynamo/alice/$(id)",
    "/store/user/dynamo/alice/`id`",
    "/store/user/dynamo/alice/<b>",
]
ELSEWHERE = [
    "/store/user/dynamo/bob/x",
    "/store/user/dynamo/alicebob/x",
    "/store/user/dynamo/Alice/x",
    "/store/user/dynamo/alice",
    "/store/user/dynamohack/alice/x",
    "/store/user/alice/x",
    "/store/x",
    "/store/temp/dynamo/alice/x",
    "/store/user/dynamo",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_422_and_nothing_is_registered(web: Web, name: str) -> None:
    body = booking("good", "bad")
    body["files"][1]["lfn"] = name
    told = problem(web.post("/v1/injections", body), 422, "name-invalid")
    assert [(item["pointer"], item.get("lfn")) for item in told["errors"]] == [
        ("/files/1/lfn", name)
    ]
    assert web.items("/v1/datasets") == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_of_somebody_else_is_403_and_nothing_is_registered(web: Web, name: str) -> None:
    body = booking("good", "bad")
    body["files"][1]["lfn"] = name
    told = problem(web.post("/v1/injections", body), 403, "not-your-namespace")
    assert told["errors"][0]["pointer"] == "/files/1/lfn"
    assert web.items("/v1/datasets") == []


@pytest.mark.parametrize(
    "dataset",
    [
        "",
        "Higgs/alice-v1/USER",
        "/Higgs/alice-v1",
        "/Higgs/alice-v1/USER/x",
        "/Higgs/../USER",
        "/Higgs/alice-v1/USER\n",
        "/Higgs/alice-v1/USER'",
        "/H\u0456ggs/alice-v1/USER",
        "/a/b/c#d",
        "/Higgs/alice-v1/US%45R",
        "/Higgs/alice v1/USER",
        "/" + "a" * 300 + "/alice-v1/USER",
    ],
)
@pytest.mark.parametrize("path", ["injections", "closures", "copies", "deletions"])
def test_a_hostile_dataset_is_refused_everywhere(web: Web, path: str, dataset: str) -> None:
    body = booking("a", dataset=dataset) if path == "injections" else {"dataset": dataset}
    if path == "copies":
        body["site"] = "T2_A"
    problem(web.post(f"/v1/{path}", body), 422, "name-invalid")


@pytest.mark.parametrize(
    "site", ["T2_A'", "T2_\u0410", "t2_a", "../T2_A", "T2_A\n", "*/..", "T2_A\x00"]
)
def test_a_site_that_is_none_is_refused(web: Web, site: str) -> None:
    answer = web.post("/v1/injections", booking("a", site=site))
    problem(answer, answer.status_code)
    assert answer.status_code in (404, 422)
    answer = web.post("/v1/deletions", {"dataset": DATASET, "site": site})
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "name", ["\u0430", "x\n", "'", "\x00", "\U0001f600", "../x", "x" * 2000, ""]
)
def test_hostile_names_in_lists_are_refused(web: Web, name: str) -> None:
    web.world.many("T2_A", 1)
    for path, body in (
        ("deletions", {"dataset": DATASET, "lfns": [name]}),
        ("deletions", {"dataset": DATASET, "blocks": [name]}),
        ("deletions", {"dataset": DATASET, "blocks": [f"{DATASET}#{name}"]}),
        ("copies", {"dataset": DATASET, "site": "T2_B", "blocks": [name]}),
        ("copies", {"dataset": DATASET, "site": "T2_B", "group": name}),
        ("copies", {"dataset": DATASET, "site": ["T2_B", name], "copies": 1}),
        ("injections/1/uploaded", {"lfns": [name]}),
    ):
        answer = web.post(f"/v1/{path}", body)
        assert answer.status_code in (404, 409, 422), (path, body, answer.data)
        problem(answer, answer.status_code)


@pytest.mark.parametrize(
    "extra", [{"role": "operator"}, {"owner": "root"}, {"closed": True}, {"id": 7}, {"quota": 1}]
)
def test_fields_that_callers_do_not_set_are_refused(web: Web, extra: dict[str, object]) -> None:
    problem(web.post("/v1/injections", {**booking("a"), **extra}), 422)
    problem(web.post("/v1/injections", booking("a", **extra)), 422)
    problem(web.post("/v1/copies", {"dataset": DATASET, "site": "T2_A", **extra}), 422)


def test_a_full_site_names_alternatives(web: Web) -> None:
    web.world.site_quota("T2_A", 5)
    told = problem(web.post("/v1/injections", booking("a")), 507, "storage-full")
    assert told["alternatives"] == ["T2_B"]
    web.world.status("T2_A", "waitroom")
    told = problem(web.post("/v1/injections", booking("a")), 409, "site-not-ready")
    assert told["alternatives"] == ["T2_B"]


def test_over_the_users_quota_is_507(web: Web) -> None:
    web.put("/v1/quotas/alice", {"limit": 15})
    problem(web.post("/v1/injections", booking("a", "b")), 507, "quota-exceeded")
    assert web.post("/v1/injections", booking("a")).status_code == 202


def test_a_stopped_injection_is_409(web: Web) -> None:
    web.put("/v1/switches/injection", {"stopped": True, "why": "maintenance"})
    problem(web.post("/v1/injections", booking("a")), 409, "switched-off")
    web.put("/v1/switches/injection", {"stopped": False})
    assert web.post("/v1/injections", booking("a")).status_code == 202


def test_ten_thousand_files_are_taken_and_one_more_is_refused(web: Web) -> None:
    many = [f"f{n}" for n in range(10_001)]
    problem(web.post("/v1/injections", booking(*many)), 422, "too-large")


def test_requests_are_found_by_globs_of_dataset_and_owner(web: Web) -> None:
    web.post("/v1/injections", booking("a"))

    def found(query: str) -> int:
        return len(web.get(f"/v1/injections?{query}")["items"])

    assert found("dataset=/Higgs/*") == found("owner=al*") == found("dataset=*/USER") == 1
    assert found("dataset=/Other/*") == found("owner=bo*") == 0
