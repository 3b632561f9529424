"""Keys of an issuer: read when needed, kept when it is away, given up in time."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import jwks
from api.jwks import FRESH, KEPT, MOST_BYTES, PAUSE, Keyset
from dynamo.errors import Unavailable
from tests.api import issuer
from tests.api.clock import Clock
from tests.api.issuer import EC_KEY, RSA_KEY, Keys, key_set, public


@pytest.fixture
def keys() -> Iterator[Keys]:
    with issuer.serving() as served:
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(keys: Keys, clock: Clock) -> Keyset:
    return Keyset(keys.address, clock)


def test_keys_are_read_once_in_six_hours(known: Keyset, keys: Keys, clock: Clock) -> None:
    for _ in range(3):
        assert known.key("e1", "ES256") == EC_KEY.public_key()
        assert known.key("r1", "RS256") == RSA_KEY.public_key()
    assert keys.asked == 1

    clock.seconds += FRESH
    assert known.key("e1", "ES256") is not None
    assert keys.asked == 2


def test_a_key_is_good_for_its_own_algorithm_alone(known: Keyset) -> None:
    assert known.key("e1", "RS256") is None
    assert known.key("r1", "ES256") is None


def test_a_new_key_is_found_at_once_but_not_asked_for_without_end(
    known: Keyset, keys: Keys, clock: Clock
) -> None:
    assert known.key("e1", "ES256") is not None
    keys.body = key_set(public(EC_KEY, "e2"))
    for _ in range(5):
        assert known.key("e2", "ES256") is None
    assert keys.asked == 1

    clock.seconds += PAUSE
    assert known.key("e2", "ES256") is not None
    assert known.key("e1", "ES256") is None, "a withdrawn key is believed no more"
    assert keys.asked == 2


def test_callers_at_once_read_the_keys_once(known: Keyset, keys: Keys) -> None:
    with ThreadPoolExecutor(8) as many:
        found = list(many.map(lambda _: known.key("e1", "ES256"), range(64)))
    assert None not in found
    assert keys.asked == 1


BROKEN = {
    "an error": (500, b"{}", {}),
    "nothing": (200, b"", {}),
    "no JSON": (200, b"<html>", {}),
    "a list": (200, b"[]", {}),
    "no keys": (200, b'{"keys": []}', {}),
    "keys that are none": (200, b'{"keys": [1, {"kid": "e1"}]}', {}),
    "too much": (200, b" " * (MOST_BYTES + 1), {}),
    "too deep": (200, b"[" * 100_000, {}),
    "a redirect": (302, b"", {"Location": "/jwks"}),
    "a redirect with keys": (302, key_set(public(EC_KEY, "evil")), {"Location": "/evil"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_old_keys_stay_for_two_days_when_new_ones_cannot_be_read(
    known: Keyset, keys: Keys, clock: Clock, name: str
) -> None:
    assert known.key("e1", "ES256") is not None
    good = keys.status, keys.body, keys.headers
    keys.status, keys.body, keys.headers = BROKEN[name]

    clock.seconds += KEPT - 1
    assert known.key("e1", "ES256") is not None
    assert known.key("evil", "ES256") is None

    clock.seconds += PAUSE
    with pytest.raises(Unavailable):
        known.key("e1", "ES256")

    keys.status, keys.body, keys.headers = good
    clock.seconds += PAUSE
    assert known.key("e1", "ES256") is not None


def test_without_keys_nobody_is_believed(keys: Keys, clock: Clock, tmp_path: Path) -> None:
    for address in (
        "http://127.0.0.1:1/jwks",
        f"file://{tmp_path}/none",
        "https://[",
        "http://h:x",
    ):
        with pytest.raises(Unavailable):
            Keyset(address, clock).key("e1", "ES256")


def test_an_issuer_that_speaks_without_end_holds_one_caller_alone(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(2) as both:
        dripping = both.submit(drip, server, over)
        known = Keyset(f"http://127.0.0.1:{server.getsockname()[1]}/", clock)
        first = both.submit(known.key, "e1", "ES256")
        try:
            dripping.result()
            with pytest.raises(Unavailable):
                known.key("e1", "ES256")
            assert not first.done()
        finally:
            over.set()
        with pytest.raises(Unavailable):
            first.result()


def drip(server: socket.socket, over: threading.Event) -> None:
    """Take a caller, and answer him one byte after the other."""
    caller, _ = server.accept()

    def speak() -> None:
        with caller:
            while not over.wait(0.05):
                caller.send(b"H")

    threading.Thread(target=speak).start()


def test_keys_may_lie_in_a_file(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "my keys.json"
    path.write_bytes(key_set(public(EC_KEY, "e1")))

    assert Keyset(path.as_uri(), clock).key("e1", "ES256") is not None


@pytest.mark.parametrize(
    "odd",
    [
        public(EC_KEY, "odd", use="enc"),
        public(EC_KEY, "odd", alg="ES384"),
        public(RSA_KEY, "odd", alg="RS512"),
        public(ec.generate_private_key(ec.SECP384R1()), "odd"),
        public(rsa.generate_private_key(public_exponent=65537, key_size=1024), "odd"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "odd"},
        {"kty": "RSA", "n": 5, "e": "AQAB", "kid": "odd"},
        {**public(EC_KEY, "odd"), "x": "AAAA"},
        {**public(EC_KEY, "odd"), "kid": 7},
    ],
    ids=["encryption", "ES384", "RS512", "P-384", "short", "secret", "number", "curve", "id"],
)
def test_keys_of_another_kind_are_passed_over(
    known: Keyset, keys: Keys, odd: dict[str, object]
) -> None:
    keys.body = key_set(odd, public(EC_KEY, "e1"))

    assert known.key("e1", "ES256") is not None
    assert [known.key("odd", one) for one in ("ES256", "RS256", "HS256", "ES384")] == [None] * 4
