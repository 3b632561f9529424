"""The job wrapper's client against a service that fails as scripted."""

import ast
import json
import os
import subprocess
import sys
import time
import zlib
from contextlib import ExitStack
from pathlib import Path

import pytest

from dynamo.client import client
from dynamo.client.client import Dynamo, Output, Problem
from tests.client.service import Answer, Raw, Scripted, cut, half, problem, scripted

DATASET = "/Higgs/alice-v1/USER"
SOURCE = Path(client.__file__)
REQUEST = {
    "id": 7,
    "kind": "injection",
    "state": "queued",
    "progress": {"files": {"total": 1, "done": 0, "failed": 0}},
    "problems": [],
}


def quick(address: str, patience: float = 20.0) -> Dynamo:
    return Dynamo(address, "a.b.c", timeout=5, patience=patience, pause=0.01)


@pytest.fixture(autouse=True)
def no_token_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "DYNAMO_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


# --- one file that old Pythons read -------------------------------------------------------------


def test_the_client_is_one_file_that_python_3_6_understands() -> None:
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 6))

    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    new = {
        "dataclasses",
        "zoneinfo",
        "tomllib",
        "importlib.resources",
        "contextvars",
        "graphlib",
        "__future__",
    }
    assert not imported & new
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"removeprefix", "removesuffix", "is_relative_to", "fromisoformat"}
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not arguments & {"capture_output", "text", "missing_ok", "dirs_exist_ok", "strict"}


def test_exit_codes_of_cms_stay_apart_in_eight_bits() -> None:
    codes = set(client.CMS_CODES.values())

    assert len({code % 256 for code in codes}) == len(codes)
    assert not {code % 256 for code in codes} & {0, 1, 2, 3, 4, 5}


# --- calls that are repeated --------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        cut,
        half,
        Answer(408),
        Answer(425),
        Answer(429),
        Answer(500),
        Answer(502, "<html>"),
        Answer(504),
        problem(503, "service-busy", retryable=True),
    ],
    ids=["cut", "half", "408", "425", "429", "500", "502", "504", "503"],
)
def test_a_call_is_repeated_until_it_is_answered(fault: Scripted) -> None:
    with scripted(fault, fault, Answer(202, REQUEST)) as service:
        assert quick(service.address).close(DATASET) == REQUEST

    assert [call.body for call in service.calls] == [{"dataset": DATASET}] * 3
    assert len({call.headers["Idempotency-Key"] for call in service.calls}) == 1


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "strange",
    [
        Raw(200, b"<html>log in to the hotel</html>"),
        Raw(200, b"\xff\xfe"),
        Raw(200, NESTED.encode()),
        Raw(204, b""),
        Answer(200, ["no", "object"]),
        Answer(200, "text"),
        Answer(200, {"status": "ok"}),
        Answer(200, REQUEST | {"id": "7"}),
        Answer(200, REQUEST | {"progress": None}),
        Answer(200, REQUEST | {"problems": [7]}),
        Raw(403, b"<html>the proxy does not know you</html>"),
        Raw(404, b"no backend"),
        Answer(404, {"message": "no Route matched with those values"}),
        Answer(404, ["no", "object"]),
    ],
)
def test_an_answer_that_is_none_of_the_service_s_counts_as_no_answer(strange: Scripted) -> None:
    with scripted(strange, Answer(202, REQUEST)) as service:
        assert quick(service.address).close(DATASET) == REQUEST
    with scripted(strange) as service, pytest.raises(Problem) as caught:
        quick(service.address, patience=0.1).close(DATASET)

    told = (caught.value.status, caught.value.reason, caught.value.exit_code)
    assert told == (0, "service-busy", 4)
    assert len(caught.value.detail) < 500


@pytest.mark.parametrize(
    "words",
    [
        ["inject", DATASET, "--site", "A", "--push"],
        ["inject", DATASET, "--site", "A", "--pull"],
        ["wait", "injection", "7"],
        ["where", "/store/x"],
    ],
    ids=["push", "pull", "wait", "where"],
)
@pytest.mark.parametrize(
    "strange", [Answer(200, {"items": [{}], "files": [{}], "namespace": 7}), Answer(200, None)]
)
def test_strange_answers_end_no_command_with_a_traceback(
    tmp_path: Path, words: list[str], strange: Answer
) -> None:
    files = [output_of(tmp_path).path] if words[0] == "inject" else []
    with scripted(strange) as service:
        ran = script(service.address, "--patience", "0.1", "--json", *words, *files)

    assert (ran.returncode, ran.stderr) == (4, "")
    assert json.loads(ran.stdout)["problems"][0]["reason"] == "service-busy"


def test_what_a_problem_lists_in_a_strange_shape_is_left_out() -> None:
    strange = problem(409, "name-conflict", errors={"a": 1}, alternatives=[7, "T2_B", None])
    with scripted(strange) as service, pytest.raises(Problem) as caught:
        quick(service.address).close(DATASET)

    assert (caught.value.errors, caught.value.alternatives) == ([], ["T2_B"])


def test_two_calls_carry_two_idempotency_keys() -> None:
    with scripted(Answer(202, REQUEST)) as service:
        dynamo = quick(service.address)
        dynamo.close(DATASET)
        dynamo.close(DATASET)
        dynamo.close(DATASET, key="job-17")

    first, second, third = (call.headers["Idempotency-Key"] for call in service.calls)
    assert first != second
    assert third == "job-17"


def test_retry_after_is_waited_for() -> None:
    busy = Answer(503, {}, {"Retry-After": "1"})
    with scripted(busy, Answer(200, {"items": []})) as service:
        before = time.monotonic()
        quick(service.address).get("/v1/sites")

    assert time.monotonic() - before >= 1


def test_a_pause_longer_than_the_patience_is_not_slept_through() -> None:
    never = Answer(503, {}, {"Retry-After": "3600"})
    with scripted(never) as service, pytest.raises(Problem) as caught:
        quick(service.address).get("/v1/sites")

    assert (caught.value.retryable, caught.value.exit_code) == (True, 4)
    assert len(service.calls) == 1


def test_a_service_that_is_away_is_temporary() -> None:
    with pytest.raises(Problem) as caught:
        quick("http://127.0.0.1:9", patience=0.2).get("/v1/sites")

    assert (caught.value.status, caught.value.reason, caught.value.exit_code) == (
        0,
        "service-busy",
        4,
    )
    assert caught.value.cms_code == 60320


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 507])
def test_what_is_refused_is_asked_once(status: int) -> None:
    refusal = problem(status, "permission-denied")
    with scripted(refusal) as service, pytest.raises(Problem):
        quick(service.address).close(DATASET)

    assert len(service.calls) == 1


# --- problems -------------------------------------------------------------------------------------


def test_a_problem_says_what_a_wrapper_needs_to_decide() -> None:
    refusal = problem(
        507,
        "storage-full",
        retryable=True,
        errors=[{"pointer": "/files/0/lfn", "lfn": "/store/x", "detail": "no room"}],
        alternatives=["T2_DE_DESY"],
    )
    with scripted(refusal) as service, pytest.raises(Problem) as caught:
        quick(service.address).inject(DATASET, "T2_US_MIT", [])

    found = caught.value
    assert (found.status, found.reason, found.retryable) == (507, "storage-full", True)
    assert found.errors[0]["lfn"] == "/store/x"
    assert (found.alternatives, found.trace) == (["T2_DE_DESY"], "trace-7")
    assert (found.exit_code, found.cms_code) == (3, 60321)


def test_a_redirect_does_not_carry_the_token_away() -> None:
    with ExitStack() as stack:
        thief = stack.enter_context(scripted(Answer(200)))
        elsewhere = Answer(302, {}, {"Location": thief.address})
        service = stack.enter_context(scripted(elsewhere))
        with pytest.raises(Problem):
            quick(service.address).get("/v1/sites")

    assert thief.calls == []


# --- reading --------------------------------------------------------------------------------------


def test_items_of_all_pages_are_read() -> None:
    pages = [
        Answer(200, {"items": [{"n": 1}, {"n": 2}], "next": "c1"}),
        Answer(200, {"items": [{"n": 3}], "next": None}),
    ]
    with scripted(*pages) as service:
        found = list(quick(service.address).items("/v1/files", dataset="/A/b/USER", block=None))

    assert [item["n"] for item in found] == [1, 2, 3]
    assert [call.path for call in service.calls] == [
        "/v1/files?dataset=%2FA%2Fb%2FUSER&limit=1000",
        "/v1/files?dataset=%2FA%2Fb%2FUSER&limit=1000&cursor=c1",
    ]


def test_waiting_ends_with_the_request() -> None:
    running, done = REQUEST | {"state": "running"}, REQUEST | {"state": "done"}
    seen: list[str] = []
    with scripted(Answer(200, running), Answer(200, done)) as service:
        ended = quick(service.address).wait(REQUEST, seen=lambda look: seen.append(look["state"]))

    assert ended["state"] == "done"
    assert seen == ["running", "done"]


def test_waiting_gives_up_in_time() -> None:
    with scripted(Answer(200, REQUEST)) as service, pytest.raises(Problem) as caught:
        quick(service.address).wait(REQUEST, seconds=0.3)

    assert (caught.value.reason, caught.value.exit_code) == ("stageout-timeout", 4)


# --- tokens ---------------------------------------------------------------------------------------


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_tokens_are_found_in_the_order_of_the_discovery(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(tmp_path / f"bt_u{os.geteuid()}", " runtime\n")
    assert client.find_token() == "runtime"
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(written(tmp_path / "mine", "file\n")))
    assert client.find_token() == "file"
    monkeypatch.setenv("BEARER_TOKEN", " environment ")
    assert client.find_token() == "environment"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which everybody's tokens may lie, an empty one."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setattr(client, "SHARED", str(folder))
    return folder


def test_the_shared_folder_is_the_last_place_where_a_token_is_looked_for(
    tmp_path: Path, shared: Path
) -> None:
    assert client.find_token() is None
    token = written(shared / f"bt_u{os.geteuid()}", "shared\n")
    assert client.find_token() == "shared"
    written(tmp_path / token.name, "runtime\n")
    assert client.find_token() == "runtime"


def test_a_link_in_the_shared_folder_is_not_followed(tmp_path: Path, shared: Path) -> None:
    secret = written(tmp_path / "another_secret_of_mine", "secret")
    (shared / f"bt_u{os.geteuid()}").symlink_to(secret)
    with pytest.raises(client.Problem) as refused:
        client.find_token()
    assert refused.value.reason == "unauthenticated"


def test_an_empty_token_file_says_nothing_and_the_next_place_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: Path
) -> None:
    name = f"bt_u{os.geteuid()}"
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(written(tmp_path / "mine", " \n")))
    assert client.find_token() is None
    written(shared / name, "shared")
    written(tmp_path / name, "")
    assert client.find_token() == "shared"
    written(tmp_path / name, "runtime")
    assert client.find_token() == "runtime"


def test_a_token_file_of_somebody_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(written(tmp_path / "t", "secret")))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(Problem, match="of your own"):
        client.find_token()


def test_a_token_file_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = written(tmp_path / "t", "")
    token.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token))

    with pytest.raises(Problem, match="contains no token"):
        client.find_token()


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620])
def test_a_token_file_that_others_may_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(written(tmp_path / "t", "secret", mode)))

    with pytest.raises(Problem, match="chmod 600") as caught:
        client.find_token()

    assert "secret" not in str(caught.value)


def test_a_token_pipe_of_somebody_does_not_hang_the_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "pipe"))

    with pytest.raises(Problem, match="must be a file of your own"):
        client.find_token()


def test_a_token_that_was_renewed_is_tried_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = written(tmp_path / "t", "old")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token))

    def renew(handler: object) -> None:
        token.write_text("new")
        cut(handler)  # type: ignore[arg-type]

    with scripted(renew, Answer(200)) as service:
        Dynamo(service.address, pause=0.01).get("/v1/sites")

    assert [call.headers["Authorization"] for call in service.calls] == ["Bearer old", "Bearer new"]


def test_a_broken_token_is_not_shown() -> None:
    with pytest.raises(Problem) as caught:
        Dynamo("http://127.0.0.1:9", "secret\r\nX-Evil: 1").get("/v1/sites")

    assert "secret" not in str(caught.value)


def test_no_token_stands_where_a_client_is_printed() -> None:
    assert "canary" not in repr(Dynamo("https://dynamo.example.org", "canary"))


# --- files ----------------------------------------------------------------------------------------


def test_size_and_adler32_of_a_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "out.root").write_bytes(b"Wikipedia")
    read: list[int] = []

    found = client.describe(str(tmp_path / "out.root"), "/store/out.root", read.append)

    assert found == Output(str(tmp_path / "out.root"), "/store/out.root", 9, "11e60398")
    assert sum(read) == 9


def test_the_adler32_of_nothing_is_written_in_full(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert client.describe(str(tmp_path / "empty"), "/store/empty").adler32 == "00000001"


@pytest.mark.parametrize("spelled", ["11E60398", " 11e60398 "])
def test_a_checksum_is_announced_as_the_service_writes_it(tmp_path: Path, spelled: str) -> None:
    output = output_of(tmp_path)._replace(adler32=spelled)
    with scripted(booking(tmp_path), Answer(200, REQUEST)) as service:
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output])
    with scripted(Answer(202, REQUEST)) as other:
        client.pull(quick(other.address), DATASET, "T2_US_MIT", [output])

    for call in (service.calls[0], other.calls[0]):
        assert call.body["files"][0]["adler32"] == "11e60398"


def test_a_checksum_without_its_leading_zeros_is_filled_up() -> None:
    assert client.padded("1") == "00000001"
    assert client.padded("ABC") == "00000abc"


@pytest.mark.parametrize("spelled", ["", "no hex", "123456789"])
def test_what_is_no_checksum_is_refused_before_anything_is_sent(spelled: str) -> None:
    with pytest.raises(Problem, match="is not an Adler-32"):
        client.padded(spelled)


def test_a_file_that_changed_after_booking_is_not_confirmed(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    output = client.describe(str(tmp_path / "out"), "/store/out")
    (tmp_path / "out").write_bytes(b"after!")
    (tmp_path / "incoming").mkdir()

    with pytest.raises(Problem) as caught:
        client.upload(output, f"file://{tmp_path}/incoming/x")

    assert caught.value.reason == "checksum-mismatch"


def test_a_storage_that_is_not_mounted_here_is_not_imitated_on_the_own_disk(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()

    with pytest.raises(Problem, match="not mounted here") as caught:
        client.upload(output_of(tmp_path), f"file://{tmp_path}/mounted/store/temp/alice/1")

    assert (caught.value.reason, caught.value.exit_code) == ("destination-error", 4)
    assert list((tmp_path / "mounted").iterdir()) == []


def test_the_service_can_read_an_upload_whatever_the_mask_of_the_job(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    mask = os.umask(0o077)
    try:
        client.upload(output_of(tmp_path), f"file://{tmp_path}/incoming/x")
    finally:
        os.umask(mask)

    assert (tmp_path / "incoming/x").stat().st_mode & 0o777 == 0o644


def test_other_storages_are_written_by_a_command(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"data")
    output = client.describe(str(tmp_path / "a b"), "/store/ab")

    client.upload(
        output,
        "root://mit/store/temp/1",
        f"sh -c 'echo $0 $1 > {tmp_path}/said' {{source}} {{target}}",
    )

    said = (tmp_path / "said").read_text().split()
    assert said == [f"file://{tmp_path}/a%20b", "root://mit/store/temp/1"]
    with pytest.raises(Problem, match="ended with 3: quota") as caught:
        client.upload(output, "root://mit/x", "sh -c 'echo quota; exit 3'")
    assert caught.value.reason == "destination-error"


# --- handing over ---------------------------------------------------------------------------------


def output_of(tmp_path: Path) -> Output:
    (tmp_path / "out.root").write_bytes(b"Wikipedia")
    return client.describe(str(tmp_path / "out.root"), "/store/user/dynamo/alice/out.root")


def booking(tmp_path: Path) -> Answer:
    (tmp_path / "incoming").mkdir(exist_ok=True)
    lfn, url = "/store/user/dynamo/alice/out.root", f"file://{tmp_path}/incoming/t1"
    return Answer(202, REQUEST | {"files": [{"lfn": lfn, "upload_url": url, "state": "expected"}]})


def test_pulling_is_one_call(tmp_path: Path) -> None:
    with scripted(Answer(202, REQUEST)) as service:
        client.pull(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    [call] = service.calls
    assert call.path == "/v1/injections"
    assert call.body["files"] == [
        {
            "lfn": "/store/user/dynamo/alice/out.root",
            "size": 9,
            "adler32": "11e60398",
            "source": f"file://{tmp_path}/out.root",
        }
    ]


def test_pushing_is_booking_copying_and_confirming(tmp_path: Path) -> None:
    with scripted(booking(tmp_path), Answer(200, REQUEST)) as service:
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    assert [call.path for call in service.calls] == ["/v1/injections", "/v1/injections/7/uploaded"]
    assert "source" not in service.calls[0].body["files"][0]
    assert zlib.adler32((tmp_path / "incoming/t1").read_bytes()) == 0x11E60398


EXPIRED = problem(409, "booking-expired", retryable=True)


def test_a_booking_that_ended_before_the_confirmation_is_made_once_more(tmp_path: Path) -> None:
    with scripted(booking(tmp_path), EXPIRED, booking(tmp_path), Answer(200, REQUEST)) as service:
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    paths = ["/v1/injections", "/v1/injections/7/uploaded"]
    assert [call.path for call in service.calls] == paths * 2
    first, _, second, _ = (call.headers["Idempotency-Key"] for call in service.calls)
    assert first != second


@pytest.mark.parametrize("again", ["booking-expired", "being-deleted"])
def test_a_booking_that_cannot_be_made_once_more_is_temporary(tmp_path: Path, again: str) -> None:
    refused = EXPIRED if again == "booking-expired" else problem(409, again)
    script = [booking(tmp_path), EXPIRED, booking(tmp_path), refused]
    if again == "being-deleted":
        del script[2]
    with scripted(*script) as service, pytest.raises(Problem) as caught:
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    assert (caught.value.reason, caught.value.exit_code) == ("booking-expired", 4)
    assert len(service.calls) == len(script)


def test_a_full_site_s_alternatives_are_taken(tmp_path: Path) -> None:
    full = problem(507, "storage-full", alternatives=["T2_US_MIT", "T2_DE_DESY"])
    with scripted(full, booking(tmp_path), Answer(200, REQUEST)) as service:
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    assert [call.body.get("site") for call in service.calls[:2]] == ["T2_US_MIT", "T2_DE_DESY"]


def test_alternatives_that_are_full_as_well_come_to_an_end(tmp_path: Path) -> None:
    full = problem(507, "storage-full", alternatives=["T2_US_MIT", "T2_DE_DESY"])
    with scripted(full) as service, pytest.raises(Problem):
        client.push(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    assert len(service.calls) == 2


def test_what_may_not_be_pulled_is_pushed(tmp_path: Path) -> None:
    refusal = problem(403, "source-not-allowed")
    with scripted(refusal, booking(tmp_path), Answer(200, REQUEST)) as service:
        client.hand_over(quick(service.address), DATASET, "T2_US_MIT", [output_of(tmp_path)])

    assert ["source" in call.body["files"][0] for call in service.calls[:2]] == [True, False]
    assert service.calls[2].path.endswith("/uploaded")


# --- the script -----------------------------------------------------------------------------------


def script(address: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", str(SOURCE), "--address", address, "--patience", "5", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ALICE = "e30.eyJzdWIiOiJhbGljZSJ9.x"
ME = Answer(200, {"user": "al", "namespace": "/data/al", "datasets": "/*/al-*/USER"})
NAMED = ("--lfn-prefix", "/store/user/dynamo/alice")


def test_the_script_names_files_below_what_the_service_says_is_the_caller_s(tmp_path: Path) -> None:
    path = output_of(tmp_path).path
    with scripted(ME, Answer(202, REQUEST)) as service:
        ran = script(
            service.address,
            "inject",
            DATASET,
            "--site",
            "A",
            path,
            BEARER_TOKEN=ALICE,
        )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "injection 7 queued: 0 of 1 files\n"
    asked, call = service.calls
    assert asked.path == "/v1/me"
    assert call.body["files"][0]["lfn"] == "/data/al/Higgs/alice-v1/out.root"
    assert call.headers["Authorization"] == f"Bearer {ALICE}"


def test_a_folder_that_is_named_needs_no_question(tmp_path: Path) -> None:
    words = ["inject", DATASET, "--site", "A", output_of(tmp_path).path, *NAMED]
    with scripted(Answer(202, REQUEST)) as service:
        script(service.address, *words, BEARER_TOKEN="a.token.of-any-kind")

    [call] = service.calls
    assert call.body["files"][0]["lfn"] == "/store/user/dynamo/alice/out.root"


@pytest.mark.parametrize(
    ("answer", "code", "cms"),
    [
        (problem(507, "quota-exceeded", retryable=True), 3, 60323 % 256),
        (problem(403, "not-your-namespace"), 3, 60322 % 256),
        (problem(422, "name-invalid"), 1, 60307 % 256),
        (problem(409, "site-not-ready", retryable=True), 4, 60307 % 256),
        (Answer(503, {}, {"Retry-After": "60"}), 4, 60320 % 256),
    ],
    ids=["quota", "namespace", "name", "site", "busy"],
)
def test_the_script_ends_with_a_code_that_says_what_to_do(
    tmp_path: Path, answer: Answer, code: int, cms: int
) -> None:
    words = ["inject", DATASET, "--site", "A", output_of(tmp_path).path, *NAMED]
    with scripted(answer) as service:
        plain = script(service.address, "--json", *words, BEARER_TOKEN=ALICE)
        of_cms = script(service.address, "--cms", *words, BEARER_TOKEN=ALICE)

    assert (plain.returncode, of_cms.returncode) == (code, cms)
    said = json.loads(plain.stdout)
    assert (said["exit_code"], said["cms_code"] % 256) == (code, cms)
    assert ALICE not in plain.stdout + plain.stderr + of_cms.stderr


def test_an_output_that_is_not_there_is_told_as_wrappers_and_cms_understand(tmp_path: Path) -> None:
    words = ["inject", DATASET, "--site", "A", str(tmp_path / "gone.root")]
    plain = script("http://127.0.0.1:9", "--json", *words, BEARER_TOKEN=ALICE)
    of_cms = script("http://127.0.0.1:9", "--json", "--cms", *words, BEARER_TOKEN=ALICE)

    assert (plain.returncode, of_cms.returncode) == (1, 60302 % 256)
    said = json.loads(of_cms.stdout)
    assert said["cms_code"] == 60302
    assert "gone.root" in said["problems"][0]["detail"]


def test_a_copy_command_with_other_braces_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"must name \{source\} and \{target\}"):
        client.upload(output_of(tmp_path), "davs://x/y", "cp {source} {targt}")


def test_the_script_waits_and_tells_how_it_ended(tmp_path: Path) -> None:
    failed = REQUEST | {"state": "failed", "problems": [{"lfn": "/x", "reason": "source-missing"}]}
    words = ["inject", DATASET, "--site", "A", output_of(tmp_path).path, "--wait", *NAMED]
    with scripted(Answer(202, REQUEST), Answer(200, failed)) as service:
        ran = script(service.address, "--json", *words, BEARER_TOKEN=ALICE)

    assert ran.returncode == 1
    assert json.loads(ran.stdout)["cms_code"] == 60302


@pytest.mark.parametrize("command", ["inject", "wait"])
def test_who_waited_in_vain_is_told_what_for(tmp_path: Path, command: str) -> None:
    running = Answer(200, REQUEST | {"state": "running"})
    inject = ["inject", DATASET, "--site", "A", output_of(tmp_path).path, *NAMED, "--wait", "0.3"]
    wait = ["wait", "injection", "7", "--seconds", "0.3"]
    script_of = {"inject": [Answer(202, REQUEST), running], "wait": [running]}
    with scripted(*script_of[command]) as service:
        ran = script(service.address, "--json", *(inject if command == "inject" else wait))

    assert ran.returncode == 4
    said = json.loads(ran.stdout)
    assert [(one["id"], one["state"]) for one in said["requests"]] == [(7, "running")]
    assert [one["reason"] for one in said["problems"]] == ["stageout-timeout"]
    assert said["problems"][0]["request"] == {"kind": "injection", "id": 7}


def test_a_token_that_ends_while_the_job_waits_is_temporary(tmp_path: Path) -> None:
    words = ["inject", DATASET, "--site", "A", output_of(tmp_path).path, *NAMED, "--wait"]
    with scripted(Answer(202, REQUEST), problem(401, "unauthenticated")) as service:
        ran = script(service.address, "--json", *words, BEARER_TOKEN=ALICE)

    said = json.loads(ran.stdout)
    assert (ran.returncode, said["exit_code"]) == (4, 4)
    assert [one["id"] for one in said["requests"]] == [7]
    [told] = said["problems"]
    assert (told["reason"], told["retryable"], told["exit_code"]) == ("unauthenticated", True, 4)


@pytest.mark.parametrize("address", ["dynamo.example.org", "http://[x", "http://x:port", ""])
def test_a_malformed_address_is_told_as_json_too(address: str) -> None:
    ran = script(address, "--json", "where", "/store/x")

    assert (ran.returncode, ran.stderr) == (2, "")
    said = json.loads(ran.stdout)
    assert said["exit_code"] == said["problems"][0]["exit_code"] == 2


def test_the_script_needs_to_know_where(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", str(SOURCE), "where", "/x"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "DYNAMO_URL" in ran.stderr


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 0), ([0, 0], 0), ([0, 3], 5), ([5, 1], 5), ([3, 3], 3), ([3, 4], 3)],
)
def test_some_done_and_some_not_is_partial(codes: list[int], expected: int) -> None:
    assert client.together(codes) == expected
