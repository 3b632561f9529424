"""nginx as shipped, before an API as systemd starts it: whose certificate is believed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynamo import tokens
from dynamo.settings import Settings
from tests.authority import Authority
from tests.deploy.conftest import ALICE, SECRET, Front


def test_a_user_with_a_certificate_is_let_in(front: Front) -> None:
    alice = front.authority.person(ALICE)
    assert front.status(by=alice) == 200
    assert front.status(by=alice, method="POST", path="/v1/closures") == 422, "known, but empty"
    assert front.status(by=alice, method="POST", path="/v1/cycles") == 403, "no operator"


def test_others_are_not(front: Front, tmp_path: Path) -> None:
    assert front.status() == 401
    assert front.status(by=front.authority.person(ALICE.replace("Alice", "Mallory"))) == 403
    assert front.status(by=front.authority.person("CN=Bob/CN=Alice Smith,DC=org")) == 403
    stranger = Authority(tmp_path / "other", "Other CA").person(ALICE)
    assert front.status(by=stranger) == 400, "nginx does not believe that authority"


FORGED = ("X-Client-Subject", "x-client-subject", "X_Client_Subject")


@pytest.mark.parametrize("name", FORGED)
def test_a_client_that_says_who_it_is_says_nothing(front: Front, name: str) -> None:
    forged = {name: ALICE}
    assert front.status(forged) == 401
    assert front.status(forged, by=front.authority.person("CN=Mallory,DC=org")) == 403
    assert front.status(forged, direct=True) == 401
    for guess in ("", "guess", SECRET[:-1], SECRET + "x"):
        assert front.status({**forged, "X-Proxy-Secret": guess}, direct=True) == 401
        assert front.status({**forged, "X-Proxy-Secret": guess}) == 401


def test_with_address_and_secret_it_is_the_proxy(front: Front) -> None:
    told = {"X-Client-Subject": ALICE, "X-Proxy-Secret": SECRET}
    assert front.status(told, direct=True) == 200
    assert front.status({**told, "X-Client-Subject": "nonsense"}, direct=True) == 401


def test_a_token_counts_before_a_certificate(front: Front) -> None:
    alice = front.authority.person(ALICE)
    settings = Settings(data=front.data, proxy={"addresses": ()})
    token = tokens.issue(settings, "olga", ["operator"], datetime.now(UTC))
    assert front.status({"Authorization": f"Bearer {token}"}) == 200
    bearer = {"Authorization": f"Bearer {token}"}
    assert front.status(bearer, by=alice, method="POST", path="/v1/cycles") == 422
    assert front.status({"Authorization": "Bearer forged"}, by=alice) == 401


def test_the_secret_is_in_no_log(front: Front) -> None:
    front.status({"X-Client-Subject": ALICE, "X-Proxy-Secret": "canary-" + SECRET}, direct=True)
    for path in front.data.parent.glob("*.log"):
        assert SECRET not in path.read_text(), path
