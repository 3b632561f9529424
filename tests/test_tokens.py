"""Tokens of the embedded default: one key per data directory, readable by its owner alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from dynamo import tokens
from dynamo.settings import Settings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def read(token: str, data: Path, audience: str) -> dict[str, object]:
    claims = jwt.decode(
        token,
        tokens.public_key(data),
        algorithms=[tokens.ALGORITHM],
        audience=audience,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    return dict(claims)


def test_a_token_says_who_may_do_what_and_until_when(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)

    token = tokens.issue(settings, "alice", ["operator"], NOW)

    claims = read(token, tmp_path, settings.token.audience)
    assert claims["sub"] == "alice"
    assert claims["roles"] == ["operator"]
    assert claims["iss"] == settings.token.issuer
    assert claims["exp"] == int((NOW + timedelta(hours=12)).timestamp())
    assert "site" not in claims


def test_the_token_of_a_site_names_the_site(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    token = tokens.issue(settings, "admin", ["site"], NOW, site="T2_US_MIT")
    assert read(token, tmp_path, settings.token.audience)["site"] == "T2_US_MIT"


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = tokens.ensure_key(tmp_path).read_bytes()
    assert tokens.ensure_key(tmp_path).read_bytes() == first
    assert tokens.key_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert tokens.key_path(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as many:
        made = {path.read_bytes() for path in many.map(tokens.ensure_key, [tmp_path] * 32)}
    assert len(made) == 1
    assert [path.name for path in tokens.key_path(tmp_path).parent.iterdir()] == ["ES256"]


def test_a_token_of_another_data_directory_is_not_believed(tmp_path: Path) -> None:
    here, there = Settings(data=tmp_path / "here"), tmp_path / "there"
    token = tokens.issue(here, "mallory", ["operator"], NOW)
    with pytest.raises(jwt.InvalidSignatureError):
        read(token, there, here.token.audience)
