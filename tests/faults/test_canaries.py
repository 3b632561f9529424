"""Secrets that are planted everywhere and must turn up nowhere: a whole system, with errors."""

import contextlib
import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis
from sqlalchemy import text

from dynamo import tokens
from dynamo.db.engine.connection import connect
from dynamo.settings import Settings
from tests.servers import Broker, MariaDB
from tests.services.world import adler32
from tests.systems import System, eventually, family, up

pytestmark = pytest.mark.slow

DATASET = "/Higgs/alice-v1/USER"
PLANTED = {
    name: f"canary-{name}-5up3rs3cr3t"
    for name in ("database", "broker", "proxy", "source", "query", "redirect", "forged")
}
QUICK = {
    "DYNAMO_DELETION_GRACE_HOURS": "0",
    "DYNAMO_RETRY_FIRST_SECONDS": "0.3",
    "DYNAMO_RETRY_LONGEST_SECONDS": "1",
    "DYNAMO_WORK_SWEEP_SECONDS": "1",
    "DYNAMO_WORK_HINT_SECONDS": "1",
}


@dataclass
class Caller:
    """Calls a system and keeps every answer."""

    system: System
    answers: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def token(self, name: str, *roles: str) -> dict[str, str]:
        """Sign a token, which is a canary from then on."""
        made = tokens.issue(Settings(data=self.system.data), name, roles, datetime.now(UTC))
        self.tokens.append(made)
        return {"Authorization": f"Bearer {made}"}

    def call(
        self, method: str, path: str, headers: dict[str, str], body: object = None, base: str = ""
    ) -> tuple[int, Any]:
        """Make a call; returns status and JSON."""
        data = None if body is None else json.dumps(body).encode()
        typed = {**headers, "Content-Type": "application/json"}
        url = (base or self.system.address) + path
        request = urllib.request.Request(url, data, typed, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            said = answer.read().decode()
            self.answers.append(f"{answer.headers}\n{said}")
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(said)
        return answer.status, said


class Redirecting(http.server.BaseHTTPRequestHandler):
    """A web server whose redirects carry a credential."""

    def do_HEAD(self) -> None:
        moved = "?" not in self.path
        self.send_response(302 if moved else 403)
        if moved:
            self.send_header("Location", f"/gone?authz={PLANTED['redirect']}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def database(mariadb_server: MariaDB) -> Iterator[str]:
    mariadb_server.create("dynamo_canary")
    with mariadb_server.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE USER canary@'%' IDENTIFIED BY '{PLANTED['database']}'")
        cursor.execute("GRANT ALL ON dynamo_canary.* TO canary@'%'")
        yield (
            f"mysql+pymysql://canary:{PLANTED['database']}@127.0.0.1:{mariadb_server.port}"
            "/dynamo_canary"
        )
        cursor.execute("DROP USER canary@'%'")


def lock_out(server: MariaDB, *, locked: bool) -> None:
    """Let the database refuse its user, also where he is in already; or let him in again."""
    with server.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"ALTER USER canary@'%' ACCOUNT {'LOCK' if locked else 'UNLOCK'}")
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'canary'")
        for (number,) in cursor.fetchall() if locked else ():
            with contextlib.suppress(pymysql.Error):  # it ended by itself
                cursor.execute("KILL %s", (number,))


def test_no_secret_turns_up_anywhere(
    tmp_path: Path, database: str, mariadb_server: MariaDB, broker: Broker, elsewhere: str
) -> None:
    broker.client.config_set("requirepass", PLANTED["broker"])
    known = redis.Redis(port=broker.port, password=PLANTED["broker"])
    env = {
        **QUICK,
        "DYNAMO_DATABASE_URL": database,
        "DYNAMO_BROKER_URL": f"redis://:{PLANTED['broker']}@127.0.0.1:{broker.port}/0",
        "DYNAMO_PROXY_SECRET": PLANTED["proxy"],
        "DYNAMO_PROXY_ADDRESSES": '["127.0.0.1"]',
        "DYNAMO_PROXY_USERS": '{"CN=Alice,DC=org": "alice"}',
    }
    with up(tmp_path / "data", env) as system:
        caller = Caller(system)
        _sites(caller, tmp_path, elsewhere)
        _refusals(caller, elsewhere)
        lock_out(mariadb_server, locked=True)
        assert caller.call("GET", "/v1/sites", caller.token("alice"))[0] == 503
        lock_out(mariadb_server, locked=False)
        known.config_set("requirepass", "another")
        known.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        log = system.data / "logs" / "transfer.log"
        eventually(lambda: "Cannot connect to redis" in log.read_text(), 60)
        _work(
            caller, tmp_path, elsewhere, lambda: known.config_set("requirepass", PLANTED["broker"])
        )
        _look_around(caller)
        places = {
            "answers": "\n".join(caller.answers),
            "terminal": system.said,
            "record": (system.data / "run.json").read_text(),
            "command lines": _commands(system),
            "broker": repr([(key, known.dump(key)) for key in known.scan_iter()]),
            "rows": _rows(database),
        }
        flower = (system.data / "keys" / "flower").read_text().strip()
        private = (system.data / "keys" / "ES256").read_text().splitlines()[1]
    places |= {f"log {path.name}": path.read_text() for path in (tmp_path / "data/logs").iterdir()}
    places["broker's file"] = "".join(
        path.read_bytes().decode("latin-1") for path in broker.folder.rglob("*.aof")
    )
    _all_places_are_full(places)
    signatures = {f"token {n}": one.split(".")[2] for n, one in enumerate(caller.tokens)}
    for name, secret in {**PLANTED, **signatures, "flower": flower, "key": private}.items():
        for place, found in places.items():
            assert secret not in found, f"the secret {name} stands in {place}"


def _sites(caller: Caller, folder: Path, elsewhere: str) -> None:
    operator = caller.token("olga", "operator")
    for name in ("T2_A", "T2_B"):
        root, scratch = folder / name, folder / f"{name}-scratch"
        root.mkdir()
        scratch.mkdir()
        site = {
            "kind": "disk",
            "status": "ready",
            "url": f"file://{root}",
            "scratch": [str(scratch)],
            "sources": [elsewhere],
        }
        assert caller.call("PUT", f"/v1/sites/{name}", operator, site)[0] in (200, 201)
        quota = caller.call("PUT", f"/v1/sites/{name}/quotas/User", operator, {"limit": 10**9})
        assert quota[0] in (200, 201)


def _file(name: str, source: str, **more: object) -> dict[str, object]:
    return {"lfn": f"/store/user/dynamo/alice/{name}", "source": source, **more}


def _injection(*files: dict[str, object]) -> dict[str, object]:
    return {"dataset": DATASET, "site": "T2_A", "files": files}


def _refusals(caller: Caller, elsewhere: str) -> None:
    """Bring secrets where none belong."""
    alice = caller.token("alice")
    host = elsewhere.removeprefix("http://")
    for source in (
        f"http://alice:{PLANTED['source']}@{host}/x",
        f"root://alice:{PLANTED['source']}@{host}//x",
        f"{elsewhere}/x?authz={PLANTED['query']}",
        f"{elsewhere}/x#{PLANTED['query']}",
    ):
        status, told = caller.call("POST", "/v1/injections", alice, _injection(_file("x", source)))
        # who sent a URL may be told what was wrong with it, but not in what is kept
        assert (status, told["reason"]) == (403, "source-not-allowed")
    forged = [
        {"Authorization": f"Bearer {PLANTED['forged']}"},
        {"Authorization": f"Basic {PLANTED['forged']}"},
        {"Authorization": f"Bearer {alice['Authorization'][7:-8]}{PLANTED['forged']}"},
        {"X-Client-Subject": "CN=Alice,DC=org", "X-Proxy-Secret": PLANTED["forged"]},
        {"Cookie": f"session={PLANTED['forged']}"},
    ]
    for headers in forged:
        assert caller.call("GET", "/v1/sites", headers)[0] == 401
    proxied = {"X-Client-Subject": "CN=Alice,DC=org", "X-Proxy-Secret": PLANTED["proxy"]}
    assert caller.call("GET", "/v1/sites", proxied)[0] == 200
    for path in ("/v1/nothing", "/v1/files?dataset=%00", "/v1/injections/7"):
        assert caller.call("GET", path, alice)[0] in (404, 422)
    assert caller.call("POST", "/v1/injections", alice, [])[0] == 422


def _patiently(caller: Caller, path: str, by: Any, body: Any) -> Any:
    """Call as jobs do: again while the service says that it is busy."""
    answers: list[Any] = []

    def called() -> bool:
        answers.append(caller.call("POST", path, by, body))
        return bool(answers[-1][0] != 503)

    eventually(called, 60)
    assert answers[-1][0] == 202, answers[-1]
    return answers[-1][1]


def _work(caller: Caller, folder: Path, elsewhere: str, let_in: Callable[[], object]) -> None:
    """Let work succeed and fail; at first the broker does not let anybody in."""
    alice = caller.token("alice")
    good = folder / "T2_A-scratch" / "good"
    good.write_bytes(b"events")
    sources = {
        "good": good.as_uri(),
        "gone": f"{good.as_uri()}.not",
        "moved": f"{elsewhere}/moved",
        "wrong": good.as_uri(),
    }
    sums = {"good": adler32(b"events"), "wrong": "00000001"}
    files = [
        _file(name, source, size=6, adler32=sums.get(name, "0a1b2c3d"))
        for name, source in sources.items()
    ]
    filed = _patiently(caller, "/v1/injections", alice, _injection(*files))
    let_in()
    path = f"/v1/injections/{filed['id']}"

    def tried() -> bool:
        status, progress = caller.call("GET", path, alice)
        assert status in (200, 503), progress
        if status == 503:
            return False  # the database was busy
        named = {problem["lfn"].rpartition("/")[2] for problem in progress["problems"]}
        time.sleep(0.2)
        return progress["progress"]["files"]["done"] == 1 and named == {"gone", "moved", "wrong"}

    eventually(tried, 90)
    for kind, body in (
        ("copies", {"dataset": DATASET, "site": "T2_B"}),
        ("deletions", {"dataset": DATASET, "lfns": [_file("good", "")["lfn"]]}),
        ("closures", {"dataset": DATASET}),
    ):
        assert caller.call("POST", f"/v1/{kind}", alice, body)[0] in (202, 409)


def _look_around(caller: Caller) -> None:
    """Read all that can be read, Flower included."""
    operator = caller.token("olga", "operator")
    lists = (
        "sites",
        "datasets",
        "quotas",
        "switches",
        "injections",
        "copies",
        "deletions",
        "cycles",
    )
    for path in (*(f"/v1/{name}" for name in lists), "/metrics", "/v1/health", "/v1/swagger.json"):
        assert caller.call("GET", path, operator)[0] == 200
    for query in (f"dataset={DATASET}", "site=T2_A"):
        assert caller.call("GET", f"/v1/history?{query}", operator)[0] == 200
    assert caller.call("GET", f"/v1/files?dataset={DATASET}", operator)[0] == 200
    system = caller.system
    password = (system.data / "keys" / "flower").read_text().strip()
    login = {"Authorization": "Basic " + b64encode(f"dynamo:{password}".encode()).decode()}
    eventually(lambda: caller.call("GET", "/workers", login, base=system.running.flower)[0] == 200)
    for path in ("/broker", "/tasks", "/api/workers?refresh=1", "/api/tasks"):
        assert caller.call("GET", path, login, base=system.running.flower)[0] == 200
    worker = next(iter(caller.call("GET", "/api/workers", login, base=system.running.flower)[1]))
    page = caller.call("GET", f"/worker/{worker}", login, base=system.running.flower)
    assert page[0] == 200


def _commands(system: System) -> str:
    found = []
    for pid in family(system.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append(Path(f"/proc/{pid}/cmdline").read_text())
    return "".join(found)


def _rows(url: str) -> str:
    engine = connect(url)
    with engine.connect() as connection:
        names = [name for (name,) in connection.execute(text("SHOW TABLES"))]
        found = {
            name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM `{name}`"))]
            for name in names
        }
    engine.dispose()
    return repr(found)


def _all_places_are_full(places: dict[str, str]) -> None:
    """See that the search looks where there is something to find."""
    assert "moved" in places["rows"]
    assert "database away" in places["log api.log"]
    assert re.search(r"source-error|permission-denied|source-missing", places["answers"])
    assert "lpush" in places["broker's file"].lower()
    assert "-m" in places["command lines"]
    assert all(places[f"log {name}.log"] for name in ("transfer", "beat", "flower"))
