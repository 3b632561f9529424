"""What may be read from elsewhere: scratch folders, web servers, and 40 ways to try more."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.errors import DynamoError, Forbidden
from dynamo.storage.copier import copy
from dynamo.storage.protocol import StorageError
from dynamo.storage.registry import Storages
from dynamo.storage.sources import check_source, open_source
from tests.storage.suite import AREA, LFN, OWN, adler32, alive, expected, some_bytes

GRID = ["root://*.cern.ch", "https://*.cern.ch", "davs://store.desy.de:2880", "http://*"]


def refused(url: str, scratch: list[str], allowed: list[str] = GRID) -> None:
    with pytest.raises(Forbidden) as failed:
        check_source(url, scratch, allowed)
    assert failed.value.reason == "source-not-allowed"


# --- scratch folders ------------------------------------------------------------


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    (folder / "job17").mkdir(parents=True)
    (folder / "job17" / "out.root").write_bytes(b"events")
    return folder


@pytest.mark.parametrize("prefix", ["file://", "file:", "file://localhost"])
def test_a_jobs_file_below_scratch_is_read(scratch: Path, prefix: str):
    source = open_source(f"{prefix}{scratch}/job17/out.root", [str(scratch)], [])
    stat = source.stat()
    assert stat is not None
    assert (stat.size, source.adler32()) == (6, adler32(b"events"))


def test_a_source_that_is_gone_is_missing(scratch: Path):
    source = open_source(f"file://{scratch}/job17/none", [str(scratch)], [])
    assert source.stat() is None
    with pytest.raises(StorageError) as failed:
        source.adler32()
    assert failed.value.reason == "source-missing"


def test_a_file_source_is_allowed_by_scratch_alone(scratch: Path):
    refused(f"file://{scratch}/job17/out.root", [], ["file://*", "*"])


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{s}",
        "file://{s}/",
        "file://{s}/../outside",
        "file://{s}/job17/../../outside",
        "file://{s}/./job17/out.root",
        "file://{s}//job17/out.root",
        "file://{s}/job17/%2e%2e/%2e%2e/outside",
        "file://{s}/job17%2fout.root",
        "file://{s}/job17/out.root%00",
        "file://{s}/job17/out.root?x",
        "file://{s}/job17/out.root#x",
        "file://{s}/job17\\..\\..\\outside",
        "file://{s}X/job17/out.root",
        "file://127.0.0.1{s}/job17/out.root",
        "file://host{s}/job17/out.root",
        "file://user@localhost{s}/job17/out.root",
        "file://{s}/job17/out.root\n",
        "file://{s}/job17/\u202eout",
        " file://{s}/job17/out.root",
        "FILE://{s}/job17/out.root",
        "file:{s}X",
        "{s}/job17/out.root",
        "",
    ],
)
def test_nothing_outside_of_scratch_is_a_file_source(scratch: Path, url: str):
    refused(url.replace("{s}", str(scratch)), [str(scratch), "relative"])


def test_a_link_below_scratch_is_not_followed(scratch: Path, tmp_path: Path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"secret")
    (scratch / "job17/link").symlink_to(tmp_path / "secret/key")
    (scratch / "job18").symlink_to(tmp_path / "secret")
    for path in ("job17/link", "job18/key"):
        source = open_source(f"file://{scratch}/{path}", [str(scratch)], [])
        with pytest.raises(StorageError):
            source.stat()
        with pytest.raises(StorageError):
            source.adler32()


def test_a_scratch_folder_that_is_itself_reached_by_a_link_works(scratch: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(scratch)
    source = open_source(f"file://{tmp_path}/link/job17/out.root", [f"{tmp_path}/link"], [])
    assert source.adler32() == adler32(b"events")


# --- other hosts ------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://eos.cern.ch/x",
        "https://EOS.CERN.CH/x",
        "https://eos.cern.ch:8443/x",
        "davs://store.desy.de:2880/x",
        "http://example.org/x",
        "http://8.8.8.8/x",
        "root://eos.cern.ch//x",
        "root://eos.cern.ch:1094//store/a_1.root",
    ],
)
def test_hosts_on_the_list_of_the_site_pass(url: str):
    check_source(url, [], GRID)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.org/x",
        "https://cern.ch.evil.org/x",
        "https://evilcern.ch/x",
        "https://evil.org/#.cern.ch",
        "https://evil.org?.cern.ch",
        "https://evil.org\\.cern.ch/",
        "https://eos.cern.ch@evil.org/",
        "https://user:pass@eos.cern.ch/x",
        "https://eos.cern.ch:99999/x",
        "https://eos.cern.ch:x/x",
        "https://eos.cern.ch:22/x",
        "https:///x",
        "https:eos.cern.ch",
        "davs://store.desy.de/x",
        "davs://store.desy.de:22/x",
        "root://evil.org//x",
        "root://eos.cern.ch/x",
        "root://eos.cern.ch//store/../x",
        "root://eos.cern.ch//store/%2e%2e/x",
        "root://eos.cern.ch//x?xrd.gsiusrpxy=/tmp/x509up_u0",
        "root://eos.cern.ch//x#y",
        "root://eos.cern.ch@evil.org//x",
        "root://eos.cern.ch//",
        "root://127.0.0.1//x",
        "roots://eos.cern.ch//x",
        "s3://bucket/x",
        "ftp://eos.cern.ch/x",
        "gopher://eos.cern.ch/x",
        "http://localhost/x",
        "http://LOCALHOST./x",
        "http://x.localhost/x",
        "http://127.0.0.1/x",
        "http://127.1/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://0177.0.0.1/x",
        "http://0/x",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[::ffff:7f00:1]/x",
        "http://[fe80::1]/x",
        "http://[fd00::1]/x",
        "http://[::1%25lo]/x",
        "http://[::127.0.0.1]/x",
        "http://[::ffff:0:7f00:1]/x",
        "http://[64:ff9b::7f00:1]/x",
        "http://[64:ff9b::a00:1]/x",
        "http://[64:ff9b:1::1]/x",
        "http://[2002:7f00:1::]/x",
        "http://[2001::1]/x",
        "http://[fec0::1]/x",
        "http://[ff02::1]/x",
        "http://[::]/x",
        "http://[0:0:0:0:0:0:0:1]/x",
        "http://127.0.0.1./x",
        "http://0x7f.1/x",
        "http://017700000001/x",
        "http://100.64.0.1/x",
        "http://192.0.0.8/x",
        "http://198.18.0.1/x",
        "http://255.255.255.255/x",
        "http://\uff11\uff12\uff17.0.0.1/x",
        "http://\u2460\u2461\u2466.0.0.1/x",
        "http://8.8.8.8\t.evil/x",
        "http://user@8.8.8.8/x",
        "http://:pass@8.8.8.8/x",
        "http://8.8.8.8%2f@127.0.0.1/x",
        "https://eos.cern.ch/x?authz=token",
        "https://eos.cern.ch/x#authz=token",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://192.168.1.1/x",
        "http://172.16.0.1/x",
        "http://224.0.0.1/x",
        "http://metadata.google.internal/x",
        "http://[/x",
        f"https://{'a' * 64}.cern.ch/x",
        f"https://{'a.' * 128}cern.ch/x",
        "https://a..cern.ch/x",
        "https://.cern.ch/x",
        "http://./x",
        f"root://{'a' * 64}.cern.ch//x",
    ],
)
def test_other_hosts_inner_addresses_and_tricks_are_refused(url: str):
    refused(url, [])


@pytest.mark.parametrize("scheme", ["http", "root"])
@pytest.mark.parametrize(
    "numbers",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["8.8.8.8", "127.0.0.1"],
        ["2001:4860:4860::8888", "fd00::1"],
    ],
)
def test_a_name_that_stands_for_an_inner_address_is_refused_when_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, numbers: list[str], scheme: str
):
    kind = {True: socket.AF_INET6, False: socket.AF_INET}
    answers = [(kind[":" in one], socket.SOCK_STREAM, 6, "", (one, 80)) for one in numbers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(Forbidden):
        open_source(f"{scheme}://rebound.example.org//x", [], [*GRID, "root://*"]).stat()


def test_a_name_is_looked_up_once_and_what_was_judged_is_what_is_asked(
    monkeypatch: pytest.MonkeyPatch,
):
    asked: list[str] = []
    names = iter(["8.8.8.8", "127.0.0.1"])

    def rebinding(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(names), 80))]

    def connect(address: tuple[str, int], **__: object) -> None:
        asked.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(StorageError):
        open_source("http://rebound.example.org/x", [], GRID).stat()
    assert asked == ["8.8.8.8"]


@pytest.mark.parametrize("name", ["localhost", "localhost.", "ip6-localhost", "ip6-loopback"])
def test_real_names_of_this_machine_are_inner_ones(name: str):
    with contextlib.suppress(StorageError), pytest.raises(Forbidden):  # it may know no such name
        open_source(f"http://{name}/x", [], ["http://*"]).stat()


# --- a real web server ------------------------------------------------------------


DATA = some_bytes(5 * 10**6)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves what the path names."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        place = {
            "/inner": "http://127.0.0.2:1/secret",
            "/hop": "/file",
            "/loop": "/loop",
            "/file-url": "file:///etc/passwd",
            "/no-url": "http://[/x",
            "/no-port": "//127.0.0.1:x/x",
            "/no-ascii": "/caf\u00e9",
        }.get(self.path)
        status = {"/none": 404, "/mine": 403, "/broken": 500}.get(self.path, 302 if place else 200)
        self.send_response(status)
        if place:
            self.send_header("Location", place)
        size = {"/endless": None, "/huge": "9" * 5000}.get(self.path, str(len(DATA)))
        if size is not None:
            self.send_header("Content-Length", size if status == 200 else "0")
        if self.path == "/old":
            self.send_header("Last-Modified", "Fri, 31 Dec 9999 23:59:59 -2300")
        self.end_headers()
        if body and status == 200:
            with contextlib.suppress(ConnectionError):  # the reader may have left
                self.wfile.write(DATA[:1000] if self.path == "/short" else DATA)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/file", "/hop"])
def test_a_file_on_a_web_server_is_copied(server: str, tmp_path: Path, path: str):
    source = open_source(server + path, [], [server])
    stat = source.stat()
    assert stat is not None
    assert stat.size == len(DATA)
    storage = Storages(AREA).at(f"file://{tmp_path}", {})
    copy(source, storage, OWN, LFN, expected(DATA), alive)
    assert storage.adler32(LFN) == adler32(DATA)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/short", "source-error"),
        ("/none", "source-missing"),
        ("/mine", "permission-denied"),
        ("/broken", "source-error"),
        ("/loop", "source-error"),
        ("/endless", "source-error"),
        ("/inner", "source-not-allowed"),
        ("/file-url", "source-not-allowed"),
        ("/no-url", "source-error"),
        ("/no-port", "source-not-allowed"),
        ("/no-ascii", "source-error"),
        ("/huge", "source-error"),
    ],
)
def test_a_web_server_that_does_not_give_the_file_is_told_why(server: str, path: str, reason: str):
    with pytest.raises(DynamoError) as failed:
        open_source(server + path, [], [server]).adler32()
    assert failed.value.reason == reason


def test_an_age_that_no_calendar_has_is_unknown(server: str):
    stat = open_source(server + "/old", [], [server]).stat()
    assert stat is not None
    assert (stat.size, stat.modified) == (len(DATA), None)


def test_a_missing_file_on_a_web_server_is_none(server: str):
    assert open_source(server + "/none", [], [server]).stat() is None


def test_a_server_that_is_away_is_a_source_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StorageError) as failed:
            open_source(url + "/x", [], [url]).stat()
    assert failed.value.reason == "source-error"
