"""The shape of the code, and who is excused from what, each with its reason."""

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.house import shape
from tests.house.shape import Reasons

HOUSE = Path(__file__).parents[2]

ANY_AT_MOST = 98
"""How often a type may be `Any`: lower it when there are fewer."""

BEING_SPLIT = "being split"

MODULES: Reasons = {
    "dynamo/client/client.py": "one file without dependencies, which jobs may copy",
    "dynamo/policy/variables.py": "one table: each variable of policies",
    "dynamo/policy/image.py": "one table: the first Dynamo's words as ours",
    "dynamo/settings.py": "one table: each setting",
    "dynamo/db/requests.py": BEING_SPLIT,
    "dynamo/db/transfers/source_selection.py": BEING_SPLIT,
    "dynamo/db/transfers/transfers.py": BEING_SPLIT,
    "dynamo/services/consistency/remedies.py": BEING_SPLIT,
    "dynamo/services/copies/request.py": BEING_SPLIT,
    "dynamo/services/deletions/condemnation.py": BEING_SPLIT,
    "dynamo/services/deletions/rescue.py": BEING_SPLIT,
    "dynamo/services/detox/executor.py": BEING_SPLIT,
    "dynamo/db/catalogue/bulk_registration.py": BEING_SPLIT,
    "dynamo/services/injection/rebooking.py": BEING_SPLIT,
    "dynamo/services/requests/views.py": BEING_SPLIT,
    "dynamo/services/transfers/executor.py": BEING_SPLIT,
    "dynamo/services/transfers/finisher.py": BEING_SPLIT,
}
FUNCTIONS: Reasons = {
    "dynamo/client/client.py:_parser": BEING_SPLIT,
    "dynamo/db/deletions/condemnation.py:drop": BEING_SPLIT,
    "dynamo/db/deletions/condemnation.py:cancel_transfers": BEING_SPLIT,
    "dynamo/db/deletions/deletions.py:load": BEING_SPLIT,
    "dynamo/services/copies/progress.py:judge": BEING_SPLIT,
    "dynamo/services/injection/registration.py:register": BEING_SPLIT,
}
FOLDERS: Reasons = {
    "api": "what every resource needs: access, bodies, answers, pages of them",
    "api/resources": "one for each noun of the API",
    "dynamo/cli": "one for each noun that people type, and the words they are answered in",
    "dynamo/dealer": "an engine: each step of a cycle has its room, arrows go down",
    "dynamo/detox": "an engine: each step of a cycle has its room, arrows go down",
    "dynamo/policy": "a language: words, syntax, reading, checking, variables",
    "dynamo/running": "one for each thing that a running system has",
}
WINGS: Reasons = {"dynamo/db/transfers": BEING_SPLIT}
GERUNDS = {
    "dynamo/db/catalogue/accounting.py",
    "dynamo/db/catalogue/block_filling.py",
    "dynamo/db/deletions/scheduling.py",
    "dynamo/services/accounts/charging.py",
    "dynamo/services/consistency/listing.py",
    "dynamo/services/injection/rebooking.py",
    "dynamo/services/transfers/late_booking.py",
}
"""Nouns that happen to end in -ing: no other word says it."""

CLASSES: Reasons = {}

DELETERS = {"dynamo/services/deletions/reaper.py", "dynamo/storage/probe.py"}
NOT_STORAGES = {"self.cycle", "cycle", "service"}
"""A cycle of Detox notes what goes; the client asks for a deletion."""


def check(found: Collection[str], excused: Collection[str]) -> None:
    """Check that all that is found is excused, and that all that is excused is found."""
    assert set(found) - set(excused) == set(), "too many; make it smaller, or say why it may be"
    needless = set(excused) - set(found)
    if not isinstance(excused, set):
        needless = {name for name in needless if excused[name] != BEING_SPLIT}
    assert needless == set(), "needs no excuse any more"


@pytest.mark.parametrize(
    ("broken_by", "excused"),
    [
        (shape.long_modules, MODULES),
        (shape.long_functions, FUNCTIONS),
        (shape.full_folders, FOLDERS),
        (shape.large_wings, WINGS),
        (shape.gerunds, GERUNDS),
        (shape.shared_class_names, CLASSES),
    ],
)
def test_the_code_keeps_its_shape(
    broken_by: Callable[[Path], Collection[str]], excused: Collection[str]
):
    check(broken_by(HOUSE), excused)


def test_only_the_reaper_and_the_probe_delete_from_a_storage():
    assert shape.deleters(HOUSE, NOT_STORAGES) == DELETERS


def test_no_test_imports_from_another_one():
    assert shape.imports_between_tests(HOUSE) == set()


def test_no_more_types_are_any():
    assert shape.n_any(HOUSE) <= ANY_AT_MOST


# --- each check finds what is planted -------------------------------------------------------------


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_long_module_is_found(tmp_path: Path):
    plant(tmp_path, "dynamo/long.py", "x = 1\n" * 301)
    plant(tmp_path, "dynamo/short.py", "x = 1\n" * 300)
    assert shape.long_modules(tmp_path) == {"dynamo/long.py": 301}


def test_a_long_function_is_found(tmp_path: Path):
    body = "    x = 1\n"
    inside = f"class A:\n    def long(self):\n{body * 0}" + "        x = 1\n" * 45
    plant(tmp_path, "api/a.py", inside + f"\ndef short():\n{body * 44}")
    assert shape.long_functions(tmp_path) == {"api/a.py:long": 46}


def test_a_full_folder_is_found(tmp_path: Path):
    for n in range(13):
        plant(tmp_path, f"workers/many/m{n}.py", "")
    for n in range(12):
        plant(tmp_path, f"workers/few/m{n}.py", "")
    plant(tmp_path, "workers/few/__init__.py", "")
    assert shape.full_folders(tmp_path) == {"workers/many": 13}


def test_a_large_wing_is_found(tmp_path: Path):
    for n in range(5):
        plant(tmp_path, f"dynamo/db/large/deep/m{n}.py", "x = 1\n" * 281)
        plant(tmp_path, f"dynamo/services/small/m{n}.py", "x = 1\n" * 280)
    plant(tmp_path, "dynamo/services/alone.py", "x = 1\n" * 2000)
    assert shape.large_wings(tmp_path) == {"dynamo/db/large": 1405}


def test_a_module_named_by_a_gerund_is_found(tmp_path: Path):
    plant(tmp_path, "dynamo/services/copies/mending.py", "")
    plant(tmp_path, "dynamo/dealer/screening.py", "")
    assert shape.gerunds(tmp_path) == {"dynamo/services/copies/mending.py"}


def test_two_classes_of_one_name_on_a_floor_are_found(tmp_path: Path):
    for path in ("dynamo/db/a.py", "dynamo/db/b/c.py", "dynamo/dealer/a.py"):
        plant(tmp_path, path, "class Limits: ...\nclass _Own: ...\n")
    assert shape.shared_class_names(tmp_path) == {
        "dynamo/db: Limits": ["dynamo/db/a.py", "dynamo/db/b/c.py"]
    }


def test_whoever_deletes_from_a_storage_is_found(tmp_path: Path):
    plant(tmp_path, "dynamo/services/a.py", "def f(storage): storage.delete('/x')")
    plant(tmp_path, "dynamo/services/b.py", "def f(s): return partial(s.at('x').delete, '/x')")
    plant(tmp_path, "dynamo/services/c.py", "def f(table, cycle): cycle.delete(delete(table))")
    found = shape.deleters(tmp_path, {"cycle"})
    assert found == {"dynamo/services/a.py", "dynamo/services/b.py"}


def test_an_import_from_a_test_file_is_found(tmp_path: Path):
    plant(tmp_path, "tests/a/test_a.py", "from tests.b.test_b import run")
    plant(tmp_path, "tests/a/test_c.py", "from tests.b import test_b, steps")
    plant(tmp_path, "tests/a/test_d.py", "from tests.b.steps import run")
    assert shape.imports_between_tests(tmp_path) == {
        "tests/a/test_a.py from tests.b.test_b",
        "tests/a/test_c.py from tests.b.test_b",
    }


def test_types_that_are_any_are_counted(tmp_path: Path):
    plant(tmp_path, "api/a.py", "from typing import Any\ndef f(x: Any) -> list[Any]: ...\n")
    assert shape.n_any(tmp_path) == 2
