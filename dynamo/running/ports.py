"""Loopback ports, reserved for programs that start later or start again."""

import errno
import socket

from dynamo.errors import Conflict
from dynamo.reasons import Reason

LOOPBACK = "127.0.0.1"


def reserve(port: int) -> socket.socket:
    """Bind a port, 0 for a free one, without listening; own programs can still listen on it.

    Raises Conflict if another program listens.
    """
    _ask(port)
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((LOOPBACK, port))
    return bound


def number(bound: socket.socket) -> int:
    """Return the number of a reserved port."""
    return int(bound.getsockname()[1])


def _ask(port: int) -> None:
    """Raise Conflict if another program listens: a shared port would split the calls."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Conflict(
                f"port {port} is in use; choose another with --port (0 = a free one)", Reason.IN_USE
            ) from error
