"""A real issuer behind TLS, as the settings ask for: trusted by its certificate, rotated, away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.jwks import FRESH, KEPT, PAUSE
from api.problems import Unauthenticated
from api.wlcg import Issuers
from dynamo.errors import Unavailable
from dynamo.settings import Issuer, Token
from tests.api import issuer
from tests.api.clock import Clock
from tests.api.issuer import EC_KEY, Keys, key_set, public
from tests.authority import Authority, Pair
from tests.servers import free_port

NEW_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one authority that this machine trusts, as SSL_CERT_FILE says."""
    made = Authority(tmp_path / "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # must not be asked
    return made


class Site:
    """An issuer and a service that believes it, with a clock that is set by hand."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.name = f"https://localhost:{port}/"
        self.clock = Clock()
        known = Issuer(
            issuer=self.name,
            audience=issuer.AUDIENCE,
            jwks=f"{self.name}jwks",
            users={"11-22": "alice"},
        )
        self.issuers = Issuers(Token(issuers=(known,)), self.clock)

    def user(self, **said: Any) -> str:
        """Return whose a token is."""
        return self.issuers.proof(issuer.token(iss=self.name, **said)).user

    @contextmanager
    def up(self, host: Pair) -> Iterator[Keys]:
        """Let the issuer answer for as long as the block lasts."""
        with issuer.serving(host, self.port) as keys:
            yield keys


@pytest.fixture
def site() -> Site:
    return Site(free_port())


def test_keys_come_over_tls_from_the_issuer_itself(site: Site, authority: Authority) -> None:
    with site.up(authority.host()) as keys:
        assert [site.user() for _ in range(3)] == ["alice"] * 3
        assert keys.asked == 1


@pytest.mark.parametrize("whose", ["another authority", "another host", "expired"])
def test_a_server_that_does_not_prove_to_be_the_issuer_is_not_believed(
    site: Site, authority: Authority, tmp_path: Path, whose: str
) -> None:
    host = {
        "another authority": lambda: Authority(tmp_path / "other").host(),
        "another host": lambda: authority.host("iam.example.org"),
        "expired": lambda: authority.host(until=timedelta(days=-1)),
    }[whose]()
    with site.up(host) as keys:
        with pytest.raises(Unavailable):
            site.user()
        assert keys.asked == 0, "nothing is even asked"
    site.clock.seconds += PAUSE
    with site.up(authority.host()):
        assert site.user() == "alice"


def test_a_rotated_key_is_taken_and_the_old_one_given_up(site: Site, authority: Authority) -> None:
    with site.up(authority.host()) as keys:
        site.user()
        keys.body = key_set(public(EC_KEY, "e1"), public(NEW_KEY, "e2"))
        site.clock.seconds += PAUSE
        assert site.user(key=NEW_KEY, key_id="e2") == "alice"
        assert site.user() == "alice", "both are good while both are published"

        keys.body = key_set(public(NEW_KEY, "e2"))
        assert site.user() == "alice", "until the keys are read again"
        site.clock.seconds += FRESH
        with pytest.raises(Unauthenticated):
            site.user()


def test_an_outage_of_the_issuer_is_survived_for_two_days_and_then_ends_by_itself(
    site: Site, authority: Authority
) -> None:
    host = authority.host()
    with site.up(host):
        site.user()
    for waited in (0, FRESH, KEPT - FRESH - 1):
        site.clock.seconds += waited
        assert site.user() == "alice"
        with pytest.raises(Unauthenticated):  # an outage opens no door
            site.user(key=NEW_KEY, key_id="e2")

    site.clock.seconds += PAUSE
    with pytest.raises(Unavailable):
        site.user()
    with site.up(host):
        with pytest.raises(Unavailable):  # asked a moment ago
            site.user()
        site.clock.seconds += PAUSE
        assert site.user() == "alice"
