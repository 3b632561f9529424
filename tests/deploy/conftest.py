"""An installation on this machine: nginx as shipped, the API as systemd starts it."""

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
from pathlib import Path

import pytest

from dynamo.running.process import spawn, stop
from dynamo.settings import FILE
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
    pid: int
    """Of the API."""

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


@pytest.fixture(scope="session")
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
        yield Front(
            f"https://localhost:{port}", f"http://127.0.0.1:{behind}", authority, data, api.pid
        )
    finally:
        for process in (proxy, api):
            stop(process, signal.SIGTERM, 10)
