"""Tokens of the WLCG profile: from configured issuers, with capabilities or groups."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt

from api.jwks import Keyset
from api.problems import Unauthenticated
from dynamo.errors import Forbidden
from dynamo.inventory import names, scopes
from dynamo.inventory.scopes import Scopes
from dynamo.settings import Issuer, Token

Claims = Mapping[str, object]
"""What a token says."""

ALGORITHMS = ("ES256", "RS256")
"""Never `none`, never a shared secret."""
ANY = "https://wlcg.cern.ch/jwt/v1/any"
"""The audience that means all services."""
LEEWAY = 60
REQUIRED = ("sub", "iss", "aud", "exp", "iat", "jti", "wlcg.ver")
_VERSION = re.compile(r"1\.[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proof:
    """The user of a verified token, with either roles or capabilities."""

    user: str
    roles: tuple[str, ...]
    scopes: Scopes | None


class Issuers:
    """The trusted issuers of the settings."""

    def __init__(self, expected: Token, now: Callable[[], float] = time.monotonic) -> None:
        self._known = {
            issuer.issuer: (issuer, Keyset(issuer.jwks, now)) for issuer in expected.issuers
        }
        self._given = frozenset(
            name for issuer in expected.issuers for name in issuer.users.values()
        )

    def meant(self, token: str) -> bool:
        """Return whether a token names, without proof yet, one of these issuers."""
        return bool(self._known) and _issuer(token) in self._known

    def proof(self, token: str) -> Proof:
        """Return the verified content of a token.

        Raises Unauthenticated, Forbidden, Unavailable.
        """
        issuer, keys = self._known[_issuer(token)]
        claims = _verified(token, issuer, keys)
        subject = _subject(claims)
        try:
            capabilities = scopes.parse(_text(claims.get("scope")))
        except ValueError as error:
            raise Unauthenticated(f"the scope {error}") from None
        roles = () if capabilities is not None else _roles(claims, issuer)
        return Proof(self._user(subject, issuer), roles, capabilities)

    def _user(self, subject: str, issuer: Issuer) -> str:
        """Return the user of a subject.

        A name that is assigned to a subject is never given to another, or to one of another issuer.
        """
        known = issuer.users.get(subject)
        if known is not None:
            return known
        if issuer.name_users and names.is_user(subject) and subject not in self._given:
            return subject
        raise Forbidden(
            "the subject of the token belongs to no user; an operator can assign it to one"
        )


def _issuer(token: str) -> str:
    """Return the issuer that a token names, without verification."""
    try:
        claims: Claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated("the token is not one of ours") from None
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _verified(token: str, issuer: Issuer, keys: Keyset) -> Claims:
    try:
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str):
            raise Unauthenticated(f"name a key and sign by one of {', '.join(ALGORITHMS)}")
        key = keys.key(key_id, algorithm)
        if key is None:
            raise Unauthenticated("the token is signed by a key that its issuer does not have")
        claims: Claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=[issuer.audience, ANY],
            issuer=issuer.issuer,
            leeway=LEEWAY,
            options={"require": list(REQUIRED)},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired; get a new one") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise Unauthenticated("the token is not one of ours") from None
    return claims


def _subject(claims: Claims) -> str:
    """Return the subject of a token that follows the profile. Raises Unauthenticated."""
    version, subject = claims["wlcg.ver"], claims["sub"]
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        raise Unauthenticated("the token has an unknown version of the WLCG profile")
    if not isinstance(subject, str) or not subject.isascii() or not 0 < len(subject) <= 255:
        raise Unauthenticated("the subject of the token is not valid")
    return subject


def _text(scope: object) -> str:
    if scope is not None and not isinstance(scope, str):
        raise Unauthenticated("the scope of the token is not a text")
    return scope or ""


def _roles(claims: Claims, issuer: Issuer) -> tuple[str, ...]:
    """Return the roles of the groups; group names match exactly, so a child is not its parent."""
    claimed = claims.get("wlcg.groups", [])
    groups = (
        [group_name for group_name in claimed if isinstance(group_name, str)]
        if isinstance(claimed, list)
        else []
    )
    return tuple(role for group in groups for role in issuer.groups.get(group, ()))
