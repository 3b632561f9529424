"""Reads files on web servers: http, https and davs."""

import contextlib
import email.utils
import http.client
import re
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dynamo.errors import Forbidden
from dynamo.reasons import Reason
from dynamo.storage.checksum import adler32_of
from dynamo.storage.errno_reasons import storage_error
from dynamo.storage.http.addresses import Address, allow, resolve, shown
from dynamo.storage.protocol import Stat, StorageError

TIMEOUT = 60.0
"""Seconds without an answer of the server."""

MAX_REDIRECTS = 5
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_REASONS = {
    401: Reason.PERMISSION_DENIED,
    403: Reason.PERMISSION_DENIED,
    404: Reason.SOURCE_MISSING,
    410: Reason.SOURCE_MISSING,
}


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file on a web server."""

    address: Address
    allowed: tuple[str, ...]

    def stat(self) -> Stat | None:
        """Return the metadata from the headers. Raises StorageError without a size."""
        with _answer("HEAD", self.address, self.allowed) as answer:
            if answer.status in {404, 410}:
                return None
            _check_status(answer, self.address)
            return Stat(_length(answer), _modified(answer))

    def adler32(self) -> str:
        """Return the checksum, by reading the file."""
        with self.read() as stream:
            return adler32_of(stream).adler32

    @contextlib.contextmanager
    def read(self) -> Iterator["_Body"]:
        """Open the file; fewer bytes than announced end the stream with an error."""
        with _answer("GET", self.address, self.allowed) as answer:
            _check_status(answer, self.address)
            yield _Body(answer, _length(answer))


class _Body:
    """The bytes of a response."""

    def __init__(self, answer: http.client.HTTPResponse, length: int) -> None:
        self._answer = answer
        self._missing = length

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with available bytes."""
        try:
            count = self._answer.readinto(buffer)
        except http.client.HTTPException as error:
            raise StorageError(Reason.SOURCE_ERROR, "the server broke off") from error
        self._missing -= count
        if not count and self._missing > 0:
            raise StorageError(
                Reason.SOURCE_ERROR, f"the server broke off, {self._missing} bytes are missing"
            )
        return count


@contextlib.contextmanager
def _answer(
    method: str, address: Address, allowed: Sequence[str]
) -> Iterator[http.client.HTTPResponse]:
    """Send a request and follow redirects to allowed addresses."""
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_REDIRECTS):
            answer = stack.enter_context(_asked(method, address))
            place = answer.getheader("Location")
            if answer.status not in {301, 302, 303, 307, 308} or place is None:
                yield answer
                return
            scheme = "https" if address.scheme == "davs" else address.scheme
            base = f"{scheme}://{shown(address.host)}:{address.port}{address.target}"
            with _network():
                address = _next(urllib.parse.urljoin(base, place), address, allowed)
        raise StorageError(
            Reason.SOURCE_ERROR,
            f"the server of the source redirects more than {MAX_REDIRECTS} times",
        )


def _next(url: str, last: Address, allowed: Sequence[str]) -> Address:
    """Return the address of a redirect; never from an encrypted to an open one."""
    parts = urllib.parse.urlsplit(url)
    if last.scheme in {"https", "davs"} and parts.scheme == "http":
        raise Forbidden("the source redirects from https to http", Reason.SOURCE_NOT_ALLOWED)
    for scheme in {last.scheme, parts.scheme} if parts.scheme == "https" else {parts.scheme}:
        with contextlib.suppress(Forbidden):
            return allow(parts._replace(scheme=scheme).geturl(), allowed)
    return allow(url, allowed)


@contextlib.contextmanager
def _asked(method: str, address: Address) -> Iterator[http.client.HTTPResponse]:
    connection = _connection(address)
    try:
        with _network():
            connection.request(method, address.target, headers={"Accept-Encoding": "identity"})
            answer = connection.getresponse()
        yield answer
    finally:
        connection.close()


@contextlib.contextmanager
def _network() -> Iterator[None]:
    try:
        yield
    except http.client.HTTPException as error:
        raise StorageError(
            Reason.SOURCE_ERROR, f"the server of the source does not speak HTTP: {error}"
        ) from error
    except OSError as error:
        raise storage_error(error, Reason.SOURCE_ERROR, "the server of the source") from error
    except ValueError as error:
        raise StorageError(
            Reason.SOURCE_ERROR, f"the source has an odd address: {error}"
        ) from error


def _connection(address: Address) -> http.client.HTTPConnection:
    with _network():
        opened = socket.create_connection((resolve(address), address.port), timeout=TIMEOUT)
        if address.scheme != "http":
            opened = ssl.create_default_context().wrap_socket(opened, server_hostname=address.host)
    connection = http.client.HTTPConnection(shown(address.host), address.port, timeout=TIMEOUT)
    connection.sock = opened
    return connection


def _check_status(answer: http.client.HTTPResponse, address: Address) -> None:
    if answer.status != 200:
        reason = _REASONS.get(answer.status, Reason.SOURCE_ERROR)
        raise StorageError(reason, f"{address.host} answers {answer.status} {answer.reason}")


def _length(answer: http.client.HTTPResponse) -> int:
    text = answer.getheader("Content-Length") or ""
    if not _SIZE.fullmatch(text):
        raise StorageError(
            Reason.SOURCE_ERROR, "the server of the source does not tell the size of the file"
        )
    return int(text)


def _modified(answer: http.client.HTTPResponse) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(
            answer.getheader("Last-Modified") or ""
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
