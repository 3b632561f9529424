"""PyMySQL and its pool, tuned: costs per call besides its rows are paid once."""

import time
from functools import lru_cache
from typing import Any

import pymysql
import pymysql.connections
from pymysql.cursors import SSCursor
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket
from sqlalchemy import Engine, PoolProxiedConnection, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

_IDLE = 1.0
"""Idle seconds after which a connection is tested before use: a server's restart takes longer,
and a worker that loses a connection in use runs the unit of work again."""
_USED = "used"


class Connection(pymysql.connections.Connection):
    """Caches column descriptions: all statements have the same few hundred.

    Parsing them anew took a tenth of the processor time of registering a file.
    """

    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        known = _described if packet_type is FieldDescriptorPacket else packet_type
        read: MysqlPacket = super()._read_packet(known)  # type: ignore[no-untyped-call]
        return read


@lru_cache(maxsize=4096)
def _described(data: bytes, encoding: str) -> FieldDescriptorPacket:
    return FieldDescriptorPacket(data, encoding)


def streaming(connection: PoolProxiedConnection) -> DBAPICursor:
    """Return a cursor whose rows are read while the server produces the next ones."""
    return connection.cursor(SSCursor)


def drive(engine: Engine) -> None:
    """Make an engine use this driver, and test only connections that were idle."""

    def connect(_dialect: object, _record: object, args: Any, kwargs: Any) -> Connection:
        return Connection(*args, **kwargs)

    def returned(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    def taken(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
        used = record.info.get(_USED)
        if used is None or time.monotonic() - used < _IDLE:
            return
        try:
            connection.ping(reconnect=False)
        except (pymysql.Error, OSError) as error:
            raise InvalidatePoolError from error

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
