"""The consistency pool: checks all invariants, forgets what ended long ago."""

from celeryconfig import EVERY
from dynamo.services import beats, checks, sweeps
from workers.app import app
from workers.tools import tools


@app.task(name="check")
def check() -> None:
    """Check all invariants; a drift of the counters stops deletions."""
    beats.once(tools(), "check", EVERY["check"], checks.run_check)


@app.task(name="purge")
def purge() -> None:
    """Forget what ended long ago."""
    beats.once(tools(), "purge", EVERY["purge"], sweeps.purge)
