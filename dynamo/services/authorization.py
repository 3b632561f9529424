"""Admission: whether a caller may register files under these names, from these sources."""

from typing import Any

from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.unit_of_work import Work
from dynamo.errors import Forbidden, NotFound
from dynamo.inventory.callers import Caller
from dynamo.inventory.ownership import Namespace
from dynamo.reasons import Reason
from dynamo.services import users
from dynamo.settings import Settings


def namespace(settings: Settings) -> Namespace:
    """Return the reserved names as a value."""
    return Namespace(
        settings.user.namespace, settings.injection.area, settings.user.dataset_pattern
    )


def dataset_of(work: Work, name: str, caller: Caller) -> Any:
    """Return the row of a dataset that the caller may act on. Raises NotFound, Forbidden."""
    row = catalogue_names.dataset(work, name)
    if row is None:
        raise NotFound(f"there is no dataset {name}", Reason.DATASET_UNKNOWN)
    check_owner_named(row.owner, caller)
    return row


def check_owner(work: Work, owner_id: int | None, caller: Caller) -> None:
    """Refuse a caller who may not act on data of this owner (None = official data)."""
    check_owner_named(owner_name(work, owner_id), caller)


def check_owner_named(owner: str | None, caller: Caller) -> None:
    """Refuse a caller who may not act on data of the owner of this name."""
    if caller.may_operate or (owner is None and caller.may_produce):
        return
    if owner is None:
        raise Forbidden("official data need the role production", Reason.PERMISSION_DENIED)
    if owner != caller.name:
        raise Forbidden("the data belong to somebody else", Reason.NOT_YOUR_NAMESPACE)


def owner_name(work: Work, owner_id: int | None) -> str | None:
    """Return a user's name."""
    return users.name_of(work, owner_id) if owner_id is not None else None
