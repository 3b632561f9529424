"""Tokens of the WLCG profile: from configured issuers, with capabilities or groups."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from api.jwks import Keyset
from api.problems import Unauthenticated
from dynamo.errors import Forbidden
from dynamo.inventory import names, scopes
from dynamo.inventory.scopes import Scopes
from dynamo.settings import Issuer, Token

ALGORITHMS = ("ES256", "RS256")
"""Never `none`, never a shared secret."""
ANY = "https://wlcg.cern.ch/jwt/v1/any"
"""The audience that means all services."""
LEEWAY = 60
REQUIRED = ("sub", "iss", "aud", "exp", "iat", "jti", "wlcg.ver")
_VERSION = re.compile(r"1\.[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token proves: whose it is, and roles or capabilities, never both."""

    user: str
    roles: tuple[str, ...]
    scopes: Scopes | None


class Issuers:
    """The issuers that are believed: those that are configured, no others."""

    def __init__(self, expected: Token, now: Callable[[], float] = time.monotonic) -> None:
        self._known = {one.issuer: (one, Keyset(one.jwks, now)) for one in expected.issuers}
        self._given = frozenset(name for one in expected.issuers for name in one.users.values())

    def meant(self, token: str) -> bool:
        """Tell whether a token says, without proof yet, that one of these has issued it."""
        return bool(self._known) and _said(token).get("iss") in self._known

    def proof(self, token: str) -> Proof:
        """Return what a token proves. Raises Unauthenticated, Forbidden, Unavailable."""
        issuer, keys = self._known[_said(token)["iss"]]
        claims = _verified(token, issuer, keys)
        _check_profile(claims)
        try:
            held = scopes.parse(_text(claims.get("scope")))
        except ValueError as error:
            raise Unauthenticated(f"the scope {error}") from None
        roles = () if held is not None else _roles(claims, issuer)
        return Proof(self._user(claims["sub"], issuer), roles, held)

    def _user(self, subject: str, issuer: Issuer) -> str:
        """Return the user of a subject.

        A name that was given to one is never taken by another, nor by one of another issuer.
        """
        known = issuer.users.get(subject)
        if known is not None:
            return known
        if issuer.name_users and names.is_user(subject) and subject not in self._given:
            return subject
        raise Forbidden("the subject of the token is no user here; an operator can make it one")


def _said(token: str) -> dict[str, Any]:
    """Read what a token says, which proves nothing."""
    try:
        found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated("the token is not one of ours") from None
    return found if isinstance(found.get("iss"), str) else {}


def _verified(token: str, issuer: Issuer, keys: Keyset) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str):
            raise Unauthenticated(f"name a key and sign by one of {', '.join(ALGORITHMS)}")
        key = keys.key(key_id, algorithm)
        if key is None:
            raise Unauthenticated("the token is signed by a key that its issuer does not have")
        found: dict[str, Any] = jwt.decode(
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
    return found


def _check_profile(claims: Mapping[str, Any]) -> None:
    version, subject = claims["wlcg.ver"], claims["sub"]
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        raise Unauthenticated("the token has an unknown version of the WLCG profile")
    if not isinstance(subject, str) or not subject.isascii() or not 0 < len(subject) <= 255:
        raise Unauthenticated("the subject of the token is none")


def _text(scope: object) -> str:
    if scope is not None and not isinstance(scope, str):
        raise Unauthenticated("the scope of the token is no text")
    return scope or ""


def _roles(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """Return the roles of the groups, each compared as a whole: a child is not its parent."""
    told = claims.get("wlcg.groups", [])
    groups = [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
    return tuple(role for group in groups for role in issuer.groups.get(group, ()))
