"""Callers of the API: real tokens, real bodies, and what every answer must look like."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from dynamo import tokens
from dynamo.errors import Unavailable
from dynamo.reasons import Reason
from tests.services.world import DATASET, World, lfn

PROBLEM = "application/problem+json"


@dataclass
class Broker:
    """The queues as health sees them."""

    depth: dict[str, int] = field(default_factory=lambda: {"copy": 0})
    up: bool = True

    def depths(self) -> dict[str, int]:
        if not self.up:
            raise Unavailable("the broker is away")
        return self.depth


@dataclass
class Web:
    """The application over a small world."""

    app: Flask
    world: World
    broker: Broker

    def token(self, name: str, *roles: str, site: str | None = None) -> str:
        """Sign a token as `dynamo token` does."""
        return tokens.issue(self.world.ctx.settings, name, roles, datetime.now(UTC), site)

    def call(
        self,
        method: str,
        path: str,
        *,
        by: str | None = "alice",
        roles: tuple[str, ...] = (),
        **more: Any,
    ) -> TestResponse:
        """Make a call; `by` None sends no token."""
        headers = dict(more.pop("headers", {}))
        if by is not None:
            headers.setdefault("Authorization", f"Bearer {self.token(by, *roles)}")
        return self.app.test_client().open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        """Read, and return the JSON of a success."""
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def items(self, path: str, **more: Any) -> list[dict[str, Any]]:
        """Return the items of one page."""
        return list(self.get(path, **more)["items"])

    def pages(self, path: str, limit: int = 2) -> Iterator[list[dict[str, Any]]]:
        """Yield page after page."""
        sign, cursor = "&" if "?" in path else "?", ""
        while True:
            page = self.get(f"{path}{sign}limit={limit}{cursor}")
            yield page["items"]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"

    def post(self, path: str, body: object, **more: Any) -> TestResponse:
        """Ask for something."""
        return self.call("POST", path, json=body, **more)

    def put(self, path: str, body: object, **more: Any) -> TestResponse:
        """Change something, as an operator."""
        return self.call("PUT", path, json=body, **{"by": "op", "roles": ("operator",), **more})


def problem(answer: TestResponse, status: int, reason: str | None = None) -> dict[str, Any]:
    """Check that an answer is a problem as documented, and return it."""
    told = answer.get_json()
    assert answer.status_code == status, told
    assert answer.mimetype == PROBLEM
    assert {"type", "title", "status", "detail", "reason", "retryable"} <= set(told)
    assert told["status"] == status
    assert told["retryable"] is Reason(told["reason"]).retryable
    assert told["request_id"] == answer.headers["X-Request-ID"]
    if reason is not None:
        assert told["reason"] == reason, told
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert not any(
        mark in answer.get_data(as_text=True)
        for mark in ("Traceback", "SELECT ", "sqlalchemy", ".py")
    )
    return dict(told)


def booking(*names: str, dataset: str = DATASET, site: str = "T2_A", **more: Any) -> dict[str, Any]:
    """Describe an injection of files that the job writes itself."""
    files = [{"lfn": lfn(name), "size": 10, "adler32": "0a1b2c3d", **more} for name in names]
    return {"dataset": dataset, "site": site, "files": files}
