"""The consistency pool: compares storages with the catalogue, checks all invariants, forgets."""

from celeryconfig import EVERY
from dynamo.services import periodic as beats
from dynamo.services.consistency import periodic as tidying
from dynamo.services.consistency import remedies as remedying
from dynamo.services.consistency import scanner as scanning
from dynamo.services.maintenance import invariants as checks
from dynamo.services.maintenance import sweeper as sweeps
from dynamo.services.sites import health as tending
from workers.app import app
from workers.tools import quick_tools, tools


@app.task(name="probe")
def probe(site_ids: list[int]) -> None:
    """Try sites with a small file."""
    tending.probe(quick_tools(), site_ids)


@app.task(name="scan")
def scan(scan_ids: list[int]) -> None:
    """Compare what lies at sites with what should."""
    scanning.scan(tools(), scan_ids)


@app.task(name="remedy")
def remedy(remedy_ids: list[int]) -> None:
    """Look after files that are dark, missing or bad."""
    remedying.remedy(tools(), remedy_ids)


@app.task(name="tidy")
def tidy() -> None:
    """File the scans that are due, send again what nobody works on."""
    beats.once(tools(), "tidy", EVERY["tidy"], tidying.tidy)


@app.task(name="check")
def check() -> None:
    """Check all invariants; a drift of the counters stops deletions."""
    beats.once(tools(), "check", EVERY["check"], checks.run_check)


@app.task(name="purge")
def purge() -> None:
    """Forget what ended long ago."""
    beats.once(tools(), "purge", EVERY["purge"], sweeps.purge)
