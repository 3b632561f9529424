"""Simulated weeks: repeatable, without a broken invariant, and of use to compare and to plan."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from dynamo.cli.main import app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Base
from dynamo.errors import Invalid
from dynamo.inventory import schemas
from dynamo.logs import silence
from dynamo.services.context import Context
from dynamo.services.sites import sites
from dynamo.settings import Settings, Site
from dynamo.simulation import campaigns, workload
from dynamo.simulation.scenario import Scenario, SimulatedDataset
from dynamo.simulation.simulation import Configuration, Outcome, simulate
from dynamo.simulation.storage import Network
from dynamo.simulation.workload import Workload, place
from dynamo.storage.protocol import Copied
from tests.services.world import OPERATOR, TB, World, build
from tests.steps.official import dataset, register

SMALL = Scenario(days=2, sites=5, tape=1, datasets=25, jobs=3, failures=0.2, faults=0.05)
NIGHTLY = os.environ.get("NIGHTLY") == "1"
MONTH = (
    Scenario(days=30, sites=100, tape=7, datasets=10_000)
    if NIGHTLY
    else Scenario(days=5, sites=8, tape=2, datasets=120, failures=0.05)
)
CAMPAIGN = """
[[campaign]]
name = "/Higgs/Run4-{n}/AOD"
datasets = 6
bytes = "2TB"
sites = ["T2_*"]
copies = 2
first_day = 2
per_day = 3
"""
RARELY: dict[str, dict[str, float]] = {
    "detox": {"every_hours": 12},
    "dealer": {"every_minutes": 720},
    "site": {"probe_minutes": 480, "evacuate_minutes": 480},
}
"""So that a day takes a second."""
CONFIGURED = "".join(
    f"[{name}]\n" + "".join(f"{field} = {value}\n" for field, value in fields.items())
    for name, fields in RARELY.items()
)
KEEP = """Partition Analysis
On site.storage_type == DISK
When site.occupancy > 0.99
Until site.occupancy < 0.98
Protect
Order none
"""

GREEDY = """Partition Analysis
On site.storage_type == DISK
When site.occupancy > 0.90
Until site.occupancy < 0.40
Dismiss
Order none
"""


@pytest.fixture(autouse=True)
def quiet() -> None:
    silence()


def lived(scenario: Scenario, folder: Path, policy: str | None = None) -> Outcome:
    texts = {} if policy is None else {"Analysis": policy}
    return simulate(scenario, Configuration("it", settings(folder), texts), _nobody)


def _nobody(_days: int) -> None:
    """Nobody watches."""


def settings(folder: Path) -> Settings:
    return Settings(data=folder, **RARELY)  # type: ignore[arg-type]


def test_days_go_by_in_which_data_move_and_nothing_breaks(tmp_path):
    outcome = lived(SMALL, tmp_path)

    assert [day.day for day in outcome.days] == [1, 2]
    assert not [broken for day in outcome.days for broken in day.broken]
    assert all(0 < day.occupancy < 1 and day.unexplained == 0 for day in outcome.days)
    assert sum(day.accesses for day in outcome.days) > 100
    assert 0 < sum(day.found for day in outcome.days) < sum(day.accesses for day in outcome.days)
    assert sum(day.moved for day in outcome.days) > TB / 10


@pytest.mark.timeout(0 if NIGHTLY else 300)
def test_a_collaboration_lives_for_weeks_without_a_person(tmp_path):
    planned = tmp_path / "plan.toml"
    planned.write_text(CAMPAIGN)
    usual = Settings(data=tmp_path)

    outcome = simulate(
        MONTH, Configuration("it", usual), lambda _: None, campaigns=campaigns.read(planned)
    )

    days = outcome.days
    assert not [broken for day in days for broken in day.broken]
    assert [day.unexplained for day in days] == [0] * len(days)
    assert [need for day in days for need in day.needs] == []
    assert outcome.operator_actions == 0
    assert not outcome.unfit, "the campaign has come"
    # the Dealer fills up to 0.93, Detox begins at 0.90, and what it condemns has a day
    assert max(day.fullest for day in days[2:]) <= 0.95
    # Detox stops once it is under 0.85; what it does not touch may be emptier
    relieved = [day.relieved for day in days if day.relieved is not None]
    assert relieved, "Detox made room"
    assert min(relieved) >= 0.85
    assert any(day.sites.get("waitroom") for day in days), "sites fell silent"
    assert sum(day.deleted for day in days) > TB
    assert days[-1].found / days[-1].accesses > days[0].found / days[0].accesses


def test_a_file_that_only_a_person_can_move_away_is_an_action(tmp_path, monkeypatch):
    """Others have put files under the names of new data wherever those are not written."""

    def spoilt(ctx: Context, network: Network, data: Sequence[SimulatedDataset]) -> None:
        place(ctx, network, data)
        lfns = {lfn for at in network.places.values() for lfn in at.files if "/New00" in lfn}
        for at in network.places.values():
            for lfn in lfns:
                at.files.setdefault(lfn, Copied(7, "00000007"))

    monkeypatch.setattr(workload, "place", spoilt)
    usual = replace(SMALL, failures=0.0, faults=0.0)

    spoiled = lived(replace(usual, growth=0.2), tmp_path)
    unspoiled = lived(replace(usual, growth=0.0), tmp_path)

    met = {(need.what, need.reason) for need in spoiled.days[-1].needs}
    assert ("transfer", "name-conflict") in met
    assert spoiled.operator_actions >= 2, "the tape, and the requests"
    assert (unspoiled.operator_actions, unspoiled.days[-1].needs) == (0, [])


@pytest.mark.parametrize("tape", [1, 0], ids=["copies", "only"])
def test_a_site_that_is_silent_for_good_is_emptied_and_needs_nobody(tmp_path, monkeypatch, tape):
    """What others have is copied; what nobody else has is declared lost in time."""

    had: list[int] = []

    def fall_silent(one: Workload) -> None:
        gone = one.network.at(max(url for url in one.network.places if "disk" in url))
        gone.down = True
        had.append(len(gone.files))

    monkeypatch.setattr(Workload, "fail", fall_silent)
    soon = Settings(data=tmp_path, site=Site(morgue_days=0.5, lost_days=1.5))
    scenario = replace(SMALL, days=6, sites=6, tape=tape, datasets=40, jobs=0, fill=0.6)

    outcome = simulate(scenario, Configuration("it", soon), lambda _: None)

    days = outcome.days
    assert days[-1].sites["morgue"] == 1
    assert had[0] > 10
    assert days[-1].dying == 0, "all is safe elsewhere, or given up"
    assert (days[-1].lost > 0) == (tape == 0)
    assert outcome.operator_actions == 0


def test_the_same_seed_is_the_same_life(tmp_path):
    # most files fail at first: when each is tried again is a matter of chance as well
    scenario = replace(SMALL, days=2, datasets=10, faults=0.5)
    retry = {"first_seconds": 6 * 3600, "longest_seconds": 24 * 3600}
    patient = Configuration("it", Settings(data=tmp_path, retry=retry, **RARELY))  # type: ignore[arg-type]

    assert simulate(scenario, patient, _nobody) == simulate(scenario, patient, _nobody)


def test_two_policies_are_told_apart(tmp_path):
    full = replace(SMALL, fill=0.93, days=1)
    usual, keeping = lived(full, tmp_path), lived(full, tmp_path, KEEP)

    assert {left.site for left in usual.left}
    assert all("detox, line" in (left.why or "") for left in usual.left)
    assert not keeping.left


def test_detox_that_goes_on_below_the_lower_watermark_is_seen(tmp_path):
    full = replace(SMALL, fill=0.93, days=1, datasets=60, sites=4, jobs=0, failures=0.0)
    usual, greedy = lived(full, tmp_path), lived(full, tmp_path, GREEDY)

    [low], [lower] = ([day.relieved for day in one.days] for one in (usual, greedy))
    assert low is not None
    assert lower is not None
    assert low >= 0.85 > lower


def test_a_policy_with_an_error_is_refused(tmp_path):
    with pytest.raises(Invalid, match="error"):
        lived(SMALL, tmp_path, KEEP.replace("Until", "Untill"))


def test_a_campaign_that_does_not_fit_a_live_inventory_is_named(tmp_path, begin: UnitOfWork):
    world = build(begin, tmp_path, [])
    for site in ("T2_A", "T2_B"):
        world.site(site, quota=20 * TB)
    world.many("T2_A", 3)
    world.work()
    before = rows(world)
    told = tmp_path / "plan.toml"
    told.write_text(
        '[[campaign]]\nname = "/Run4/Big-{n}/AOD"\ndatasets = 2\nbytes = "30TB"\n'
        'sites = ["T2_A", "T2_B"]\ncopies = 2\n'
    )

    outcome = simulate(
        replace(SMALL, days=1, jobs=0, growth=0.0, failures=0.0),
        Configuration("it", settings(tmp_path / "none")),
        lambda _: None,
        source=begin,
        campaigns=campaigns.read(told),
    )

    assert {one.dataset for one in outcome.unfit} == {"/Run4/Big-0/AOD", "/Run4/Big-1/AOD"}
    assert [(one.since, bool(one.reasons)) for one in outcome.unfit] == [(1, True)] * 2
    assert rows(world) == before


LIVE = """
[[campaign]]
name = "/Run4/Next-{n}/AOD"
datasets = 2
bytes = "2TB"
sites = ["T2_A"]
first_day = 2
per_day = 2

[[campaign]]
name = "/Run4/Huge-{n}/AOD"
datasets = 1
bytes = "30TB"
sites = ["T2_*"]
first_day = 3
"""


def test_a_live_inventory_tells_what_leaves_disk_what_does_not_fit_and_when(
    tmp_path, begin: UnitOfWork
):
    """Eight datasets of 2 TB fill T2_A, 18.9 TB, to 0.85, and lie at T2_B too, which has room.

    Detox begins above 0.90: the first of the campaign that comes to T2_A brings it to 0.95.
    """
    world = build(begin, tmp_path, [])
    old = [f"/Run3/Old{number}/AOD" for number in range(8)]
    for site, quota in (("T2_A", 18.9 * TB), ("T2_B", 25 * TB)):
        world.site(site)
        limit = schemas.QuotaBody(limit=int(quota))
        sites.set_quota(world.ctx, site, "Analysis", limit, OPERATOR)
    for name in old:
        file = {"lfn": f"/store{name}/1.root", "size": 2 * TB, "adler32": "00000001"}
        lies = [{"site": site} for site in ("T2_A", "T2_B")]
        one = {"name": "b", "files": [file], "replicas": lies, "open": False}
        register(world, dataset(one, name=name, group="analysis", open=False))
    (tmp_path / "dynamo.toml").write_text(
        f'[database]\nurl = "{begin.engine.url.render_as_string(hide_password=False)}"\n'
        + CONFIGURED
    )
    planned = tmp_path / "plan.toml"
    planned.write_text(LIVE)
    before = rows(world)

    words = ["simulate", "--from", str(tmp_path), "--campaign", str(planned)]
    words += ["--failures", "0"]
    found = CliRunner().invoke(app, [*words, "--days", "5", "--json"])
    told = CliRunner().invoke(app, [*words, "--days", "3"])

    assert found.exit_code == 0, found.output
    [lived] = json.loads(found.stdout)["runs"]
    first = lived["left"][0]
    assert (first["day"], first["site"], first["bytes"]) == (2, "T2_A", 2 * TB)
    # what leaves on later days depends on what is read meanwhile, and so on the hour of the day
    assert first["dataset"] in old
    assert all("detox, line" in one["why"] for one in lived["left"])
    huge = ("/Run4/Huge-0/AOD", 3, 30 * TB, {"storage-full": 1})
    assert [
        (one["dataset"], one["since"], one["bytes"], one["reasons"]) for one in lived["unfit"]
    ] == [huge]
    lines = [line.split() for line in told.stdout.splitlines()]
    assert any(line[:3] == ["2", "T2_A", first["dataset"]] for line in lines)
    assert any(line[:2] == ["/Run4/Huge-0/AOD", "3"] for line in lines)
    assert rows(world) == before


def test_data_are_written_where_there_is_room_and_wait_where_there_is_none(tmp_path):
    told = tmp_path / "plan.toml"
    told.write_text(
        '[[campaign]]\nname = "/Run4/Big-{n}/AOD"\ndatasets = 12\nbytes = "3TB"\n'
        'sites = ["T2_*"]\nper_day = 12\n'
    )
    full = replace(SMALL, fill=0.88, failures=0.0, faults=0.0)

    outcome = simulate(
        full,
        Configuration("it", settings(tmp_path)),
        lambda _: None,
        campaigns=campaigns.read(told),
    )

    assert max(day.fullest for day in outcome.days) <= 1
    assert 0 < len(outcome.unfit) < 12
    for one in outcome.unfit:
        assert (one.since, one.bytes, one.reasons) == (1, 3 * TB, {"storage-full": 1})


def rows(world: World) -> object:
    with world.ctx.begin.reading() as work:
        return {
            table.name: work.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[campaign]]\nname = 1", "Expected `str`"),
        ("[[campaigns]]\n", "missing required field"),
        ("nonsense", "Expected"),
        (
            '[[campaign]]\nname = "/A/B/C"\ndatasets = 1\nbytes = "1TB"\nsites = ["T2_A"]',
            "its name needs",
        ),
    ],
)
def test_a_campaign_that_cannot_be_meant_is_refused(tmp_path, text, named):
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(Invalid, match=named):
        campaigns.read(file)


def test_the_command_compares_two_policies(tmp_path):
    policy = tmp_path / "keep.txt"
    policy.write_text(KEEP)
    (tmp_path / "dynamo.toml").write_text(CONFIGURED)
    words = ["simulate", "--settings", str(tmp_path), "--days", "1", "--datasets", "5"]
    words += ["--sites", "3", "--tape", "0", "--against", f"Analysis={policy}"]
    compared = CliRunner().invoke(app, words)
    assert compared.exit_code == 0, compared.output
    for expected in ("summary", "second", "occupancy, per cent", "operator actions"):
        assert expected in compared.stdout

    found = json.loads(CliRunner().invoke(app, [*words[:-2], "--json"]).stdout)
    assert [len(one["days"]) for one in found["runs"]] == [1]
