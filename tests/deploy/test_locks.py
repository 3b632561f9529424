"""What is locked: all that the project names, with hashes, from no registry in particular."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = {"requirements.lock": (), "requirements-test.lock": ("test",)}


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def locked(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_the_project_names_is_locked(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in LOCKS[lock]:
        named += project["project"]["optional-dependencies"][extra]

    assert {canonical(requirement) for requirement in named} <= set(locked(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_its_hashes(lock: str) -> None:
    text = re.sub(r"(?m)^#.*\n|^\n", "", (ROOT / lock).read_text())
    packages = re.split(r"\n(?=\S)", text.strip())
    assert len(packages) == len(locked(lock))
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_registry_is_named(lock: str) -> None:
    assert not re.search(r"://|--\w*index|--find-links|--trusted", (ROOT / lock).read_text())


def test_tests_run_on_what_runs() -> None:
    runs, tests = locked("requirements.lock"), locked("requirements-test.lock")
    assert {name: tests.get(name) for name in runs} == runs
