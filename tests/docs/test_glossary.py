"""Each term of the glossary stands there once, and what it names is there."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from dynamo.cli.main import app
from dynamo.db.tables import Base
from dynamo.settings import Settings
from tests.docs.pages import HOUSE

PAGE = (HOUSE / "docs/glossary.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| term")
]
HOMES = [(row[0], name) for row in ROWS for name in re.findall(r"(table )?`([^`]+)`", row[2])]


def test_each_term_stands_there_once() -> None:
    terms = [term.strip() for row in ROWS for term in row[0].split(",")]

    assert len(terms) > 80
    assert sorted(terms) == sorted(set(terms))


def test_each_term_has_a_sentence_a_home_and_the_words_of_three_others() -> None:
    for row in ROWS:
        assert len(row) == 6, row
        assert all(row), row
        assert row[1].endswith("."), row


@pytest.mark.parametrize(("term", "named"), HOMES, ids=str)
def test_each_home_is_there(term: str, named: tuple[str, str]) -> None:
    table, name = named
    if table:
        assert name in Base.metadata.tables
    elif name.startswith("dynamo "):
        assert _is_command(name.split()[1:])
    elif name.startswith("/v1/"):
        assert f"`POST {name}`" in (HOUSE / "docs/permissions.md").read_text()
    elif name.endswith((".py", "/")):
        assert any((root / name).exists() for root in (HOUSE, HOUSE / "dynamo"))
    else:
        section, _, field = name.partition(".")
        assert field in type(Settings.model_fields[section].default).model_fields


def _is_command(words: list[str]) -> bool:
    command = get_command(app)
    for word in words:
        command = command.get_command(None, word)  # type: ignore[attr-defined]
        if command is None:
            return False
    return True


def test_operators_find_the_words_of_tables_in_the_glossary() -> None:
    told = PAGE.lower()
    internal = {"answers", "parked", "replica_files", "told_statuses", "pulses", "vigils"}
    names = set(Base.metadata.tables) - internal

    assert [name for name in names if name not in told and name.rstrip("s") not in told] == []


def test_no_other_page_defines_a_private_word() -> None:
    """Words that the code has given up stay out of the pages."""
    gone = r"\b(errands?|wishes|enlisting|hindrances?|forsak\w+|latecomers?|tending|unasked)\b"
    pages = [page for page in Path(HOUSE / "docs").rglob("*.md") if "decisions" not in page.parts]
    found = {
        page.name: re.findall(gone, page.read_text()) for page in [*pages, HOUSE / "README.md"]
    }

    assert {name: words for name, words in found.items() if words} == {}
