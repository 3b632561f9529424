"""Users."""

from typing import NamedTuple

from sqlalchemy import bindparam, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import User

_ID_OF = select(User.id).where(User.name == bindparam("by_name"))
_ROLES_OF = select(User.roles).where(User.name == bindparam("by_name"))


def register(work: Work, name: str, max_bytes: int | None) -> int:
    """Register a user, unless a parallel call just did; return the key."""
    # IGNORE, because catching the duplicate would end the transaction
    prefix = "IGNORE" if work.is_mysql else "OR IGNORE"
    values: dict[str, object] = {
        "name": name,
        "roles": [],
        "max_bytes": max_bytes,
        "used": 0,
        "n_files": 0,
        "created": work.now,
    }
    work.execute(User.__table__.insert().prefix_with(prefix).values(values))  # type: ignore[attr-defined]
    return work.value(_ID_OF, {"by_name": name})


def id_of(work: Work, name: str) -> int | None:
    """Return a user's key, or None."""
    return work.scalar(_ID_OF, {"by_name": name})


def name_of(work: Work, user_id: int) -> str | None:
    """Return a user's name."""
    return work.scalar(select(User.name).where(User.id == user_id))


def roles_of(work: Work, name: str) -> list[str] | None:
    """Return the registered roles of a user; None for an unknown user."""
    return work.scalar(_ROLES_OF, {"by_name": name})


class UserStanding(NamedTuple):
    """Roles, quota and usage of a user."""

    max_bytes: int | None
    used: int
    n_files: int


def standing(work: Work, user_id: int) -> UserStanding | None:
    """Return a user's roles, quota and usage, or None."""
    columns = (User.max_bytes, User.used, User.n_files)
    return work.read_one(UserStanding, select(*columns).where(User.id == user_id))
