"""`dynamo policy`: policies and placement rules: check, show, compare, put in force."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from dynamo.cli import console
from dynamo.cli.session import Session, acting, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamo.policy.diagnostics import Problem

app = typer.Typer(help="Policies: which data may be deleted, and when.", no_args_is_help=True)

Partition = Annotated[str, typer.Argument(help="Name of the partition, such as User.")]
Rules = Annotated[
    bool, typer.Option("--rules", help="Use the placement rules instead of the policy.")
]
File = Annotated[
    Path, typer.Argument(help="file with the text", exists=True, dir_okay=False, readable=True)
]


@app.command()
def check(
    file: File,
    partition: Annotated[str | None, typer.Option(help="partition, if the file names none")] = None,
) -> None:
    """Print all errors and warnings of a policy or of placement rules (JSON); exit 1 if errors."""
    # importing the language takes a third of a second; other verbs do not need it
    from dynamo.policy.lint import check_policy  # noqa: PLC0415
    from dynamo.policy.placement_rules import check_rules  # noqa: PLC0415

    text = file.read_text("utf-8")
    if text.lstrip().startswith("{"):
        rules = check_rules(text, str(file), partition=partition)
        _report(rules.problems, rules.source)
        count, owner = len(rules.enforcer.rules), rules.enforcer.partition
        typer.echo(f"{file}: {count} placement rules for {owner}")
        return
    reading = check_policy(text, str(file), partition=partition)
    _report(reading.problems, reading.source)
    count = len(reading.policy.lines)
    typer.echo(f"{file}: a policy for {reading.policy.partition}, {count} rules")


def _report(problems: "Sequence[Problem]", source: str) -> None:
    """Print errors and warnings; end with 1 if there are errors."""
    for problem in problems:
        typer.echo(problem.show(source), err=not problem.warning)
    if not all(problem.warning for problem in problems):
        raise typer.Exit(1)


@app.command("list")
@reading
def list_(session: Session, partition: Partition, *, rules: Rules = False) -> None:
    """List the versions of a partition's policy, newest first."""
    service = session.service()
    page = service.get(_path(partition, rules), {"versions": "true", "limit": 20})
    if session.json:
        console.show_json(page)
        return
    rows = (
        (
            version["version"],
            version["who"],
            console.moment(version["at"]),
            _changes(version["difference"]),
        )
        for version in page["items"]
    )
    console.table(("version>", "by", "since", "changed"), rows)


@app.command()
@reading
def show(
    session: Session,
    partition: Partition,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    *,
    rules: Rules = False,
) -> None:
    """Print the policy in force."""
    policy = session.service().get(_path(partition, rules), {"version": version})
    if session.json:
        console.show_json(policy)
        return
    console.say(f"version {policy['version']} by {policy['who']}, {console.moment(policy['at'])}")
    typer.echo(policy["text"].rstrip("\n"))


@app.command("set")
@acting
def set_(session: Session, partition: Partition, file: File, *, rules: Rules = False) -> None:
    """Put a policy in force; a policy with errors is refused, and the old one stays."""
    body = {"text": file.read_text("utf-8")}
    policy = session.service("operator").put(_path(partition, rules), body)
    for warning in policy["warnings"]:
        console.say(warning)
    console.say(f"version {policy['version']} is in force for {partition}")


@app.command()
@acting
def diff(session: Session, partition: Partition, file: File, *, rules: Rules = False) -> None:
    """Show what a file would change in the policy in force; exit 1 for changes."""
    policy = session.service().get(_path(partition, rules))
    names = (f"version {policy['version']}", str(file))
    new = file.read_text("utf-8").splitlines()
    changes = list(difflib.unified_diff(policy["text"].splitlines(), new, *names, lineterm=""))
    for line in changes:
        typer.echo(line)
    if changes:
        raise typer.Exit(1)


def _path(partition: str, rules: bool) -> str:  # noqa: FBT001 - selects one of two texts
    return f"/v1/{'rules' if rules else 'policies'}/{quote(partition, safe='')}"


def _changes(difference: str) -> str:
    lines = difference.splitlines()[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"{added} lines added, {removed} removed"
