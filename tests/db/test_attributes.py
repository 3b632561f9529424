"""Producers of attributes: those of other packages are asked too, and none fails unseen."""

import tomllib
from pathlib import Path

import pytest

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.snapshots import attributes
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.errors import Invalid
from dynamo.operations.hints import Hint
from dynamo.policy.image import Image
from dynamo.policy.variables import BY_NAME
from tests.services.world import World, build
from tests.steps.official import block, dataset, register

TAPE = """
import numpy as np
from dynamo.db.snapshots.attributes import Producer

def find(work, snapshot):
    names = snapshot.datasets.labels
    return snapshot.with_attributes(
        tape_copy_requested=np.array([name.endswith("/RAW") for name in names], bool)
    )

REQUESTS = Producer(frozenset({"tape_copy_requested"}), find)
BROKEN = Producer(frozenset(), lambda work, snapshot: snapshot.with_attributes(release=[1, 2, 3]))
AGAIN = Producer(frozenset({"num_access"}), find)
"""


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    small = build(begin, tmp_path, published)
    small.site("T2_A")
    for name in ("/A/B/RAW", "/A/B/AOD"):
        register(small, dataset(block("b", dataset=name), name=name))
    return small


def declare(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Install a package that declares producers."""
    module = f"tape_{folder.name}".replace("-", "_")
    metadata = folder / f"{module}-1.dist-info"
    metadata.mkdir()
    (folder / f"{module}.py").write_text(TAPE)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    lines = [f"[{attributes.GROUP}]", *(f"{name} = {module}:{at}" for name, at in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(folder)


def requested(world: World) -> list[bool]:
    with world.ctx.begin.snapshot() as work:
        found = Image.whole(snapshot_loader.load(work))
    read = BY_NAME["dataset.tape_copy_requested"].fixed
    assert read is not None
    return [bool(value) for value in read(found)]  # type: ignore[union-attr]


def test_a_package_that_is_installed_may_find_more_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requested(world) == [False, False]
    assert "tape_copy_requested" not in attributes.produced()

    declare(tmp_path, monkeypatch, tape="REQUESTS")

    assert requested(world) == [False, True]
    assert "tape_copy_requested" in attributes.produced()


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("BROKEN", "the attribute producer tape failed: "),
        ("AGAIN", "two producers fill the attribute num_access: popularity and tape"),
        ("ABSENT", "the entry point tape of dynamo.attributes cannot be loaded: "),
        ("find", "the entry point tape of dynamo.attributes names no producer"),
    ],
)
def test_a_producer_that_is_wrong_fails_the_cycle_with_its_name(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, message: str
) -> None:
    declare(tmp_path, monkeypatch, tape=point)
    with pytest.raises(Invalid, match=message), world.ctx.begin.snapshot() as work:
        snapshot_loader.load(work)


def test_what_comes_along_is_declared_like_any_other() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    declared = tomllib.loads(text)["project"]["entry-points"][attributes.GROUP]
    names = {name: f"dynamo.db.snapshots.attributes:{name.upper()}" for name in attributes.OWN}
    assert declared == names
    assert all(getattr(attributes, name.upper()) is one for name, one in attributes.OWN.items())
