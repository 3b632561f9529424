"""What is asked for before a pool dies, and how all lies when another has finished it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import and_, func, not_, select, update

from dynamo.db.tables import Deletion, History, Probe, Remedy, Request, Transfer
from dynamo.inventory import schemas
from dynamo.inventory.states import ENDED, RemedyKind, RequestKind
from dynamo.operations.hints import Hint
from dynamo.services.consistency import scans
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.policies import policies
from dynamo.storage import temporary_names
from dynamo.storage.probe import FOLDER
from tests.faults.endings import AREA, assert_all_ended, assert_well
from tests.services.world import DATASET, OPERATOR, World, adler32, lfn
from tests.steps.spoiling import DARK as DARK_FILE
from tests.steps.spoiling import by_hand, long_ago

FILES = {lfn(f"{n}.root"): b"%d" % n * 9 for n in range(7)}
POLICY = f"""\
Partition User
On site.storage_type == DISK
When site.occupancy > 0.9
Until site.occupancy < 0.1
Delete dataset.name == {DATASET}
Dismiss
"""
FIRST = next(iter(FILES))
QUARANTINE = "/store/user/dynamo-quarantine/1/"

Told = Callable[[], Mapping[str, Any]]
"""Says how something stands: its `state`, and the `reason` of that."""
Check = Callable[[World], None]


@dataclass(frozen=True)
class Story:
    """What is done before, what the pools are to do, and what lies where in the end."""

    prepare: Callable[[World], object]
    act: Callable[[World], Told]
    ends: str = "done"
    at: tuple[str, ...] = ()
    """Sites that hold all files in the end; the others hold none."""
    besides: int = 0
    """Files that are brought a second time to where they lay."""
    check: Check = assert_all_ended
    beat: Callable[[World], object] = lambda _: None
    """What beats besides the sweep."""
    repeats: bool = False
    """What one has left is finished by the next."""


# --- beginnings ----------------------------------------------------------------------------------


def nothing(_: World) -> None:
    pass


def outputs(world: World) -> list[schemas.InjectedFile]:
    """Write outputs; of the last one Dynamo is to find out size and checksum."""
    told = [world.pulled("T2_A", lfn_.rpartition("/")[2], text) for lfn_, text in FILES.items()]
    last = told.pop()
    return [*told, schemas.InjectedFile(lfn=last.lfn, source=last.source)]


def arrived(world: World) -> None:
    pull(world)
    world.work(1000)


def closed(world: World) -> None:
    arrived(world)
    world.close()
    world.work(1000)


def booked(world: World) -> None:
    request = world.inject("T2_A", [file_of(name, text) for name, text in FILES.items()])
    files = world.request("injection", request)["files"]
    assert isinstance(files, list)
    for file in files:
        path = Path(file["upload_url"].removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[file["lfn"]])
    world.published.clear()


def file_of(name: str, text: bytes) -> schemas.InjectedFile:
    return schemas.InjectedFile(lfn=name, size=len(text), adler32=adler32(text))


def lose(world: World) -> None:
    """Hand files over and lose the message."""
    pull(world)
    world.published.clear()


def vanish(world: World) -> None:
    """Book files that the job never writes."""
    world.inject("T2_A", [file_of(name, text) for name, text in FILES.items()])
    world.published.clear()


def copied(world: World, *sites: str) -> None:
    closed(world)
    for site in sites:
        world.copy(site, consolidate=False)
        world.work(1000)


def overfull(world: World) -> None:
    """Let both sites hold all, and one of them be too full."""
    copied(world, "T2_B")
    world.site_quota("T2_A", int(sum(map(len, FILES.values())) / 0.95))
    policies.update(world.ctx, "User", schemas.PolicyBody(text=POLICY), OPERATOR)


def dying(world: World) -> None:
    """Let two sites die of three that hold all."""
    copied(world, "T2_B", "T2_C")
    world.status("T2_A", "morgue")
    world.status("T2_B", "morgue")


def long_there(world: World, name: str, content: bytes) -> None:
    with world.ctx.begin.reading() as work:
        by_hand(world.path("T2_A", name), work.now, content, days=30)


def abandoned(world: World) -> None:
    """Let a temporary file lie there to which nobody comes back."""
    closed(world)
    long_there(world, temporary_names.own(AREA, 999, 1), b"part")


def sighted(world: World) -> None:
    """Let a scan have seen, long enough ago, what is wrong."""
    scan(world)
    world.work()
    long_ago(world)


def dark(world: World) -> None:
    closed(world)
    long_there(world, DARK_FILE, b"dark")
    sighted(world)


def bad(world: World) -> None:
    copied(world, "T2_B")
    long_there(world, FIRST, b"short")
    sighted(world)


def missing(world: World) -> None:
    copied(world, "T2_B")
    world.path("T2_A", FIRST).unlink()
    sighted(world)


def set_aside(world: World) -> None:
    dark(world)
    scan(world)
    world.work()


# --- what is asked for ---------------------------------------------------------------------------


def request(world: World, kind: str, key: int) -> Told:
    return partial(world.request, kind, key)


def pull(world: World) -> Told:
    return request(world, "injection", world.inject("T2_A", outputs(world)))


def confirm(world: World) -> Told:
    world.confirm(1)
    return request(world, "injection", 1)


def forget(world: World) -> Told:
    """Let the end of a booking come, a day after anybody was told of it."""
    with world.ctx.begin() as work:
        told = work.now - timedelta(days=1)
        work.changed(update(Transfer).values(not_before=work.now, expires=work.now, hinted=told))
    return request(world, "injection", 1)


def free(world: World) -> Told:
    body = schemas.CycleBody(kind="detox", partition="User")
    return partial(cycles_views.get, world.ctx, cycles_submission.file(world.ctx, body, OPERATOR))


def scan(world: World) -> Told:
    filed = scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    return partial(scans.get, world.ctx, filed)


def release(world: World) -> Told:
    scans.release(world.ctx, 1, OPERATOR)
    return lambda: state(not world.count(Remedy))


def expire(world: World) -> Told:
    """Let the days be over for which a file is kept."""
    with world.ctx.begin() as work:
        work.changed(update(Remedy).values(not_before=work.now))
        work.hint(Hint("remedy", (1,), "delete what was kept long enough"))
    return lambda: state(not world.count(Remedy))


def empty(world: World) -> Told:
    with world.ctx.begin() as work:
        work.hint(Hint("evacuate", (), "empty dying sites"))
    return lambda: state(not left(world, "T2_A") and not left(world, "T2_B") and rests(world))


def probe(world: World) -> Told:
    with world.ctx.begin() as work:
        work.hint(Hint("probe", (1,), "probe T2_A"))
    return lambda: state(world.count(Probe) == 3)


def state(is_done: bool) -> dict[str, str]:
    return {"state": "done" if is_done else "running"}


def left(world: World, site: str) -> int:
    """Count the blocks that still lie at a site."""
    return int(evacuation_status.get(world.ctx, site)["left"]["blocks"])


# --- what beats ----------------------------------------------------------------------------------


def tidy(world: World) -> None:
    world.run("tidy")


def tend(world: World) -> None:
    """Send the probes that are due, to each site once."""
    world.run("tend")


def evacuate(world: World) -> None:
    world.run("evacuate")


# --- ends ----------------------------------------------------------------------------------------


def rests(world: World) -> bool:
    """Tell whether nobody has anything left to do; what lies in quarantine waits for its day."""
    with world.ctx.begin.snapshot() as work:  # a remedy ends and its copy begins in one moment
        waits = and_(
            Remedy.kind == RemedyKind.REMOVE, Remedy.not_before > work.now + timedelta(days=1)
        )
        unfinished = (
            select(Request.id).where(Request.state.not_in(ENDED)),
            select(Deletion.id),
            select(Remedy.id).where(not_(waits)),
        )
        return not any(work.scalars(rows.limit(1)) for rows in unfinished)


def once(what: str, kept: Mapping[str, bytes] = MappingProxyType({})) -> Check:
    """Check that something happened once, and that all is well but for what is kept."""

    def check(world: World) -> None:
        with world.ctx.begin.reading() as work:
            assert len(work.scalars(select(History.id).where(History.what == what))) == 1
        for name, content in kept.items():
            path = world.path("T2_A", name)
            assert path.read_bytes() == content
            path.unlink()
        assert_all_ended(world)

    return check


def dark_probe(world: World) -> None:
    """Check that one probe was left, where a scan takes it for dark."""
    [left] = world.path("T2_A", f"{world.ctx.settings.user.namespace}/{FOLDER}").iterdir()
    left.unlink()
    assert_all_ended(world)


def each_left_once(world: World) -> None:
    """Check that the files of both dying sites were deleted, none of them twice."""
    with world.ctx.begin.reading() as work:
        gone = select(func.sum(Request.n_done)).where(Request.kind == RequestKind.DELETION)
        assert work.scalar(gone) == 2 * len(FILES)
    assert_all_ended(world)


# --- stories -------------------------------------------------------------------------------------

PULL = Story(nothing, pull, at=("T2_A",))
LOST = Story(lose, lambda world: request(world, "injection", 1), at=("T2_A",))
UPLOAD = Story(booked, confirm, at=("T2_A",))
EXPIRY = Story(vanish, forget, ends="failed", check=assert_well)  # leftovers are given time
CLOSURE = Story(arrived, lambda world: request(world, "closure", world.close()), at=("T2_A",))
GATHER = Story(closed, lambda world: request(world, "copy", world.copy("T2_C")), at=("T2_C",))
DELETE = Story(closed, lambda world: request(world, "deletion", world.delete()))
CYCLE = Story(overfull, free, at=("T2_B",), repeats=True)
PROBE = Story(closed, probe, at=("T2_A",), check=dark_probe, beat=tend)
EVACUATE = Story(dying, empty, at=("T2_C",), check=each_left_once, beat=evacuate)
CLEAN = Story(abandoned, scan, at=("T2_A",), beat=tidy, repeats=True)
DARK = Story(
    dark,
    scan,
    at=("T2_A",),
    check=once("quarantined", {f"{QUARANTINE}dark.root": b"dark"}),
    beat=tidy,
    repeats=True,
)
BAD = Story(
    bad,
    scan,
    at=("T2_A", "T2_B"),
    besides=1,
    check=once("wrong-file", {f"{QUARANTINE}0.root": b"short"}),
    beat=tidy,
    repeats=True,
)
MISSING = Story(
    missing,
    scan,
    at=("T2_A", "T2_B"),
    besides=1,
    check=once("missing-file"),
    beat=tidy,
    repeats=True,
)
RELEASE = Story(
    set_aside, release, at=("T2_A",), check=once("released", {DARK_FILE: b"dark"}), beat=tidy
)
REMOVE = Story(set_aside, expire, at=("T2_A",), check=once("quarantine-deleted"), beat=tidy)
STORIES = {name: told for name, told in globals().items() if isinstance(told, Story)}
