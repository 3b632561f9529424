"""A service that fails as scripted: each call gets the next answer, the last one for ever."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """What the client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """What the service says."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """What somebody else says in the service's place."""

    status: int
    body: bytes

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with these bytes."""
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        handler.wfile.write(self.body)
        handler.wfile.flush()


def problem(status: int, reason: str, **more: object) -> Answer:
    """Refuse as the API does."""
    retryable = bool(more.pop("retryable", False))
    headers = {"Content-Type": "application/problem+json", "X-Request-ID": "trace-7"}
    said = {"status": status, "title": "no", "detail": f"no: {reason}", "reason": reason}
    return Answer(status, said | {"retryable": retryable} | more, headers)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Break the connection without an answer, as a dying server does."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def half(handler: BaseHTTPRequestHandler) -> None:
    """Break the connection in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"items": [')
    handler.wfile.flush()
    cut(handler)


Scripted = Answer | Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Service:
    """The service and what it was asked."""

    address: str
    script: list[Scripted]
    calls: list[Call] = field(default_factory=list)

    def next(self) -> Scripted:
        """Return the answer to the next call."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            service.calls.append(Call(self.command, self.path, dict(self.headers), body))
            said = service.next()
            if not isinstance(said, Answer):
                self.close_connection = True
                said(self)
                return
            text = json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the library's names

        def finish(self) -> None:
            if self.connection.fileno() >= 0:
                super().finish()

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


@contextmanager
def scripted(*script: Scripted) -> Iterator[Service]:
    """Run a service with this script on a free loopback port."""
    service = Service("", list(script))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
