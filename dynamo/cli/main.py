"""The command `dynamo`: which nouns there are, and how an error becomes an exit code."""

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
"""Each noun and where its commands are: a module is read only when it is called."""

HELP = """
Keeps data at many sites where they are wanted.

A running system is found by --data DIR or DYNAMO_DATA, one elsewhere by DYNAMO_URL. Calls carry the
bearer token of the environment, else one made with the key of the data directory.

Data come on stdout, messages on stderr. Exit codes:

- 0 done
- 1 failed
- 2 wrong usage
- 3 refused: permission or quota
- 4 temporary: run the same line again later
- 5 partial: some succeeded, some did not
"""


class Nouns(TyperGroup):
    """The nouns; reads the module of the one that is called, and no other."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's own signature
        """Return all nouns."""
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return the commands of a noun."""
        return _load(cmd_name) if cmd_name in NOUNS else None

    def invoke(self, ctx: Any) -> Any:
        """Run a command and tell what went wrong in words and with an exit code."""
        try:
            return super().invoke(ctx)
        except Problem as problem:
            _tell(problem)
            raise typer.Exit(problem.exit_code) from None
        except DynamoError as error:
            found = Problem(0, error.reason, error.detail, retryable=error.retryable)
            _tell(found)
            raise typer.Exit(found.exit_code) from None


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
        # for those that read the environment: the settings, and the programs that `up` starts
        before = os.environ.get(DATA)
        os.environ[DATA] = str(data)
        context.call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    os.environ.pop(DATA, None)
    if before is not None:
        os.environ[DATA] = before


def _load(noun: str) -> TyperCommand | TyperGroup:
    module, _, name = NOUNS[noun].partition(":")
    found: typer.Typer | Callable[..., None] = getattr(import_module(module), name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(noun)(found)
        found = alone
    command = get_command(found)
    command.name = noun
    return command  # type: ignore[return-value]


def _tell(problem: Problem) -> None:
    say(refusal(problem))
    for error in problem.errors[:20]:
        say(f"  {error.get('lfn') or error.get('pointer')}: {error.get('detail')}")
    if len(problem.errors) > 20:
        say(f"  … and {len(problem.errors) - 20} more")
    if problem.alternatives:
        say(f"sites that could take it: {', '.join(problem.alternatives)}")
    if problem.trace and problem.status >= 500:
        say(f"the service's log knows this call as {problem.trace}")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
