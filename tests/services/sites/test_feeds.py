"""Feeds: what others tell is taken in whole, or it changes nothing."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.clock import rfc3339
from dynamo.db.tables import Access, Demand, Downtime, History
from dynamo.errors import Unavailable
from dynamo.feeds import reading
from dynamo.inventory import schemas
from dynamo.inventory.states import SiteStatus
from dynamo.services.maintenance import health
from dynamo.services.sites import feeds as site_feeds
from dynamo.services.sites import health as site_health
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import DATASET, OPERATOR, World
from tests.steps.probes import probe, statuses


class Pages:
    """A real web server on the loopback, and what it answers."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        pages = self.pages

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, headers = pages.get(self.path, (404, b"", {}))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        """Return where a page is."""
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web() -> Iterator[Pages]:
    """A web server."""
    server = Pages()
    yield server
    server.close()


def document(clock: Clock, **content: Any) -> bytes:
    """Write a document of this moment."""
    return json.dumps({"generated": rfc3339(clock.now), **content}).encode()


def feeds(world: World, *sources: dict[str, Any]) -> None:
    """Let a world read feeds."""
    world.ctx = world.with_settings(feeds={"sources": sources})


class NoQueues:
    """A broker without messages."""

    def depths(self) -> dict[str, int]:
        """Return nothing."""
        return {}


def warnings(world: World) -> list[str]:
    return list(health.check(world.ctx, NoQueues()).warnings)


def test_a_downtime_puts_a_site_aside_for_its_time(world: World, clock: Clock, web: Pages) -> None:
    feeds(world, {"name": "downtimes", "kind": "sites", "url": web.url("/sites")})
    begins, ends = clock.now + timedelta(hours=1), clock.now + timedelta(hours=3)
    time = {"begins": rfc3339(begins), "ends": rfc3339(ends), "why": "new disks"}
    told = [{"name": "T2_B", "downtimes": [time]}, {"name": "T9_XX", "status": "ready"}]
    web.pages["/sites"] = (200, document(clock, sites=told), {})

    site_feeds.read(world.ctx)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("ready", None)
    assert [one["why"] for one in sites.get(world.ctx, "T2_B")["downtimes"]] == ["new disks"]
    clock.forward(hours=2)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("waitroom", "downtime")
    clock.forward(hours=2)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_B"] == ("ready", None)
    assert warnings(world) == []


def test_a_site_is_aside_for_the_longest_of_the_downtimes_that_overlap(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    page = tmp_path / "sites.json"
    feeds(world, {"name": "downtimes", "kind": "sites", "url": f"file://{page}"})

    def time(first: float, last: float) -> dict[str, str]:
        begins, ends = (clock.now + timedelta(hours=hours) for hours in (first, last))
        return {"begins": rfc3339(begins), "ends": rfc3339(ends)}

    times = [time(0.5, 3.5), time(1.5, 5.5), time(1.5, 2.5)]
    page.write_bytes(document(clock, sites=[{"name": "T2_B", "downtimes": times}]))
    site_feeds.read(world.ctx)

    seen = []
    for _ in range(8):
        site_health.tend(world.ctx)
        seen.append(statuses(world)["T2_B"][0])
        clock.forward(hours=1)

    assert seen == ["ready", *["waitroom"] * 5, "ready", "ready"]


def test_downtimes_of_a_feed_that_is_read_no_more_are_over(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    page = tmp_path / "sites.json"
    feeds(world, {"name": "old", "kind": "sites", "url": f"file://{page}"})
    time = {"begins": rfc3339(clock.now), "ends": rfc3339(clock.now + timedelta(days=20))}
    page.write_bytes(document(clock, sites=[{"name": "T2_B", "downtimes": [time]}]))
    site_feeds.read(world.ctx)

    feeds(world)
    site_feeds.read(world.ctx)

    assert world.count(Downtime) == 0


def test_a_site_follows_a_feed_but_not_against_its_operator(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    page = tmp_path / "sites.json"
    feeds(world, {"name": "ssb", "kind": "sites", "url": f"file://{page}"})
    world.status("T2_C", "waitroom")  # an operator's word
    told = [{"name": "T2_A", "status": "waitroom"}, {"name": "T2_C", "status": "ready"}]
    page.write_bytes(document(clock, sites=told))
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "feed")
    assert statuses(world)["T2_C"] == ("waitroom", None)

    clock.forward(minutes=11)
    page.write_bytes(document(clock, sites=[{"name": "T2_A", "status": "ready"}]))
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("ready", None)


def test_a_site_is_given_up_for_a_feed_only_while_that_speaks(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    page = tmp_path / "sites.json"
    feeds(world, {"name": "ssb", "kind": "sites", "url": f"file://{page}"})
    told = [{"name": "T2_A", "status": "waitroom"}]
    page.write_bytes(document(clock, sites=told))
    site_feeds.read(world.ctx)
    clock.forward(days=15)
    site_feeds.read(world.ctx)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "feed"), "the document is two weeks old"

    page.write_bytes(document(clock, sites=told))
    clock.forward(minutes=11)
    site_feeds.read(world.ctx)
    site_health.tend(world.ctx)
    assert statuses(world)["T2_A"] == ("morgue", "time")


def telling(world: World, folder: Path, *names: str) -> dict[str, Path]:
    """Let a world read feeds of these names about sites; return where each is written."""
    pages = {name: folder / f"{name}.json" for name in names}
    sources = [{"name": name, "kind": "sites", "url": f"file://{pages[name]}"} for name in names]
    feeds(world, *sources)
    return pages


def say(clock: Clock, page: Path, **told: str) -> None:
    """Write what one feed says of sites."""
    sites_ = [{"name": name, "status": status} for name, status in told.items()]
    page.write_bytes(document(clock, sites=sites_))


def test_a_site_of_which_feeds_say_different_things_stays_aside_until_none_says_so(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    pages = telling(world, tmp_path, "first", "second")
    seen = []
    for first, second in [("ready", "waitroom")] * 4 + [("ready", "ready")] * 2:
        say(clock, pages["first"], T2_A=first, T2_B=second)
        say(clock, pages["second"], T2_A=second, T2_B=first)
        site_feeds.read(world.ctx)
        seen.append((statuses(world)["T2_A"], statuses(world)["T2_B"]))
        clock.forward(minutes=11)

    aside, back = ("waitroom", "feed"), ("ready", None)
    assert seen == [(aside, aside)] * 4 + [(back, back)] * 2
    assert world.count(History, History.what == "site-changed") == 4


def test_a_site_of_which_feeds_say_different_things_is_given_up_in_time(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    pages = telling(world, tmp_path, "first", "second")
    for _ in range(16):
        say(clock, pages["first"], T2_A="waitroom")
        say(clock, pages["second"], T2_A="ready")
        site_feeds.read(world.ctx)
        clock.forward(days=1)

    assert statuses(world)["T2_A"] == ("morgue", "time")


def test_a_feed_that_is_not_believed_any_more_keeps_no_site_aside_that_another_calls_ready(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    pages = telling(world, tmp_path, "silent", "speaking")
    say(clock, pages["silent"], T2_A="waitroom", T2_B="waitroom")
    say(clock, pages["speaking"], T2_A="ready", T2_C="ready")
    site_feeds.read(world.ctx)
    clock.forward(hours=5)
    say(clock, pages["speaking"], T2_A="ready", T2_C="ready")
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "feed"), "five hours are young enough"

    clock.forward(hours=2)
    site_feeds.read(world.ctx)

    assert statuses(world)["T2_A"] == ("ready", None)
    assert statuses(world)["T2_B"] == ("waitroom", "feed"), "nobody says anything else of it"


def test_a_feed_that_is_old_itself_brings_no_site_back(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    pages = telling(world, tmp_path, "old", "speaking")
    say(clock, pages["old"], T2_A="ready")
    say(clock, pages["speaking"], T2_A="waitroom")
    site_feeds.read(world.ctx)

    clock.forward(hours=7)
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "feed"), "neither is believed"
    say(clock, pages["speaking"], T2_B="ready")
    clock.forward(minutes=11)
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "probes"), "none says waitroom any more"


@pytest.mark.parametrize("how", ["is taken out", "tells of other things"])
def test_a_feed_that_tells_of_sites_no_more_counts_no_more(
    world: World, clock: Clock, tmp_path: Path, how: str
) -> None:
    pages = telling(world, tmp_path, "first", "second")
    ends = rfc3339(clock.now + timedelta(days=9))
    time = {"begins": rfc3339(clock.now + timedelta(days=8)), "ends": ends}
    said = [{"name": "T2_A", "status": "waitroom", "downtimes": [time]}]
    said.append({"name": "T2_B", "status": "waitroom"})
    pages["first"].write_bytes(document(clock, sites=said))
    say(clock, pages["second"], T2_A="ready")
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "feed")

    second = {"name": "second", "kind": "sites", "url": f"file://{pages['second']}"}
    others = [] if how == "is taken out" else [{**second, "name": "first", "kind": "accesses"}]
    feeds(world, second, *others)
    clock.forward(minutes=1)
    site_feeds.read(world.ctx)

    assert statuses(world)["T2_A"] == ("ready", None)
    assert statuses(world)["T2_B"] == ("waitroom", "probes"), "nobody speaks of it any more"
    assert world.count(Downtime) == 0


def test_what_an_operator_says_of_a_site_stands_between_two_readings(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    pages = telling(world, tmp_path, "first", "second")
    say(clock, pages["first"], T2_A="waitroom", T2_B="waitroom")
    say(clock, pages["second"], T2_A="ready", T2_B="ready")
    site_feeds.read(world.ctx)
    sites.update(world.ctx, "T2_A", schemas.SiteBody(status=SiteStatus.READY), OPERATOR)
    sites.update(world.ctx, "T2_B", schemas.SiteBody(status=SiteStatus.WAITROOM), OPERATOR)

    clock.forward(minutes=1)
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("ready", None)
    say(clock, pages["first"], T2_A="ready", T2_B="ready")
    clock.forward(minutes=11)
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_B"] == ("waitroom", None)


@pytest.mark.parametrize("others", ["that feed", "another feed"])
def test_a_site_is_not_given_up_for_what_is_not_told_of_it_any_more(
    world: World, clock: Clock, tmp_path: Path, others: str
) -> None:
    pages = telling(world, tmp_path, "ssb", "more")
    say(clock, pages["ssb"], T2_A="waitroom")
    site_feeds.read(world.ctx)

    clock.forward(days=15)
    say(clock, pages["ssb" if others == "that feed" else "more"], T2_B="ready")
    site_feeds.read(world.ctx)
    site_health.tend(world.ctx)

    by = "probes" if others == "that feed" else "feed"
    assert statuses(world)["T2_A"] == ("waitroom", by)


@pytest.mark.parametrize("how", ["the feed is gone", "the feed is silent of it"])
def test_a_site_of_which_no_feed_speaks_any_more_follows_its_probes(
    world: World, clock: Clock, tmp_path: Path, how: str
) -> None:
    page = tmp_path / "sites.json"
    source = {"name": "ssb", "kind": "sites", "url": f"file://{page}"}
    feeds(world, source)
    page.write_bytes(document(clock, sites=[{"name": "T2_A", "status": "waitroom"}]))
    site_feeds.read(world.ctx)
    probe(world, clock)
    assert statuses(world)["T2_A"] == ("waitroom", "feed")

    if how == "the feed is gone":
        feeds(world)
    else:
        page.write_bytes(document(clock, sites=[{"name": "T2_A"}]))
    site_feeds.read(world.ctx)
    assert statuses(world)["T2_A"] == ("waitroom", "probes")
    probe(world, clock)
    assert statuses(world)["T2_A"] == ("ready", None)


def test_accesses_and_demands_come_by_feed(world: World, clock: Clock, web: Pages) -> None:
    world.many("T2_A", 1)
    world.work()
    feeds(
        world,
        {"name": "popularity", "kind": "accesses", "url": web.url("/accesses")},
        {"name": "batch", "kind": "demands", "url": web.url("/demands")},
    )
    read = {"site": "T2_A", "date": "2026-11-20", "accesses": 7, "cpu_seconds": 1.5}
    jobs = {"jobs": 40, "since": rfc3339(clock.now)}
    ours, others = {"dataset": DATASET}, {"dataset": "/None/of-ours/RAW"}
    web.pages["/accesses"] = (200, document(clock, accesses=[read | ours, read | others]), {})
    web.pages["/demands"] = (200, document(clock, demands=[jobs | ours, jobs | others]), {})

    site_feeds.read(world.ctx)
    with world.ctx.begin.reading() as work:
        assert work.rows(select(Access.accesses, Access.cpu_seconds)) == [(7, 1.5)]
        assert work.rows(select(Demand.jobs, Demand.source)) == [(40, "batch")]
    assert warnings(world) == []

    web.pages["/demands"] = (200, document(clock, demands=[]), {})
    site_feeds.read(world.ctx)
    assert world.count(Demand) == 1, "it is not due yet"


def bad(clock: Clock) -> dict[str, tuple[int, bytes, dict[str, str]]]:
    """Documents that are not to be believed, by what health calls them."""
    later = {"begins": rfc3339(clock.now), "ends": rfc3339(clock.now - timedelta(hours=1))}
    first = {"begins": "0001-01-01T00:00:00+14:00", "ends": rfc3339(clock.now)}
    last = {"begins": rfc3339(clock.now), "ends": "9999-12-31T23:59:59-12:00"}
    old = {"generated": rfc3339(clock.now - timedelta(hours=7)), "sites": []}
    future = {"generated": rfc3339(clock.now + timedelta(hours=1)), "sites": []}
    return {
        "gone unreachable": (404, b"", {}),
        "to a file unreachable": (302, b"", {"Location": "file:///etc/hostname"}),
        "no json malformed": (200, b"<html>login</html>", {}),
        "cut short malformed": (200, document(clock, sites=[])[:-4], {}),
        "odd field malformed": (200, document(clock, sites=[], more=1), {}),
        "morgue malformed": (
            200,
            document(clock, sites=[{"name": "T2_A", "status": "morgue"}]),
            {},
        ),
        "odd letters malformed": (
            200,
            document(clock, sites=[{"name": "T2_Ü", "status": "ready"}, {"name": "T2_A"}]),
            {},
        ),
        "backwards malformed": (
            200,
            document(clock, sites=[{"name": "T2_A", "downtimes": [later]}]),
            {},
        ),
        "before all calendars malformed": (
            200,
            document(clock, sites=[{"name": "T2_A", "downtimes": [first]}]),
            {},
        ),
        "after all calendars malformed": (
            200,
            document(clock, sites=[{"name": "T2_A", "downtimes": [last]}]),
            {},
        ),
        "old stale": (200, json.dumps(old).encode(), {}),
        "future stale": (200, json.dumps(future).encode(), {}),
    }


def test_what_is_not_to_be_believed_changes_nothing_and_health_says_so(
    world: World, clock: Clock, web: Pages
) -> None:
    feeds(world, {"name": "ssb", "kind": "sites", "url": web.url("/sites")})
    ends = rfc3339(clock.now + timedelta(days=2))
    time = {"begins": rfc3339(clock.now), "ends": ends}
    good = [{"name": "T2_B", "status": "waitroom", "downtimes": [time]}]
    web.pages["/sites"] = (200, document(clock, sites=good), {})
    site_feeds.read(world.ctx)
    before = statuses(world)
    assert before["T2_B"] == ("waitroom", "feed")

    for name, page in bad(clock).items():
        clock.forward(minutes=11)
        web.pages["/sites"] = page if "stale" not in name else bad(clock)[name]
        site_feeds.read(world.ctx)
        (said,) = warnings(world)
        assert said.startswith(f"feed ssb is {name.split()[-1]}"), name
        assert statuses(world) == before, name
        assert world.count(Downtime) == 1, name

    web.pages["/sites"] = (200, document(clock, sites=[]), {})
    clock.forward(minutes=11)
    site_feeds.read(world.ctx)
    assert warnings(world) == []
    assert world.count(Downtime) == 0, "what is not told of any more is over"


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path, web: Pages) -> None:
    web.pages["/large"] = (200, b"x" * 5000, {})
    (tmp_path / "large").write_bytes(b"x" * 5000)
    for url in (web.url("/large"), f"file://{tmp_path / 'large'}"):
        assert len(reading.fetch(url, 5000, 10)) == 5000
        with pytest.raises(Unavailable, match="larger"):
            reading.fetch(url, 4999, 10)


def test_who_sends_a_byte_at_a_time_is_left_in_time() -> None:
    left, sent = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(9999)
                caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(50):
                    caller.sendall(b" ")
                    sent.append(b" ")
                    if left.wait(0.1):
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Unavailable, match="was not there within"):
            reading.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 5000, 0.5)
        left.set()
        thread.join()
    assert len(sent) < 50
