"""The pages of documentation, and what they name."""

import re
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2]
OLD = {"CHANGELOG.md"}
"""What tells of the past may name what is gone."""


def pages() -> list[Path]:
    """Return all pages, those in the first folder too."""
    return [*sorted(HOUSE.glob("*.md")), *sorted((HOUSE / "docs").rglob("*.md"))]


def told() -> list[Path]:
    """Return the pages that tell of today."""
    return [page for page in pages() if page.name not in OLD]


def anchor(heading: str) -> str:
    """Return what a heading is called in links."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return all places of a page that can be linked."""
    return {anchor(line) for line in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)}


def code_blocks(page: Path, language: str) -> Iterator[str]:
    """Yield the code blocks of a page in one language."""
    pattern = rf"^ *```{language}\n(.*?)^ *```$"
    yield from re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE)


def inline_code(page: Path) -> list[str]:
    """Return what stands between single backticks outside of code blocks."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)
