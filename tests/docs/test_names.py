"""What pages name is there: modules, commands with their options, settings, tasks."""

import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from dynamo.cli.main import app
from dynamo.reasons import Again, Mover, Reason
from dynamo.running import reasons_reference, settings_reference
from dynamo.settings import Section, Settings
from dynamo.tasks import POOLS, TASKS
from tests.docs.pages import HOUSE, code_blocks, inline_code, told

each_page = pytest.mark.parametrize("page", told(), ids=lambda page: str(page.relative_to(HOUSE)))
_ROOTS = (HOUSE, HOUSE / "dynamo", HOUSE / "docs")
_PATH = re.compile(r"(?:[\w.*-]+/)+(?:[\w.*-]+\.(?:py|policy|toml|md|sh|lark))?")


def paths(page: Path) -> Iterator[str]:
    """Yield the paths of modules and folders of ours that a page names."""
    first = {path.name for root in _ROOTS for path in root.iterdir() if path.is_dir()}
    for code in inline_code(page):
        path = code.split("::")[0]
        if _PATH.fullmatch(path) and path.split("/")[0] in first:
            yield path


@each_page
def test_each_path_that_a_page_names_is_there(page: Path) -> None:
    missing = [
        path
        for path in paths(page)
        if "*" not in path and not any((root / path).exists() for root in _ROOTS)
    ]
    assert missing == []


# --- commands -------------------------------------------------------------------------------------

_ALWAYS = {"--help", "--data", "--as"}


def lines(page: Path) -> Iterator[str]:
    """Yield the lines of a page that call the command."""
    for language in ("console", "sh", "", "bash"):
        for block in code_blocks(page, language):
            yield from (line.strip() for line in re.sub(r"\\\n\s*", "", block).splitlines())
    yield from re.findall(r"^    (dynamo .*)$", page.read_text(), re.MULTILINE)
    yield from inline_code(page)


def calls(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of the command that a page shows."""
    for line in lines(page):
        if re.match(r"(\$ )?(\.venv/bin/)?dynamo [a-z]", line):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            yield words[1:]


def _unknown(words: list[str]) -> str | None:
    """Return what the command does not know of a call."""
    command, rest = get_command(app), words
    while rest and hasattr(command, "get_command") and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        below = command.get_command(None, rest[0])
        if below is None:
            return rest[0]
        command, rest = below, rest[1:]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    options = [word.split("=")[0] for word in rest if word.startswith("-") and word != "-"]
    return next((one for one in options if one not in {*known, *_ALWAYS}), None)


@each_page
def test_each_command_that_a_page_shows_is_there_with_its_options(page: Path) -> None:
    assert [words for words in calls(page) if _unknown(words)] == []


# --- targets of make ------------------------------------------------------------------------------


@each_page
def test_each_target_of_make_that_a_page_shows_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(), re.MULTILINE))
    shown = {
        match[1] for line in lines(page) if (match := re.match(r"(?:\$ )?make ([a-z]+)", line))
    }
    assert sorted(shown - targets) == []


# --- settings and tasks ---------------------------------------------------------------------------

SECTIONS = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if isinstance(field.default, Section)
}
_FOREIGN = {"site", "dataset", "replica", "blockreplica"}
"""Where policies have variables of their own."""


@each_page
def test_each_setting_that_a_page_names_is_there(page: Path) -> None:
    named = [
        match.groups()
        for code in inline_code(page)
        if (match := re.fullmatch(r"([a-z]+)\.([a-z_]+)", code)) and match[1] in SECTIONS
    ]
    missing = [
        f"{section}.{field}"
        for section, field in named
        if field not in type(SECTIONS[section]).model_fields
        and section not in _FOREIGN
        and field not in {"py", "md"}
    ]
    assert missing == []


@pytest.mark.parametrize("source", [settings_reference, reasons_reference])
def test_a_page_that_is_made_is_the_one_of_its_source(source: ModuleType) -> None:
    name = source.__name__.removesuffix("_reference")
    page = HOUSE / f"docs/operating/{name.split('.')[-1]}.md"
    assert page.read_text() == source.page(), (
        f"run: python -m {source.__name__} > {page.relative_to(HOUSE)}"
    )


def test_the_page_of_transfers_says_what_is_done_about_reasons_as_they_are() -> None:
    page = (HOUSE / "docs/operating/transfers.md").read_text()
    table = page[page.index("### Reasons") : page.index("### When Dynamo retries")]
    named = set(re.findall(r"`([a-z-]+)`", _column(table, 0)))
    held, decided = re.findall(r"^\| (`.*?) \| (?:held at once|only by)", page, re.MULTILINE)

    assert named <= set(Reason)
    assert set(re.findall(r"`([a-z-]+)`", held)) == {
        reason for reason in Reason if reason.again is Again.DAILY
    }
    assert set(re.findall(r"`([a-z-]+)`", decided)) == {
        reason for reason in Reason if reason.again is Again.BY_HAND
    }
    assert {reason for reason in Reason if reason.mover is Mover.OPERATOR} <= named


def _column(table: str, number: int) -> str:
    rows = (line for line in table.splitlines() if line.startswith("|"))
    return "\n".join(row.strip("|").split("|")[number] for row in rows)


def test_each_pool_queue_and_task_stands_in_the_page_of_the_system() -> None:
    page = (HOUSE / "docs/operating/system.md").read_text()
    table = page[page.index("### Pools, queues and tasks") : page.index("## An invariant")]
    for pool, queues in POOLS.items():
        assert f"| {pool} |" in table
        for queue in queues:
            [row] = [line for line in table.splitlines() if f"| `{queue}` | `" in line]
            tasks = {task.name for task in TASKS.values() if task.queue == queue}
            assert set(re.findall(r"`([a-z-]+)`", row.split("|")[3])) == tasks
    beats = table[table.index("| beat |") :]
    assert [
        task.name for task in TASKS.values() if task.beat and f"`{task.name}`" not in beats
    ] == []


# --- folders and wings ----------------------------------------------------------------------------


def test_the_first_day_says_what_each_folder_is_for() -> None:
    page = (HOUSE / "docs/first-day.md").read_text()
    tracked = {"api", "workers", "dynamo", "deploy", "docs", "tests"}
    below = {f"dynamo/{path.parent.name}" for path in HOUSE.glob("dynamo/*/__init__.py")}

    assert [name for name in sorted(tracked | below) if f"| `{name}/` |" not in page] == []


@pytest.mark.parametrize("floor", ["services", "db"])
def test_the_levels_of_wings_are_those_of_the_contract(floor: str) -> None:
    told = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [one for one in told["contracts"] if one.get("containers") == [f"dynamo.{floor}"]]
    layers = [{name.strip() for name in layer.split("|")} for layer in contract["layers"]]

    assert _levels(floor) == dict(enumerate(reversed(layers), start=1))


def _levels(floor: str) -> dict[int, set[str]]:
    """Read the table of a floor's wings: level -> wings."""
    page = (HOUSE / "docs/architecture.md").read_text()
    table = page[page.index(f"| level of `{floor}`") :].partition("\n\n")[0]
    found: dict[int, set[str]] = {}
    level = 0
    for row in table.splitlines()[2:]:
        number, wings = (cell.strip() for cell in row.strip("|").split("|")[:2])
        level = int(number) if number else level
        named = re.findall(rf"`{floor}/(\w+)(?:/|\.py)`", wings)
        found.setdefault(level, set()).update(named)
    return found


def test_bare_names_of_modules_are_those_of_modules() -> None:
    """`wishes.py` without its folder would rot unseen."""
    known = {
        path.name
        for root in ("dynamo", "api", "workers", "tests", ".")
        for path in (HOUSE / root).glob("**/*.py" if root != "." else "*.py")
    }
    named = {
        (page.name, code)
        for page in told()
        for code in inline_code(page)
        if re.fullmatch(r"\w+\.py", code) and code not in known
    }
    assert named == set()


_NOT_MODULES = {
    "dynamo.proposers",
    "dynamo.attributes",
    "dynamo.toml",
    "dynamo.env",
    "dynamo.target",
}
"""Entry points and files that look like modules."""


@each_page
def test_each_dotted_name_that_a_page_gives_can_be_imported(page: Path) -> None:
    named = {
        match[1]
        for code in inline_code(page)
        if (match := re.fullmatch(r"(?:python -m )?(dynamo(?:\.\w+)+)(?: .*)?", code))
    }
    assert [name for name in sorted(named - _NOT_MODULES) if not _importable(name)] == []


def _importable(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if importlib.util.find_spec(module) is None:
        return False
    here = importlib.import_module(module)
    return hasattr(here, attribute) or importlib.util.find_spec(name) is not None


def test_upgrade_notes_name_what_can_be_imported_now() -> None:
    page = (HOUSE / "CHANGELOG.md").read_text()
    now = re.findall(r"^ *\| `dynamo\.[\w.]+` \| `(dynamo\.[\w.]+)` \|", page, re.MULTILINE)

    assert now
    assert [name for name in now if not _importable(name)] == []


def test_the_newest_version_of_the_changelog_is_the_one_of_the_project() -> None:
    page = (HOUSE / "CHANGELOG.md").read_text()
    unreleased, newest = re.findall(r"^## (.*)$", page, re.MULTILINE)[:2]
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]

    assert unreleased == "Unreleased"
    assert newest.split()[0] == project["version"]


# --- outputs --------------------------------------------------------------------------------------


@each_page
def test_each_heading_of_a_shown_table_is_one_that_the_command_prints(page: Path) -> None:
    source = "\n".join(path.read_text() for path in (HOUSE / "dynamo/cli").rglob("*.py"))
    shown = "\n".join(code_blocks(page, "console"))
    headings = re.findall(r"^ *(\w.*)\n *─+$", shown, re.MULTILINE)
    missing = [
        word
        for heading in headings
        for word in re.split(r" {2,}", heading.strip())
        if f'"{word}"' not in source and f'"{word}>"' not in source
    ]
    assert missing == []


def test_the_readme_quotes_the_last_line_of_the_demo() -> None:
    [quoted] = re.findall(r"`(each file is [^`]*)`", (HOUSE / "README.md").read_text())
    assert f'"{quoted}"' in (HOUSE / "dynamo/cli/demo/command.py").read_text()
