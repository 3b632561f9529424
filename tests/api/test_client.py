"""The client as the service hands it out."""

from pathlib import Path

from dynamo.client import client
from tests.api.web import Web

FILE = Path(client.__file__).read_bytes()


def test_the_client_is_served_byte_for_byte_to_whoever_asks(web: Web) -> None:
    answer = web.call("GET", "/client.py", by=None)

    assert (answer.status_code, answer.data) == (200, FILE)
    assert answer.content_type == "text/x-python; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(FILE))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "client.py" in web.get("/v1/swagger.json", by=None)["info"]["description"]


def test_who_has_the_client_already_is_not_sent_it_again(web: Web) -> None:
    tag = web.call("GET", "/client.py", by=None).headers["ETag"]

    def again(known: str) -> tuple[int, bytes]:
        answer = web.call("GET", "/client.py", by=None, headers={"If-None-Match": known})
        assert answer.headers["ETag"] == tag
        return answer.status_code, answer.data

    assert again(tag) == (304, b"")
    assert again('"another"') == (200, FILE)


def test_the_client_can_only_be_read(web: Web) -> None:
    assert web.call("HEAD", "/client.py", by=None).status_code == 200
    assert web.call("POST", "/client.py", json={}).status_code == 405
