"""The command `dynamo`: its nouns, and exit codes of errors."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from dynamo.cli.console import refusal, say
from dynamo.cli.session import DATA, Chosen
from dynamo.client.client import Problem
from dynamo.errors import DynamoError

if TYPE_CHECKING:
    from collections.abc import Callable

NOUNS = {
    "up": "dynamo.cli.up:up",
    "run": "dynamo.cli.run:run",
    "demo": "dynamo.cli.demo.command:demo",
    "simulate": "dynamo.cli.simulate:simulate",
    "inject": "dynamo.cli.inject:inject",
    "dataset": "dynamo.cli.dataset:app",
    "file": "dynamo.cli.file:app",
    "copy": "dynamo.cli.copy:app",
    "request": "dynamo.cli.request:app",
    "site": "dynamo.cli.site:app",
    "quarantine": "dynamo.cli.consistency:quarantine",
    "incident": "dynamo.cli.consistency:incident",
    "quota": "dynamo.cli.quota:app",
    "lock": "dynamo.cli.lock:app",
    "switch": "dynamo.cli.switch:app",
    "history": "dynamo.cli.history:history",
    "policy": "dynamo.cli.policy:app",
    "detox": "dynamo.cli.detox:app",
    "dealer": "dynamo.cli.dealer:app",
    "why": "dynamo.cli.why:why",
    "token": "dynamo.cli.token:token",
    "check": "dynamo.cli.check:check",
}
"""Module of each noun; a module is imported only when its noun is used."""

HELP = """
Manages data at many sites.

--data DIR or DYNAMO_DATA names a local system, DYNAMO_URL a remote one. Calls use the bearer token
of the environment, else a token signed with the key of the data directory.

Data go to stdout, messages to stderr. Exit codes:

- 0 done
- 1 failed
- 2 wrong usage
- 3 refused: permission or quota
- 4 temporary: run the same line again later
- 5 partial: some succeeded, some did not
"""


class Nouns(TyperGroup):
    """The nouns; imports the module of the used noun only."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's own signature
        """Return all nouns."""
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return the commands of a noun."""
        return _load(cmd_name) if cmd_name in NOUNS else None

    def invoke(self, ctx: Any) -> Any:
        """Run a command; print its error and exit with the error's code."""
        try:
            return super().invoke(ctx)
        except Problem as problem:
            _tell(problem)
            raise typer.Exit(problem.exit_code) from None
        except DynamoError as error:
            failure = Problem(0, error.reason, error.detail, retryable=error.retryable)
            _tell(failure)
            raise typer.Exit(failure.exit_code) from None


app = typer.Typer(cls=Nouns, no_args_is_help=True, help=HELP, rich_markup_mode="markdown")


@app.callback()
def _choose(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", help=f"Data directory of the system. [env var: {DATA}]"),
    ] = None,
    as_user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Call as this user.")
    ] = None,
) -> None:
    context.obj = Chosen(data, as_user)
    if data is not None:
        # the settings and the programs that `up` starts read the environment
        before = os.environ.get(DATA)
        os.environ[DATA] = str(data)
        context.call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    os.environ.pop(DATA, None)
    if before is not None:
        os.environ[DATA] = before


def _load(noun: str) -> TyperCommand | TyperGroup:
    module, _, name = NOUNS[noun].partition(":")
    target: typer.Typer | Callable[..., None] = getattr(import_module(module), name)
    if not isinstance(target, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(noun)(target)
        target = alone
    command = get_command(target)
    command.name = noun
    return command  # type: ignore[return-value]


def _tell(problem: Problem) -> None:
    say(refusal(problem))
    for error in problem.errors[:20]:
        say(f"  {error.get('lfn') or error.get('pointer')}: {error.get('detail')}")
    if len(problem.errors) > 20:
        say(f"  … and {len(problem.errors) - 20} more")
    if problem.alternatives:
        say(f"possible sites: {', '.join(problem.alternatives)}")
    if problem.trace and problem.status >= 500:
        say(f"the service logs this call under the id {problem.trace}")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
