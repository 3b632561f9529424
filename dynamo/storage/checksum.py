"""Adler-32 of streams, computed while their bytes pass."""

import zlib
from collections.abc import Callable

from dynamo.reasons import Reason
from dynamo.storage.errno_reasons import storage_error
from dynamo.storage.protocol import Copied, Readable, StorageError, Writable
from dynamo.units import adler32_text

CHUNK = 4 * 2**20
"""Bytes per read: larger is not faster, smaller costs calls."""


def adler32_of(stream: Readable, size: int | None = None) -> Copied:
    """Return length and checksum of a stream of about this size. Raises StorageError."""
    buffer = memoryview(bytearray(CHUNK if size is None else min(CHUNK, size + 1)))
    size, value = 0, 1
    while count := _read(stream, buffer):
        value = zlib.adler32(buffer[:count], value)
        size += count
    return Copied(size, adler32_text(value))


def pour(
    source: Readable, target: Writable, alive: Callable[[], None], limit: int | None
) -> Copied:
    """Copy a stream and return length and checksum; stop beyond `limit`. Raises StorageError."""
    buffer = memoryview(bytearray(CHUNK if limit is None else min(CHUNK, limit + 1)))
    size, value = 0, 1
    while count := _read(source, buffer):
        value = zlib.adler32(buffer[:count], value)
        size += count
        _write(target, buffer[:count])
        if limit is not None and size > limit:
            break
        alive()
    return Copied(size, adler32_text(value))


def _read(stream: Readable, buffer: memoryview) -> int:
    try:
        return stream.readinto(buffer) or 0
    except OSError as error:
        raise storage_error(error, Reason.SOURCE_ERROR) from error


def _write(target: Writable, data: memoryview) -> None:
    try:
        while data:
            count = target.write(data) or 0
            if count <= 0:
                raise StorageError(Reason.DESTINATION_ERROR, "the destination takes no more bytes")
            data = data[count:]
    except OSError as error:
        raise storage_error(error, Reason.DESTINATION_ERROR) from error
