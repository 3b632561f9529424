"""Generates the page of permissions from the routes and their rules.

`python -m api.permissions > docs/permissions.md` writes it.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

import celeryconfig
from api import auth
from api.app import create_app
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.queues.depths import Depths
from dynamo.queues.publisher import quick_app
from dynamo.services.context import Context, storages
from dynamo.settings import Settings

ROLES = ("user", "site", "production", "operator")

TEXT = """# Who may call what

Generated from the routes by `python -m api.permissions`; calls that are not listed are refused. A
call without a valid token gets 401. A call that the roles do not allow gets 403. The service also
checks the owner of the data: a `user` may change own data, `production` also official data,
`operator` all data. `site` means the caller's own site. Tokens with capabilities allow less:
[tokens.md](operating/tokens.md#capabilities).

| call | without a token | user | site | production | operator |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A call and the roles that may make it."""

    method: str
    path: str
    endpoint: str
    open: bool
    roles: frozenset[str]

    def line(self) -> str:
        """Return the line of the table."""
        cells = [self.open, *(role in self.roles for role in ROLES)]
        marks = " | ".join("yes" if cell else "–" for cell in cells)  # noqa: RUF001 - a dash
        return f"| `{self.method} {self.path}` | {marks} |\n"


def rows(app: Flask) -> Iterator[Row]:
    """Yield all calls of an application, by path."""
    for route in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Row(
                method,
                route.rule,
                route.endpoint,
                route.endpoint in auth.OPEN,
                frozenset(role for role in ROLES if _may(role, route.endpoint, method)),
            )


def page(app: Flask) -> str:
    """Return the whole page as Markdown."""
    lines = dict.fromkeys(row.line() for row in rows(app))  # two endpoints may share a path
    return TEXT + "".join(lines)


def _may(role: str, endpoint: str, method: str) -> bool:
    rule = auth.RULES.get((endpoint, method))
    caller = Caller("somebody", frozenset({Role.USER, Role(role)}))
    return endpoint in auth.OPEN or (rule is not None and rule(caller))


def main() -> None:
    """Print the page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        ctx = Context(UnitOfWork(connect(settings.database_url)), settings, storages(settings, 1))
        sys.stdout.write(page(create_app(ctx, Depths(quick_app(celeryconfig)))))


if __name__ == "__main__":
    main()
