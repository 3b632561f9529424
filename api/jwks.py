"""Public keys of a token issuer, refreshed now and then, and kept while the issuer is away."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from dynamo.errors import Unavailable
from dynamo.logs import logger

log = logger("api")

FRESH = 6 * 3600.0
"""Seconds after which keys are refreshed."""
KEPT = 2 * 86400.0
"""Seconds for which keys are valid if they cannot be refreshed."""
PAUSE = 60.0
"""Seconds between two attempts, so that forged tokens do not cause endless calls."""
MOST_BYTES = 256 * 1024
_SECONDS = 5.0
_KINDS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}

PublicKey = RSAPublicKey | EllipticCurvePublicKey
Keys = Mapping[tuple[str, str], PublicKey]
"""Key id and algorithm -> public key; a key is valid for one algorithm only."""


class Keyset:
    """The keys of one issuer."""

    def __init__(self, address: str, now: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._now = now
        self._keys: Keys = {}
        self._read: float | None = None
        self._tried: float | None = None
        self._reading = threading.Lock()

    def key(self, key_id: str, algorithm: str) -> PublicKey | None:
        """Return a public key, None for an unknown one. Raises Unavailable without any keys."""
        wanted = (key_id, algorithm)
        if self._older(FRESH) or wanted not in self._keys:
            self._renew()
        if self._older(KEPT):
            raise Unavailable("the keys of the token's issuer cannot be read; try again later")
        return self._keys.get(wanted)

    def _older(self, seconds: float) -> bool:
        return self._read is None or self._now() - self._read >= seconds

    def _renew(self) -> None:
        # one thread reads, the others use the present keys; without keys they wait, but with a
        # limit, in case the issuer answers without end
        if not self._reading.acquire(timeout=_SECONDS if self._older(KEPT) else 0):
            return
        try:
            if self._tried is not None and self._now() - self._tried < PAUSE:
                return
            self._tried = self._now()
            self._keys = understand(fetch(self._address))
            self._read = self._tried
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            log.warning("keys of issuer not read", address=self._address, error=str(error)[:200])
        finally:
            self._reading.release()


def fetch(address: str) -> bytes:
    """Return a key set; redirects are not followed. Raises OSError, HTTPException, ValueError."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        with Path(unquote(parts.path)).open("rb") as file:
            return _limited(file.read(MOST_BYTES + 1))
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return _limited(answer.read(MOST_BYTES + 1))
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=_SECONDS)


def _limited(text: bytes) -> bytes:
    if len(text) > MOST_BYTES:
        raise ValueError("is too long")
    return text


def understand(text: bytes) -> Keys:
    """Return the usable keys of a key set. Raises ValueError if it has none."""
    document = json.loads(text)
    listed = document.get("keys") if isinstance(document, dict) else None
    keys = dict(pair for item in listed or () if (pair := _usable(item)) is not None)
    if not keys:
        raise ValueError("holds no key for signatures by RS256 or ES256")
    return keys


def _usable(item: object) -> tuple[tuple[str, str], PublicKey] | None:
    if not isinstance(item, dict) or not isinstance(item.get("kid"), str):
        return None
    algorithm = _KINDS.get((str(item.get("kty")), item.get("crv")))
    if algorithm is None or item.get("alg", algorithm) != algorithm or "d" in item:
        return None
    if item.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(item, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key_size < 2048:
        return None
    return (item["kid"], algorithm), key
