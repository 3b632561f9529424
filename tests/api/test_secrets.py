"""A token is seen by nobody but the code that checks it."""

import pytest
from structlog.testing import capture_logs

from tests.api.web import Web, booking

PATHS = ("/v1/sites", "/v1/nothing", "/v1/files", "/v1/injections/7", "/metrics", "/v1/health")


def test_no_token_reaches_logs_answers_or_the_inventory(web: Web) -> None:
    token = web.token("alice")
    bearer = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    with capture_logs() as logs:
        answers = [web.call("GET", path, by=None, headers=bearer) for path in PATHS]
        answers += [
            web.call("POST", "/v1/injections", by=None, headers=bearer, json=booking("a")),
            web.call("POST", "/v1/injections", by=None, headers=bearer, data=b"{"),
            web.call("PUT", "/v1/sites/T2_A", by=None, headers=bearer, json={}),
        ]
    for secret in (token, token.split(".")[2]):
        assert secret not in repr(logs)
        for answer in answers:
            assert secret not in answer.get_data(as_text=True)
            assert secret not in repr(answer.headers)
    history = web.items("/v1/history?site=T2_A")
    assert token.split(".")[2] not in repr(history)


@pytest.mark.parametrize("header", [{"X-Fields": "{{{"}, {"Accept": "text/xml"}, {"Accept": "x"}])
def test_the_framework_has_no_say_in_answers(web: Web, header: dict[str, str]) -> None:
    assert web.call("GET", "/v1/sites", headers=header).mimetype == "application/json"


def test_answers_are_not_kept_by_caches_and_are_what_they_say(web: Web) -> None:
    headers = web.call("GET", "/v1/sites").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
