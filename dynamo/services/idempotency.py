"""Idempotency: a repeated key of a caller gets the first answer while it is kept."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import UnitOfWork, Work, retried
from dynamo.db.tables import Answer
from dynamo.errors import Invalid
from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class Key:
    """The caller's key for a call, and a hash of the call's body."""

    key: str
    body_hash: bytes

    @classmethod
    def of(cls, key: str, call: str, body: bytes) -> "Key":
        """Return the key of a call (such as `POST /v1/injections`) with this body."""
        return cls(key, hashlib.blake2b(call.encode() + b"\n" + body, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Filed:
    """A request filed by a call, or by an earlier call with the same key."""

    request_id: int


F = TypeVar("F", bound=Filed)


@retried
def file_once(
    begin: UnitOfWork,
    caller: str,
    key: Key | None,
    file: Callable[[Work], F],
    before: Callable[[int], F],
) -> F:
    """File a request in one unit of work and return the result of `file`.

    A repeated key files nothing: `before` returns the result for the first request's id. Raises
    Invalid if the key was used with another body.
    """
    with begin() as work:
        if key is not None and (request_id := _find(work, caller, key)) is not None:
            return before(request_id)
        filed = file(work)
        if key is not None:
            _claim(work, caller, key, filed.request_id)
        return filed


def _find(work: Work, caller: str, key: Key) -> int | None:
    """Return the id of the key's first request, or None. Raises Invalid for another body."""
    row = work.row(
        select(Answer.body_hash, Answer.request_id).where(
            Answer.caller == caller, Answer.key == key.key
        )
    )
    if row is None:
        return None
    body_hash, request_id = row
    if body_hash != key.body_hash:
        raise Invalid(
            "this Idempotency-Key was used with another body; take a new one",
            Reason.IDEMPOTENCY_CONFLICT,
        )
    return request_id


def _claim(work: Work, caller: str, key: Key, request_id: int) -> None:
    """Record the request of the key; a caller that loses the race runs again and finds it."""
    work.add(
        Answer,
        caller=caller,
        key=key.key,
        body_hash=key.body_hash,
        request_id=request_id,
        answer=b"",
        created=work.now,
    )


@retried
def keep(begin: UnitOfWork, caller: str, key: Key, answer: bytes) -> None:
    """Keep the first answer for repeated calls."""
    with begin() as work:
        unanswered = (Answer.caller == caller, Answer.key == key.key, Answer.answer == b"")
        work.changed(update(Answer).where(*unanswered).values(answer=zlib.compress(answer)))


def kept(begin: UnitOfWork, caller: str, key: Key) -> bytes | None:
    """Return the first answer to this key, or None. Raises Invalid for another body."""
    with begin.reading() as work:
        if _find(work, caller, key) is None:
            return None
        row = work.scalar(
            select(Answer.answer).where(Answer.caller == caller, Answer.key == key.key)
        )
        return zlib.decompress(row) if row else None
