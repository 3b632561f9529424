"""Copies a file under a temporary name, with the checksum on the way, then renames it."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from dynamo.points import Point, reached
from dynamo.reasons import Reason
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
"""Raises when the lease is lost, so that a worker taken for dead changes nothing."""


def copy(
    source: Source, destination: Storage, temporary: str, lfn: str, expected: Expected, alive: Alive
) -> Copied:
    """Copy a file to a storage, unless the right file is there already.

    The result is durable when this returns, or, with `destination.batched()`, when that block ends.
    """
    present = find(destination, lfn, expected)
    if present is not None:
        return present
    try:
        written = _bring(source, destination, temporary, expected, alive)
        reached(Point.WRITTEN)
        alive()
        _place(destination, temporary, lfn, written, expected)
    except BaseException as error:
        if not getattr(error, "unknown", False):  # `resume` decides about a file that may be whole
            with suppress(StorageError):  # report the first failure
                destination.discard(temporary)
        raise
    return written


def resume(
    destination: Storage, earlier: Sequence[str], lfn: str, expected: Expected, alive: Alive
) -> Copied | None:
    """Finish an earlier attempt whose end is unknown; return None if nothing of it is usable.

    So a copy that finished while its answer was lost is not made a second time.
    """
    present = find(destination, lfn, expected)
    for temporary in earlier:
        whole = None if present is not None else _whole(destination, temporary, expected)
        if whole is None:
            destination.discard(temporary)
        else:
            alive()
            _place(destination, temporary, lfn, whole, expected)
            present = whole
    return present


def accept(
    destination: Storage, upload: str, lfn: str, expected: Expected, alive: Alive, area: str
) -> Copied:
    """Verify a job's upload and rename it to its final name.

    The upload is taken from the job before it is verified (`Storage.adopt`), so that the verified
    bytes are the final ones. A wrong upload is given back under its temporary name: the job may
    still repair it, and the end of the booking discards it. A repetition after a crash continues
    where the first attempt stopped.
    """
    own_name = adopted(area, upload)
    present = find(destination, lfn, expected)
    if present is not None:
        alive()
        for needless in (upload, own_name):
            destination.discard(needless)
        return present
    if destination.stat(own_name) is None:
        _look_before(destination, upload, expected)
    destination.adopt(upload, own_name)
    reached(Point.ADOPTED)
    adopted_stat = destination.stat(own_name)
    if adopted_stat is None:
        raise StorageError(Reason.NOT_UPLOADED, f"{upload} vanished while it was verified")
    result = Copied(adopted_stat.size, destination.adler32(own_name))
    if not expected.fits(result.size, result.adler32):
        # a server may report the bytes of a moment ago: read them before blaming the job
        with destination.read(own_name) as stream:
            result = adler32_of(stream)
    if not expected.fits(result.size, result.adler32):
        destination.give_back(own_name, upload)
        raise _mismatch("the upload", expected, result, corrupt_source=True)
    alive()
    _place(destination, own_name, lfn, result, expected)
    return result


def find(destination: Storage, lfn: str, expected: Expected) -> Copied | None:
    """Return the file at a name if it has the right size and checksum, made durable.

    Raises StorageError if another file is there that Dynamo did not write.
    """
    present = _whole(destination, lfn, expected)
    if present is not None:
        destination.persist(lfn)
    elif not expected.ours and (other := destination.stat(lfn)) is not None:
        raise StorageError(
            Reason.NAME_CONFLICT,
            f"another file of {other.size} bytes lies at {lfn}, which Dynamo has not written:"
            " move it away, and the copy goes on by itself",
        )
    return present


def _whole(destination: Storage, name: str, expected: Expected) -> Copied | None:
    """Return the file at a name if it has the right size and checksum."""
    known = destination.stat(name)
    if known is None or not expected.is_known or known.size != expected.size:
        return None
    present = Copied(known.size, destination.adler32(name))
    return present if expected.fits(present.size, present.adler32) else None


def _place(
    destination: Storage, temporary: str, lfn: str, written: Copied, expected: Expected
) -> None:
    """Rename; a failure may hide a success whose answer was lost."""
    if not expected.ours and find(destination, lfn, expected) is not None:
        destination.discard(temporary)
        return
    try:
        destination.rename(temporary, lfn)
    except StorageError as error:
        try:
            present = find(destination, lfn, Expected(written.size, written.adler32))
        except StorageError:
            present = None
        if present is None:
            raise error from None
    reached(Point.PLACED)


def _bring(
    source: Source, destination: Storage, temporary: str, expected: Expected, alive: Alive
) -> Copied:
    """Copy the bytes to a temporary name, by the servers themselves or through the worker."""
    if _fetched(source, destination, temporary, expected, alive):
        whole = _whole(destination, temporary, expected)
        if whole is not None:
            return whole
        destination.discard(temporary)  # streaming through the worker shows which side fails
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
    """Return whether the source was read completely, so that its bytes are wrong, not cut short."""
    try:
        known = source.stat()
    except StorageError:
        return False
    longer = expected.size is not None and read.size > expected.size
    return longer or (known is not None and known.size == read.size)


def _verify(destination: Storage, temporary: str, written: Copied) -> None:
    present = destination.arrived(temporary, written)
    if present != written:
        arrival = (
            "nothing" if present is None else f"{present.size} bytes, adler32 {present.adler32},"
        )
        raise StorageError(
            Reason.CHECKSUM_MISMATCH,
            f"{written.size} bytes, adler32 {written.adler32}, were written; {arrival} arrived",
        )


def _look_before(destination: Storage, upload: str, expected: Expected) -> None:
    known = destination.stat(upload)
    if known is None:
        raise StorageError(Reason.NOT_UPLOADED, f"nothing lies at {upload} yet")
    if expected.size is not None and known.size != expected.size:
        raise StorageError(
            Reason.CHECKSUM_MISMATCH,
            f"the upload has {known.size} bytes, {expected.size} were announced",
        )


def _mismatch(
    subject: str, expected: Expected, actual: Copied, *, corrupt_source: bool
) -> StorageError:
    size = "any" if expected.size is None else expected.size
    text = (
        f"{subject} has {actual.size} bytes, adler32 {actual.adler32};"
        f" the catalogue says {size} bytes, adler32 {expected.adler32 or 'any'}"
    )
    return StorageError(Reason.CHECKSUM_MISMATCH, text, corrupt_source=corrupt_source)
