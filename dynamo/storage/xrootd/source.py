"""A file on any XRootD server, as the source of a copy.

The host is looked up and checked when the file is opened. That server may redirect to any other, as
XRootD's managers do: allow only managers that you trust.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.errors import Forbidden
from dynamo.reasons import Reason
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
    """Return the file at a URL that one of the `root://host` globs allows. Raises Forbidden."""
    address = http_addresses.allow(url, allowed, PORTS)
    parts = set(address.target.split("/"))
    if "#" in url or not _PATH.fullmatch(address.target) or {".", ".."} & parts:
        # text after a ? controls the client library: its credentials, and more
        raise Forbidden(
            "a root: source is root://host//path without ?, # or ..", Reason.SOURCE_NOT_ALLOWED
        )
    host = f"[{address.host}]" if ":" in address.host else address.host
    server_url = f"{address.scheme}://{host}:{address.port}"
    return XRootDFile(server(server_url, limits), address.target[1:], address)


@dataclass(frozen=True, slots=True)
class XRootDFile:
    """A file on any XRootD server, as the source of a copy."""

    server: Server
    path: str
    host: http_addresses.Address

    def stat(self) -> Stat | None:
        """Return size and modification time; None if the file is absent."""
        self._judge()
        with at_source():
            return self.server.stat(self.path)

    def adler32(self) -> str:
        """Return the server's checksum, or compute it by reading the file."""
        self._judge()
        with at_source():
            known = self.server.adler32(self.path)
        if known is not None:
            return known
        with self.read() as stream:
            return adler32_of(stream).adler32

    def read(self) -> contextlib.AbstractContextManager[Reader]:
        """Open the file for reading."""
        self._judge()
        return reading(self.server, self.path)

    def address(self) -> str:
        """Return the URL under which another server finds it."""
        self._judge()
        return self.server.url(self.path)

    def _judge(self) -> None:
        """Refuse a host with an inner address."""
        with told(self.host.host, Reason.SOURCE_ERROR):
            http_addresses.resolve(self.host)
