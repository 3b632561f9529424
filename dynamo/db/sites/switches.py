"""Stop switches, read inside the transaction that they guard."""

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Switch

DELETIONS = "deletions"
INJECTION = "injection"
CONSISTENCY = "consistency"


_STOPPED = select(Switch.name).where(Switch.stopped.is_(True))


def of_site(name: str) -> str:
    """Return the name of the switch that stops all work at a site."""
    return f"site:{name}"


def stopped(work: Work, *names: str) -> list[str]:
    """Return those of the switches that are stopped."""
    return [name for name in work.scalars(_STOPPED) if name in names]


def stopped_sites(work: Work) -> list[str]:
    """Return the names of sites whose switch is stopped."""
    prefix = of_site("")
    stopped = work.scalars(_STOPPED)
    return [name.removeprefix(prefix) for name in stopped if name.startswith(prefix)]
