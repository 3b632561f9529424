"""Reading what lies on a web server: http, https and davs.

The addresses of a host are looked up once, judged, and then connected to, so that a name cannot
stand for a harmless address when it is judged and for an inner one when it is read.
"""

import contextlib
import email.utils
import fnmatch
import http.client
import ipaddress
import re
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dynamo.errors import Forbidden
from dynamo.storage.checksum import adler32_of
from dynamo.storage.protocol import Stat, StorageError
from dynamo.storage.reasons import storage_error

TIMEOUT = 60.0
"""Longest silence of a server in seconds."""

MAX_REDIRECTS = 5
_LABEL = r"[a-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\]", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_FREE = 1024
PORTS = {"http": 80, "https": 443, "davs": 443}
_REASONS = {
    401: "permission-denied",
    403: "permission-denied",
    404: "source-missing",
    410: "source-missing",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that may be read; `named` where its host is on the list by its own name."""

    scheme: str
    host: str
    port: int
    target: str
    named: bool


def allow(url: str, allowed: Sequence[str], ports: Mapping[str, int] = PORTS) -> Address:
    """Take a URL apart if one of the `scheme://host` globs lets it pass. Raises Forbidden.

    `ports` are the schemes that the caller speaks, and their usual ports. A glob without a port
    means the usual one and those that storages choose for themselves, from 1024 on: below it other
    services listen.
    """
    parts = urllib.parse.urlsplit(url)
    host = (
        parts.netloc.lower().rpartition(":")[0] if _port_of(parts.netloc) else parts.netloc.lower()
    )
    if parts.scheme not in ports or _HOST.fullmatch(host) is None:
        raise Forbidden(
            "the source has a host that cannot be read, or names a user", "source-not-allowed"
        )
    try:
        port = parts.port or ports[parts.scheme]
    except ValueError as error:
        raise Forbidden("the source has no valid port", "source-not-allowed") from error
    shown = f"{parts.scheme}://{host}"
    names = {f"{shown}:{port}"}
    if port == ports[parts.scheme] or port >= _FREE:
        names.add(shown)
    if not any(fnmatch.fnmatchcase(name, glob.lower()) for name in names for glob in allowed):
        raise Forbidden(f"{shown}:{port} is not among the site's sources", "source-not-allowed")
    named = bool(names & {glob.lower() for glob in allowed})
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    address = Address(parts.scheme, host.strip("[]"), port, target.replace(" ", "%20"), named)
    _check_literal(address)
    return address


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file on a web server."""

    address: Address
    allowed: tuple[str, ...]

    def stat(self) -> Stat | None:
        """Ask for the headers; a server that does not tell the size cannot be used."""
        with _answer("HEAD", self.address, self.allowed) as answer:
            if answer.status in {404, 410}:
                return None
            _check_status(answer, self.address)
            return Stat(_length(answer), _modified(answer))

    def adler32(self) -> str:
        """Read the file and sum it up."""
        with self.read() as stream:
            return adler32_of(stream).adler32

    @contextlib.contextmanager
    def read(self) -> Iterator["_Body"]:
        """Open it; the stream ends with an error where the server sends less than it announced."""
        with _answer("GET", self.address, self.allowed) as answer:
            _check_status(answer, self.address)
            yield _Body(answer, _length(answer))


class _Body:
    """The bytes of an answer."""

    def __init__(self, answer: http.client.HTTPResponse, length: int) -> None:
        self._answer = answer
        self._missing = length

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as bytes are at hand."""
        try:
            count = self._answer.readinto(buffer)
        except http.client.HTTPException as error:
            raise StorageError("source-error", "the server broke off") from error
        self._missing -= count
        if not count and self._missing > 0:
            raise StorageError(
                "source-error", f"the server broke off, {self._missing} bytes are missing"
            )
        return count


@contextlib.contextmanager
def _answer(
    method: str, address: Address, allowed: Sequence[str]
) -> Iterator[http.client.HTTPResponse]:
    """Ask, and follow redirects as long as they lead to what is allowed."""
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_REDIRECTS):
            answer = stack.enter_context(_asked(method, address))
            place = answer.getheader("Location")
            if answer.status not in {301, 302, 303, 307, 308} or place is None:
                yield answer
                return
            scheme = "https" if address.scheme == "davs" else address.scheme
            base = f"{scheme}://{_shown(address.host)}:{address.port}{address.target}"
            with _network():
                address = _next(urllib.parse.urljoin(base, place), address, allowed)
        raise StorageError(
            "source-error", f"the server of the source redirects more than {MAX_REDIRECTS} times"
        )


def _next(url: str, last: Address, allowed: Sequence[str]) -> Address:
    """Judge where a redirect leads; from an encrypted source never to an open one."""
    parts = urllib.parse.urlsplit(url)
    if last.scheme in {"https", "davs"} and parts.scheme == "http":
        raise Forbidden("the source redirects from https to http", "source-not-allowed")
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
            "source-error", f"the server of the source does not speak HTTP: {error}"
        ) from error
    except OSError as error:
        raise storage_error(error, "source-error", "the server of the source") from error
    except ValueError as error:
        raise StorageError("source-error", f"the source has an odd address: {error}") from error


def _connection(address: Address) -> http.client.HTTPConnection:
    with _network():
        opened = socket.create_connection((resolve(address), address.port), timeout=TIMEOUT)
        if address.scheme != "http":
            opened = ssl.create_default_context().wrap_socket(opened, server_hostname=address.host)
    connection = http.client.HTTPConnection(_shown(address.host), address.port, timeout=TIMEOUT)
    connection.sock = opened
    return connection


def resolve(address: Address) -> str:
    """Look the host up; an inner address passes only where the host is named exactly.

    Raises OSError where nobody knows it, and Forbidden.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    numbers = [str(entry[4][0]) for entry in found]
    if not address.named and not all(_is_public(number) for number in numbers):
        raise Forbidden(f"{address.host} is an inner address", "source-not-allowed")
    return numbers[0]


def _check_literal(address: Address) -> None:
    """Refuse inner addresses written as numbers, in any spelling that a resolver takes."""
    if address.named:
        return
    host = address.host.rstrip(".")
    with contextlib.suppress(OSError, ValueError):
        number = host if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
        if not _is_public(number):
            raise Forbidden(f"{address.host} is an inner address", "source-not-allowed")
    if host.rpartition(".")[2] in {"localhost", "local", "internal"}:
        raise Forbidden(f"{address.host} is an inner address", "source-not-allowed")


_TRANSLATED = tuple(
    (ipaddress.ip_network(network), shift)
    for network, shift in (
        ("::/96", 0),  # IPv4-compatible
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("64:ff9b::/96", 0),  # NAT64
        ("2002::/16", 80),  # 6to4
    )
)
"""Networks of version 6 whose addresses hold one of version 4, shifted by that many bits."""

_CLOSED = tuple(
    map(ipaddress.ip_network, ("64:ff9b:1::/48", "192.0.0.0/24", "3fff::/20", "5f00::/16"))
)
"""Networks that are no part of the internet, though Python 3.11 says so."""


def _is_public(number: str) -> bool:
    found = ipaddress.ip_address(number.partition("%")[0])
    inner = [
        ipaddress.ip_address(int(found) >> shift & 0xFFFFFFFF)
        for network, shift in _TRANSLATED
        if found in network
    ]
    return all(_is_open(one) for one in inner or [found])


def _is_open(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    odd = found.is_multicast or getattr(found, "is_site_local", False)
    return found.is_global and not odd and not any(found in network for network in _CLOSED)


def _port_of(netloc: str) -> bool:
    return re.search(r":[0-9]*$", netloc) is not None and not netloc.endswith("]")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_status(answer: http.client.HTTPResponse, address: Address) -> None:
    if answer.status != 200:
        reason = _REASONS.get(answer.status, "source-error")
        raise StorageError(reason, f"{address.host} answers {answer.status} {answer.reason}")


def _length(answer: http.client.HTTPResponse) -> int:
    text = answer.getheader("Content-Length") or ""
    if not _SIZE.fullmatch(text):
        raise StorageError(
            "source-error", "the server of the source does not tell the size of the file"
        )
    return int(text)


def _modified(answer: http.client.HTTPResponse) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(
            answer.getheader("Last-Modified") or ""
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
