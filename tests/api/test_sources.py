"""Addresses of sources that would let a caller reach what only we can reach: none gets in."""

from sqlalchemy import func, select, update

from dynamo.db.tables import Base, Site
from tests.api.web import Web, booking, problem

GENEROUS = ["http://*", "https://*", "davs://*", "root://*", "roots://*", "file://*", "*"]
"""What no operator should write; even then the network of the servers stays closed."""

CLOSED = [
    "http://127.0.0.1/x",
    "http://127.1/x",
    "http://0/x",
    "http://0.0.0.0/x",
    "http://2130706433/x",
    "http://0x7f000001/x",
    "http://0177.0.0.1/x",
    "http://127.0.0.1./x",
    "https://127.0.0.1:8443/x",
    "davs://127.0.0.1/x",
    "root://127.0.0.1//x",
    "roots://127.0.0.1:1094//x",
    "http://localhost/x",
    "http://LocalHost./x",
    "http://api.localhost/x",
    "http://redis.internal/x",
    "http://printer.local/x",
    "http://[::1]/x",
    "http://[::]/x",
    "http://[0:0:0:0:0:0:0:1]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://[::ffff:7f00:1]/x",
    "http://[::127.0.0.1]/x",
    "http://[64:ff9b::7f00:1]/x",
    "http://[2002:7f00:1::]/x",
    "http://[fe80::1]/x",
    "http://[fd00::1]/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://10.0.0.1/x",
    "http://172.16.0.1/x",
    "http://192.168.0.1/x",
    "http://100.64.0.1/x",
    "http://example.org@127.0.0.1/x",
    "http://127.0.0.1@example.org/x",
    "http://example.org\\@127.0.0.1/x",
    "http://example.org/x?token=secret",
    "http://\uff11\uff12\uff17.0.0.1/x",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "file:///proc/self/environ",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/x",
    "unix:///run/redis.sock",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/x",
    "jar:http://127.0.0.1!/x",
    "data:text/plain,x",
    "//127.0.0.1/x",
    "http:/127.0.0.1/x",
]


def test_no_source_leads_into_our_own_network_and_nothing_is_registered(web: Web) -> None:
    with web.world.ctx.begin() as work:
        work.changed(update(Site).values(sources=GENEROUS))
    for number, url in enumerate(CLOSED):
        body = booking("good", f"{number}.root")
        body["files"][1]["source"] = url
        told = problem(web.post("/v1/injections", body), 403, "source-not-allowed")
        assert [item["pointer"] for item in told["errors"]] == ["/files/1/source"], url
        assert not any(secret in str(told) for secret in ("secret", "_FLUSHALL")), url
    with web.world.ctx.begin.reading() as work:
        for name in ("files", "datasets", "transfers", "requests"):
            table = Base.metadata.tables[name]
            assert work.scalar(select(func.count()).select_from(table)) == 0, name
    assert web.world.published == []
