"""The consistency pool: checks all invariants, forgets what ended long ago."""

from dynamo.services import checks, sweeps
from workers.app import app
from workers.tools import tools


@app.task(name="check")
def check() -> None:
    """Check all invariants; a drift of the counters stops deletions."""
    checks.run_check(tools())


@app.task(name="purge")
def purge() -> None:
    """Forget what ended long ago."""
    sweeps.purge(tools())
