"""Tokens of configured issuers: what they prove, what they allow, and what proves nothing."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError
from sqlalchemy import Engine, update
from werkzeug.test import TestResponse

from api import wlcg
from api.app import create_app
from dynamo import tokens
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import User
from dynamo.errors import Forbidden
from dynamo.operations.hints import Hint
from dynamo.settings import FILE, Issuer, Token, load
from tests.api import issuer
from tests.api.issuer import RSA_KEY, Keys, claims, token
from tests.api.web import Broker, Web, booking, problem
from tests.services.world import DATASET, build, lfn

OTHER = "https://other.example.org/"
HOME = "/store/user/dynamo/alice"
NOW = int(time.time())
HOUR = 3600


@pytest.fixture
def keys() -> Iterator[Keys]:
    with issuer.serving() as served:
        yield served


@pytest.fixture
def web(keys: Keys, _sqlite: Engine, tmp_path: Path) -> Web:
    """Two sites, an issuer whose keys are at hand and one whose keys cannot be read."""
    published: list[Hint] = []
    known = {
        "issuer": issuer.NAME,
        "audience": issuer.AUDIENCE,
        "jwks": keys.address,
        "local": True,
        "users": {"11-22": "alice", "33-44": "bob", "bob": "robert"},
        "name_users": True,
        "groups": {"/cms/ops": ("operator",), "/cms": ("production",), "/mit": ("site:T2_A",)},
    }
    away = {**known, "issuer": OTHER, "jwks": "http://127.0.0.1:1/jwks"}
    world = build(
        UnitOfWork(_sqlite, published.extend),
        tmp_path,
        published,
        token={"issuers": (known, away)},
    )
    for name in ("T2_A", "T2_B"):
        world.site(name)
    broker = Broker()
    return Web(create_app(world.ctx, broker), world, broker)


def call(web: Web, method: str, path: str, sent: str, body: object = None) -> TestResponse:
    """Make a call with this token."""
    bearer = {"Authorization": f"Bearer {sent}"}
    return web.call(method, path, by=None, headers=bearer, json=body)


# --- what proves nothing --------------------------------------------------------------------------


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unsigned(algorithm: str = "none") -> str:
    return f"{_part({'alg': algorithm, 'kid': 'e1'})}.{_part(claims())}."


def _public_key_as_secret() -> str:
    secret = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = f"{_part({'alg': 'HS256', 'kid': 'r1'})}.{_part(claims())}"
    digest = hmac.new(secret, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _swapped() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{_part(claims(sub='33-44'))}.{signature}"


def _by(key: Any, algorithm: str, **headers: object) -> str:
    return jwt.encode(claims(), key, algorithm=algorithm, headers=headers)


def _own_key_in_header() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    headers = {"kid": "e1", "jwk": issuer.public(key, "e1"), "jku": "http://127.0.0.1:1/evil"}
    return jwt.encode(claims(), key, algorithm="ES256", headers=headers)


BAD: dict[str, Callable[[], str]] = {
    "algorithm none": _unsigned,
    "algorithm nOnE": lambda: _unsigned("nOnE"),
    "public key as secret": _public_key_as_secret,
    "a key of nobody": lambda: token(ec.generate_private_key(ec.SECP256R1())),
    "a key that it brings along": _own_key_in_header,
    "the key of another algorithm": lambda: token(RSA_KEY, "e1"),
    "a header that must be understood": lambda: _by(
        RSA_KEY, "RS256", kid="r1", crit=["exp"], exp="1"
    ),
    "an unknown key": lambda: token(key_id="e9"),
    "no name of a key": lambda: token(key_id=None),
    "RS512": lambda: _by(RSA_KEY, "RS512", kid="r1"),
    "PS256": lambda: _by(RSA_KEY, "PS256", kid="r1"),
    "another RSA key": lambda: token(
        rsa.generate_private_key(public_exponent=65537, key_size=2048), "r1"
    ),
    "other claims under the signature": _swapped,
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "expired": lambda: token(exp=NOW - HOUR),
    "not valid yet": lambda: token(nbf=NOW + HOUR),
    "issued tomorrow": lambda: token(iat=NOW + 24 * HOUR),
    "no expiry": lambda: token(exp=None),
    "no issue": lambda: token(iat=None),
    "no id": lambda: token(jti=None),
    "no subject": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a subject beyond ASCII": lambda: token(sub="ålice"),
    "a subject too long": lambda: token(sub="a" * 256),
    "no audience": lambda: token(aud=None),
    "another audience": lambda: token(aud="https://other.example.org/"),
    "audience without the slash": lambda: token(aud=issuer.AUDIENCE.rstrip("/")),
    "audience in capitals": lambda: token(aud=issuer.AUDIENCE.upper()),
    "any, nearly": lambda: token(aud="https://wlcg.cern.ch/jwt/v1/any/"),
    "no issuer": lambda: token(iss=None),
    "an issuer that is not configured": lambda: token(iss="https://evil.example.org/"),
    "issuer without the slash": lambda: token(iss=issuer.NAME.rstrip("/")),
    "the embedded issuer's name": lambda: token(iss="https://dynamo.local/"),
    "no version": lambda: token(**{"wlcg.ver": None}),
    "version 2": lambda: token(**{"wlcg.ver": "2.0"}),
    "version 10": lambda: token(**{"wlcg.ver": "10.0"}),
    "version is a number": lambda: token(**{"wlcg.ver": 1.0}),
    "create without a path": lambda: token(scope="storage.create"),
    "create with an empty path": lambda: token(scope="storage.create:"),
    "a path that is relative": lambda: token(scope="storage.create:store"),
    "a path with dots": lambda: token(scope="storage.create:/store/user/dynamo/../.."),
    "a path with an empty part": lambda: token(scope="storage.create://store"),
    "one bad scope beside a good one": lambda: token(scope=f"storage.create:{HOME} storage.read"),
    "scope is a list": lambda: token(scope=["storage.create:/"]),
    "far too long": lambda: token(padding="x" * 20_000),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_401_and_nobody_is_registered(web: Web, name: str) -> None:
    sent = BAD[name]()
    for method, path in (("GET", "/v1/sites"), ("POST", "/v1/closures")):
        answer = call(web, method, path, sent)
        problem(answer, 401, "unauthenticated")
        assert sent[:40] not in answer.get_data(as_text=True)
    assert web.items("/v1/quotas") == []


def test_keys_are_asked_for_where_the_settings_say_and_nowhere_else(web: Web, keys: Keys) -> None:
    for name in ("an issuer that is not configured", "a key that it brings along"):
        problem(call(web, "GET", "/v1/sites", BAD[name]()), 401)
    assert keys.asked == 1


def test_a_token_whose_keys_cannot_be_read_is_503_and_not_believed(web: Web) -> None:
    problem(call(web, "GET", "/v1/sites", token(iss=OTHER)), 503, "service-busy")


def test_a_token_of_dynamo_is_not_believed_under_the_name_of_another(web: Web) -> None:
    key = tokens.ensure_key(web.world.ctx.settings.data).read_bytes()
    sent = jwt.encode(claims(), key, algorithm="ES256", headers={"kid": "e1"})
    problem(call(web, "GET", "/v1/sites", sent), 401)
    assert web.get("/v1/sites", by="alice")


# --- what is believed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        token,
        lambda: token(RSA_KEY, "r1"),
        lambda: token(aud=wlcg.ANY),
        lambda: token(aud=["https://other.example.org/", issuer.AUDIENCE]),
        lambda: token(**{"wlcg.ver": "1.3"}),
        lambda: token(**{"wlcg.ver": "1.17"}),
        lambda: token(exp=int(time.time()) - 30),
        lambda: token(nbf=None),
        lambda: token(scope="openid offline_access profile"),
        lambda: token(scope="compute.read"),
        lambda: token(scope="storage.read:/ storage.create:/store/user/dynamo/alice/"),
        lambda: token(unknown={"claims": ["mean", "nothing"]}),
    ],
)
def test_a_good_token_is_believed(web: Web, sent: Callable[[], str]) -> None:
    assert call(web, "GET", "/v1/sites", sent()).status_code == 200


def _owner(web: Web, subject: str) -> str:
    answer = call(web, "POST", "/v1/closures", token(sub=subject), {"dataset": DATASET})
    assert answer.status_code == 404, answer.get_data(as_text=True)
    (only,) = web.items("/v1/quotas")
    return str(only["user"])


@pytest.mark.parametrize(
    ("subject", "user"), [("11-22", "alice"), ("bob", "robert"), ("carol", "carol")]
)
def test_a_subject_is_the_user_that_the_settings_say(web: Web, subject: str, user: str) -> None:
    assert _owner(web, subject) == user


def test_a_subject_is_told_the_namespace_of_the_user_that_it_stands_for(web: Web) -> None:
    told = call(web, "GET", "/v1/me", token(sub="11-22")).get_json()

    assert (told["user"], told["namespace"]) == ("alice", HOME)


@pytest.mark.parametrize("subject", ["alice", "robert", "99-99", "../alice", "Carol"])
def test_nobody_takes_a_name_that_was_given_to_another_subject(web: Web, subject: str) -> None:
    problem(call(web, "GET", "/v1/sites", token(sub=subject)), 403, "permission-denied")


def test_nobody_takes_a_name_that_another_issuer_s_subject_was_given(keys: Keys) -> None:
    common = {"audience": issuer.AUDIENCE, "jwks": keys.address, "local": True}
    first = Issuer(issuer=issuer.NAME, users={"11-22": "alice"}, **common)
    second = Issuer(issuer=OTHER, name_users=True, users={"bob": "bob"}, **common)
    issuers = wlcg.Issuers(Token(issuers=(first, second)))

    assert issuers.proof(token(sub="11-22")).user == "alice"
    assert [issuers.proof(token(iss=OTHER, sub=one)).user for one in ("bob", "carol")] == [
        "bob",
        "carol",
    ]
    with pytest.raises(Forbidden):
        issuers.proof(token(iss=OTHER, sub="alice"))


# --- groups ---------------------------------------------------------------------------------------


def _operates(web: Web, **said: Any) -> bool:
    status = call(web, "PUT", "/v1/quotas/alice", token(**said), {"limit": 5}).status_code
    assert status in (200, 403, 404)
    return status != 403


@pytest.mark.parametrize(
    ("groups", "may"),
    [
        (["/cms/ops"], True),
        (["/atlas", "/cms/ops"], True),
        (["/cms"], False),
        (["/cms/ops/night"], False),
        (["/CMS/ops"], False),
        (["/cms/ops/"], False),
        ([["/cms/ops"], 7, None], False),
        ("/cms/ops", False),
        ({"/cms/ops": 1}, False),
    ],
)
def test_groups_give_the_roles_that_the_settings_say(web: Web, groups: object, may: bool) -> None:
    assert _operates(web, **{"wlcg.groups": groups}) is may


def test_roles_that_the_token_of_another_issuer_claims_mean_nothing(web: Web) -> None:
    assert not _operates(web, roles=["operator"])


@pytest.mark.parametrize("scope", ["storage.read:/", "storage.modify:/", "compute.create"])
def test_a_token_with_any_capability_ignores_groups_and_given_roles(web: Web, scope: str) -> None:
    _owner(web, "11-22")
    with web.world.ctx.begin() as work:
        work.changed(update(User).where(User.name == "alice").values(roles=["operator"]))

    assert _operates(web)
    assert not _operates(web, scope=scope)
    assert not _operates(web, scope=scope, **{"wlcg.groups": ["/cms/ops"]})


def test_a_group_may_run_a_site(web: Web) -> None:
    sent = token(**{"wlcg.groups": ["/mit"]})
    assert call(web, "PUT", "/v1/sites/T2_A", sent, {"status": "morgue"}).status_code == 200
    problem(call(web, "PUT", "/v1/sites/T2_B", sent, {"status": "morgue"}), 403)


# --- capabilities ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        (f"storage.create:{HOME}", True),
        (f"storage.create:{HOME}/", True),
        (f"storage.create:{HOME}/out.root", True),
        ("storage.create:/", True),
        (f"storage.modify:{HOME}", True),
        (f"storage.read:/ storage.create:{HOME}", True),
        (f"storage.create:{HOME}/ou", False),
        (f"storage.create:{HOME}/run1", False),
        (f"storage.create:{HOME}bob", False),
        (f"storage.create:{HOME[:-1]}", False),
        ("storage.create:/store/user/dynamo/bob", False),
        (f"storage.create:{HOME.upper()}", False),
        (f"storage.create:{HOME.replace('/alice', '%2Falice')}", False),
        (f"storage.read:{HOME}", False),
        (f"storage.stage:{HOME}", False),
        (f"storage.create_all:{HOME}", False),
        ("compute.create", False),
    ],
)
def test_files_are_made_only_below_the_paths_of_the_token(web: Web, scope: str, may: bool) -> None:
    answer = call(web, "POST", "/v1/injections", token(scope=scope), booking("out.root"))

    if may:
        assert answer.status_code == 202, answer.get_data(as_text=True)
    else:
        problem(answer, 403, "permission-denied")
        assert web.items("/v1/injections", by="alice") == []


def test_one_file_outside_refuses_them_all_and_is_named(web: Web) -> None:
    sent = token(scope=f"storage.create:{HOME}/a")
    answer = call(web, "POST", "/v1/injections", sent, booking("a/1.root", "ab/2.root"))

    (fault,) = problem(answer, 403, "permission-denied")["errors"]
    assert (fault["pointer"], fault["lfn"]) == ("/files/1/lfn", lfn("ab/2.root"))


def test_a_capability_gives_nobody_the_names_of_another_user(web: Web) -> None:
    sent = token(sub="33-44", scope="storage.create:/ storage.modify:/")
    problem(call(web, "POST", "/v1/injections", sent, booking("out.root")), 403)


def test_uploads_are_confirmed_by_a_token_for_their_paths(web: Web) -> None:
    booked = call(web, "POST", "/v1/injections", token(), booking("a/1.root")).get_json()
    path = f"/v1/injections/{booked['id']}/uploaded"

    def confirm(area: str, body: object) -> int:
        return call(web, "POST", path, token(scope=f"storage.create:{area}"), body).status_code

    for body in ({}, {"lfns": [lfn("a/1.root")]}):
        assert confirm(f"{HOME}/b", body) == 403
        assert confirm(f"{HOME}/a", body) == 202


@pytest.mark.parametrize("kind", ["closures", "copies", "deletions"])
def test_what_changes_more_needs_a_token_for_all_that_the_user_has(web: Web, kind: str) -> None:
    body = {"dataset": DATASET, **({"site": "T2_A"} if kind == "copies" else {})}
    for scope in (f"storage.create:{HOME}", f"storage.modify:{HOME}/run1", "storage.read:/"):
        problem(call(web, "POST", f"/v1/{kind}", token(scope=scope), body), 403)

    answer = call(web, "POST", f"/v1/{kind}", token(scope=f"storage.modify:{HOME}"), body)
    assert answer.status_code in (202, 404)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"jwks": "http://iam.example.org/jwks"},
        {"jwks": "https://evil.example.org/jwks"},
        {"jwks": "https://iam.example.org@evil.example.org/jwks"},
        {"jwks": "file:///etc/keys.json"},
        {"jwks": "http://127.0.0.1/jwks"},
        {"jwks": "ftp://iam.example.org/jwks"},
        {"jwks": "https:///jwks", "issuer": "https:///"},
        {"issuer": "http://iam.example.org/"},
        {"jwks": "http://iam.example.org/jwks", "local": True},
        {"users": {"x": "Not A User"}},
        {"groups": {"/cms": ("root",)}},
    ],
)
def test_settings_that_are_not_safe_are_refused(changed: dict[str, Any]) -> None:
    good = {"issuer": issuer.NAME, "audience": "a", "jwks": "https://iam.example.org/jwks"}
    assert Issuer(**good)
    with pytest.raises(ValidationError):
        Issuer(**{**good, **changed})


def test_an_issuer_stands_there_once() -> None:
    one = Issuer(issuer=issuer.NAME, audience="a", jwks="https://iam.example.org/jwks")
    with pytest.raises(ValidationError, match="once"):
        Token(issuers=(one, one))
    with pytest.raises(ValidationError, match="once"):
        Token(issuer=issuer.NAME, issuers=(one,))


def test_the_example_of_the_page_is_understood(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating" / "tokens.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / FILE).write_text(example)

    (one,) = load(tmp_path).token.issuers

    assert list(one.users.values()) == ["alice"]
    assert one.groups["/cms/site-mit"] == ("site:T2_US_MIT",)
    assert all(f"`{name}`" in page for name in Issuer.model_fields)
