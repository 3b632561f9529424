"""Storage on a file system: the contract, links that lead out, full disks, writers that go on."""

import itertools
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynamo.errors import DynamoError, Invalid
from dynamo.storage.copier import accept, copy
from dynamo.storage.lfn2pfn import Addresses
from dynamo.storage.posix.storage import PosixStorage
from dynamo.storage.protocol import Storage, StorageError
from dynamo.storage.registry import Storages
from dynamo.storage.sources import SiteFile, open_source
from tests.storage.suite import (
    AREA,
    LFN,
    OWN,
    UPLOAD,
    Bytes,
    StorageContract,
    alive,
    expected,
    some_bytes,
)

FOLDER = "/store/user/dynamo/alice"


def tree(root: Path) -> dict[str, bytes]:
    """All files below a root, by their name from there."""
    return {
        "/" + str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def storage(root: Path) -> Storage:
    return Storages(AREA).at(f"file://{root}", {})


@pytest.fixture
def plant(root: Path) -> Callable[[str, bytes], Path]:
    def put(name: str, data: bytes) -> Path:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return put


@pytest.fixture
def look(root: Path) -> Callable[[], dict[str, bytes]]:
    return lambda: tree(root)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder outside that looks like a user's; nothing may touch it."""
    outside = tmp_path / "outside"
    inner = outside / "user/dynamo/alice/run1"
    inner.mkdir(parents=True)
    (inner / "out_1.root").write_bytes(b"canary")
    yield outside
    assert tree(outside) == {"/user/dynamo/alice/run1/out_1.root": b"canary"}


class TestPosixStorage(StorageContract):
    """The contract on a folder."""


class TestPosixStorageWithRules(StorageContract):
    """The contract where the site's rules, not its URL, make the addresses."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "disk" / "pool"
        folder.mkdir(parents=True)
        return folder

    @pytest.fixture
    def storage(self, root: Path) -> Storage:
        steps = [["/store(.*)", "/pool/store{0}"], ["(/pool/.*)", f"file://{root.parent}" + "{0}"]]
        return Storages(AREA).at(f"file://{root.parent}", {"rules": steps})


# --- links ------------------------------------------------------------


def every_call(storage: Storage) -> list[Callable[[], object]]:
    return [
        lambda: storage.stat(LFN),
        lambda: storage.adler32(LFN),
        lambda: storage.delete(LFN),
        lambda: storage.persist(LFN),
        lambda: storage.rename(OWN, LFN),
        lambda: copy(Bytes(b"new"), storage, f"{OWN}2", LFN, expected(b"new"), alive),
        lambda: copy(
            SiteFile(storage, LFN), storage, f"{OWN}3", "/store/x", expected(b"canary"), alive
        ),
    ]


@pytest.mark.parametrize("depth", range(5))
def test_no_call_goes_through_a_linked_folder(storage, root, plant, canary, depth: int):
    parts = LFN.strip("/").split("/")[1:-1]
    above = root / "store" / Path(*parts[:depth])
    above.parent.mkdir(parents=True, exist_ok=True)
    if depth == 0:
        (root / "store").symlink_to(canary)
        storage.stat("/data/x")
        calls = [call for number, call in enumerate(every_call(storage)) if number != 4]
    else:
        above.symlink_to(canary / Path(*parts[:depth]))
        plant(OWN, b"new")
        calls = every_call(storage)
    for call in calls:
        with pytest.raises(StorageError):
            call()


def test_a_link_in_the_place_of_the_file_is_neither_read_nor_removed_nor_replaced(
    storage, plant, root, canary
):
    plant(OWN, b"new")
    link = root / LFN.lstrip("/")
    link.parent.mkdir(parents=True)
    link.symlink_to(canary / "user/dynamo/alice/run1/out_1.root")
    for number, call in enumerate(every_call(storage)):
        if number != 4:  # a rename puts the file where the link was, and follows nothing
            with pytest.raises(StorageError):
                call()
    assert link.is_symlink()
    storage.rename(OWN, LFN)
    assert link.read_bytes() == b"new"


def test_an_upload_that_is_a_link_is_not_taken(storage, root, canary):
    link = root / UPLOAD.lstrip("/")
    link.parent.mkdir(parents=True)
    link.symlink_to(canary / "user/dynamo/alice/run1/out_1.root")
    with pytest.raises(StorageError):
        accept(storage, UPLOAD, LFN, expected(b"canary"), alive, AREA)


def test_a_pipe_in_the_place_of_a_file_hangs_nobody(storage, root):
    path = root / LFN.lstrip("/")
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(StorageError):
        storage.adler32(LFN)
    with pytest.raises(StorageError):
        storage.delete(LFN)


def test_a_folder_swapped_for_a_link_during_deletion_costs_the_canary_nothing(
    storage, root, plant, canary
):
    """The attacker puts a link to the canary in the place of the user's folder, again and again."""
    plant(LFN, b"mine")
    real = root / "store/user/dynamo"
    stop = threading.Event()

    def swap() -> None:
        for turn in itertools.count():
            if stop.is_set():
                break
            away = root / f"store/user/away{turn}"  # never in the way of the next turn
            with suppress(OSError):
                real.rename(away)
            with suppress(OSError):  # a writer was quicker and made the folder again
                real.symlink_to(canary / "user/dynamo")
            stop.wait(random.uniform(0, 0.002))  # now in the middle of a call, now between two
            with suppress(OSError):  # what the writer made stays
                real.unlink()
            with suppress(OSError):
                away.rename(real)
            stop.wait(random.uniform(0, 0.002))

    attacker = threading.Thread(target=swap)
    attacker.start()
    deleted = 0
    try:
        began = time.monotonic()
        while (took := time.monotonic() - began) < 1.5 or (took < 30 and not deleted):
            with suppress(DynamoError):
                deleted += storage.delete(LFN)
            with suppress(DynamoError):
                copy(Bytes(b"x"), storage, f"{OWN}{deleted}", LFN, expected(b"x"), alive)
            (canary / "user/dynamo/alice/run1/out_1.root").read_bytes()
    finally:
        stop.set()
        attacker.join()
    assert deleted


# --- races between our own calls ------------------------------------------------------------


def test_a_rename_into_a_folder_that_a_deletion_just_emptied_succeeds(root):
    storage = Storages(AREA).at(f"file://{root}", {})
    stop = threading.Event()

    def delete() -> None:
        while not stop.is_set():
            storage.delete(f"{FOLDER}/a/b/gone")

    others = [threading.Thread(target=delete) for _ in range(2)]
    for other in others:
        other.start()
    try:
        with storage.batched() as there:
            for number in range(300):
                lfn = f"{FOLDER}/a/b/{number}"
                copy(Bytes(b"x"), there, f"{OWN}{number}", lfn, expected(b"x"), alive)
                assert there.delete(lfn)
    finally:
        stop.set()
        for other in others:
            other.join()


def test_deleting_the_last_file_removes_the_folders_it_leaves_empty_but_not_the_root(
    storage, plant, root
):
    plant(LFN, b"x")
    plant("/store/other", b"y")
    storage.delete(LFN)
    assert [path.name for path in (root / "store").iterdir()] == ["other"]
    storage.delete("/store/other")
    assert root.is_dir()


# --- what a disk does ------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; without the right to mount, a limit on the size of files."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True
    ).returncode
    if mounted:
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    import resource  # noqa: PLC0415 - only where nothing can be mounted
    import signal  # noqa: PLC0415

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_nothing_of_the_copy_stays(small_disk: Path):
    storage = Storages(AREA).at(f"file://{small_disk}", {})
    data = some_bytes(3 * 10**6)
    with pytest.raises(StorageError) as failed:
        copy(Bytes(data), storage, OWN, LFN, expected(data), alive)
    assert failed.value.reason == "storage-full"
    assert tree(small_disk) == {}
    small = some_bytes(1000)
    copy(Bytes(small), storage, OWN, LFN, expected(small), alive)
    assert tree(small_disk) == {LFN: small}


@pytest.mark.parametrize("seconds", [2**40, -(2**40)])
def test_a_file_of_an_age_that_no_calendar_has_comes_and_is_listed(small_disk: Path, seconds: int):
    storage = Storages(AREA).at(f"file://{small_disk}", {})
    upload = small_disk / UPLOAD.lstrip("/")
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"right")
    os.utime(upload, (seconds, seconds))
    source = open_source(f"file://{upload}", [str(upload.parent)], [])

    assert source.stat() is not None
    accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert storage.stat(LFN) is not None
    listed = [entry for folder in storage.listing("/store") for entry in folder.entries]
    assert [(entry.lfn, entry.size) for entry in listed] == [(LFN, 5)]


def test_a_missing_root_is_an_error_and_not_an_empty_site(tmp_path: Path):
    storage = Storages(AREA).at(f"file://{tmp_path}/not-mounted", {})
    calls: list[Callable[[], object]] = [
        lambda: storage.stat(LFN),
        lambda: storage.delete(LFN),
        lambda: storage.discard(OWN),
        lambda: storage.write(OWN).__enter__(),
        storage.free,
    ]
    for call in calls:
        with pytest.raises(StorageError) as failed:
            call()
        assert failed.value.reason == "destination-error"
    with pytest.raises(StorageError) as failed:
        storage.adler32(LFN)
    assert failed.value.reason == "source-error"
    assert [folder.complete for folder in storage.listing("/store")] == [False]
    assert not (tmp_path / "not-mounted").exists()


def test_a_listing_with_a_link_shows_it_as_something_strange_and_does_not_enter(
    storage, plant, root, canary
):
    plant("/store/a/1", b"x")
    (root / "store/linked").symlink_to(canary)
    folders = list(storage.listing("/store"))
    assert {entry.lfn: entry.size for folder in folders for entry in folder.entries} == {
        "/store/a/1": 1,
        "/store/linked": None,
    }


# --- jobs that do not let go ------------------------------------------------------------


def test_an_upload_that_is_still_open_for_writing_is_not_accepted(storage, plant, look):
    path = plant(UPLOAD, b"right")
    with path.open("r+b") as job:
        with pytest.raises(StorageError) as failed:
            accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert failed.value.reason == "not-uploaded"
        job.write(b"wrong")
    assert look() == {UPLOAD: b"wrong"}


def test_an_upload_with_a_second_name_is_not_accepted(storage, plant, root):
    path = plant(UPLOAD, b"right")
    os.link(path, root / "second")
    with pytest.raises(StorageError) as failed:
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert failed.value.reason == "not-uploaded"
    assert path.read_bytes() == b"right"


def test_an_upload_that_is_open_for_reading_is_accepted_and_lies_under_its_name(
    storage, plant, look
):
    path = plant(UPLOAD, b"right")
    with path.open("rb"):
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
    assert look() == {LFN: b"right"}


def test_jobs_may_write_into_a_prepared_folder_and_nobody_enters_our_own(storage, root):
    storage.prepare(UPLOAD)
    with storage.write(OWN):
        pass
    area = root / AREA.lstrip("/")
    assert oct((area / "alice").stat().st_mode & 0o7777) == "0o1733"
    assert oct((area / ".copies").stat().st_mode & 0o7777) == "0o700"
    assert oct(area.stat().st_mode & 0o7777) == "0o755"


def as_nobody(work: Callable[[], None]) -> int:
    """Run something in a child under another identity, where this process may; return its code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def open_root(root: Path) -> Path:
    """A root that other identities reach."""
    for folder in [root, *root.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    return root


def test_a_job_of_another_identity_uploads_into_the_drop_box_and_loses_its_file(open_root, storage):
    storage.prepare(UPLOAD)
    path = open_root / UPLOAD.lstrip("/")
    assert as_nobody(lambda: path.write_bytes(b"right") and None) == 0

    accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)

    final = open_root / LFN.lstrip("/")
    assert final.stat().st_uid == os.geteuid()
    if os.geteuid() == 0:
        assert as_nobody(lambda: final.write_bytes(b"wrong") and None) != 0
    assert final.read_bytes() == b"right"


def test_an_upload_that_cannot_become_ours_is_copied_to_a_file_that_is(open_root, storage):
    upload = open_root / UPLOAD.lstrip("/")
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"right")
    for folder in [upload.parent, *upload.parents[1:5]]:
        folder.chmod(0o777)
    open_root.chmod(0o777)
    final = open_root / LFN.lstrip("/")
    job = upload.open("r+b")  # a job of ours that never lets go, while Dynamo is somebody else

    assert as_nobody(
        lambda: accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA) and None
    ) == (0 if os.geteuid() == 0 else 1)
    job.write(b"wrong")
    job.close()
    if os.geteuid() == 0:
        assert final.read_bytes() == b"right"
        assert final.stat().st_uid == 65534


# --- names ------------------------------------------------------------


@given(some.text(alphabet="./ab%\\\0\n~\u202e", max_size=30))
def test_a_name_is_refused_or_lies_below_the_root(text: str):
    storage = PosixStorage.at(Addresses.of("file:///site", {}), AREA)
    with suppress(Invalid):
        path = "/site/" + "/".join(storage._path("/" + text))
        assert os.path.normpath(path) == path
        assert path.startswith("/site/")


@pytest.mark.parametrize(
    "rules",
    [
        {"rules": "x"},
        {"rules": [["a"]]},
        {"rules": [["(", "x"]]},
        {"rules": [["(?=/store)(.*)", "{0}"]]},
        {"rules": [["a", "{0}"]]},
        {"rules": [["a", "b"]] * 9},
        {"other": []},
    ],
)
def test_rules_that_cannot_work_are_refused(rules):
    with pytest.raises(Invalid):
        Storages(AREA).check("file:///site", rules)


@pytest.mark.parametrize(
    "url", ["", "/site", "ftp://x/site", "file:site", "file://host/site", "file:///a?b"]
)
def test_endpoints_that_nobody_can_speak_to_are_refused(url: str):
    with pytest.raises(Invalid):
        Storages(AREA).check(url, {})


def test_a_name_does_not_make_a_rule_try_every_way_to_read_it():
    """With twenty letters more, an engine that tries all takes a million times as long."""
    addresses = Addresses.of("file:///site", {"rules": [["(/([a-z]+)+)+x", "file:///site{0}"]]})
    with pytest.raises(Invalid):
        addresses.pfn("/" + "a" * 250)


def test_rules_that_lead_out_of_the_root_are_an_error(root):
    storage = Storages(AREA).at(f"file://{root}", {"rules": [["(.*)", "file:///etc{0}"]]})
    with pytest.raises(StorageError):
        storage.stat(LFN)


def test_a_site_has_one_storage_until_its_endpoint_changes():
    storages = Storages(AREA)
    assert storages.at("file:///a", {}) is storages.at("file:///a", {})
    assert storages.at("file:///a", {}) is not storages.at("file:///b", {})
    assert storages.pfn("file:///a/", {}, LFN) == f"file:///a{LFN}"


def test_temporary_names_cannot_be_guessed():
    from dynamo.storage import temporary_names  # noqa: PLC0415

    names = {temporary_names.own(AREA, 1, 1) for _ in itertools.repeat(None, 20)}
    assert len(names) == 20
    assert all(temporary_names.is_own(name, AREA) for name in names)
    assert temporary_names.is_own(temporary_names.adopted(AREA, UPLOAD), AREA)
    assert temporary_names.is_temporary(temporary_names.upload(AREA, "alice", 7), AREA)
