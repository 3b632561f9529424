"""What error texts mean, and what is done about it."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from dynamo.operations.failures import classify
from dynamo.operations.lifecycle import Patience, State, after_failure
from dynamo.reasons import Again, Reason

NOW = datetime(2026, 11, 22, tzinfo=UTC)

SAID = {
    # what storages and transfer services of the field write
    (
        "destination-error",
        "TRANSFER globus_ftp: 451 No space left on device",
    ): "storage-full",
    ("destination-error", "SRM_NO_FREE_SPACE: no room"): "storage-full",
    ("destination-error", "HTTP 507 Insufficient Storage"): "storage-full",
    ("transfer-error", "USER_DEFINE and SRC CHECKSUM MISMATCH 1 2"): "checksum-mismatch",
    ("transfer-error", "checksum do not match"): "checksum-mismatch",
    ("source-error", "open/create: No such file or directory"): "source-missing",
    ("source-error", "HTTP 404 Not Found"): "source-missing",
    ("destination-error", "no such file or directory"): "destination-error",
    ("destination-error", "The certificate has expired: Credential"): "permission-denied",
    ("destination-error", "SRM_AUTHORIZATION_FAILURE"): "permission-denied",
    ("destination-error", "Connection timed out"): "queue-timeout",
    ("transfer-error", "Operation timed out"): "queue-timeout",
    ("source-error", "Operation timed out"): "source-error",
    # a source that refuses us must not blame the destination
    ("source-error", "Permission denied"): "source-error",
    ("source-error", "No space left on device"): "source-error",
    # what is said exactly stands, whatever the text
    ("quota-exceeded", "no such file"): "quota-exceeded",
    ("destination-error", "something else"): "destination-error",
}


@pytest.mark.parametrize(("told", "meant"), SAID.items(), ids=lambda one: str(one)[:40])
def test_a_text_says_more_than_a_vague_reason(told: tuple[str, str], meant: str) -> None:
    reason, text = told

    assert classify(Reason(reason), text) is Reason(meant)


@pytest.mark.parametrize("reason", Reason)
def test_what_fails_is_tried_again_by_its_kind(reason: Reason) -> None:
    patience, draw = Patience(), random.Random(1)
    first = after_failure(reason, 1, NOW, patience, draw)
    last = after_failure(reason, patience.attempts, NOW, patience, draw)
    assert last.state is State.HELD
    if reason.again is Again.BY_HAND:
        assert (first.state, first.not_before) == (State.HELD, None)
    elif reason.again is Again.DAILY:
        assert (first.state, first.not_before) == (State.HELD, NOW + patience.daily)
    else:
        assert first.state is State.QUEUED


def test_pauses_grow_with_jitter_and_have_an_end() -> None:
    patience, draw = Patience(), random.Random(7)
    for attempts in range(1, 40):
        whole = min(20 * 2 ** (attempts - 1), 3600)
        pauses = [patience.pause(attempts, draw).total_seconds() for _ in range(50)]
        assert whole / 2 <= min(pauses) < max(pauses) <= whole
    assert patience.pause(10**6, draw) <= timedelta(hours=1)
