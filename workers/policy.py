"""The policy pool: plans copies, runs cycles, closes idle blocks, finds lost work."""

from celery.signals import worker_ready

from celeryconfig import EVERY
from dynamo.services import cycles, periodic
from dynamo.services.dealer import planner
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.injection import closure
from dynamo.services.maintenance import sweeper
from dynamo.services.sites import feeds as site_feeds
from dynamo.services.sites import health as site_health
from workers.app import app
from workers.context import context


@app.task(name="plan")
def plan(request_ids: list[int]) -> None:
    """Plan copy requests."""
    planner.plan(context(), request_ids)


@app.task(name="detox")
def detox() -> None:
    """File a cycle of Detox for each partition with a policy."""
    cycles.due(context())


@app.task(name="dealer")
def dealer() -> None:
    """File a cycle of the Dealer for each partition with a quota."""
    cycles.deal(context())


@app.task(name="cycle")
def cycle(cycle_ids: list[int]) -> None:
    """Run cycles that wait."""
    cycles.run(context(), cycle_ids)


@app.task(name="close-idle")
def close_idle() -> None:
    """Close blocks that took no file for long."""
    periodic.once(context(), "close-idle", EVERY["close-idle"], closure.close_idle)


@app.task(name="tend")
def tend() -> None:
    """Send probes to the sites, and follow what is known of them."""
    if periodic.once(context(), "tend", EVERY["tend"], site_health.tend):
        site_health.send(context())


@app.task(name="evacuate")
def evacuate(_none: list[int] | None = None) -> None:
    """Bring the evacuation of dying sites forward."""
    periodic.once(context(), "evacuate", EVERY["evacuate"], evacuation_runner.evacuate)


@app.task(name="feed")
def feed() -> None:
    """Read the feeds that are due."""
    periodic.once(context(), "feed", EVERY["feed"], site_feeds.read)


@app.task(name="sweep")
def sweep() -> None:
    """Send again what nobody works on."""
    if sweeper.sweep(context()):
        cycles.sweep(context())


@worker_ready.connect
def _sweep_at_once(**_: object) -> None:
    """Look for what the time without workers has left, instead of at the first beat."""
    app.send_task("sweep", queue="policy", argsrepr="sweep as a pool starts", ignore_result=True)
