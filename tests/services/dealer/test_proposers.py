"""The how-to for proposers is true: its example is installed as it says, and cycles hear it."""

import re
import tomllib
from pathlib import Path

import pytest

from dynamo.dealer.proposer import GROUP, installed
from tests.services.world import World
from tests.steps.dealer_cycles import at, decided, run

PAGE = Path(__file__).parents[3] / "docs" / "proposers.md"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Install the example beside Dynamo; return the settings that the page shows."""
    [code] = examples("python")
    project, dynamo = map(tomllib.loads, examples("toml"))
    points = project["project"]["entry-points"][GROUP]
    folder = tmp_path / "installed"
    (folder / "twins-1.dist-info").mkdir(parents=True)
    (folder / "twins.py").write_text(code)
    (folder / "twins-1.dist-info" / "METADATA").write_text("Name: twins\nVersion: 1\n")
    lines = [f"[{GROUP}]", *(f"{name} = {where}" for name, where in points.items())]
    (folder / "twins-1.dist-info" / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(folder)
    assert "twins" in installed()
    return dict(dynamo["dealer"])


def test_the_example_of_the_page_copies(world: World, settings: dict[str, object]) -> None:
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.ctx = world.with_settings(dealer=settings)

    cycle = run(world)
    world.work()

    assert sorted(at(world)) == [0, 5, 5]
    assert [one["text"] for one in decided(world, cycle)] == ["twins: copied"]
    assert run(world)["summary"]["copies"] == 0
