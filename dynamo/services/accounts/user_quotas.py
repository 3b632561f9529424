"""Users' quotas of unique bytes."""

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import sites as site_rows
from dynamo.db.views import sites
from dynamo.db.views.sites import UserRow
from dynamo.errors import Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.globs import Glob
from dynamo.reasons import Reason
from dynamo.services import users
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


def list_page(ctx: Context, user: Glob | None, place: PageRequest) -> Page:
    """Return a page of users by name."""
    with ctx.begin.reading() as work:
        rows = place.of(work, sites.users(work, user))
        return page(rows, [_item(row) for row in rows.rows])


def get(ctx: Context, user: str) -> Item:
    """Return one user's quota. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _shown(work, user)


@retried
def update(ctx: Context, user: str, body: schemas.UserQuotaBody, caller: Caller) -> Item:
    """Set a user's quota of unique bytes; files that waited for space continue."""
    if not names.is_user(user):
        raise Invalid(f"{user!r} is not a user name", Reason.NAME_INVALID)
    with ctx.begin() as work:
        key = users.ensure(work, user, ctx.settings)
        site_rows.set_user_quota(work, key, body.limit)
        site_rows.wake_user(work, key, [Reason.QUOTA_EXCEEDED])
        why = f"quota of {user}: {'unlimited' if body.limit is None else body.limit}"
        record(work, [Event("quota-changed", caller.name, why=why)])
        return _shown(work, user)


def _shown(work: Work, user: str) -> Item:
    row = sites.user(work, user) if names.is_user(user) else None
    if row is None:
        raise NotFound(f"there is no user {user!r}")
    return _item(row)


def _item(row: UserRow) -> Item:
    return {
        "user": row.name,
        "limit": row.max_bytes,
        "used": row.used,
        "files": row.n_files,
        "created": row.created,
    }
