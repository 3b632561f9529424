"""What the resources are given: the tools of this process."""

from flask import Flask, current_app

from dynamo.services.context import Tools
from dynamo.services.maintenance.health import Queues

_NAME = "dynamo"


def equip(app: Flask, tools: Tools, queues: Queues) -> None:
    """Hand the tools to an application."""
    app.extensions[_NAME] = (tools, queues)


def use() -> Tools:
    """Return the tools of the application that answers."""
    tools: Tools = current_app.extensions[_NAME][0]
    return tools


def queues() -> Queues:
    """Return the queues of the application that answers."""
    found: Queues = current_app.extensions[_NAME][1]
    return found
