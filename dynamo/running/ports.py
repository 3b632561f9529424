"""Ports of the loopback, kept for programs that are yet to start or start again."""

import errno
import socket

from dynamo.errors import Conflict

LOOPBACK = "127.0.0.1"


def reserve(port: int) -> socket.socket:
    """Bind a port, 0 for a free one, without listening: programs of ours can still listen there.

    Raises Conflict where somebody else listens.
    """
    _ask(port)
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((LOOPBACK, port))
    return held


def number(held: socket.socket) -> int:
    """Return the port that is held."""
    return int(held.getsockname()[1])


def _ask(port: int) -> None:
    """See whether somebody listens; a shared port would give each of us half of the calls."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Conflict(
                f"port {port} is in use; choose another with --port (0 = a free one)", "in-use"
            ) from error
