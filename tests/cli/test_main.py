"""The command as a whole: what it offers, what it says of itself, what it costs to start."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dynamo.cli.main import NOUNS, app

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def commands() -> Iterator[str]:
    root = get_command(app)
    for noun in NOUNS:
        command = root.get_command(None, noun)  # type: ignore[attr-defined]
        verbs = getattr(command, "commands", None)
        yield from (f"{noun} {verb}" for verb in verbs) if verbs else (noun,)


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_documented_and_helps(command: str) -> None:
    assert f"`dynamo {command}" in DOCUMENT

    ran = CliRunner().invoke(app, [*command.split(), "--help"])
    assert ran.exit_code == 0
    assert "Usage" in ran.stdout


def test_no_command_is_documented_that_there_is_not() -> None:
    documented = set(re.findall(r"^\| `dynamo ([a-z]+(?: [a-z]+)?)", DOCUMENT, re.MULTILINE))

    assert documented == set(commands())


def test_the_exit_codes_are_told_by_the_help_and_the_document() -> None:
    told = CliRunner().invoke(app, ["--help"]).stdout
    for code in range(6):
        assert re.search(rf"\b{code} \w+", told)
        assert re.search(rf"^\| {code} \|", DOCUMENT, re.MULTILINE)


def test_an_unknown_noun_is_a_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["dataste", "list"]).exit_code == 2


def test_a_command_that_only_calls_starts_without_the_inventory() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from dynamo.cli.main import app\n"
        "ran = CliRunner().invoke(app, ['site', 'add', 'X', '--url', '/x', '--quota', 'U=x'])\n"
        "assert ran.exit_code == 2, ran\n"
        "print(*sys.modules)\n"
    )
    environment = os.environ | {"DYNAMO_URL": "http://127.0.0.1:9", "BEARER_TOKEN": "a.b.c"}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    heavy = {"sqlalchemy", "celery", "kombu", "flask", "numpy", "pymysql", "jwt", "redis"}
    assert not heavy & set(ran.stdout.split())
