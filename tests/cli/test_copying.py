"""Copies from the command line: at several sites, at some of them, shared out, for a group."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.db.tables import Site
from dynamo.db.transfers import links
from dynamo.db.transfers.links import Moved
from dynamo.inventory import schemas
from dynamo.services.sites import sites
from tests.cli.conftest import House
from tests.services.world import DATASET, OPERATOR, TB


@pytest.fixture
def filled(house: House) -> House:
    """Two blocks at T2_A of a dataset that is closed, and two sites that are empty."""
    house.world.site("T2_C")
    house.world.many("T2_A", 10)
    house.world.close()
    house.world.work()
    return house


def created(house: House, *words: str) -> dict[str, Any]:
    """Ask for a copy, let it be made, and return what is shown of it."""
    with house.working():
        ran = house.run("copy", "create", DATASET, *words, "--wait")
    assert ran.exit_code == 0, ran.stderr
    number = ran.stderr.split()[1]
    shown: dict[str, Any] = json.loads(house.run("copy", "show", number, "--json").stdout)
    return shown


def at(house: House) -> list[int]:
    return [len(house.world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")]


def test_a_copy_goes_to_each_of_several_sites(filled: House) -> None:
    shown = created(filled, "--site", "T2_B", "--site", "T2_C")

    assert shown["sites"] == ["T2_B", "T2_C"]
    assert at(filled) == [10, 10, 10]


def test_it_is_told_which_sites_were_chosen(filled: House) -> None:
    shown = created(filled, "--site", "T2_[BC]", "--copies", "1")

    (site,) = shown["chosen"]
    assert len(filled.world.on_disk(site)) == 10
    assert sorted(at(filled)) == [0, 10, 10]
    lines = filled.run("copy", "show", str(shown["id"])).stdout.splitlines()
    assert ["chosen", site] in [line.split() for line in lines]


def test_what_is_spread_is_shared_out(filled: House) -> None:
    created(filled, "--site", "T2_B", "--site", "T2_C", "--spread")

    assert at(filled) == [10, 5, 5]


def test_a_copy_belongs_to_the_group_that_is_named(filled: House) -> None:
    sites.set_quota(filled.world.ctx, "T2_B", "Analysis", schemas.QuotaBody(limit=TB), OPERATOR)
    shown = created(filled, "--site", "T2_B", "--group", "analysis", "--no-consolidate")

    assert shown["group"] == "analysis"
    assert at(filled) == [10, 10, 0]


def test_it_is_told_when_a_copy_will_be_done(filled: House) -> None:
    with filled.world.ctx.begin() as work:
        ids = dict(work.rows(select(Site.name, Site.id)))
        size = filled.world.projected("T2_A")
        slow = {(ids["T2_A"], ids["T2_B"]): Moved(size, 25 * 3600)}
        links.learn(work, slow, timedelta(hours=1))
    ran = filled.run("copy", "create", DATASET, "--site", "T2_B", "--no-consolidate")
    filled.world.step("plan")

    shown = filled.run("copy", "show", ran.stderr.split()[1]).stdout
    assert ["expected", "end", "in", "25", "h"] in [line.split() for line in shown.splitlines()]


def test_more_copies_than_there_are_sites_are_refused(filled: House) -> None:
    ran = filled.run("copy", "create", DATASET, "--site", "T2_*", "--copies", "4")

    assert ran.exit_code != 0
    assert "ask for fewer copies, or name more sites" in " ".join(ran.stderr.split())
