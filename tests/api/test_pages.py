"""Pages: everything exactly once, while others write, and always by a seek in an index."""

from collections.abc import Iterator

import pytest

from dynamo.db.engine.pagination import Listing, Span, after
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block
from dynamo.db.views import blocks, datasets, files, sites
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from tests.api.web import Web, booking, problem
from tests.services.world import DATASET


@pytest.fixture
def full(web: Web) -> Web:
    """Three datasets of eleven files in three blocks each."""
    for n, name in enumerate(("alice-v1", "alice-v2", "alice-v3")):
        web.world.many("T2_A", 11, start=100 * n, dataset=f"/Higgs/{name}/USER")
    web.world.work()
    return web


PATHS = {
    "/v1/datasets": 3,
    "/v1/datasets?name=/Higgs/*": 3,
    "/v1/datasets?owner=alice": 3,
    "/v1/blocks": 9,
    f"/v1/blocks?dataset={DATASET}": 3,
    "/v1/blocks?dataset=/Higgs/*": 9,
    f"/v1/files?dataset={DATASET}": 11,
    "/v1/files?dataset=/Higgs/alice-*": 33,
    "/v1/replicas": 9,
    "/v1/replicas?site=T2_A": 9,
    "/v1/replicas?site=T2_*": 9,
    f"/v1/replicas?dataset={DATASET}": 3,
    f"/v1/replicas?dataset={DATASET}&site=T2_A": 3,
    "/v1/replicas?dataset=/Higgs/*&site=T2_A": 9,
    "/v1/locations?dataset=/Higgs/*": 3,
    "/v1/sites": 2,
    "/v1/quotas": 1,
    "/v1/injections": 3,
    "/v1/injections?owner=alice": 3,
    "/v1/history?site=T2_A": None,
}


def test_pages_of_every_list_hold_everything_once(full: Web) -> None:
    for path, number in PATHS.items():
        whole = full.items(path)
        assert number is None or len(whole) == number, path
        for limit in (1, 2, 4):
            paged = [item for page in full.pages(path, limit) for item in page]
            assert paged == whole, (path, limit)


def test_what_is_inserted_meanwhile_neither_hides_nor_doubles_anything(full: Web) -> None:
    before = [item["lfn"] for item in full.items(f"/v1/files?dataset={DATASET}")]
    seen: list[str] = []
    for n, page in enumerate(full.pages(f"/v1/files?dataset={DATASET}", 3)):
        seen += [item["lfn"] for item in page]
        if n < 3:
            full.post("/v1/injections", booking(f"late{n}"))
    assert seen[: len(before)] == before
    assert len(set(seen)) == len(seen)


def test_newer_events_do_not_shift_older_pages(full: Web) -> None:
    path = f"/v1/history?dataset={DATASET}"
    before = [item["id"] for item in full.items(path)]
    seen: list[int] = []
    for page in full.pages(path, 2):
        seen += [item["id"] for item in page]
        full.post("/v1/closures", {"dataset": DATASET})
    assert seen == before


def test_a_cursor_of_another_list_is_refused(full: Web) -> None:
    cursor = full.get("/v1/blocks?limit=1")["next"]
    problem(full.call("GET", f"/v1/datasets?cursor={cursor}"), 422)
    problem(full.call("GET", f"/v1/injections?cursor={cursor}"), 422)


def _listings(work: Work) -> Iterator[tuple[str, Listing]]:
    one, block = Glob(DATASET), BlockName(DATASET, "x")
    yield "datasets", datasets.listing(work, None, None, None)
    yield "datasets by name", datasets.listing(work, Glob("/Higgs/*"), None, None)
    yield "datasets by owner", datasets.listing(work, None, "alice", None)
    yield "blocks", blocks.listing(work, None, None)
    yield "blocks of a dataset", blocks.listing(work, one, None)
    yield "replicas", blocks.replicas(work, None, None, None)
    yield "replicas of a dataset", blocks.replicas(work, one, None, None)
    yield "replicas at a site", blocks.replicas(work, None, Glob("T2_A"), None)
    yield "replicas of both", blocks.replicas(work, one, Glob("T2_A"), None)
    yield "files of a dataset", files.of_dataset(work, one, None)
    yield "files of a block", files.of_block(work, block, None)
    yield "sites", sites.listing(work, None)
    yield "users", sites.users(work, None)


def test_no_page_is_sorted_or_counted_off(full: Web) -> None:
    with full.world.ctx.begin.reading() as work:
        for name, listing in _listings(work):
            position = tuple("a" if kind is str else 1 for kind in listing.kinds)
            choice = listing.choice(Span(position, 10))
            compiled = choice.compile(
                dialect=work.connection.dialect, compile_kwargs={"literal_binds": True}
            )
            explain = "EXPLAIN" if work.is_mysql else "EXPLAIN QUERY PLAN"
            text = str(compiled)
            plan = work.connection.exec_driver_sql(f"{explain} {text}").all()
            told = "; ".join(str(tuple(row)) for row in plan)
            assert "OFFSET 0" in text or "OFFSET" not in text, name
            assert "TEMP B-TREE" not in told, (name, told)
            assert "Using temporary" not in told, (name, told)


def test_a_position_is_compared_key_by_key() -> None:
    text = str(after([Block.dataset_id, Block.uuid], (1, "a")))
    assert text.count(">") == 2
    assert " OR " in text
