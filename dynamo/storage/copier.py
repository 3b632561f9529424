"""A copy of a file: temporary name, checksum on the way, then into place; and uploads likewise."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from dynamo.points import Point, reached
from dynamo.storage.checksum import adler32_of, pour
from dynamo.storage.protocol import (
    Addressed,
    Copied,
    Expected,
    Fetching,
    Source,
    Storage,
    StorageError,
)
from dynamo.storage.temporary_names import adopted

Alive = Callable[[], None]
"""Raises where the lease is lost, so that a worker that was taken for dead changes nothing."""


def copy(
    source: Source, destination: Storage, temporary: str, lfn: str, expected: Expected, alive: Alive
) -> Copied:
    """Bring a file to a storage; what lies there already counts only if it is the right one.

    What the caller records afterwards is durable: when this returns, or, with
    `destination.batched()`, when that block has ended.
    """
    there = find(destination, lfn, expected)
    if there is not None:
        return there
    try:
        written = _bring(source, destination, temporary, expected, alive)
        reached(Point.WRITTEN)
        alive()
        _place(destination, temporary, lfn, written, expected)
    except BaseException as failed:
        if not getattr(failed, "unknown", False):  # what may be whole is for `resume` to judge
            with suppress(StorageError):  # the first failure is the one to tell
                destination.discard(temporary)
        raise
    return written


def resume(
    destination: Storage, earlier: Sequence[str], lfn: str, expected: Expected, alive: Alive
) -> Copied | None:
    """Go on with what attempts whose end nobody saw have left; None where it is of no use.

    So a copy that was finished while we waited in vain for its answer is not made a second time.
    """
    there = find(destination, lfn, expected)
    for temporary in earlier:
        whole = None if there is not None else _whole(destination, temporary, expected)
        if whole is None:
            destination.discard(temporary)
        else:
            alive()
            _place(destination, temporary, lfn, whole, expected)
            there = whole
    return there


def accept(
    destination: Storage, upload: str, lfn: str, expected: Expected, alive: Alive, area: str
) -> Copied:
    """Verify what a job has uploaded and put it into place.

    The upload is taken from the job before it is verified (`Storage.adopt`), so that what was
    summed up is what stays. A wrong one is given back under its temporary name: the job may still
    mend it, and the booking's end discards it. A repetition after a crash goes on where the first
    stopped.
    """
    own = adopted(area, upload)
    there = find(destination, lfn, expected)
    if there is not None:
        alive()
        for needless in (upload, own):
            destination.discard(needless)
        return there
    if destination.stat(own) is None:
        _look_before(destination, upload, expected)
    destination.adopt(upload, own)
    reached(Point.ADOPTED)
    found = destination.stat(own)
    if found is None:
        raise StorageError("not-uploaded", f"{upload} vanished while it was verified")
    result = Copied(found.size, destination.adler32(own))
    if not expected.fits(result.size, result.adler32):
        # a server may tell of the bytes of a moment ago: count them before the job is blamed
        with destination.read(own) as stream:
            result = adler32_of(stream)
    if not expected.fits(result.size, result.adler32):
        destination.give_back(own, upload)
        raise _mismatch("the upload", expected, result, corrupt_source=True)
    alive()
    _place(destination, own, lfn, result, expected)
    return result


def find(destination: Storage, lfn: str, expected: Expected) -> Copied | None:
    """Return what lies in a file's place if it has the right size and checksum, made durable.

    Raises StorageError where something else lies there that is not Dynamo's.
    """
    there = _whole(destination, lfn, expected)
    if there is not None:
        destination.persist(lfn)
    elif not expected.ours and (found := destination.stat(lfn)) is not None:
        raise StorageError(
            "name-conflict",
            f"another file of {found.size} bytes lies at {lfn}, which Dynamo has not written:"
            " move it away, and the copy goes on by itself",
        )
    return there


def _whole(destination: Storage, name: str, expected: Expected) -> Copied | None:
    """Return what lies under a name if it has the right size and checksum."""
    found = destination.stat(name)
    if found is None or not expected.is_known or found.size != expected.size:
        return None
    there = Copied(found.size, destination.adler32(name))
    return there if expected.fits(there.size, there.adler32) else None


def _place(
    destination: Storage, temporary: str, lfn: str, written: Copied, expected: Expected
) -> None:
    """Rename; a failure may hide a success, as when an answer got lost on its way."""
    if not expected.ours and find(destination, lfn, expected) is not None:
        destination.discard(temporary)
        return
    try:
        destination.rename(temporary, lfn)
    except StorageError as failed:
        try:
            there = find(destination, lfn, Expected(written.size, written.adler32))
        except StorageError:
            there = None
        if there is None:
            raise failed from None
    reached(Point.PLACED)


def _bring(
    source: Source, destination: Storage, temporary: str, expected: Expected, alive: Alive
) -> Copied:
    """Bring the bytes under a temporary name, by the servers themselves or through us."""
    if _fetched(source, destination, temporary, expected, alive):
        whole = _whole(destination, temporary, expected)
        if whole is not None:
            return whole
        destination.discard(temporary)  # whose fault it is shows when the bytes pass through us
    written = _stream(source, destination, temporary, expected, alive)
    _verify(destination, temporary, written)
    return written


def _fetched(
    source: Source, destination: Storage, temporary: str, expected: Expected, alive: Alive
) -> bool:
    return (
        isinstance(source, Addressed)
        and isinstance(destination, Fetching)
        and destination.fetch(source.address(), temporary, expected.size, alive)
    )


def _stream(
    source: Source, destination: Storage, temporary: str, expected: Expected, alive: Alive
) -> Copied:
    with source.read() as stream, destination.write(temporary) as target:
        written = pour(stream, target, alive, expected.size)
    if not expected.fits(written.size, written.adler32):
        raise _mismatch(
            "the source", expected, written, corrupt_source=_was_read(source, written, expected)
        )
    return written


def _was_read(source: Source, read: Copied, expected: Expected) -> bool:
    """Tell whether the source was read to its end: it is wrong, not only cut short on the way."""
    try:
        known = source.stat()
    except StorageError:
        return False
    longer = expected.size is not None and read.size > expected.size
    return longer or (known is not None and known.size == read.size)


def _verify(destination: Storage, temporary: str, written: Copied) -> None:
    there = destination.arrived(temporary, written)
    if there != written:
        found = "nothing" if there is None else f"{there.size} bytes, adler32 {there.adler32},"
        raise StorageError(
            "checksum-mismatch",
            f"{written.size} bytes, adler32 {written.adler32}, were written; {found} arrived",
        )


def _look_before(destination: Storage, upload: str, expected: Expected) -> None:
    found = destination.stat(upload)
    if found is None:
        raise StorageError("not-uploaded", f"nothing lies at {upload} yet")
    if expected.size is not None and found.size != expected.size:
        raise StorageError(
            "checksum-mismatch",
            f"the upload has {found.size} bytes, {expected.size} were announced",
        )


def _mismatch(
    what: str, expected: Expected, found: Copied, *, corrupt_source: bool
) -> StorageError:
    size = "any" if expected.size is None else expected.size
    text = (
        f"{what} has {found.size} bytes, adler32 {found.adler32};"
        f" the catalogue says {size} bytes, adler32 {expected.adler32 or 'any'}"
    )
    return StorageError("checksum-mismatch", text, corrupt_source=corrupt_source)
