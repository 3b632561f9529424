"""What is known about each reason."""

import msgspec
import pytest

from dynamo.client import client
from dynamo.reasons import (
    NOTHING_UPLOADED,
    RECORDS,
    REFUSED_BY_STORAGE,
    REFUSED_THERE,
    Again,
    Blame,
    Mover,
    Reason,
    blamed_on,
    words,
)

STATUSES = {400, 401, 403, 404, 409, 413, 422, 500, 503, 507}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_a_status_and_somebody_whose_move_it_is(reason: Reason) -> None:
    assert reason.words
    assert reason.words[0].islower() or reason.words.startswith("Dynamo")
    assert reason.status in STATUSES
    assert reason.mover in Mover
    assert reason.name == reason.value.upper().replace("-", "_")


def test_there_is_one_record_for_each_reason() -> None:
    assert list(RECORDS) == list(Reason)
    assert len({record.words for record in RECORDS.values()}) == len(RECORDS)


def test_what_the_caller_must_change_is_not_worth_the_same_call_again() -> None:
    for reason in Reason:
        if reason.mover is Mover.CALLER and reason.status < 500 and reason.again is Again.SOON:
            assert not reason.retryable or reason is Reason.BOOKING_EXPIRED
        if reason.status == 503:
            assert reason.retryable


def test_one_bad_file_blames_no_site() -> None:
    for reason in ("source-missing", "checksum-mismatch", "storage-full", "no-source"):
        assert Reason(reason).blame is None
    assert Reason.QUEUE_TIMEOUT.blame is Blame.DESTINATION
    assert blamed_on(Blame.SOURCE) == {Reason.SOURCE_ERROR}


def test_what_a_storage_refuses_is_refused_there() -> None:
    assert blamed_on(Blame.DESTINATION) < REFUSED_BY_STORAGE < REFUSED_THERE
    assert not NOTHING_UPLOADED & REFUSED_THERE


def test_a_reason_of_a_newer_version_speaks_for_itself() -> None:
    assert Reason.known("not-invented-yet") is None
    assert words("not-invented-yet") == "not-invented-yet"
    assert words("storage-full") == "the storage is full"
    assert words(None) == ""


def test_a_reason_is_its_word_on_the_wire_and_in_rows() -> None:
    assert msgspec.json.encode({"reason": Reason.LAST_COPY}) == b'{"reason":"last-copy"}'
    assert f"{Reason.LAST_COPY}" == "last-copy"
    assert {"last-copy": 1}[Reason.LAST_COPY] == 1


def test_the_client_of_jobs_speaks_of_the_same_reasons() -> None:
    own = set(client.OWN_REASONS)

    assert not own & set(Reason)
    assert set(client.CMS_CODES) - own <= set(Reason)
    assert set(Reason) >= client.REFUSALS
