"""Clients that cost as little as possible: bodies made beforehand, connections kept open."""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Call = tuple[str, str, bytes | None]
"""Method, path, body."""


@dataclass(frozen=True)
class Caller:
    """Who calls an API, with a token."""

    address: str
    token: str

    def all(self, calls: Sequence[Call], clients: int) -> float:
        """Make the calls from several clients at once; return the seconds until all have ended."""
        shares = [calls[n::clients] for n in range(clients)]
        with ThreadPoolExecutor(clients) as pool:
            began = time.perf_counter()
            list(pool.map(self.each, shares))
            return time.perf_counter() - began

    def each(self, calls: Sequence[Call]) -> list[float]:
        """Make the calls one after the other over one connection; return the seconds of each."""
        connection = self._connect()
        seconds = []
        for call in calls:
            began = time.perf_counter()
            self._make(connection, call)
            seconds.append(time.perf_counter() - began)
        connection.close()
        return seconds

    def get(self, path: str) -> Any:
        """Read one thing."""
        return json.loads(self._make(self._connect(), ("GET", path, None)))

    def post(self, path: str, body: object) -> Any:
        """Ask for one thing."""
        return json.loads(self._make(self._connect(), post(path, body)))

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=300)

    def _make(self, connection: http.client.HTTPConnection, call: Call) -> bytes:
        method, path, body = call
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:1000]!r}")
        return said


def post(path: str, body: object) -> Call:
    """Make a call with a JSON body."""
    return "POST", path, json.dumps(body).encode()
