"""Bearer tokens of the embedded default: the key of a data directory and what is signed with it."""

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
    """Return where the private key of a data directory is."""
    return data / "keys" / "ES256"


def ensure_key(data: Path) -> Path:
    """Return the private key, made at the first call; of several makers at once one wins."""
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
    """Return the PEM that tokens of this data directory are checked with."""
    private = serialization.load_pem_private_key(ensure_key(data).read_bytes(), password=None)
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def issue(
    settings: Settings, subject: str, roles: Iterable[str], now: datetime, site: str | None = None
) -> str:
    """Sign a token for `subject`; `site` is the own site of the role `site`."""
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
