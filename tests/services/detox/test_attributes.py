"""The how-to for attribute producers is true: its example is installed as it says, and decides."""

import re
import tomllib
from pathlib import Path

import pytest

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.snapshots.attributes import GROUP, installed
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.copies import submission as copies_submission
from dynamo.services.policies import policies
from tests.services.world import ALICE, OPERATOR, World, build
from tests.steps.detox_cycles import ONE, TWO, decided, gone, run

PAGE = Path(__file__).parents[3] / "docs" / "attributes.md"


def example(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """Two datasets, each at both sites."""
    small = build(begin, tmp_path, published)
    for site in ("T2_A", "T2_B"):
        small.site(site)
    for number, dataset in enumerate((ONE, TWO)):
        small.many("T2_A", 4, start=number * 4, dataset=dataset)
        small.work()
        small.close(dataset)
        small.work()
        copies_submission.file(
            small.ctx, schemas.Copy(dataset=dataset, site="T2_B", consolidate=False), ALICE
        )
        small.work()
    return small


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the example beside Dynamo, with the file that it reads."""
    folder = tmp_path / "installed"
    (folder / "releases-1.dist-info").mkdir(parents=True)
    (folder / "releases.py").write_text(example("python"))
    (folder / "releases-1.dist-info" / "METADATA").write_text("Name: releases\nVersion: 1\n")
    points = tomllib.loads(example("toml"))["project"]["entry-points"][GROUP]
    lines = [f"[{GROUP}]", *(f"{name} = {where}" for name, where in points.items())]
    (folder / "releases-1.dist-info" / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "releases.json").write_text(example("json"))
    monkeypatch.setenv("RELEASES", str(tmp_path / "releases.json"))
    monkeypatch.syspath_prepend(folder)
    assert "releases" in installed()


def enforce(world: World) -> list[str]:
    """Put the policy of the page in force; return what it is warned of."""
    put = policies.update(world.ctx, "User", schemas.PolicyBody(text=example("policy")), OPERATOR)
    return [str(warning) for warning in put["warnings"]]


def test_the_example_of_the_page_decides_what_is_deleted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any("release" in warning for warning in enforce(world))
    assert gone(world, run(world)) == set()  # nobody knows any release

    install(tmp_path, monkeypatch)

    assert enforce(world) == []
    cycle = run(world)
    [(dataset, site)] = gone(world, cycle)
    assert dataset == ONE
    [told] = decided(world, cycle, dataset=ONE, site=site)
    assert told["values"]["dataset.release"] == "10_1_3"


def test_without_its_source_no_cycle_decides_on_half_the_facts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    enforce(world)
    (tmp_path / "releases.json").unlink()

    cycle = run(world)

    assert cycle["state"] == "failed"
    assert "the attribute producer releases failed" in cycle["detail"]
