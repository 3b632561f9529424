"""Users: registered at their first call, with the default quota."""

from dynamo.db.catalogue import users
from dynamo.db.catalogue.users import UserStanding
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.services.context import Context
from dynamo.settings import Settings


def ensure(work: Work, name: str, settings: Settings) -> int:
    """Return a user's key; a new user is registered with the default quota."""
    known = users.id_of(work, name)
    return known if known is not None else users.register(work, name, settings.user.quota)


def name_of(work: Work, user_id: int) -> str | None:
    """Return a user's name."""
    return users.name_of(work, user_id)


def standing(work: Work, user_id: int) -> UserStanding | None:
    """Return what a user has and may have, or None."""
    return users.standing(work, user_id)


def roles(ctx: Context, name: str) -> list[str]:
    """Return the registered roles of a user."""
    with ctx.begin.reading() as work:
        return users.roles_of(work, name) or []


def meet(ctx: Context, name: str) -> list[str]:
    """Return the registered roles of a user; a new user is registered, without roles."""
    with ctx.begin.reading() as work:
        known = users.roles_of(work, name)
    if known is None:
        _register(ctx, name)
    return known or []


@retried
def _register(ctx: Context, name: str) -> None:
    with ctx.begin() as work:
        ensure(work, name, ctx.settings)
