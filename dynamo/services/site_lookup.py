"""Looks up sites that callers name."""

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.views import sites
from dynamo.db.views.sites import SiteRow
from dynamo.errors import NotFound
from dynamo.inventory import names
from dynamo.reasons import Reason


def site(work: Work, name: str) -> SiteRow:
    """Return a site. Raises NotFound."""
    row = sites.get(work, name) if names.is_site(name) else None
    if row is None:
        raise NotFound(f"there is no site {name!r}", Reason.SITE_UNKNOWN)
    return row
