"""Lines that stand twice, and why they may."""

from pathlib import Path

from tests.house import duplicates
from tests.house.shape import CODE, modules

HOUSE = Path(__file__).parents[2]

SHOWN = "what two kinds of things show: each says its own"

EXCUSED = {
    frozenset({"dynamo/db/engine/transitions.py"}): "the parameters of two ways to name rows",
    frozenset({"dynamo/client/client.py"}): "the parameters of two doors to the same upload",
    frozenset(
        {"dynamo/db/snapshots/loader.py", "dynamo/golden/cases.py"}
    ): "the parts of a snapshot by name, from rows and from a case",
    frozenset({"dynamo/services/consistency/scans.py", "dynamo/services/cycles/views.py"}): SHOWN,
    frozenset(
        {"dynamo/db/views/sites.py", "dynamo/services/injection/site_selection.py"}
    ): "columns of a site, to show it and to choose it",
}
"""Modules of a pair → the reason."""


def test_no_six_lines_stand_twice_without_a_reason():
    found = duplicates.twins(HOUSE, list(modules(HOUSE, *CODE)))

    assert [str(twin) for twin in found if twin.paths not in EXCUSED] == []
    assert {twin.paths for twin in found} == set(EXCUSED), "needs no excuse any more"


SAME = """    n = count(rows)
    if n > most:
        raise Full(n)
    for row in rows:
        send(row)
    return n
"""


def planted(tmp_path: Path, *texts: str) -> list[str]:
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"m{number}.py")
        paths[-1].write_text(text)
    return [str(twin) for twin in duplicates.twins(tmp_path, paths)]


def test_six_lines_that_stand_twice_are_found(tmp_path: Path):
    first = f"from a import b\n\n\ndef f(rows, most):\n{SAME}"
    second = f'"""Other."""\n\n\ndef other(rows, most):\n    """Same."""\n\n    # why\n{SAME}'
    assert planted(tmp_path, first, second) == ["m0.py:5 and m1.py:8: 6 lines"]


def test_twins_are_as_long_as_they_go_and_may_be_in_one_module(tmp_path: Path):
    twice = f"def f(rows, most):\n{SAME}\ndef g(rows, most):\n    x = 1\n    n = 2\n{SAME}"
    assert planted(tmp_path, twice) == ["m0.py:2 and m0.py:12: 6 lines"]
    assert planted(tmp_path, f"def f(rows, most):\n{SAME}", f"def f(rows, most):\n{SAME}") == [
        "m0.py:1 and m1.py:1: 7 lines"
    ]


def test_five_lines_imports_fields_and_brackets_are_no_twins(tmp_path: Path):
    five = "".join(SAME.splitlines(keepends=True)[:5])
    assert planted(tmp_path, f"def f(rows, most):\n{five}", f"def g(most, rows):\n{five}") == []
    imports = "from a import (\n    b,\n    c,\n    d,\n    e,\n    f,\n    g,\n)\n"
    assert planted(tmp_path, imports, imports) == []
    fields = "class A:\n" + "".join(f"    {name}: int\n" for name in "abcdefgh")
    assert planted(tmp_path, fields, fields.replace("A", "B")) == []
    assert planted(tmp_path, "x = [\n1\n]\n" * 2, "y = [\n1\n]\n" * 2) == []
