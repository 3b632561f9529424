"""nginx as shipped, before an API as systemd starts it: whose certificate is believed."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynamo import tokens
from dynamo.running.process import spawn, stop
from dynamo.settings import FILE, Settings
from tests.authority import Authority, Pair
from tests.servers import free_port, program, wait_until

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-the-proxy"
ALICE = "CN=Alice Smith,OU=Users,DC=example,DC=org"
SETTINGS = f"""
[proxy]
addresses = ["127.0.0.1"]
[proxy.users]
"/DC=org/DC=example/OU=Users/CN=Alice Smith" = "alice"
"{ALICE.replace("Alice Smith", "Bob")}" = "bob"
"""
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/dynamo.conf;
}}
"""


@dataclass
class Front:
    """An installation: nginx, the API behind it, and the authority that both believe."""

    outer: str
    inner: str
    authority: Authority
    data: Path

    def status(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        path: str = "/v1/sites",
        by: Pair | None = None,
        direct: bool = False,
    ) -> int:
        """Call, with a certificate or without, through the proxy or past it."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if by is not None:
            context.load_cert_chain(by.certificate, by.key)
        url = (self.inner if direct else self.outer) + path
        body = b"{}" if method == "POST" else None
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)
        tls = {} if direct else {"context": context}
        try:
            with urllib.request.urlopen(request, timeout=60, **tls) as answer:  # type: ignore[arg-type]
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def _nginx(folder: Path, port: int, behind: int, authority: Authority) -> Path:
    """Write the shipped configuration with ports and files of ours."""
    host = authority.host()
    (folder / "secret.conf").write_text(f"proxy_set_header X-Proxy-Secret {SECRET};\n")
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for ours, theirs in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:8080": f"127.0.0.1:{behind}",
        "/etc/dynamo/tls/host.pem": str(host.certificate),
        "/etc/dynamo/tls/host.key": str(host.key),
        "/etc/dynamo/tls/clients.pem": str(authority.certificate),
        "/etc/dynamo/proxy.conf": f"{folder}/secret.conf",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    (folder / "dynamo.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    return folder / "nginx.conf"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    data, port, behind = folder / "data", free_port(), free_port()
    data.mkdir()
    (data / FILE).write_text(SETTINGS)
    authority = Authority(folder / "ca")
    configured = _nginx(folder, port, behind, authority)
    nginx = program(("nginx",), "nginx")
    tried = subprocess.run([nginx, "-t", "-c", configured], capture_output=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert b"warn" not in tried.stderr

    env = {**os.environ, "DYNAMO_DATA": str(data), "DYNAMO_PROXY_SECRET": SECRET}
    dynamo = Path(sys.executable).parent / "dynamo"
    subprocess.run([dynamo, "run", "prepare"], env=env, check=True, cwd="/")
    api = spawn([dynamo, "run", "api", "--port", str(behind)], folder / "api.log", env)
    proxy = spawn([nginx, "-c", configured], folder / "nginx.log")
    try:
        for process, number in ((api, behind), (proxy, port)):
            wait_until(
                lambda number=number: socket.create_connection(("127.0.0.1", number)).close(),  # type: ignore[misc]
                folder / ("api.log" if process is api else "nginx.log"),
                process,
            )
        yield Front(f"https://localhost:{port}", f"http://127.0.0.1:{behind}", authority, data)
    finally:
        for process in (proxy, api):
            stop(process, signal.SIGTERM, 10)


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
