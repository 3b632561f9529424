"""The target of a command: data directory or address, and the calling user."""

import functools
import getpass
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dynamo.client.client import Dynamo, Problem
from dynamo.inventory.names import is_user
from dynamo.reasons import Reason

DATA = "DYNAMO_DATA"
URL = "DYNAMO_URL"
PATIENCE = 15.0
"""Seconds to repeat a failing call, as a person waits."""

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help=f"Data directory of the system. [env var: {DATA}]", show_default=False
    ),
]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="USER", help="Call as this user; needs the data directory's key."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options before the noun."""

    data: Path | None = None
    as_user: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """The system that a command calls, its user, and the output format."""

    chosen: Path | None
    """The data directory from the command line."""
    as_user: str | None
    json: bool = False

    @property
    def data(self) -> Path:
        """Return the data directory: named, else from the environment, else the default."""
        return self.chosen or Path(os.environ.get(DATA) or "dynamo-data")

    def service(self, role: str = "user", patience: float = PATIENCE) -> Dynamo:
        """Return the service, called with a token of this role if the key is readable."""
        address = self._address()
        return Dynamo(address, self._token(role), patience=patience)

    def service_for_any_owner(self) -> Dynamo:
        """Return the service, called as an operator unless --as names a user."""
        return self.service("operator" if self.as_user is None else "user")

    def make_token(self, user: str, roles: list[str], hours: float | None = None) -> str:
        """Return a token signed with the key of the data directory."""
        # these imports take a third of a second, and most commands find a token
        from dynamo import tokens  # noqa: PLC0415
        from dynamo.settings import load  # noqa: PLC0415

        if not os.access(tokens.key_path(self.data), os.R_OK):
            detail = f"{self.data} contains no key that you may read; `dynamo up` creates one"
            raise Problem.final(Reason.PERMISSION_DENIED, detail)
        settings = load(self.data)
        if hours is not None:
            life = settings.token.model_copy(update={"hours": hours})
            settings = settings.model_copy(update={"token": life})
        return tokens.issue(settings, user, roles, datetime.now(UTC))

    def _address(self) -> str:
        if self.chosen is None and (url := os.environ.get(URL)):
            return url
        from dynamo.running import run_file  # noqa: PLC0415

        running = run_file.read(self.data)
        if running is None:
            detail = f"no system runs on {self.data}; start one with: dynamo up --data {self.data}"
            raise Problem.passing(Reason.SERVICE_BUSY, detail)
        return running.address

    def _token(self, role: str) -> str | None:
        if self.as_user is not None:
            return self.make_token(self.as_user, sorted({"user", role}))
        if os.environ.get("BEARER_TOKEN") or os.environ.get("BEARER_TOKEN_FILE"):
            return None  # the client reads it, and reads it again when it is renewed
        if self._own_key():
            return self.make_token(_login(), sorted({"user", role}))
        return None

    def _own_key(self) -> bool:
        """Return whether the key of the called system is readable."""
        named = self.chosen is not None or bool(os.environ.get(DATA)) or not os.environ.get(URL)
        if not named or not self.data.is_dir():
            return False
        from dynamo import tokens  # noqa: PLC0415 - see make_token

        return os.access(tokens.key_path(self.data), os.R_OK)


def _login() -> str:
    name = getpass.getuser()
    if not is_user(name):
        detail = (
            f"your login name {name!r} cannot be a user of Dynamo; name the caller with --as USER"
        )
        raise Problem.final(Reason.PERMISSION_DENIED, detail)
    return name


def acting(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--data` and `--as` to a command that takes a `Session`."""

    @functools.wraps(command)
    def run(
        *, context: typer.Context, data: Path | None, as_user: str | None, **given: object
    ) -> None:
        command(_session(context, data, as_user, json=False), **given)

    return _declared(run, command, {"data": Data, "as_user": As})


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--data`, `--as` and `--json` to a command that takes a `Session`."""

    @functools.wraps(command)
    def run(
        *,
        context: typer.Context,
        data: Path | None,
        as_user: str | None,
        as_json: bool,
        **given: object,
    ) -> None:
        command(_session(context, data, as_user, json=as_json), **given)

    return _declared(run, command, {"data": Data, "as_user": As, "as_json": AsJson})


def _session(
    context: typer.Context, data: Path | None, as_user: str | None, *, json: bool
) -> Session:
    chosen = context.find_root().obj
    before = chosen if isinstance(chosen, Chosen) else Chosen()
    return Session(data or before.data, as_user or before.as_user, json)


def _declared(
    run: Callable[..., None], command: Callable[..., None], added: dict[str, object]
) -> Callable[..., None]:
    """Set the signature, from which typer reads the parameters of the command."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter(name, kind, annotation=hint, default=False if hint is AsJson else None)
        for name, hint in added.items()
    ]
    context = inspect.Parameter("context", kind, annotation=typer.Context)
    parameters = [*(parameter.replace(kind=kind) for parameter in own), *more, context]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run
