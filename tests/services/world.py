"""A small world.

Sites in folders, jobs that write files, and pools that work when they are told to.
"""

import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import ColumnElement, func, select, update

from dynamo.db import schema
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Base, Block, BlockReplica, Partition, Quota, Site, User
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import RequestKind, Role
from dynamo.operations.hints import Hint
from dynamo.services import users
from dynamo.services.context import Context
from dynamo.services.copies import submission as copies_submission
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.injection import closure
from dynamo.services.injection import submission as injection_submission
from dynamo.services.requests import views as request_views
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from dynamo.task_runner import TaskRunner

TB = 10**12
ALICE = Caller("alice", frozenset({Role.USER}))
BOB = Caller("bob", frozenset({Role.USER}))
OPERATOR = Caller("root", frozenset({Role.OPERATOR}))
DATASET = "/Higgs/alice-v1/USER"


def adler32(content: bytes) -> str:
    """Sum up bytes, independently of the code under test."""
    return f"{zlib.adler32(content):08x}"


@dataclass
class World:
    """Sites, tools and the hints that nobody has taken yet."""

    ctx: Context
    folder: Path
    published: list[Hint] = field(default_factory=list)

    def site(self, name: str, *, quota: int | None = 10 * TB, kind: str = "disk") -> str:
        """Add a ready site with a quota for users."""
        root, scratch = self.folder / name, self.folder / f"{name}-scratch"
        root.mkdir()
        scratch.mkdir()
        with self.ctx.begin() as work:
            key = work.add(
                Site,
                name=name,
                kind=kind,
                status="ready",
                url=f"file://{root}",
                rules={},
                scratch=[str(scratch)],
                sources=[],
                created=work.now,
            )
            partition = work.scalar(select(Partition.id).where(Partition.name == "User"))
            work.add(
                Quota, site_id=key, partition_id=partition, max_bytes=quota, projected=0, used=0
            )
        return name

    def output(self, site: str, name: str, content: bytes) -> str:
        """Write a job's output into the scratch folder of its site; return its URL."""
        path = self.folder / f"{site}-scratch" / name
        path.write_bytes(content)
        return f"file://{path}"

    def pulled(
        self, site: str, name: str, content: bytes, user: str = "alice"
    ) -> schemas.InjectedFile:
        """Describe a job's output that Dynamo is to fetch."""
        return schemas.InjectedFile(
            lfn=lfn(name, user),
            size=len(content),
            adler32=adler32(content),
            source=self.output(site, name, content),
        )

    def inject(
        self,
        site: str,
        files: Iterable[schemas.InjectedFile],
        dataset: str = DATASET,
        by: Caller = ALICE,
    ) -> int:
        """Hand files over."""
        return injection_submission.file(
            self.ctx, schemas.Injection(dataset=dataset, site=site, files=tuple(files)), by
        )

    def many(self, site: str, n: int, *, start: int = 0, dataset: str = DATASET) -> int:
        """Hand over n small files that lie in the site's scratch folder."""
        names = [f"{site}_{i}.root" for i in range(start, start + n)]
        return self.inject(
            site, [self.pulled(site, name, name.encode() * 10) for name in names], dataset
        )

    def close(self, dataset: str = DATASET, by: Caller = ALICE) -> int:
        """Say that production is finished."""
        return closure.file(self.ctx, schemas.Closure(dataset=dataset), by)

    def copy(self, site: str | list[str], by: Caller = ALICE, **more: object) -> int:
        """Ask for the data at a site."""
        return copies_submission.file(
            self.ctx, schemas.Copy(dataset=DATASET, site=site, **more), by
        )  # type: ignore[arg-type]

    def delete(self, by: Caller = ALICE, **more: object) -> int:
        """Ask for data to be removed."""
        return deletions_submission.file(self.ctx, schemas.Deletion(dataset=DATASET, **more), by)  # type: ignore[arg-type]

    def run(self, task: str, ids: Sequence[int] = ()) -> None:
        """Run a task as a worker does."""
        TaskRunner.of(self.ctx).run(task, ids)

    def take(self, hint: Hint) -> None:
        """Do what a message says."""
        self.run(hint.task, hint.ids)

    def work(self, rounds: int = 100) -> None:
        """Let the pools work until no hint is left."""
        for _ in range(rounds):
            if not self.published:
                return
            hint = self.published.pop(0)
            self.take(hint)
        raise AssertionError(f"the pools do not come to rest: {self.published[:3]}")

    def step(self, task: str) -> None:
        """Let the pools take the first hint of one kind, and leave the others."""
        hint = next(hint for hint in self.published if hint.task == task)
        self.published.remove(hint)
        self.take(hint)

    def sweep(self) -> None:
        """Find what was lost, and work on it."""
        self.run("sweep")
        self.work()

    def request(self, kind: str, request_id: int) -> dict[str, object]:
        """Look at a request as its owner does."""
        return request_views.get(self.ctx, RequestKind(kind), request_id)

    def problems(self, kind: str, request_id: int) -> list[dict[str, object]]:
        """Return what a request says did not go well."""
        problems = self.request(kind, request_id)["problems"]
        assert isinstance(problems, list)
        return problems

    def book(self, site: str, name: str, content: bytes) -> int:
        """Announce a file that the job will write itself."""
        return self.inject(
            site, [schemas.InjectedFile(lfn=lfn(name), size=len(content), adler32=adler32(content))]
        )

    def upload(self, request_id: int, content: bytes) -> None:
        """Write to the address that the booking named, as the job does."""
        files = self.request("injection", request_id)["files"]
        assert isinstance(files, list)
        path = Path(files[0]["upload_url"].removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def confirm(self, request_id: int) -> None:
        """Say that the upload is there."""
        injection_submission.uploaded(self.ctx, request_id, None, ALICE)

    def injection(self, sites: tuple[str, ...], files: Iterable[schemas.InjectedFile]) -> int:
        """Hand files over to the first of several sites that can take them."""
        return injection_submission.file(
            self.ctx, schemas.Injection(dataset=DATASET, site=sites, files=tuple(files)), ALICE
        )

    def with_settings(self, **settings: object) -> Context:
        """Return the tools with other settings."""
        return replace(self.ctx, settings=Settings(data=self.folder, **settings))  # type: ignore[arg-type]

    def blocks(self) -> list[tuple[int, bool]]:
        """Return files and closedness of all blocks."""
        with self.ctx.begin.reading() as work:
            return [
                (row.n_files, row.closed) for row in work.rows(select(Block.n_files, Block.closed))
            ]

    def replicas(self) -> list[tuple[str, int, bool]]:
        """Return site, files and completeness of all block replicas, by site."""
        columns = (Site.name, BlockReplica.n_files, BlockReplica.complete)
        sites = select(*columns).join(Site, Site.id == BlockReplica.site_id)
        with self.ctx.begin.reading() as work:
            return [(r.name, r.n_files, r.complete) for r in work.rows(sites.order_by(Site.name))]

    def used(self, user: str) -> int:
        """Return a user's unique bytes."""
        with self.ctx.begin.reading() as work:
            return int(work.scalar(select(User.used).where(User.name == user)))

    def projected(self, site: str) -> int:
        """Return the bytes booked at a site."""
        with self.ctx.begin.reading() as work:
            return int(
                work.scalar(
                    select(Quota.projected)
                    .join(Site, Site.id == Quota.site_id)
                    .where(Site.name == site)
                )
            )

    def quota(self, user: str, limit: int) -> None:
        """Give a user so many unique bytes."""
        with self.ctx.begin() as work:
            users.ensure(work, user, self.ctx.settings)
            work.changed(update(User).where(User.name == user).values(max_bytes=limit))

    def site_quota(self, site: str, limit: int) -> None:
        """Give users so many bytes at a site."""
        with self.ctx.begin() as work:
            key = work.scalar(select(Site.id).where(Site.name == site))
            work.changed(update(Quota).where(Quota.site_id == key).values(max_bytes=limit))

    def count(self, table: type[Base], *where: ColumnElement[bool]) -> int:
        """Count rows."""
        with self.ctx.begin.reading() as work:
            return int(work.scalar(select(func.count()).select_from(table).where(*where)))

    def output_path(self, site: str, name: str) -> Path:
        """Return where a job's output lies."""
        return self.folder / f"{site}-scratch" / name

    def path(self, site: str, name: str) -> Path:
        """Return where a file lies at a site."""
        return self.folder / site / name.lstrip("/")

    def status(self, site: str, status: str) -> None:
        """Say how a site is."""
        with self.ctx.begin() as work:
            work.changed(update(Site).where(Site.name == site).values(status=status))

    def block_names(self) -> list[str]:
        """Return the full names of all blocks, oldest first."""
        with self.ctx.begin.reading() as work:
            return [
                f"{DATASET}#{uuid}" for uuid in work.scalars(select(Block.uuid).order_by(Block.id))
            ]

    def on_disk(self, site: str) -> dict[str, bytes]:
        """Look at what really lies at a site: every file below its root.

        What a pool moves while it is looked at lies at neither place.
        """
        root = self.folder / site
        found = {}
        for path in root.rglob("*"):
            if path.is_file():
                with suppress(FileNotFoundError):
                    found[f"/{path.relative_to(root)}"] = path.read_bytes()
        return found


def lfn(name: str, user: str = "alice") -> str:
    """Return a name in a user's namespace."""
    return f"/store/user/dynamo/{user}/{name}"


def build(begin: UnitOfWork, folder: Path, published: list[Hint], **settings: object) -> World:
    """Make a world without sites."""
    tools = Context(begin, Settings(data=folder, **settings), Storages("/store/temp/dynamo"))  # type: ignore[arg-type]
    with begin() as work:
        schema.seed(work)
    return World(tools, folder, published)
