"""Forged, expired, misdirected and monstrous tokens prove nothing."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import update

from dynamo import tokens
from dynamo.db.tables import User
from tests.api.web import Web, problem

Claims = dict[str, Any]


def _claims(web: Web, **changed: Any) -> Claims:
    expected, now = web.world.ctx.settings.token, int(time.time())
    claims = {
        "iss": expected.issuer,
        "aud": expected.audience,
        "sub": "alice",
        "iat": now,
        "exp": now + 600,
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(web: Web, headers: dict[str, Any] | None = None, **changed: Any) -> str:
    key = tokens.ensure_key(web.world.ctx.settings.data).read_bytes()
    return jwt.encode(_claims(web, **changed), key, algorithm="ES256", headers=headers)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unsigned(web: Web) -> str:
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(_claims(web))}."


def _public_key_as_secret(web: Web) -> str:
    head = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(_claims(web))}"
    key = tokens.public_key(web.world.ctx.settings.data)
    digest = hmac.new(key, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _foreign(web: Web) -> str:
    return jwt.encode(_claims(web), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")


def _rsa(web: Web) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return jwt.encode(_claims(web), pem, algorithm="RS256")


def _swapped(web: Web) -> str:
    head, _, signature = _signed(web).split(".")
    return f"{head}.{_part(_claims(web, sub='root'))}.{signature}"


NOW = time.time()
HOUR = 3600
BAD: dict[str, Callable[[Web], str]] = {
    "algorithm none": _unsigned,
    "algorithm None, other case": lambda web: _unsigned(web).replace(
        _part({"alg": "none", "typ": "JWT"}), _part({"alg": "nOnE", "typ": "JWT"})
    ),
    "signed with the public key as a secret": _public_key_as_secret,
    "another key": _foreign,
    "another kind of key": _rsa,
    "other claims under the signature": _swapped,
    "no signature": lambda web: _signed(web).rpartition(".")[0] + ".",
    "two parts": lambda web: _signed(web).rpartition(".")[0],
    "one letter more": lambda web: _signed(web)[:-8] + "AAAAAAAA",
    "expired": lambda web: _signed(web, exp=int(NOW) - HOUR),
    "expired a minute and a half ago": lambda web: _signed(web, exp=int(NOW) - 90),
    "not valid yet": lambda web: _signed(web, nbf=int(NOW) + HOUR),
    "issued tomorrow": lambda web: _signed(web, iat=int(NOW) + 24 * HOUR),
    "no expiry": lambda web: _signed(web, exp=None),
    "no issue": lambda web: _signed(web, iat=None),
    "no subject": lambda web: _signed(web, sub=None),
    "no issuer": lambda web: _signed(web, iss=None),
    "no audience": lambda web: _signed(web, aud=None),
    "another issuer": lambda web: _signed(web, iss="https://evil.example/"),
    "issuer without the slash": lambda web: _signed(web, iss="https://dynamo.local"),
    "another audience": lambda web: _signed(web, aud="https://other.example/"),
    "several other audiences": lambda web: _signed(web, aud=["a", "b"]),
    "expiry is a text": lambda web: _signed(web, exp="tomorrow"),
    "subject is a number": lambda web: _signed(web, sub=5),
    "an unknown critical header": lambda web: _signed(web, {"crit": ["hush"], "hush": 1}),
    "an unknown version": lambda web: _signed(web, **{"wlcg.ver": "2.0"}),
    "far too long": lambda web: _signed(web, padding="x" * 20_000),
    "a deep header": lambda web: f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.AAAA",
    "not base64": lambda web: "!!!.???.***",
    "not even close": lambda web: "x",
    "only dots": lambda web: "..",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_401_and_nobody_is_registered(web: Web, name: str) -> None:
    bearer = {"Authorization": f"Bearer {BAD[name](web)}"}
    for method, path in (("GET", "/v1/sites"), ("POST", "/v1/closures")):
        answer = web.call(method, path, by=None, headers=bearer)
        problem(answer, 401, "unauthenticated")
        assert bearer["Authorization"][7:40] not in answer.get_data(as_text=True)
    assert web.items("/v1/quotas") == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "bearer", "Bearer a b", "é"]
)
def test_a_header_without_a_token_is_401(web: Web, header: str) -> None:
    problem(web.call("GET", "/v1/sites", by=None, headers={"Authorization": header}), 401)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"exp": -30},
        {"aud": ["https://other.example/", "https://dynamo.local/"]},
        {"wlcg.ver": "1.3"},
        {"unknown": {"claims": ["mean", "nothing"]}},
        {"roles": "user operator"},
        {"roles": {"odd": 1}},
    ],
)
def test_a_good_token_is_believed(web: Web, changed: Claims) -> None:
    if "exp" in changed:  # a minute of leeway
        changed = {"exp": int(time.time()) + changed["exp"]}
    bearer = {"Authorization": f"Bearer {_signed(web, **changed)}"}
    assert web.call("GET", "/v1/sites", by=None, headers=bearer).status_code == 200


@pytest.mark.parametrize(
    "subject",
    ["Alice", "1alice", "alice bob", "álice", "a" * 33, "", "alice\n", "../alice", "root@x"],
)
def test_a_subject_that_is_no_user_name_is_403(web: Web, subject: str) -> None:
    bearer = {"Authorization": f"Bearer {_signed(web, sub=subject)}"}
    problem(
        web.call("POST", "/v1/closures", by=None, headers=bearer, json={}), 403, "permission-denied"
    )


def test_who_asks_for_something_becomes_a_user_with_the_default_quota(web: Web) -> None:
    web.get("/v1/sites", by="carol")
    assert web.items("/v1/quotas?user=carol") == []
    web.post("/v1/closures", {"dataset": "/no/such/USER"}, by="carol")
    (carol,) = web.items("/v1/quotas?user=carol")
    assert (carol["limit"], carol["used"], carol["files"]) == (10**12, 0, 0)


def test_roles_may_stand_in_the_database(web: Web) -> None:
    web.post("/v1/closures", {"dataset": "/no/such/USER"}, by="dora")
    problem(web.put("/v1/quotas/alice", {"limit": 5}, by="dora", roles=()), 403)
    with web.world.ctx.begin() as work:
        work.changed(update(User).where(User.name == "dora").values(roles=["operator"]))
    assert web.put("/v1/quotas/alice", {"limit": 5}, by="dora", roles=()).status_code == 200
