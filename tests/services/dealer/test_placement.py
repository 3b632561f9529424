"""What cycles do beside demand: placement rules are kept, dying sites emptied, full ones eased."""

import json
from typing import Any

from sqlalchemy import select

from dynamo.db.tables import BlockReplica, Deletion, Group, Partition, Site, Transfer
from dynamo.inventory import schemas
from dynamo.services.copies import submission as copies_submission
from dynamo.services.policies import placement_rules, policies
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import DATASET, OPERATOR, TB, World, adler32
from tests.steps.dealer_cycles import SITES, at, decided, run
from tests.steps.official import PROD, RAW, block, dataset, names, register
from tests.steps.placement_rules import detox

LAST = "Protect replica.num_full_other_copy_common_owner == 0"
EVERYWHERE = {
    "num_copies": 2,
    "replicas": ["dataset.name == /*/*/USER"],
    "destinations": ["site.name in [T2_B T2_C]"],
    "sources": ["site.storage_type == DISK"],
    "destination_group": "analysis",
}


def enforce(world: World, **rule: Any) -> list[str]:
    """Put a rule in force; return what is warned of."""
    text = json.dumps({"partition": "User", "rules": {"some": {**EVERYWHERE, **rule}}})
    put = placement_rules.update(world.ctx, "User", schemas.PolicyBody(text=text), OPERATOR)
    return list(put["warnings"])  # type: ignore[call-overload]


def test_a_placement_rule_is_kept(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    enforce(world)

    cycle = run(world)
    world.work()

    assert at(world) == [5, 5, 5]
    assert {one["text"] for one in decided(world, cycle)} == {"enforcer: copied"}
    assert run(world)["summary"]["copies"] == 0


def test_a_rule_that_spreads_shares_the_blocks_out(world: World):
    for start in range(0, 20, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    enforce(world, num_copies=1, spread=True)

    run(world)
    world.work()

    assert at(world) == [20, 10, 10]
    assert run(world)["summary"]["copies"] == 0


def test_a_rule_that_no_site_can_meet_is_told_of_when_it_is_put_and_until_it_is_met(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()

    put = enforce(world, destinations=["site.name in [T2_B T3_*]"])
    cycle = run(world)

    wanted = "rule some: too few sites fit its destinations: 1 for 2 copies"
    assert [one.splitlines()[0].partition(" warning: ")[2] for one in put] == [wanted]
    assert cycle["summary"]["warnings"] == [f"rules of User:1:34: warning: {wanted}"]
    assert cycle["summary"]["copies"] == 1, "what can be made is made"

    world.site("T3_D")
    world.site_quota("T3_D", TB)
    assert run(world)["summary"]["warnings"] == []


def test_a_rule_for_nothing_that_is_there_is_told_of_by_cycles(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    assert enforce(world, replicas=["dataset.name == /Nothing/*/*"]) == []
    wanted = "rule some: no replica of a dataset in User at its sources fits its replicas"
    assert [one.partition(" warning: ")[2] for one in run(world)["summary"]["warnings"]] == [wanted]

    assert enforce(world) == []
    assert run(world)["summary"]["warnings"] == []


def test_a_site_in_the_morgue_is_emptied_last_copies_first(world: World, clock: Clock):
    for start in (0, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    detox(world)
    world.status("T2_A", "morgue")

    cycle = run(world)
    world.work()

    assert sum(at(world)[1:]) == 10
    assert [one["text"] for one in decided(world, cycle)] == ["undertaker: copied"]
    detox(world)
    clock.forward(hours=25)
    world.sweep()
    assert at(world)[0] == 0
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(Deletion.id)) == []
    assert sum(at(world)) == 10


def test_a_volume_limit_does_not_hold_back_the_last_copies_of_a_dying_site(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.ctx = world.with_settings(dealer={"volume": 1})
    world.status("T2_A", "morgue")

    run(world)
    world.work()

    assert sorted(at(world)) == [0, 5, 5]


def test_last_copies_at_a_site_that_keeps_too_much_get_a_second_home(world: World):
    other = "/Higgs/alice-v2/USER"
    world.many("T2_A", 5)
    world.many("T2_B", 1, start=5, dataset=other)
    for dataset_ in (DATASET, other):
        world.close(dataset_)
    world.work()
    for site in SITES:
        world.site_quota(site, 2 * world.projected("T2_A"))
    text = (
        f"Partition User\nOn site.storage_type == DISK\nWhen never\nUntil never\n{LAST}\nDismiss\n"
    )
    policies.update(world.ctx, "User", schemas.PolicyBody(text=text), OPERATOR)
    world.ctx = world.with_settings(dealer={"pending": 1})
    assert run(world)["summary"]["copies"] == 0, "Detox has not looked yet"
    detox(world)

    cycle = run(world)
    world.work()

    assert {one["text"] for one in decided(world, cycle)} == {"balancer: copied"}
    assert sum(at(world)) == 2 * 6
    detox(world)
    assert run(world)["summary"]["copies"] == 0, "it is the last copy no more"


def official(world: World) -> None:
    """Let a block of production lie at T2_A, with room for production and analysis everywhere."""
    for site in SITES:
        for partition in ("Production", "Analysis"):
            sites.set_quota(world.ctx, site, partition, schemas.QuotaBody(limit=TB), OPERATOR)
    [name] = names("b1", 1)
    path = world.path("T2_A", name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 50)
    file = {"lfn": name, "size": 50, "adler32": adler32(b"x" * 50)}
    register(world, dataset({**block("b1"), "files": [file]}, open=False))


def standing(world: World) -> set[tuple[str, str, str, bool]]:
    """Return where the block lies: site, owner, partition, complete."""
    with world.ctx.begin.reading() as work:
        rows = work.rows(
            select(Site.name, Group.name, Partition.name, BlockReplica.complete)
            .join(BlockReplica, BlockReplica.site_id == Site.id)
            .join(Group, Group.id == BlockReplica.group_id)
            .join(Partition, Partition.id == BlockReplica.partition_id)
        )
        return {tuple(row) for row in rows}


def test_the_group_that_a_request_names_owns_the_copies_and_decides_the_partition(world: World):
    official(world)
    for site, group in (("T2_B", "analysis"), ("T2_C", None)):
        copies_submission.file(world.ctx, schemas.Copy(dataset=RAW, site=site, group=group), PROD)
    world.work()

    assert standing(world) == {
        ("T2_A", "production", "Production", True),
        ("T2_B", "analysis", "Analysis", True),
        ("T2_C", "production", "Production", True),
    }


def test_a_change_of_owner_moves_no_byte_but_its_account(world: World):
    official(world)
    wish = schemas.Copy(dataset=RAW, site="T2_A", group="analysis")
    request = copies_submission.file(world.ctx, wish, PROD)
    world.work()

    assert standing(world) == {("T2_A", "analysis", "Analysis", True)}
    assert world.count(Transfer) == 0
    assert world.request("copy", request)["state"] == "done"
    used = [sites.quota(world.ctx, "T2_A", name)["used"] for name in ("Production", "Analysis")]
    assert used == [0, 50]


def test_a_request_without_a_group_leaves_owners_as_they_are(world: World):
    official(world)
    copies_submission.file(
        world.ctx, schemas.Copy(dataset=RAW, site="T2_B", group="analysis"), PROD
    )
    world.work()
    before = standing(world)
    request = copies_submission.file(
        world.ctx, schemas.Copy(dataset=RAW, site=["T2_*"], copies=2), PROD
    )
    world.work()

    assert standing(world) == before
    assert world.request("copy", request)["state"] == "done"
    assert world.request("copy", request)["chosen"] == ["T2_A", "T2_B"]


def test_what_a_group_owns_is_given_away_where_it_lies(world: World):
    official(world)
    wish = {"groups": {"Production": "analysis"}}
    wish["proposers"] = {"groups": {"from_groups": ["production"]}}
    world.ctx = world.with_settings(dealer=wish)

    cycle = run(world, "Production")
    world.work()

    assert [one["text"] for one in decided(world, cycle)] == ["groups: gets another owner"]
    assert standing(world) == {("T2_A", "analysis", "Analysis", True)}
