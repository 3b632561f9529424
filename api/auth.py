"""Authentication by token or certificate, and the table of who may call what."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from flask import Flask, g, request

from api.certificate import Certificates
from api.context import context
from api.problems import Unauthenticated
from api.wlcg import ALGORITHMS, LEEWAY, Claims, Issuers
from dynamo.errors import Forbidden
from dynamo.inventory import names
from dynamo.inventory.callers import Caller
from dynamo.inventory.scopes import CREATE, MODIFY
from dynamo.inventory.states import Role
from dynamo.services import authorization, users
from dynamo.settings import Token

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MOST_BYTES = 16_384
REMEMBERED = 1_000
"""Limit of verified tokens that are cached."""
_SITE = "site:"

Rule = Callable[[Caller], bool]


def anybody(caller: Caller) -> bool:  # noqa: ARG001 - the shape of a rule
    """Any valid token; the service may still refuse."""
    return True


def operators(caller: Caller) -> bool:
    """Operators."""
    return caller.may_operate


def producers(caller: Caller) -> bool:
    """Operators and producers of official data; the service checks the owner of the data."""
    return caller.may_produce


def sites(caller: Caller) -> bool:
    """Operators and site contacts; the service checks the site."""
    return caller.may_operate or Role.SITE in caller.roles


OPEN = frozenset({"v1.health", "v1.doc", "v1.root", "v1.specs", "restx_doc.static", "client"})
"""Endpoints without a token: health, the description of the interface, the client."""

_REQUESTS = ("injections", "copies", "closures", "deletions")
_LISTS = ("datasets", "blocks", "files", "replicas", "locations", "history", "partitions")
_SHOWN = (
    "dataset",
    "partition",
    "site_quota",
    "user_quota",
    "switch",
    "site",
    "lock",
    "policy",
    "rules",
)
_OF_SITES = ("site_evacuation", "site_losses")
_COLLECTIONS = ("sites", "quotas", "switches", "locks", "cycles")
_SCANS = ("scans", "scan", "quarantine", "incidents")
_CYCLES = ("cycle", "cycle_decisions", "decisions")

RULES: dict[tuple[str, str], Rule] = {
    **{
        (f"v1.{name}", "GET"): anybody
        for name in (*_LISTS, *_SHOWN, *_COLLECTIONS, *_CYCLES, *_SCANS, *_OF_SITES)
    },
    ("v1.me", "GET"): anybody,
    **{(f"v1.{name}", method): anybody for name in _REQUESTS for method in ("GET", "POST")},
    **{(f"v1.{name}_one", method): anybody for name in _REQUESTS for method in ("GET", "DELETE")},
    ("v1.uploaded", "POST"): anybody,
    ("v1.releases", "POST"): anybody,
    ("v1.locations", "POST"): anybody,
    ("v1.site", "PUT"): sites,
    ("v1.site_losses", "POST"): operators,
    ("v1.site_quota", "PUT"): operators,
    ("v1.user_quota", "PUT"): operators,
    ("v1.switch", "PUT"): operators,
    ("v1.policy", "PUT"): operators,
    ("v1.rules", "PUT"): operators,
    ("v1.partition", "PUT"): operators,
    ("v1.cycles", "POST"): operators,
    ("v1.scans", "POST"): operators,
    ("v1.quarantined", "DELETE"): operators,
    ("v1.locks", "POST"): operators,
    ("v1.lock", "DELETE"): operators,
    ("v1.accesses", "POST"): operators,
    ("v1.demands", "POST"): operators,
    ("v1.datasets", "POST"): producers,
    ("v1.dataset", "PATCH"): producers,
    ("metrics", "GET"): anybody,
}
"""The rule of each endpoint and method; missing ones are refused."""


CREATING = frozenset({("v1.injections", "POST"), ("v1.uploaded", "POST")})
"""Calls that a token to create files may make; the service checks the files."""
READING = frozenset({("v1.locations", "POST")})
"""Calls with a body that change nothing."""


class Verifier:
    """Verifies tokens of one issuer for one audience."""

    def __init__(self, key: bytes, expected: Token) -> None:
        # parsed once: parsing takes longer than checking a signature
        self._key: Any = serialization.load_pem_public_key(key)
        self._expected = expected
        self._believed: dict[str, tuple[int, Claims]] = {}

    def claims(self, token: str) -> Claims:
        """Return the claims of a valid token. Raises Unauthenticated.

        A job makes all its calls with one token: a verified token is cached until it expires.
        """
        end, claims = self._believed.get(token, (0, {}))
        if end <= time.time():
            claims = self._proven(token)
            if len(self._believed) >= REMEMBERED:
                self._believed.clear()
            self._believed[token] = (_end(claims), claims)
        return claims

    def _proven(self, token: str) -> Claims:
        try:
            claims: Claims = jwt.decode(
                token,
                self._key,
                algorithms=ALGORITHMS,
                audience=self._expected.audience,
                issuer=self._expected.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired; get a new one") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthenticated("the token is not valid for this service") from None
        if str(claims.get("wlcg.ver", "1")).split(".")[0] != "1":
            raise Unauthenticated("the token has an unknown version")
        return claims


def _end(claims: Claims) -> int:
    """Return when a token ends, in seconds since 1970."""
    end = claims["exp"]
    return int(end) if isinstance(end, (int, float, str)) else 0


def bearer(header: str | None) -> str:
    """Return the token of an `Authorization` header. Raises Unauthenticated."""
    if len(header or "") > MOST_BYTES:
        raise Unauthenticated("the token is too long")
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send the header Authorization: Bearer <token>")
    return token.strip()


def caller_of(claims: Claims) -> Caller:
    """Return the caller of a token's claims. Raises Forbidden if the subject is not a user name."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not names.is_user(subject):
        raise Forbidden("the subject of the token is not a user name: [a-z][a-z0-9_-]{0,31}")
    claimed = claims.get("roles", [])
    words = claimed if isinstance(claimed, list) else str(claimed).split()
    site = claims.get("site")
    named = [f"{_SITE}{site}"] if isinstance(site, str) and Role.SITE in words else []
    return with_roles(Caller(subject, frozenset({Role.USER})), [*words, *named])


def with_roles(caller: Caller, words: Sequence[object]) -> Caller:
    """Return the caller with more roles; `site:<name>` is the role `site` with its site.

    Unknown roles are ignored.
    """
    texts = [word for word in words if isinstance(word, str)]
    roles = frozenset(Role(word) for word in texts if word in Role.__members__.values())
    own = [word.removeprefix(_SITE) for word in texts if word.startswith(_SITE)]
    site = own[0] if own else caller.site
    return replace(caller, roles=caller.roles | roles | ({Role.SITE} if own else set()), site=site)


def caller() -> Caller:
    """Return the caller of the current call."""
    current: Caller = g.caller
    return current


def _registered(name: str, method: str) -> list[str]:
    """Return the registered roles of a caller; a caller of POST is registered as a user."""
    if method == "POST":
        return users.meet(context(), name)
    return users.roles(context(), name)


def _within_scopes(caller: Caller, cell: tuple[str, str]) -> bool:
    """Return whether a token's capabilities allow a call."""
    if caller.scopes is None or cell[1] in ("GET", "HEAD") or cell in READING:
        return True
    if cell in CREATING:
        return caller.scopes.mention(CREATE)
    return caller.scopes.permit(MODIFY, authorization.namespace(context().settings).of(caller.name))


@dataclass(frozen=True, slots=True)
class Proofs:
    """Accepted proofs of identity: own tokens, other issuers' tokens, proxied certificates."""

    verifier: Verifier
    issuers: Issuers
    certificates: Certificates

    def caller(self, environ: "WSGIEnvironment") -> Caller:
        """Return the caller; a token counts before a certificate. Raises Unauthenticated."""
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None:
            user = self.certificates.user(environ)
            if user is not None:
                return Caller(user, frozenset({Role.USER}))
        return self._bearer_of(bearer(header))

    def _bearer_of(self, token: str) -> Caller:
        """Return the caller of a token, verified with the keys of the issuer it names."""
        if not self.issuers.meant(token):
            return caller_of(self.verifier.claims(token))
        proof = self.issuers.proof(token)
        bearer_caller = Caller(proof.user, frozenset({Role.USER}), scopes=proof.scopes)
        return with_roles(bearer_caller, list(proof.roles))


def register(app: Flask, proofs: Proofs) -> None:
    """Authenticate and authorize every call before anything else."""

    def admit() -> None:
        endpoint, method = request.endpoint, request.method
        if endpoint is None or endpoint in OPEN or method == "OPTIONS":
            return  # no such route, or an open one
        rule = RULES.get((endpoint, "GET" if method == "HEAD" else method))
        found = proofs.caller(request.environ)
        if method not in ("GET", "HEAD"):
            given = _registered(found.name, method)
            # capabilities are complete: roles add nothing to them
            found = with_roles(found, given) if found.scopes is None else found
        if rule is None or not rule(found) or not _within_scopes(found, (endpoint, method)):
            raise Forbidden("your roles do not allow this call")
        g.caller = found

    app.before_request(admit)
