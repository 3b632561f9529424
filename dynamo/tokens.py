"""Bearer tokens of the embedded default: the signing key of a data directory, and its tokens."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dynamo.settings import Settings

ALGORITHM = "ES256"


def key_path(data: Path) -> Path:
    """Return the path of the private key."""
    return data / "keys" / "ES256"


def ensure_key(data: Path) -> Path:
    """Return the private key's path, created at the first call; parallel callers get one key."""
    path = key_path(data)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"new-{secrets.token_hex(8)}")
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(_new_key())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path


def public_key(data: Path) -> bytes:
    """Return the PEM of the key that verifies tokens of this data directory."""
    private = serialization.load_pem_private_key(ensure_key(data).read_bytes(), password=None)
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def issue(
    settings: Settings, subject: str, roles: Iterable[str], now: datetime, site: str | None = None
) -> str:
    """Return a signed token for `subject`; `site` is the site of the role `site`."""
    claims: dict[str, object] = {
        "iss": settings.token.issuer,
        "aud": settings.token.audience,
        "sub": subject,
        "roles": sorted(roles),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=settings.token.hours),
        "jti": secrets.token_hex(16),
    }
    if site is not None:
        claims["site"] = site
    return jwt.encode(claims, ensure_key(settings.data).read_bytes(), algorithm=ALGORITHM)


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
