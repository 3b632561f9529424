"""Storage on XRootD: the contract on a real server, its errors, one connection, silence."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from dynamo.errors import Invalid
from dynamo.reasons import Reason
from dynamo.storage.copier import accept, copy
from dynamo.storage.protocol import Storage, StorageError
from dynamo.storage.registry import Storages
from dynamo.storage.sources import SiteFile, open_source
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.errors import failure
from tests.servers_xrootd import CHECKSUMS, THIRD_PARTY, XRootD, xrootd_servers
from tests.storage.suite import (
    AREA,
    LFN,
    OWN,
    UPLOAD,
    Bytes,
    Lost,
    StorageContract,
    adler32,
    alive,
    expected,
    lost_at,
    some_bytes,
)

QUICK = Timeouts(answer=4, silence=4, third_party=2**20)
BUSY = 20
"""Seconds that a busy machine may add; whoever forgot a limit waits for minutes."""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[XRootD]]:
    with xrootd_servers(2) as running:
        yield running


@pytest.fixture
def server(servers: list[XRootD]) -> XRootD:
    servers[0].clear()
    return servers[0]


@pytest.fixture
def other(servers: list[XRootD]) -> XRootD:
    servers[1].clear()
    return servers[1]


@pytest.fixture
def storage(server: XRootD) -> Storage:
    return Storages(AREA, QUICK).at(server.url, {})


@pytest.fixture
def plant(server: XRootD) -> Callable[[str, bytes], object]:
    return server.plant


@pytest.fixture
def look(server: XRootD) -> Callable[[], dict[str, bytes]]:
    return server.files


class TestXRootDStorage(StorageContract):
    """The contract on a server."""


class TestXRootDStorageWithRules(StorageContract):
    """The contract below a folder, where the site's rules make the addresses."""

    @pytest.fixture
    def storage(self, server: XRootD) -> Storage:
        server.plant("/eos/keep", b"").unlink()
        steps = [["/store(.*)", "/eos/store{0}"], ["(/eos/.*)", server.url + "{0}"]]
        return Storages(AREA, QUICK).at(f"{server.url}/eos", {"rules": steps})

    @pytest.fixture
    def plant(self, server: XRootD) -> Callable[[str, bytes], object]:
        return lambda name, data: server.plant(f"/eos{name}", data)

    @pytest.fixture
    def look(self, server: XRootD) -> Callable[[], dict[str, bytes]]:
        return lambda: {name.removeprefix("/eos"): data for name, data in server.files().items()}


@pytest.fixture(scope="module")
def plain() -> Iterator[XRootD]:
    """A server that computes no checksums."""
    with xrootd_servers(1, (THIRD_PARTY,)) as [running]:
        yield running


class TestXRootDStorageWithoutChecksums(StorageContract):
    """The contract on a server that computes no checksums: files are read."""

    @pytest.fixture
    def server(self, plain: XRootD) -> XRootD:
        plain.clear()
        return plain

    def test_its_files_are_summed_up_by_reading(self, storage: Storage, plant):
        plant(LFN, b"events")
        assert storage.adler32(LFN) == adler32(b"events")


# --- addresses -------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "pfn"),
    [
        ("root://eos.cern.ch", "root://eos.cern.ch:1094//store/x"),
        ("root://eos.cern.ch:1095/", "root://eos.cern.ch:1095//store/x"),
        ("root://eos.cern.ch:1095//eos/cms", "root://eos.cern.ch:1095//eos/cms/store/x"),
        ("root://EOS.cern.ch/eos/cms/", "root://eos.cern.ch:1094//eos/cms/store/x"),
        ("roots://[::1]//data", "roots://[::1]:1094//data/store/x"),
    ],
)
def test_a_prefix_makes_addresses_that_every_client_understands(url: str, pfn: str):
    assert Storages(AREA).at(url, {}).pfn("/store/x") == pfn


@pytest.mark.parametrize(
    "url",
    [
        "root:///data",
        "root://user@eos.cern.ch//data",
        "root://eos.cern.ch//data?svcClass=x",
        "root://eos.cern.ch//data/../x",
        "root://eos.cern.ch:port//data",
        "root:eos.cern.ch",
        "xroot://eos.cern.ch//data",
    ],
)
def test_what_is_no_place_on_a_server_is_refused(url: str):
    with pytest.raises(Invalid):
        Storages(AREA).check(url, {})


@pytest.mark.parametrize(
    "template", ["root://other.cern.ch//eos{0}", "root://here//etc{0}", "root://here//eos/../x{0}"]
)
def test_rules_lead_neither_to_another_server_nor_out_of_the_prefix(template: str):
    storage = Storages(AREA).at("root://here//eos", {"rules": [["(.*)", template]]})
    with pytest.raises(StorageError) as refused:
        storage.stat(LFN)
    assert refused.value.reason == "destination-error"


# --- what servers answer -------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "errno", "otherwise", "reason", "unknown"),
    [
        (400, 3009, "destination-error", "storage-full", False),
        (400, 3021, "destination-error", "storage-full", False),
        (400, 3010, "destination-error", "permission-denied", False),
        (400, 3025, "destination-error", "permission-denied", False),
        (400, 3011, "source-error", "source-missing", False),
        (400, 3011, "destination-error", "destination-error", False),
        (400, 3007, "destination-error", "destination-error", False),
        (400, 3007, "source-error", "source-error", False),
        (400, 3024, "source-error", "service-busy", False),
        (400, 3034, "destination-error", "queue-timeout", True),
        (206, 0, "destination-error", "queue-timeout", True),
        (103, 0, "source-error", "source-error", False),
        (104, 0, "destination-error", "destination-error", True),
        (108, 0, "destination-error", "destination-error", True),
        (101, 0, "destination-error", "destination-error", False),
        (204, 0, "destination-error", "permission-denied", False),
    ],
)
def test_each_answer_has_a_reason_and_silence_is_unknown(code, errno, otherwise, reason, unknown):
    status = SimpleNamespace(
        code=code, errno=errno, message="[ERROR] Server responded with an error: [1] no\x1b[2J\n"
    )
    failed = failure(status, "/x", Reason(otherwise))
    assert (failed.reason, failed.unknown, failed.detail) == (reason, unknown, "/x: no [2J")


def test_a_folder_that_the_server_may_not_write_is_told(storage: Storage, server: XRootD):
    server.plant("/store/x", b"")
    server.seal("/store")
    with pytest.raises(StorageError) as failed:
        copy(Bytes(b"x"), storage, OWN, LFN, expected(b"x"), alive)
    assert failed.value.reason == "permission-denied"
    assert not failed.value.unknown


def test_a_site_whose_folder_is_gone_has_not_lost_its_files(server: XRootD):
    storage = Storages(AREA, QUICK).at(f"{server.url}/not-mounted", {})
    for call in (storage.stat, storage.delete):
        with pytest.raises(StorageError) as failed:
            call(LFN)
        assert failed.value.reason == "destination-error"


def test_a_folder_is_no_file(storage: Storage, plant):
    plant(f"{LFN}/x", b"x")
    with pytest.raises(StorageError):
        storage.stat(LFN)
    with pytest.raises(StorageError):
        storage.delete(LFN)


def test_a_delete_removes_the_folders_that_it_leaves_empty(storage, plant, server: XRootD):
    plant("/store/a/b/1", b"x")
    plant("/store/a/2", b"x")
    storage.delete("/store/a/b/1")
    assert not (server.root / "store/a/b").exists()
    assert (server.root / "store/a/2").exists()


def test_a_server_that_is_away_is_told_at_once(server: XRootD):
    storage = Storages(AREA, QUICK).at("root://127.0.0.1:1//", {})
    began = time.monotonic()
    with pytest.raises(StorageError):
        storage.stat(LFN)
    assert time.monotonic() - began < QUICK.answer + BUSY


def test_whoever_does_not_speak_xrootd_does_not_load_its_library():
    code = (
        "import sys, dynamo.services.context, workers.app\n"
        "from dynamo.storage.registry import Storages\n"
        "Storages('/store/temp/dynamo').at('file:///tmp', {}).stat('/store/none')\n"
        "assert not [name for name in sys.modules if 'XRootD' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- uploads -------------------------------------------------------------


def test_an_upload_that_somebody_still_writes_is_not_taken(storage: Storage, look):
    with storage.write(UPLOAD) as job:
        job.write(memoryview(b"right"))
        with pytest.raises(StorageError) as refused:
            accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert refused.value.reason == "not-uploaded"
    assert look() == {UPLOAD: b"right"}
    accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert look() == {LFN: b"right"}


def test_an_upload_mended_within_a_second_is_not_judged_by_its_old_checksum(
    storage: Storage, plant, look
):
    """The server keeps checksums by the second of the last change."""
    plant(UPLOAD, b"wrong")
    with pytest.raises(StorageError):
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    plant(UPLOAD, b"right")
    accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert look() == {LFN: b"right"}


# --- one connection -------------------------------------------------------------


def test_many_files_from_many_threads_share_one_connection(storage, server: XRootD, look):
    names = [f"/store/user/dynamo/alice/{number}" for number in range(200)]
    storage.stat(LFN)
    before = server.logins

    def bring(number: int) -> None:
        data = b"%d" % number
        copy(Bytes(data), storage, f"{OWN}{number}", names[number], expected(data), alive)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bring, range(200)))

    assert server.logins - before == 0
    assert look() == {name: b"%d" % number for number, name in enumerate(names)}


# --- sources -------------------------------------------------------------


def test_a_file_on_a_server_elsewhere_is_a_source(server: XRootD, other: XRootD, storage, look):
    other.plant("/data/out.root", b"events")
    source = open_source(f"{other.url}/data/out.root", [], [other.url.rstrip("/")], QUICK)
    found = source.stat()
    assert found is not None
    assert (found.size, source.adler32()) == (6, adler32(b"events"))
    copy(source, storage, OWN, LFN, expected(b"events"), alive)
    assert look() == {LFN: b"events"}


def test_a_source_that_is_not_there_is_missing(other: XRootD):
    source = open_source(f"{other.url}/data/none", [], [other.url.rstrip("/")], QUICK)
    assert source.stat() is None
    with pytest.raises(StorageError) as failed:
        source.adler32()
    assert failed.value.reason == "source-missing"


# --- third-party copies -------------------------------------------------------------


class Told(SiteFile):
    """A file at a site that nobody may read through us."""

    def read(self):
        raise AssertionError("the bytes crossed us")


def test_large_files_go_from_server_to_server(server: XRootD, other: XRootD, storage, look):
    data = some_bytes(3 * 2**20)
    other.plant(LFN, data)
    source = Told(Storages(AREA, QUICK).at(other.url, {}), LFN)
    copy(source, storage, OWN, LFN, expected(data), alive)
    assert look() == {LFN: data}


def test_servers_that_do_not_work_together_are_helped(other: XRootD):
    data = some_bytes(3 * 2**20)
    other.plant(LFN, data)
    source = SiteFile(Storages(AREA, QUICK).at(other.url, {}), LFN)
    with xrootd_servers(1, (CHECKSUMS,)) as [alone]:
        copy(source, Storages(AREA, QUICK).at(alone.url, {}), OWN, LFN, expected(data), alive)
        assert alone.files() == {LFN: data}


def test_a_corrupt_source_shows_also_when_servers_copy_by_themselves(
    server: XRootD, other: XRootD, storage, look
):
    data = some_bytes(3 * 2**20)
    other.plant(LFN, data[:-1] + b"\0" if data[-1] else data[:-1] + b"\1")
    source = SiteFile(Storages(AREA, QUICK).at(other.url, {}), LFN)
    with pytest.raises(StorageError) as failed:
        copy(source, storage, OWN, LFN, expected(data), alive)
    assert failed.value.corrupt_source
    assert look() == {}


def test_a_lost_lease_stops_a_copy_between_servers(server: XRootD, other: XRootD, storage, look):
    data = some_bytes(3 * 2**20)
    other.plant(LFN, data)
    source = Told(Storages(AREA, QUICK).at(other.url, {}), LFN)
    with pytest.raises(Lost):
        copy(source, storage, OWN, LFN, expected(data), lost_at(1))
    assert look() == {}


# --- silence -------------------------------------------------------------


def test_a_frozen_server_costs_the_deadline_and_nobody_else_waits(storage, server: XRootD, other):
    storage.stat(LFN)
    neighbour = Storages(AREA, QUICK).at(other.url, {})
    server.freeze()
    try:
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            frozen = pool.submit(storage.stat, LFN)
            while not frozen.done():
                assert neighbour.stat(LFN) is None
            with pytest.raises(StorageError) as failed:
                frozen.result()
            took = time.monotonic() - began
    finally:
        server.thaw()
    assert (failed.value.reason, failed.value.unknown) == ("queue-timeout", True)
    assert took < QUICK.answer + BUSY
    assert storage.stat(LFN) is None


class Freezing(Bytes):
    """A source that freezes a server when so many bytes have been read from it."""

    def __init__(self, data: bytes, server: XRootD, at: int) -> None:
        super().__init__(data)
        self.server = server
        self.at = at

    def read(self):
        stream = super().read()
        inner = stream.readinto

        def readinto(buffer: memoryview) -> int:
            count = inner(buffer)
            if stream.tell() >= self.at:
                self.server.freeze()
            return count

        return contextlib.nullcontext(SimpleNamespace(readinto=readinto))


@pytest.mark.parametrize("size", [5, 40 * 2**20], ids=["small", "large"])
def test_a_write_to_a_server_that_falls_silent_ends_as_unknown_and_is_left(
    storage: Storage, server: XRootD, look, size: int
):
    data = some_bytes(size)
    storage.stat(LFN)
    began = time.monotonic()
    try:
        with pytest.raises(StorageError) as failed:
            copy(Freezing(data, server, size // 2), storage, OWN, LFN, expected(data), alive)
    finally:
        server.thaw()
    assert (failed.value.reason, failed.value.unknown) == ("queue-timeout", True)
    assert time.monotonic() - began < QUICK.silence + QUICK.answer + BUSY
    assert LFN not in look()
