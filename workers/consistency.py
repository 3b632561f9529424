"""The consistency pool: compares storages with the catalogue, checks all invariants, forgets."""

from celeryconfig import EVERY
from dynamo.services import periodic as beats
from dynamo.services.consistency import periodic as scan_schedule
from dynamo.services.consistency import remedies, scanner
from dynamo.services.maintenance import invariants, sweeper
from dynamo.services.sites import health as site_health
from workers.app import app
from workers.context import context, quick_context


@app.task(name="probe")
def probe(site_ids: list[int]) -> None:
    """Try sites with a small file."""
    site_health.probe(quick_context(), site_ids)


@app.task(name="scan")
def scan(scan_ids: list[int]) -> None:
    """Compare what lies at sites with what should."""
    scanner.scan(context(), scan_ids)


@app.task(name="remedy")
def remedy(remedy_ids: list[int]) -> None:
    """Look after files that are dark, missing or bad."""
    remedies.remedy(context(), remedy_ids)


@app.task(name="tidy")
def tidy() -> None:
    """File the scans that are due, send again what nobody works on."""
    beats.once(context(), "tidy", EVERY["tidy"], scan_schedule.tidy)


@app.task(name="check")
def check() -> None:
    """Check all invariants; a drift of the counters stops deletions."""
    beats.once(context(), "check", EVERY["check"], invariants.run_check)


@app.task(name="purge")
def purge() -> None:
    """Forget what ended long ago."""
    beats.once(context(), "purge", EVERY["purge"], sweeper.purge)
