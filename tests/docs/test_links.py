"""Links lead somewhere, and no page is out of reach."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import HOUSE, anchors, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield what a page links within the project: the file, and the place in it."""
    for target in _LINK.findall(page.read_text()):
        if not re.match(r"[a-z]+:", target):
            path, _, place = target.partition("#")
            yield (page.parent / path).resolve() if path else page, place


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(HOUSE)))
def test_each_link_leads_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    for path, place in links(page):
        assert path.exists(), path
        assert not place or place in anchors(path), (path.name, place)


def test_each_page_is_reached_from_the_readme() -> None:
    reached, ahead = set(), {HOUSE / "README.md"}
    while ahead:
        page = ahead.pop()
        reached.add(page)
        for path, _ in links(page):
            inside = path.rglob("*.md") if path.is_dir() else [path]
            ahead |= {one for one in inside if one.suffix == ".md"} - reached

    assert set(pages()) - reached == set()
