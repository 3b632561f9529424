"""An issuer of WLCG tokens: keys of its own, served on the loopback for as long as it lives."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.authority import Pair

NAME = "https://iam.example.org/"
AUDIENCE = "https://dynamo.example.org/"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def public(key: Private, key_id: str, **more: object) -> dict[str, Any]:
    """Describe a key as a key set does."""
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": key_id, **more}  # type: ignore[arg-type]


def key_set(*keys: dict[str, Any]) -> bytes:
    """Write a key set."""
    return json.dumps({"keys": list(keys)}).encode()


@dataclass
class Keys:
    """What the issuer answers when its keys are asked for, and how often it was."""

    address: str = ""
    status: int = 200
    body: bytes = field(
        default_factory=lambda: key_set(public(RSA_KEY, "r1"), public(EC_KEY, "e1"))
    )
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0


def claims(**changed: Any) -> dict[str, Any]:
    """Return what a good token says; None leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "11-22",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": "1",
        "wlcg.ver": "1.0",
        **changed,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(key: Private = EC_KEY, key_id: str | None = "e1", **changed: Any) -> str:
    """Sign a token."""
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    headers = {"kid": key_id} if key_id is not None else None
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=headers)


def _handler(keys: Keys) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.asked += 1
            self.send_response(keys.status)
            for name, value in keys.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(keys.body)))
            self.end_headers()
            self.wfile.write(keys.body)

        def handle(self) -> None:
            with contextlib.suppress(ssl.SSLError, ConnectionError):  # it did not trust us
                super().handle()

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(host: Pair | None = None, port: int = 0) -> Iterator[Keys]:
    """Serve keys on a loopback port, encrypted where the host has a certificate."""
    keys = Keys()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(keys))
    keys.address = f"http://127.0.0.1:{server.server_port}/jwks"
    if host is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(host.certificate, host.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        keys.address = f"https://localhost:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
