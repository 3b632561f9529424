"""Authorization: whether a caller may act on data of an owner."""

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
    """Return the reserved names of the settings."""
    return Namespace(
        settings.user.namespace, settings.injection.area, settings.user.dataset_pattern
    )


def dataset_of(work: Work, name: str, caller: Caller) -> Any:
    """Return the row of a dataset on which the caller may act. Raises NotFound, Forbidden."""
    row = catalogue_names.dataset(work, name)
    if row is None:
        raise NotFound(f"there is no dataset {name}", Reason.DATASET_UNKNOWN)
    check_owner_named(row.owner, caller)
    return row


def check_owner(work: Work, owner_id: int | None, caller: Caller) -> None:
    """Check that the caller may act on data of this owner (None = official). Raises Forbidden."""
    check_owner_named(owner_name(work, owner_id), caller)


def check_owner_named(owner: str | None, caller: Caller) -> None:
    """Check that the caller may act on data of the owner of this name. Raises Forbidden."""
    if caller.may_operate or (owner is None and caller.may_produce):
        return
    if owner is None:
        raise Forbidden("official data need the role production", Reason.PERMISSION_DENIED)
    if owner != caller.name:
        raise Forbidden("the data belong to another user", Reason.NOT_YOUR_NAMESPACE)


def owner_name(work: Work, owner_id: int | None) -> str | None:
    """Return the name of a user."""
    return users.name_of(work, owner_id) if owner_id is not None else None
