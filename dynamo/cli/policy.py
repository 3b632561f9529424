"""`dynamo policy`: what may be deleted and when: checked, shown, compared, put in force."""

import difflib
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from dynamo.cli import output
from dynamo.cli.session import Session, acting, reading

app = typer.Typer(help="Policies: what may be deleted, and when.", no_args_is_help=True)

Partition = Annotated[str, typer.Argument(help="Name of the partition, such as User.")]
File = Annotated[
    Path, typer.Argument(help="policy file", exists=True, dir_okay=False, readable=True)
]


@app.command()
def check(
    file: File,
    partition: Annotated[
        str | None, typer.Option(help="partition, for files that name none")
    ] = None,
) -> None:
    """Print all errors and warnings of a policy file; exit 1 if there are errors."""
    # the language costs a third of a second, and the other verbs leave it to the service
    from dynamo.policy.advice import check_policy  # noqa: PLC0415

    reading = check_policy(file.read_text("utf-8"), str(file), partition=partition)
    for problem in reading.problems:
        typer.echo(problem.show(reading.source), err=not problem.warning)
    if reading.errors:
        raise typer.Exit(1)
    count = len(reading.policy.lines)
    typer.echo(f"{file}: a policy for {reading.policy.partition}, {count} rules")


@app.command("list")
@reading
def list_(session: Session, partition: Partition) -> None:
    """List the versions of a partition's policy, newest first."""
    service = session.service()
    page = service.get(_path(partition), {"versions": "true", "limit": 20})
    if session.json:
        output.show_json(page)
        return
    rows = (
        (one["version"], one["who"], output.moment(one["at"]), _changes(one["difference"]))
        for one in page["items"]
    )
    output.table(("version>", "by", "since", "changed"), rows)


@app.command()
@reading
def show(
    session: Session,
    partition: Partition,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier one.")] = None,
) -> None:
    """Print the policy in force."""
    policy = session.service().get(_path(partition), {"version": version})
    if session.json:
        output.show_json(policy)
        return
    output.say(f"version {policy['version']} by {policy['who']}, {output.moment(policy['at'])}")
    typer.echo(policy["text"].rstrip("\n"))


@app.command("set")
@acting
def set_(session: Session, partition: Partition, file: File) -> None:
    """Put a policy in force; one with an error is refused, and the old one stays."""
    body = {"text": file.read_text("utf-8")}
    policy = session.service("operator").put(_path(partition), body)
    for warning in policy["warnings"]:
        output.say(warning)
    output.say(f"version {policy['version']} is in force for {partition}")


@app.command()
@acting
def diff(session: Session, partition: Partition, file: File) -> None:
    """Show what a file would change in the policy in force; exit 1 if anything."""
    policy = session.service().get(_path(partition))
    names = (f"version {policy['version']}", str(file))
    new = file.read_text("utf-8").splitlines()
    found = list(difflib.unified_diff(policy["text"].splitlines(), new, *names, lineterm=""))
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)


def _path(partition: str) -> str:
    return f"/v1/policies/{quote(partition, safe='')}"


def _changes(difference: str) -> str:
    lines = difference.splitlines()[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"{added} lines added, {removed} removed"
