"""The page that says where each promise is proved names tests that exist."""

import re
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def test_each_proof_is_there():
    page = (HOUSE / "docs/faults.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20
    for path, name in named:
        wanted = f"def {name}(" if name else "def test_" if "/test_" in path else "def "
        assert wanted in (HOUSE / path).read_text(), (path, name)
