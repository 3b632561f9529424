"""The caller: user name, namespace and dataset names."""

from dynamo.inventory.callers import Caller
from dynamo.services import authorization
from dynamo.services.context import Context


def get(ctx: Context, caller: Caller) -> dict[str, object]:
    """Return the caller's user name, namespace, and dataset names as a glob."""
    pattern = ctx.settings.user.dataset_pattern
    return {
        "user": caller.name,
        "namespace": authorization.namespace(ctx.settings).of(caller.name),
        "datasets": pattern.replace("{user}", caller.name).replace("{part}", "*"),
    }
