"""A file on any XRootD server, as the source of a copy.

The host is looked up and judged when the file is opened; whom that server then sends us to is its
own choice, as redirecting is what XRootD's managers are for: name managers only that you trust.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.errors import Forbidden
from dynamo.storage.checksum import adler32_of
from dynamo.storage.errno_reasons import at_source, told
from dynamo.storage.http import addresses as http_addresses
from dynamo.storage.protocol import Stat
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.server import Server, server
from dynamo.storage.xrootd.streams import Reader, reading

PORTS = {"root": 1094, "roots": 1094}
_PATH = re.compile(r"/(?:/[A-Za-z0-9_.,:=+~@-]+)+", re.ASCII)


def allowed_file(url: str, allowed: Sequence[str], limits: Timeouts) -> "XRootDFile":
    """Return the file at a URL that one of the `root://host` globs lets pass. Raises Forbidden."""
    address = http_addresses.allow(url, allowed, PORTS)
    parts = set(address.target.split("/"))
    if "#" in url or not _PATH.fullmatch(address.target) or {".", ".."} & parts:
        # what follows a ? would be for the client library: which credentials it takes, and more
        raise Forbidden(
            "a root: source is root://host//path without ?, # or ..", "source-not-allowed"
        )
    host = f"[{address.host}]" if ":" in address.host else address.host
    place = f"{address.scheme}://{host}:{address.port}"
    return XRootDFile(server(place, limits), address.target[1:], address)


@dataclass(frozen=True, slots=True)
class XRootDFile:
    """A file on any XRootD server, as the source of a copy."""

    server: Server
    path: str
    host: http_addresses.Address

    def stat(self) -> Stat | None:
        """Return size and age; None where there is no such file."""
        self._judge()
        with at_source():
            return self.server.stat(self.path)

    def adler32(self) -> str:
        """Ask the server, or read the file and sum it up."""
        self._judge()
        with at_source():
            known = self.server.adler32(self.path)
        if known is not None:
            return known
        with self.read() as stream:
            return adler32_of(stream).adler32

    def read(self) -> contextlib.AbstractContextManager[Reader]:
        """Open it for reading."""
        self._judge()
        return reading(self.server, self.path)

    def address(self) -> str:
        """Return where another server finds it."""
        self._judge()
        return self.server.url(self.path)

    def _judge(self) -> None:
        """Refuse a host that turns out to be an inner one."""
        with told(self.host.host, "source-error"):
            http_addresses.resolve(self.host)
