"""The context of this process, for the resources."""

from flask import Flask, current_app

from dynamo.services.context import Context
from dynamo.services.maintenance.health import Queues

_NAME = "dynamo"


def equip(app: Flask, ctx: Context, queues: Queues) -> None:
    """Attach the context to an application."""
    app.extensions[_NAME] = (ctx, queues)


def context() -> Context:
    """Return the context of the current application."""
    ctx: Context = current_app.extensions[_NAME][0]
    return ctx


def queues() -> Queues:
    """Return the queues of the current application."""
    current: Queues = current_app.extensions[_NAME][1]
    return current
