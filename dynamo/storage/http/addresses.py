"""Addresses on web servers: which may be asked, and whether their hosts lie outside.

The addresses of a host are looked up once, judged, and then connected to, so that a name cannot
stand for a harmless address when it is judged and for an inner one when it is read.
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

_LABEL = r"[a-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\]", re.ASCII)
_FREE = 1024
PORTS = {"http": 80, "https": 443, "davs": 443}


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


def shown(host: str) -> str:
    """Return a host as a URL spells it: a number of version 6 in brackets."""
    return f"[{host}]" if ":" in host else host
