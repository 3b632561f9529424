"""Users in rows."""

from typing import NamedTuple

from sqlalchemy import bindparam, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import User

_ID_OF = select(User.id).where(User.name == bindparam("by_name"))
_ROLES_OF = select(User.roles).where(User.name == bindparam("by_name"))


def register(work: Work, name: str, max_bytes: int | None) -> int:
    """Register a user, or find that somebody else just did; return the key."""
    # IGNORE instead of catching the duplicate, which would spoil the rest of the transaction
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
    """Return a user's key, if there is such a user."""
    return work.scalar(_ID_OF, {"by_name": name})


def name_of(work: Work, user_id: int) -> str | None:
    """Return a user's name."""
    return work.scalar(select(User.name).where(User.id == user_id))


def roles_of(work: Work, name: str) -> list[str] | None:
    """Return the roles that a user was given, None for an unknown one."""
    return work.scalar(_ROLES_OF, {"by_name": name})


class UserStanding(NamedTuple):
    """What a user has and may have."""

    max_bytes: int | None
    used: int
    n_files: int


def standing(work: Work, user_id: int) -> UserStanding | None:
    """Return what a user has and may have, or None."""
    columns = (User.max_bytes, User.used, User.n_files)
    return work.read_one(UserStanding, select(*columns).where(User.id == user_id))
