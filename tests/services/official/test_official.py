"""Official data, as they are stated and as they are counted, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from dynamo.db.consistency import incidents
from dynamo.db.consistency.incidents import Report
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    File,
    Group,
    Partition,
    Quota,
    ReplicaFile,
)
from dynamo.errors import Conflict, DynamoError, Forbidden, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.services.catalogue import datasets
from dynamo.services.copies import submission as copies_submission
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.sites import sites, switches
from tests.conftest import Clock
from tests.services.world import ALICE, DATASET, OPERATOR, TB, World, adler32
from tests.steps.official import PROD, RAW, block, dataset, files, names, register

NOTHING = {
    "datasets": 0,
    "blocks": 0,
    "files": 0,
    "replicas": 0,
    "closed_blocks": 0,
    "closed_datasets": 0,
}


def shares(world: World, partition: str = "Production") -> dict[str, tuple[int, int]]:
    """Return what a partition's quotas count: (projected, used) by site."""
    found = {}
    for name in ("T2_A", "T2_B"):
        quota = sites.quota(world.ctx, name, partition)
        found[name] = (quota["projected"], quota["used"])
    return found


@pytest.fixture(autouse=True)
def _quotas(world: World) -> None:
    for site in ("T2_A", "T2_B"):
        for partition in ("Production", "Analysis"):
            body = schemas.QuotaBody(limit=TB)
            sites.set_quota(world.ctx, site, partition, body, OPERATOR)


def test_data_are_registered_where_they_lie_and_counted(world: World) -> None:
    told = register(world, dataset(block("b1", ["T2_A", "T2_B"]), block("b2"), status="production"))

    assert told == {**NOTHING, "datasets": 1, "blocks": 2, "files": 4, "replicas": 3} | {
        "closed_blocks": 2
    }
    shown = datasets.get(world.ctx, RAW)
    assert (shown["status"], shown["files"], shown["bytes"]) == ("production", 4, 402)
    assert (shown["owner"], shown["open"]) == (None, True)
    assert [(at["site"], at["full"]) for at in shown["sites"]] == [("T2_A", True), ("T2_B", False)]
    assert shares(world) == {"T2_A": (402, 402), "T2_B": (201, 201)}
    assert world.count(ReplicaFile) == 0, "complete replicas list no files"


def test_stating_the_same_again_changes_nothing(world: World) -> None:
    stated = dataset(
        block("b1", ["T2_A", "T2_B"]),
        block("b2", replicas=[{"site": "T2_A", "files": names("b2")}], open=None),
        replicas=[{"site": "T2_B", "growing": True}],
    )
    register(world, stated)
    before = shares(world)

    assert register(world, stated) == NOTHING
    assert shares(world) == before


def test_a_block_grows_while_it_is_open_and_is_complete_once_it_is_closed(world: World) -> None:
    whole = {"name": "b1", "replicas": [{"site": "T2_A"}, {"site": "T2_B"}]}
    register(world, dataset({**whole, "files": files("b1", 2)}))
    more = register(world, dataset({**whole, "files": files("b1", 3)}))

    assert (more["files"], more["replicas"], more["closed_blocks"]) == (1, 0, 0)
    assert shares(world) == {"T2_A": (303, 303), "T2_B": (303, 303)}
    assert world.count(ReplicaFile) == 6

    closed = register(world, dataset({"name": "b1", "open": False}))
    assert closed == {**NOTHING, "closed_blocks": 1}
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(BlockReplica.complete)) == [True, True]
    assert world.count(ReplicaFile) == 0


def test_what_is_missing_at_a_site_is_booked_there(world: World) -> None:
    part = [{"site": "T2_A"}, {"site": "T2_B", "files": names("b1")[:1]}]
    register(world, dataset(block("b1", replicas=part)))
    assert shares(world) == {"T2_A": (201, 201), "T2_B": (201, 100)}

    register(world, dataset({"name": "b1", "replicas": [{"site": "T2_B"}]}))
    assert shares(world)["T2_B"] == (201, 201)
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(BlockReplica.complete)) == [True, True]


def test_new_files_make_replicas_elsewhere_incomplete_and_are_booked_there(world: World) -> None:
    register(world, dataset(block("b1", ["T2_A", "T2_B"], open=None)))
    added = files("b1", 3)[2:]
    only_a = [{"site": "T2_A", "files": [added[0]["lfn"]]}]
    register(world, dataset({"name": "b1", "files": added, "replicas": only_a, "open": False}))

    assert shares(world) == {"T2_A": (303, 303), "T2_B": (303, 201)}
    with world.ctx.begin.reading() as work:
        rows = work.rows(select(BlockReplica.n_files, BlockReplica.complete))
        assert sorted(tuple(row) for row in rows) == [(2, False), (3, True)]


def test_a_block_may_be_named_in_full(world: World) -> None:
    register(world, dataset(block("b1")))
    assert register(world, dataset(block(f"{RAW}#b1", files=files("b1")))) == NOTHING


def test_the_group_decides_the_partition(world: World) -> None:
    mixed = [{"site": "T2_A"}, {"site": "T2_B", "group": "analysis"}]
    register(world, dataset(block("b1", replicas=mixed)))
    register(world, dataset(block("x", dataset="/a/b/AOD"), name="/a/b/AOD", group="analysis"))

    assert shares(world, "Production") == {"T2_A": (201, 201), "T2_B": (0, 0)}
    assert shares(world, "Analysis") == {"T2_A": (201, 201), "T2_B": (201, 201)}


def test_a_partition_of_an_own_condition_gets_its_data(world: World) -> None:
    with world.ctx.begin() as work:
        work.insert(Group, [{"name": "relval", "level": "dataset"}])
        work.add(Partition, name="RelVal", definition="blockreplica.owner == relval")
    register(world, dataset(block("b1", ["T2_A", "T2_B"]), group="relval"))

    with world.ctx.begin.reading() as work:
        named = select(Partition.name).join(BlockReplica, BlockReplica.partition_id == Partition.id)
        assert work.scalars(named) == ["RelVal", "RelVal"]


def test_data_of_the_users_tier_lie_in_the_users_partition(world: World) -> None:
    register(world, dataset(block("b1", dataset="/a/b/USER"), name="/a/b/USER"))
    assert shares(world, "User")["T2_A"] == (201, 201)


def test_a_quota_that_comes_after_the_data_counts_them(world: World) -> None:
    register(world, dataset(block("b1", ["T2_C"])))
    told = sites.set_quota(world.ctx, "T2_C", "Production", schemas.QuotaBody(limit=TB), OPERATOR)
    assert (told["projected"], told["used"]) == (201, 201)


def test_closing_a_dataset_closes_its_blocks(world: World) -> None:
    register(world, dataset(block("b1", open=None), block("b2", open=None)))
    told = register(world, dataset(open=False))

    assert (told["closed_blocks"], told["closed_datasets"]) == (2, 1)
    with pytest.raises(Conflict, match="takes no more") as refused:
        register(world, dataset(block("b3")))
    assert refused.value.reason == "dataset-closed"
    assert register(world, dataset(block("b1"))) == NOTHING, "what is known is still known"


def test_a_growing_replica_is_remembered(world: World) -> None:
    register(world, dataset(replicas=[{"site": "T2_A", "growing": True, "group": "analysis"}]))
    register(world, dataset(block("b1")))
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(DatasetReplica.growing)) == [True]
    register(world, dataset(replicas=[{"site": "T2_A", "growing": False}]))
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(DatasetReplica.growing)) == [False]


def test_copies_that_wait_for_the_data_are_told(world: World) -> None:
    wish = schemas.Copy(dataset=RAW, site="T2_B", group="analysis")
    copies_submission.file(world.ctx, wish, PROD)
    world.published.clear()
    register(world, dataset(block("b1")))
    assert [hint.task for hint in world.published] == ["plan"]


def refusal(world: World, *stated: dict, by=PROD) -> DynamoError:
    before = [world.count(table) for table in (Dataset, Block, File, BlockReplica)]
    with pytest.raises(DynamoError) as refused:
        register(world, *stated, by=by)
    assert [world.count(table) for table in (Dataset, Block, File, BlockReplica)] == before
    return refused.value


def test_what_cannot_be_meant_is_refused_and_nothing_is_registered(world: World) -> None:
    twice = files("b1")[:1] * 2
    for stated, kind, reason in (
        (dataset(name="/a/b"), Invalid, "name-invalid"),
        (dataset(block("b 1")), Invalid, "name-invalid"),
        (dataset(block("/other/data/SET#b1")), Invalid, "name-invalid"),
        (dataset(block("b1"), block("b1", files=[])), Invalid, "invalid"),
        (dataset(block("b1", files=twice)), Invalid, "invalid"),
        (dataset(block("b1", files=[{"lfn": "/a/../b", "size": 1}])), Invalid, "invalid"),
        (dataset(block("b1", files=[{**files("b1")[0], "adler32": "XX"}])), Invalid, "invalid"),
        (dataset(block("b1", ["T2_A", "T2_A"])), Invalid, "invalid"),
        (dataset(block("b1", [])), Invalid, "invalid"),
        (dataset(block("b1", ["T9"])), NotFound, "site-unknown"),
        (dataset(block("b1"), group="nobody"), NotFound, "not-found"),
        (
            dataset(block("b1", replicas=[{"site": "T2_A", "files": ["/store/x"]}])),
            NotFound,
            "file-unknown",
        ),
        (
            dataset(block("b1", replicas=[{"site": "T2_A", "files": ["/störe"]}])),
            Invalid,
            "invalid",
        ),
        (
            dataset(block("b1", files=[{"lfn": "/store/user/dynamo/alice/x", "size": 1}])),
            Forbidden,
            "not-your-namespace",
        ),
    ):
        error = refusal(world, stated)
        assert (type(error), error.reason) == (kind, reason), stated
        assert error.faults or reason == "name-invalid"


def test_a_file_that_lies_nowhere_is_refused_by_its_name(world: World) -> None:
    half = [{"site": "T2_A", "files": names("b1")[:1]}]
    error = refusal(world, dataset(block("b1", replicas=half)))
    assert [fault.lfn for fault in error.faults] == names("b1")[1:]


def test_a_name_is_registered_once_in_the_whole_system(world: World) -> None:
    register(world, dataset(block("b1")))
    first = files("b1")[0]
    for stated, what in (
        (dataset(block("b2", files=[first])), "block"),
        (dataset(block("b1", files=[first]), name="/a/b/c"), "dataset"),
        (dataset(block("b1", files=[{**first, "size": 5}])), "size"),
        (dataset(block("b1", files=[{**first, "adler32": "00000001"}])), "adler32"),
    ):
        error = refusal(world, stated)
        assert error.reason == "name-conflict"
        assert error.faults[0].lfn == first["lfn"]
        assert f"another {what}" in error.faults[0].detail


def test_a_closed_block_takes_no_more_files(world: World) -> None:
    register(world, dataset(block("b1")))
    assert refusal(world, dataset(block("b1", n=3))).reason == "block-closed"


def test_users_data_are_not_official(world: World) -> None:
    world.many("T2_A", 1)
    world.work()
    stated = dataset(name=DATASET)
    assert refusal(world, stated).reason == "not-your-namespace"
    assert refusal(world, stated, by=OPERATOR).reason == "name-conflict"
    assert refusal(world, dataset(block("b1")), by=ALICE).reason == "permission-denied"


def test_the_stop_switch_of_injection_holds_official_data_back(world: World) -> None:
    switches.update(world.ctx, "injection", schemas.SwitchBody(stopped=True), OPERATOR)
    assert refusal(world, dataset(block("b1"))).reason == "switched-off"


def test_files_that_are_just_brought_to_a_site_are_not_stated_there(world: World) -> None:
    register(world, dataset(block("b1")))
    copies_submission.file(world.ctx, schemas.Copy(dataset=RAW, site="T2_B"), PROD)
    world.step("plan")
    again = dataset(block("b1", ["T2_A", "T2_B"]))
    assert refusal(world, again).reason == "in-use"


def test_what_is_leaving_a_site_is_not_stated_there(world: World) -> None:
    register(world, dataset(block("b1", ["T2_A", "T2_B"])))
    deletions_submission.file(world.ctx, schemas.Deletion(dataset=RAW, site="T2_B"), PROD)
    world.step("condemn")
    assert refusal(world, dataset(block("b1", ["T2_B"]))).reason == "being-deleted"


def test_five_that_state_the_same_at_once_register_it_once(world: World) -> None:
    stated = dataset(block("b1", ["T2_A", "T2_B"], n=20), block("b2", n=20))
    with ThreadPoolExecutor(5) as five:
        told = list(five.map(lambda _: register(world, stated), range(5)))
    assert sum(one["files"] for one in told) == 40
    assert world.count(File) == 40
    assert world.count(Block) == 2


def test_five_that_fill_one_block_at_once_lose_no_file(world: World) -> None:
    register(world, dataset({"name": "b1"}))
    parts = [files("b1", 50)[n::5] for n in range(5)]

    def state(part: list[dict]) -> None:
        at = [{"site": "T2_A", "files": [file["lfn"] for file in part]}]
        register(world, dataset({"name": "b1", "files": part, "replicas": at}))

    with ThreadPoolExecutor(5) as five:
        list(five.map(state, parts))
    with world.ctx.begin.reading() as work:
        assert work.scalar(select(Block.n_files)) == 50
        assert work.scalar(select(BlockReplica.n_files)) == 50


def test_many_files_come_in_a_few_calls(world: World) -> None:
    """Ten thousand files take few statements."""
    blocks = [block(f"b{n}", ["T2_A", "T2_B"], n=500) for n in range(20)]
    told = register(world, dataset(*blocks))
    assert (told["files"], told["replicas"]) == (10_000, 40)
    with world.ctx.begin.reading() as work:
        assert work.scalar(select(func.sum(Quota.used))) == work.scalar(
            select(func.sum(BlockReplica.bytes))
        )


# --- changing ------------------------------------------------------------------------------------


def change(world: World, by=PROD, name: str = RAW, **body: object) -> dict:
    return datasets.change(world.ctx, name, schemas.DatasetChange(**body), by)  # type: ignore[arg-type]


def test_production_says_what_official_data_are_worth(world: World) -> None:
    register(world, dataset(block("b1")))
    told = change(world, status="invalid", type="data")
    assert (told["status"], told["type"]) == ("invalid", "data")
    assert refusal(world, dataset(block("b2"))).reason == "dataset-closed"
    assert change(world, status="valid")["status"] == "valid"


def test_an_operator_gives_data_to_a_user_who_is_charged(world: World) -> None:
    register(world, dataset(block("b1")))
    with pytest.raises(Forbidden):
        change(world, owner="bob")
    assert change(world, OPERATOR, owner="bob")["owner"] == "bob"
    assert world.used("bob") == 201
    with pytest.raises(Forbidden):
        change(world, status="invalid")
    assert change(world, OPERATOR, owner=None)["owner"] is None
    assert world.used("bob") == 0


def test_nobody_is_given_more_than_fits(world: World) -> None:
    register(world, dataset(block("b1")))
    world.quota("bob", 200)
    with pytest.raises(DynamoError) as refused:
        change(world, OPERATOR, owner="bob")
    assert refused.value.reason == "quota-exceeded"
    assert datasets.get(world.ctx, RAW)["owner"] is None


def test_a_dataset_is_not_deleted_by_a_word(world: World) -> None:
    register(world, dataset(block("b1")))
    with pytest.raises(Conflict):
        change(world, status="deleted")
    with world.ctx.begin() as work:
        work.changed(update(Dataset).values(status="deleted"))
    with pytest.raises(Conflict):
        change(world, status="valid")
    with world.ctx.begin() as work:
        work.changed(update(Dataset).values(status="valid"))


@pytest.mark.parametrize("known_bad", [False, True])
def test_a_file_that_others_have_put_where_official_data_come_is_not_overwritten(
    world: World, clock: Clock, known_bad: bool
) -> None:
    [name] = names("b1", 1)
    source = world.output("T2_A", "raw.root", b"events")
    wanted = schemas.InjectedFile(lfn=name, size=6, adler32=adler32(b"events"), source=source)
    stranger = world.path("T2_A", name)
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"others")
    request = world.inject("T2_A", [wanted], RAW, PROD)
    if known_bad:
        with world.ctx.begin() as work:
            incidents.report(work, Report(name, "T2_A", "corrupt", "it was ours and went bad"))
    world.work()

    if not known_bad:
        shown = world.request("injection", request)
        assert (shown["state"], shown["reason"]) == ("held", "name-conflict")
        assert world.on_disk("T2_A") == {name: b"others"}
        stranger.unlink()
        clock.forward(days=1, minutes=1)
        world.sweep()
    assert world.request("injection", request)["state"] == "done"
    assert world.on_disk("T2_A") == {name: b"events"}
