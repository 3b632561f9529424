"""Bodies that nobody needs, sent to a real service: refused, in little time and flat memory."""

import http.client
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.decoding import MAX_BYTES
from dynamo import tokens
from dynamo.settings import Settings
from tests.api.bombs import BOMBS
from tests.deploy.conftest import Front
from tests.systems import family

SECONDS = 3.0
"""Seconds of processor time for a bomb; the worst takes 0.2."""
GROWTH = 512 * 2**20
"""Bytes by which all processes together may grow; of four bombs at once two have 16 MB."""


@pytest.fixture
def bearer(front: Front) -> dict[str, str]:
    settings = Settings(data=front.data, proxy={"addresses": ()})
    return {
        "Authorization": f"Bearer {tokens.issue(settings, 'mallory', [], datetime.now(UTC))}",
        "Content-Type": "application/json",
    }


def thrown(front: Front, bearer: dict[str, str], body: object) -> int | None:
    """Send a body; None where the service hung up before it had all of it."""
    connection = http.client.HTTPConnection(urlsplit(front.inner).netloc, timeout=120)
    try:
        connection.request(
            "POST",
            "/v1/injections",
            body,  # type: ignore[arg-type]
            bearer,
            encode_chunked=not isinstance(body, bytes),
        )
        answer = connection.getresponse()
        told = answer.read()
    except (ConnectionError, http.client.RemoteDisconnected):
        return None
    finally:
        connection.close()
    assert b"Traceback" not in told
    return answer.status


def seconds(pids: set[int]) -> float:
    """Return the processor time that processes have used."""
    ticks = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids
    ]
    return sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


def peak(pids: set[int]) -> int:
    """Return the most memory that processes ever held."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.findall(r"VmHWM:\s+([0-9]+) kB", text)[0]) * 1024 for text in texts)


def test_bombs_are_refused_in_little_time_and_flat_memory(
    front: Front, bearer: dict[str, str]
) -> None:
    assert thrown(front, bearer, b"{}") == 422
    pids = {front.pid} | family(front.pid)
    before = peak(pids)
    for name, bomb in BOMBS.items():
        began = seconds(pids)
        hung_up = [None] if len(bomb) > MAX_BYTES else []  # before all of it was sent
        assert thrown(front, bearer, bomb) in (400, 413, *hung_up), name
        assert seconds(pids) - began < SECONDS, name
    with ThreadPoolExecutor(4) as many:
        given = set(many.map(lambda bomb: thrown(front, bearer, bomb), list(BOMBS.values())[:8]))
    assert given <= {400, 413}
    grown = peak(pids) - before
    assert grown < GROWTH, f"{grown / 2**20:.0f} MB"
    assert {front.pid} | family(front.pid) == pids, "no process had to be started again"
    assert front.status(path="/v1/health", direct=True) == 200


def test_a_body_that_never_ends_is_cut_off(front: Front, bearer: dict[str, str]) -> None:
    pids = {front.pid} | family(front.pid)
    before = peak(pids)
    piece = b"[" * 2**20
    endless = (piece for _ in range(200))
    given = thrown(front, {**bearer, "Transfer-Encoding": "chunked"}, endless)
    assert given in (400, 413, None)
    assert peak(pids) - before < 8 * MAX_BYTES
    assert front.status(path="/v1/health", direct=True) == 200


def test_what_bears_no_token_is_refused_before_its_body_is_looked_at(front: Front) -> None:
    anonymous = {"Content-Type": "application/json"}
    for name in ("open lists", "five million lists", "17 MiB"):
        assert thrown(front, anonymous, BOMBS[name]) in (401, None)
