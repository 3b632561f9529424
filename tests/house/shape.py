"""Checks of the shape of the code: each returns the modules, functions or classes that break it.

A check takes the root of the tree, so that a test can plant a violation.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

CODE = ("dynamo", "api", "workers")
"""What is shipped."""

MODULE_LINES = 300
FUNCTION_LINES = 45
FOLDER_MODULES = 12
WING_LINES = 1400

Reasons = Mapping[str, str]
"""Path or name → why it is excused."""


def modules(root: Path, *folders: str) -> Iterator[Path]:
    """Yield the modules of folders; migrations are written once and never read again."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if "versions" not in path.parts:
                yield path


def _name(root: Path, path: Path) -> str:
    return str(path.relative_to(root))


def _n_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def floors(root: Path) -> Iterator[str]:
    """Yield the folders within which a class has a name of its own."""
    yield from ("api", "workers")
    yield from (f"dynamo/{path.name}" for path in (root / "dynamo").iterdir() if path.is_dir())


def long_modules(root: Path) -> dict[str, int]:
    """Return the modules that are too long, and their lines."""
    sizes = {_name(root, path): _n_lines(path) for path in modules(root, *CODE)}
    return {name: size for name, size in sizes.items() if size > MODULE_LINES}


def long_functions(root: Path) -> dict[str, int]:
    """Return the functions that are too long, and their lines."""
    return {
        f"{_name(root, path)}:{node.name}": size
        for path in modules(root, *CODE)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }


def full_folders(root: Path) -> dict[str, int]:
    """Return the folders with too many modules, and their number."""
    found = Counter(
        _name(root, path.parent) for path in modules(root, *CODE) if path.name != "__init__.py"
    )
    return {name: number for name, number in found.items() if number > FOLDER_MODULES}


def large_wings(root: Path) -> dict[str, int]:
    """Return the folders of services and db with too many lines, and their number."""
    sizes: Counter[str] = Counter()
    for floor in ("dynamo/services", "dynamo/db"):
        for path in modules(root, floor):
            wing = path.relative_to(root / floor).parts[0]
            sizes[f"{floor}/{wing}"] += _n_lines(path)
    return {
        name: size for name, size in sizes.items() if size > WING_LINES and (root / name).is_dir()
    }


def gerunds(root: Path) -> set[str]:
    """Return the modules of services and db whose names end in -ing."""
    return {
        _name(root, path)
        for path in modules(root, "dynamo/services", "dynamo/db")
        if path.stem.endswith("ing")
    }


def shared_class_names(root: Path) -> dict[str, list[str]]:
    """Return the public classes of a floor that have the same name as another one there."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for floor in floors(root):
        for path in modules(root, floor):
            for node in _tree(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[floor, node.name].append(_name(root, path))
    return {f"{floor}: {name}": paths for (floor, name), paths in found.items() if len(paths) > 1}


def deleters(root: Path, not_storages: Collection[str]) -> set[str]:
    """Return the modules that use a `delete` of anything but those that are no storages."""
    return {
        _name(root, path)
        for path in modules(root, *CODE)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "delete"
        and ast.unparse(node.value) not in not_storages
    }


def imports_between_tests(root: Path) -> set[str]:
    """Return who imports from a test file, and from which."""
    return {
        f"{_name(root, path)} from {module}"
        for path in modules(root, "tests")
        for module in _imported(path)
        if re.search(r"(^|\.)test_\w+$", module)
    }


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def n_any(root: Path) -> int:
    """Count how often a type is `Any`."""
    return sum(
        isinstance(node, ast.Name) and node.id == "Any"
        for path in modules(root, *CODE)
        for node in ast.walk(_tree(path))
    )
