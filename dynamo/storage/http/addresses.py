"""Addresses on web servers: which are allowed, and whether their hosts are public.

A host's addresses are looked up once, checked, and then connected to. So a name cannot stand for a
public address when it is checked and for an inner one when it is read.
"""

import contextlib
import fnmatch
import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynamo.errors import Forbidden
from dynamo.reasons import Reason

_LABEL = r"[a-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\]", re.ASCII)
_FREE = 1024
PORTS = {"http": 80, "https": 443, "davs": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """An allowed URL; `named` if the list contains its host by its full name."""

    scheme: str
    host: str
    port: int
    target: str
    named: bool


def allow(url: str, allowed: Sequence[str], ports: Mapping[str, int] = PORTS) -> Address:
    """Parse a URL that one of the `scheme://host` globs allows. Raises Forbidden.

    `ports` maps the supported schemes to their default ports. A glob without a port allows the
    default port and ports from 1024 on, where storages listen; other services listen below.
    """
    parts = urllib.parse.urlsplit(url)
    host = (
        parts.netloc.lower().rpartition(":")[0] if _port_of(parts.netloc) else parts.netloc.lower()
    )
    if parts.scheme not in ports or _HOST.fullmatch(host) is None:
        raise Forbidden(
            "the source has a host that cannot be read, or names a user", Reason.SOURCE_NOT_ALLOWED
        )
    try:
        port = parts.port or ports[parts.scheme]
    except ValueError as error:
        raise Forbidden("the source has no valid port", Reason.SOURCE_NOT_ALLOWED) from error
    shown = f"{parts.scheme}://{host}"
    names = {f"{shown}:{port}"}
    if port == ports[parts.scheme] or port >= _FREE:
        names.add(shown)
    if not any(fnmatch.fnmatchcase(name, glob.lower()) for name in names for glob in allowed):
        raise Forbidden(
            f"{shown}:{port} is not among the site's sources", Reason.SOURCE_NOT_ALLOWED
        )
    named = bool(names & {glob.lower() for glob in allowed})
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    address = Address(parts.scheme, host.strip("[]"), port, target.replace(" ", "%20"), named)
    _check_literal(address)
    return address


def resolve(address: Address) -> str:
    """Return the host's address; inner addresses need a host that is listed by name.

    Raises OSError for an unknown host, and Forbidden.
    """
    entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    numbers = [str(entry[4][0]) for entry in entries]
    if not address.named and not all(_is_public(number) for number in numbers):
        raise Forbidden(f"{address.host} is an inner address", Reason.SOURCE_NOT_ALLOWED)
    return numbers[0]


def _check_literal(address: Address) -> None:
    """Refuse inner addresses as numbers, in any spelling that a resolver accepts."""
    if address.named:
        return
    host = address.host.rstrip(".")
    with contextlib.suppress(OSError, ValueError):
        number = host if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
        if not _is_public(number):
            raise Forbidden(f"{address.host} is an inner address", Reason.SOURCE_NOT_ALLOWED)
    if host.rpartition(".")[2] in {"localhost", "local", "internal"}:
        raise Forbidden(f"{address.host} is an inner address", Reason.SOURCE_NOT_ALLOWED)


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
"""IPv6 networks whose addresses contain an IPv4 address, and its shift in bits."""

_CLOSED = tuple(
    map(ipaddress.ip_network, ("64:ff9b:1::/48", "192.0.0.0/24", "3fff::/20", "5f00::/16"))
)
"""Networks outside the internet that Python 3.11 calls global."""


def _is_public(number: str) -> bool:
    address = ipaddress.ip_address(number.partition("%")[0])
    inner = [
        ipaddress.ip_address(int(address) >> shift & 0xFFFFFFFF)
        for network, shift in _TRANSLATED
        if address in network
    ]
    return all(_is_open(number) for number in inner or [address])


def _is_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    odd = address.is_multicast or getattr(address, "is_site_local", False)
    return address.is_global and not odd and not any(address in network for network in _CLOSED)


def _port_of(netloc: str) -> bool:
    return re.search(r":[0-9]*$", netloc) is not None and not netloc.endswith("]")


def shown(host: str) -> str:
    """Return a host as a URL spells it: an IPv6 number in brackets."""
    return f"[{host}]" if ":" in host else host
