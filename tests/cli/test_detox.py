"""Policies and cycles on the command line: shown, changed, tried dry, run, explained."""

from pathlib import Path

import pytest

from dynamo.cli.cycle_views import bar
from tests.cli.conftest import House
from tests.services.world import DATASET

LINE = "ProtectBlock blockreplica.num_full_disk_copy < 2"


@pytest.fixture
def full(house: House) -> House:
    """Seven files that fill their site."""
    house.world.many("T2_A", 7)
    house.world.work()
    house.world.close()
    house.world.work()
    used = sum(map(len, house.world.on_disk("T2_A").values()))
    house.world.site_quota("T2_A", used)
    return house


def test_a_policy_is_shown_compared_changed_and_its_versions_listed(
    house: House, tmp_path: Path
) -> None:
    shown = house.run("policy", "show", "User")
    assert LINE in shown.stdout
    file = tmp_path / "new.policy"
    file.write_text(shown.stdout.replace("num_full_disk_copy < 2", "num_full_disk_copy < 3"))

    told = house.run("policy", "diff", "User", str(file))
    assert told.exit_code == 1
    assert f"-{LINE}" in told.stdout
    assert house.run("policy", "set", "User", str(file)).exit_code == 0
    assert house.run("policy", "diff", "User", str(file)).exit_code == 0

    listed = house.run("policy", "list", "User").stdout.splitlines()
    assert any("1 lines added, 1 removed" in line for line in listed)


def test_a_policy_with_an_error_is_refused_with_a_caret(house: House, tmp_path: Path) -> None:
    file = tmp_path / "bad.policy"
    file.write_text("Partition User\nOn site.nam == T2_A\nDismiss\n")

    ran = house.run("policy", "set", "User", str(file))

    assert ran.exit_code == 1
    assert "site.name" in ran.stderr
    assert "^" in ran.stderr
    assert house.run("policy", "check", str(file)).exit_code == 1


def test_a_dry_run_shows_how_full_sites_are_and_what_would_go(full: House, tmp_path: Path) -> None:
    file = tmp_path / "all.policy"
    file.write_text(
        "Partition User\nOn site.storage_type == DISK\nWhen site.occupancy > 0.9\n"
        "Until site.occupancy < 0.1\nDismiss\n"
    )
    with full.working():
        ran = full.run("detox", "run", "User", "--dry-run", "--policy", str(file))

    assert ran.exit_code == 0, ran.stderr
    [site] = [line for line in ran.stdout.splitlines() if line.startswith("T2_A")]
    assert site.split()[1:5] == ["█" * 20, "100", "%", "░" * 20]
    assert any("delete" in line and DATASET in line for line in ran.stdout.splitlines())
    assert "nothing is done" in ran.stderr
    assert "done" in full.run("detox", "list").stdout
    assert DATASET in full.run("detox", "show", "1").stdout


def test_why_shows_the_line_and_the_values_of_its_variables(full: House) -> None:
    with full.working():
        assert full.run("detox", "run", "User").exit_code == 0

    ran = full.run("why", DATASET, "T2_A")

    assert ran.exit_code == 0, ran.stderr
    assert LINE in ran.stdout
    assert "blockreplica.num_full_disk_copy" in ran.stdout
    assert "cycle 1 of User" in ran.stderr


@pytest.mark.parametrize(
    ("used", "quota", "filled"), [(0, 10, 0), (5, 10, 10), (30, 10, 20), (5, 0, 20), (5, None, 0)]
)
def test_a_bar_is_never_longer_than_itself(used: int, quota: int | None, filled: int) -> None:
    assert bar(used, quota).count("█") == filled
    assert len(bar(used, quota)) == 20
