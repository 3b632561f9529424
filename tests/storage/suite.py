"""What every storage must do; each backend inherits it and gives `storage`, `plant` and `look`."""

import hashlib
import io
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from dynamo.errors import Invalid
from dynamo.storage.copier import accept, copy
from dynamo.storage.protocol import Copied, Expected, Stat, Storage, StorageError

AREA = "/store/temp/dynamo"
LFN = "/store/user/dynamo/alice/run1/out_1.root"
UPLOAD = f"{AREA}/alice/7.deadbeef"
OWN = f"{AREA}/.copies/7.1.cafe"

HOSTILE = [
    "",
    "/",
    "//",
    "store/x",
    "/store/../../etc/passwd",
    "/store/./x",
    "/store//x",
    "/store/x/",
    "/store/..",
    "/../x",
    "/store/.hidden",
    "/store/%2e%2e/x",
    "/store/x\n",
    "/store/x\0y",
    "/store/a b",
    "/store/\u202ex",
    "/store/\uff0e\uff0e/x",
    "/store/x;rm",
    "/store/~root",
    "/store/-rf",
    "/" + "a" * 256,
    "/store/" + "a/" * 250 + "x",
    "C:\\x",
    "/store\\..\\x",
    "file:///etc/passwd",
    f"{AREA}/../../../etc/passwd",
    f"{AREA}/.copies/../../x",
    f"{AREA}/.copies/x/y",
    f"{AREA}/.copies/..",
    f"{AREA}/.other/x",
]


def adler32(data: bytes) -> str:
    return f"{zlib.adler32(data):08x}"


def expected(data: bytes) -> Expected:
    return Expected(len(data), adler32(data))


def some_bytes(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)


def nobody(_names: Sequence[str]) -> Sequence[str]:
    """Nobody needs any of them."""
    return ()


def alive() -> None:
    """The lease holds."""


class Lost(Exception):
    """The lease is lost."""


def lost_at(call: int) -> Callable[[], None]:
    """Lose the lease at the n-th look."""
    calls = iter(range(1, 10**9))

    def look() -> None:
        if next(calls) >= call:
            raise Lost

    return look


class Bytes:
    """A source in memory, for what a real one does not do on demand."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data = data
        self.size = len(data) if size is None else size

    def stat(self) -> Stat:
        return Stat(self.size, None)

    def adler32(self) -> str:
        return adler32(self.data)

    def read(self) -> io.BytesIO:
        return io.BytesIO(self.data)


class Broken(Bytes):
    """A source that fails in the middle."""

    class _Stream(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().readinto(buffer[: len(buffer) // 2])

    def read(self) -> io.BytesIO:
        return self._Stream(self.data)


class StorageContract:
    """Inherit and give the fixtures `storage`, `plant(name, data)` and `look() -> {name: data}`."""

    # --- single calls --------------------------------------------------------------------------

    def test_what_was_written_under_a_temporary_name_is_read_under_its_own_after_the_rename(
        self, storage: Storage
    ):
        with storage.write(OWN) as target:
            target.write(memoryview(b"abc"))
        assert storage.stat(LFN) is None
        storage.rename(OWN, LFN)

        with storage.read(LFN) as stream:
            buffer = bytearray(10)
            assert stream.readinto(memoryview(buffer)) == 3
        assert buffer[:3] == b"abc"
        assert storage.stat(OWN) is None

    def test_stat_tells_size_and_age(self, storage: Storage, plant):
        plant(LFN, b"12345")
        found = storage.stat(LFN)
        assert found is not None
        assert found.size == 5
        assert found.modified is not None
        assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)

    def test_a_checksum_keeps_its_leading_zeros(self, storage: Storage, plant):
        plant(LFN, b"")
        assert storage.adler32(LFN) == "00000001"

    def test_reading_what_is_not_there_says_so(self, storage: Storage):
        with pytest.raises(StorageError) as refused, storage.read(LFN):
            pass
        assert refused.value.reason == "source-missing"

    def test_deleting_twice_is_success_twice_and_tells_them_apart(self, storage, plant, look):
        plant(LFN, b"x")
        assert storage.delete(LFN) is True
        assert storage.delete(LFN) is False
        assert look() == {}

    def test_a_temporary_name_that_exists_is_not_written_again(self, storage, plant, look):
        plant(OWN, b"old")
        with pytest.raises(StorageError), storage.write(OWN) as target:
            target.write(memoryview(b"new"))
        assert look() == {OWN: b"old"}

    def test_a_rename_replaces_what_lies_there(self, storage, plant, look):
        plant(LFN, b"old")
        plant(OWN, b"new")
        storage.rename(OWN, LFN)
        assert look() == {LFN: b"new"}

    def test_a_rename_of_nothing_fails_and_changes_nothing(self, storage, plant, look):
        plant(LFN, b"old")
        with pytest.raises(StorageError):
            storage.rename(OWN, LFN)
        assert look() == {LFN: b"old"}

    def test_discard_removes_temporaries_and_refuses_all_other_names(self, storage, plant, look):
        for name in (LFN, OWN, UPLOAD):
            plant(name, b"x")
        storage.discard(OWN)
        storage.discard(OWN)
        storage.discard(UPLOAD)
        for name in (LFN, "/store/temp/dynamoX/y", AREA, *HOSTILE):
            with pytest.raises(Invalid):
                storage.discard(name)
        assert look() == {LFN: b"x"}

    def test_delete_and_rename_refuse_names_in_the_incoming_area(self, storage, plant, look):
        plant(UPLOAD, b"x")
        with pytest.raises(Invalid):
            storage.delete(UPLOAD)
        with pytest.raises(Invalid):
            storage.rename(UPLOAD, f"{AREA}/alice/other")
        assert look() == {UPLOAD: b"x"}

    @pytest.mark.parametrize("name", HOSTILE)
    def test_no_call_takes_a_hostile_name(self, storage: Storage, plant, look, name: str):
        plant(OWN, b"x")
        calls: list[Callable[[], object]] = [
            lambda: storage.stat(name),
            lambda: storage.adler32(name),
            lambda: storage.read(name).__enter__(),
            lambda: storage.write(name).__enter__(),
            lambda: storage.rename(OWN, name),
            lambda: storage.rename(name, LFN),
            lambda: storage.delete(name),
            lambda: storage.discard(name),
            lambda: storage.prepare(name),
            lambda: storage.adopt(name, OWN),
            lambda: storage.persist(name),
            lambda: storage.listing(name),
            lambda: storage.move(name, LFN),
            lambda: storage.move(LFN, name),
        ]
        for call in calls:
            with pytest.raises(Invalid):
                call()
        assert look() == {OWN: b"x"}

    def test_a_listing_shows_every_file_and_says_that_it_is_complete(self, storage, plant):
        plant("/store/a/1", b"x")
        plant("/store/a/b/2", b"xy")
        plant("/store/c/3", b"")
        folders = list(storage.listing("/store"))
        assert all(folder.complete for folder in folders)
        found = {entry.lfn: entry.size for folder in folders for entry in folder.entries}
        assert found == {"/store/a/1": 1, "/store/a/b/2": 2, "/store/c/3": 0}
        # each folder that another one names follows, so that a listing cut short is found out
        named = {f"{folder.path}/{name}" for folder in folders for name in folder.below}
        assert {folder.path for folder in folders} == {"/store", *named}
        assert named == {"/store/a", "/store/a/b", "/store/c"}

    def test_a_listing_of_a_missing_area_is_not_complete(self, storage: Storage, plant):
        plant("/store/a/1", b"x")
        assert [folder.complete for folder in storage.listing("/store/none")] == [False]

    def test_cleaning_removes_only_old_temporaries(self, storage: Storage, plant, look):
        plant(OWN, b"x")
        plant(UPLOAD, b"y")
        now = datetime.now(UTC)
        assert storage.clean(AREA, now - timedelta(hours=1), nobody) == 0
        assert storage.clean(AREA, now + timedelta(hours=1), lambda _names: [UPLOAD]) == 1
        assert look() == {UPLOAD: b"y"}
        assert storage.clean(AREA, now + timedelta(hours=1), nobody) == 1
        assert look() == {}

    def test_a_move_keeps_the_file_and_replaces_none(self, storage: Storage, plant, look):
        aside = "/store/user/dynamo-quarantine/7/out_1.root"
        plant(LFN, b"mine")
        storage.move(LFN, aside)
        assert look() == {aside: b"mine"}
        storage.move(LFN, aside)  # its worker died before it could say so
        plant(LFN, b"new")
        with pytest.raises(StorageError):
            storage.move(aside, LFN)
        assert look() == {aside: b"mine", LFN: b"new"}
        with pytest.raises(StorageError):
            storage.move("/store/none", "/store/other")

    def test_free_space_is_a_number_or_unknown(self, storage: Storage):
        free = storage.free()
        assert free is None or free > 0

    # --- copies --------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "size", [0, 1, 1000, 4 * 2**20 - 1, 4 * 2**20, 4 * 2**20 + 1, 9 * 10**6]
    )
    def test_a_copy_arrives_whole_and_alone(self, storage: Storage, look, size: int):
        data = some_bytes(size)
        result = copy(Bytes(data), storage, OWN, LFN, expected(data), alive)
        assert result == Copied(size, adler32(data))
        assert look() == {LFN: data}

    def test_a_copy_that_nothing_is_known_of_returns_what_it_saw(self, storage: Storage, look):
        result = copy(Bytes(b"abc"), storage, OWN, LFN, Expected(None, None), alive)
        assert result == Copied(3, adler32(b"abc"))
        assert look() == {LFN: b"abc"}

    def test_the_right_file_in_place_is_success_without_reading_the_source(self, storage, plant):
        plant(LFN, b"right")
        copy(Broken(b"right"), storage, OWN, LFN, expected(b"right"), alive)

    @pytest.mark.parametrize(
        "foreign", [b"", b"sho", b"wrong", b"right and longer", b"\0\0\0\0\0"],
        ids=["empty", "short", "same size", "long", "zeros"],
    )  # fmt: skip
    def test_a_foreign_file_in_place_is_replaced_never_trusted(self, storage, plant, look, foreign):
        plant(LFN, foreign)
        copy(Bytes(b"right"), storage, OWN, LFN, expected(b"right"), alive)
        assert look() == {LFN: b"right"}

    @pytest.mark.parametrize("foreign", [b"", b"wrong", b"right and longer"])
    def test_where_others_write_too_a_foreign_file_stops_the_copy_and_stays(
        self, storage, plant, look, foreign: bytes
    ):
        plant(LFN, foreign)
        wanted = Expected(5, adler32(b"right"), ours=False)
        with pytest.raises(StorageError) as failed:
            copy(Broken(b"right"), storage, OWN, LFN, wanted, alive)
        assert failed.value.reason == "name-conflict"
        assert look() == {LFN: foreign}

    @pytest.mark.parametrize("foreign", [b"wrong", b"right"])
    def test_where_others_write_too_a_file_that_comes_during_the_copy_stays(
        self, storage, plant, look, foreign: bytes
    ):
        wanted = Expected(5, adler32(b"right"), ours=False)
        calls = iter(range(1000))

        def planting() -> None:
            if next(calls) == 0:
                plant(LFN, foreign)

        with suppress(StorageError):
            copy(Bytes(b"right"), storage, OWN, LFN, wanted, planting)
        assert next(calls) > 1
        assert look() == {LFN: foreign}

    @pytest.mark.parametrize("data", [b"", b"righ", b"wrong", b"right!"])
    def test_a_corrupt_source_is_told_from_a_bad_destination(self, storage, look, data: bytes):
        with pytest.raises(StorageError) as failed:
            copy(Bytes(data), storage, OWN, LFN, expected(b"right"), alive)
        assert failed.value.reason == "checksum-mismatch"
        assert failed.value.corrupt_source
        assert look() == {}

    def test_a_source_cut_short_on_the_way_is_not_called_corrupt(self, storage, look):
        with pytest.raises(StorageError) as failed:
            copy(Bytes(b"rig", size=5), storage, OWN, LFN, expected(b"right"), alive)
        assert failed.value.reason == "checksum-mismatch"
        assert not failed.value.corrupt_source
        assert look() == {}

    def test_a_wrong_source_leaves_what_lies_at_the_destination(self, storage, plant, look):
        plant(LFN, b"other")
        with pytest.raises(StorageError):
            copy(Bytes(b"wrong"), storage, OWN, LFN, expected(b"right"), alive)
        assert look() == {LFN: b"other"}

    def test_a_source_that_fails_in_the_middle_leaves_nothing(self, storage: Storage, look):
        data = some_bytes(10_000)
        with pytest.raises(StorageError) as failed:
            copy(Broken(data), storage, OWN, LFN, expected(data), alive)
        assert failed.value.reason == "source-error"
        assert look() == {}

    @pytest.mark.parametrize("call", [1, 2, 3, 4])
    def test_a_lost_lease_stops_a_copy_before_its_rename(self, storage, plant, look, call: int):
        plant(LFN, b"other")
        data = some_bytes(9 * 10**6)  # three chunks and the look before the rename
        with pytest.raises(Lost):
            copy(Bytes(data), storage, OWN, LFN, expected(data), lost_at(call))
        assert look() == {LFN: b"other"}

    def test_a_batch_of_copies_is_there_when_it_ends(self, storage: Storage, look):
        names = [f"/store/user/dynamo/alice/{number}" for number in range(20)]
        with storage.batched() as there:
            for number, lfn in enumerate(names):
                copy(Bytes(b"x"), there, f"{OWN}{number}", lfn, expected(b"x"), alive)
        assert look() == dict.fromkeys(names, b"x")

    # --- uploads -------------------------------------------------------------------------------

    def test_a_right_upload_goes_into_its_place(self, storage: Storage, plant, look):
        plant(UPLOAD, b"right")
        result = accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert result == Copied(5, adler32(b"right"))
        assert look() == {LFN: b"right"}

    def test_accepting_again_after_the_rename_is_success(self, storage: Storage, plant, look):
        plant(UPLOAD, b"right")
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert look() == {LFN: b"right"}

    def test_accepting_goes_on_after_a_death_between_taking_and_renaming(
        self, storage, plant, look
    ):
        plant(UPLOAD, b"right")
        with pytest.raises(Lost):
            accept(storage, UPLOAD, LFN, expected(b"right"), lost_at(1), AREA)
        assert list(look().values()) == [b"right"]
        accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert look() == {LFN: b"right"}

    @pytest.mark.parametrize("data", [b"", b"sho", b"wrong", b"right and longer"])
    def test_a_wrong_upload_is_refused_and_stays_the_jobs(self, storage, plant, look, data: bytes):
        plant(UPLOAD, data)
        with pytest.raises(StorageError) as failed:
            accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert failed.value.reason == "checksum-mismatch"
        assert look() == {UPLOAD: data}

    def test_an_upload_that_has_not_come_yet_is_told(self, storage: Storage):
        with pytest.raises(StorageError) as failed:
            accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert failed.value.reason == "not-uploaded"

    def test_a_foreign_file_in_place_does_not_stand_for_a_missing_upload(
        self, storage, plant, look
    ):
        plant(LFN, b"wrong")
        with pytest.raises(StorageError) as failed:
            accept(storage, UPLOAD, LFN, expected(b"right"), alive, AREA)
        assert failed.value.reason == "not-uploaded"
        assert look() == {LFN: b"wrong"}
