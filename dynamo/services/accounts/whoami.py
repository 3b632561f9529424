"""Who is asking: the user that a caller is, and the names that are reserved for that user."""

from dynamo.inventory.callers import Caller
from dynamo.services import authorization
from dynamo.services.context import Context


def get(ctx: Context, caller: Caller) -> dict[str, object]:
    """Return the caller as a client needs it to name files; datasets are told as a glob."""
    pattern = ctx.settings.user.dataset_pattern
    return {
        "user": caller.name,
        "namespace": authorization.namespace(ctx.settings).of(caller.name),
        "datasets": pattern.replace("{user}", caller.name).replace("{part}", "*"),
    }
