"""What people, pools and the world can do, one step at a time; arguments are plain numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamo.errors import DynamoError
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind, SiteStatus
from dynamo.services import cancellation
from dynamo.services.accounts import user_quotas
from dynamo.services.copies import submission as copies_submission
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.injection import closure
from dynamo.services.injection import submission as injection_submission
from dynamo.services.maintenance import invariants
from dynamo.services.sites import sites, switches
from tests.conftest import Clock
from tests.services.machine.ledger import Ledger, name_of
from tests.services.machine.picture import ENDED, Picture
from tests.services.machine.stage import Points, Trouble, die, refuse
from tests.services.world import ALICE, OPERATOR, World, adler32

SITES = ("T2_A", "T2_B", "T2_C")
DATASETS = ("/Higgs/alice-v0/USER", "/Higgs/alice-v1/USER")
STATUSES = (SiteStatus.READY, SiteStatus.WAITROOM, SiteStatus.MORGUE, SiteStatus.UNKNOWN)
SWITCHES = ("deletions", "injection", "site:T2_A", "site:T2_B")
ROOM = (150, 400, None)
"""Bytes that users may have at a site."""

Act = tuple[str, tuple[Any, ...]]
"""The name of a method of `Play` and its arguments."""


@dataclass
class Play:
    """A world, its clock, what was promised in it, and all that can happen."""

    world: World
    clock: Clock
    points: Points
    ledger: Ledger = field(default_factory=Ledger)
    bookings: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = Picture(self.world)

    def step(self, act: Act) -> None:
        """Do something, look at everything."""
        getattr(self, act[0])(*act[1])
        self.look()

    def troubled(self, act: Act, at: int, what: str, others: Sequence[Act]) -> None:
        """Do something during which something goes wrong; who called and got no answer repeats."""
        trouble = {"die": die, "refuse": refuse, "freeze": self._meanwhile(others)}[what]
        done = False
        with self.points.plan(Trouble(at, trouble)):
            getattr(self, act[0])(*act[1])
            done = True
        if not done and act[0] in CALLS:
            getattr(self, act[0])(*act[1])

    def _meanwhile(self, others: Sequence[Act]) -> Callable[[str], bool]:
        def happen(_where: str) -> bool:
            with self.points.calm():
                for name, arguments in others:
                    getattr(self, name)(*arguments)
            return True

        return happen

    def look(self) -> None:
        """Compare rows, disks and promises."""
        before, self.seen = self.seen, Picture(self.world)
        block = self.world.ctx.settings.block
        wrong = list(self.seen.faults(block.max_files, block.max_bytes))
        wrong += self.ledger.turn(before, self.seen)
        assert not wrong, wrong

    def _call(self, function: Callable[[], Any]) -> Any:
        """Call a service; a refusal is an answer, but nobody is busy here."""
        try:
            return function()
        except DynamoError as refused:
            answer = refused
        assert answer.reason not in ("service-busy", "internal"), answer.detail
        return None

    # --- jobs ------------------------------------------------------------------------------------

    def inject(self, dataset: int, files: Sequence[tuple[int, str]], where: Sequence[int]) -> None:
        """Hand files over, in one of several ways each."""
        named = dict(files)
        wanted = schemas.Injection(
            dataset=DATASETS[dataset],
            site=tuple(SITES[n] for n in where),
            files=tuple(self._output(dataset, n, how, where) for n, how in named.items()),
        )
        request = self._call(lambda: injection_submission.file(self.world.ctx, wanted, ALICE))
        if request is not None and "push" in named.values():
            self.bookings.append(request)

    def _output(self, dataset: int, n: int, how: str, where: Sequence[int]) -> schemas.InjectedFile:
        name = name_of(n, dataset)
        content = self.ledger.content(name)
        if how == "push":
            return schemas.InjectedFile(lfn=name, size=len(content), adler32=adler32(content))
        if how == "unsized":
            source = self._source(SITES[where[0]], f"{name}.unsized")
            source.write_bytes(content)
            return schemas.InjectedFile(lfn=name, source=f"file://{source}")
        source = self._source(SITES[where[0]], name)
        source.unlink(missing_ok=True)
        if how != "lost":
            source.write_bytes(b"?" * len(content) if how == "wrong" else content)
        return schemas.InjectedFile(
            lfn=name, size=len(content), adler32=adler32(content), source=f"file://{source}"
        )

    def _source(self, site: str, name: str) -> Path:
        return self.world.output_path(site, name.strip("/").replace("/", "_"))

    def upload(self, pick: int, good: bool) -> None:
        """Let a job write to the addresses that a booking still names."""
        for file in self._booked(pick):
            if file["upload_url"] is None or file["state"] == "failed":
                continue
            path = Path(file["upload_url"].removeprefix("file://"))
            content = self.ledger.content(file["lfn"])
            if path.parent.is_dir():
                path.write_bytes(content if good else b"?" * len(content))
                if not good:
                    self.ledger.spoil(file["lfn"])

    def confirm(self, pick: int) -> None:
        """Let a job say that its uploads are there."""
        if self.bookings:
            request = self.bookings[pick % len(self.bookings)]
            self._call(lambda: injection_submission.uploaded(self.world.ctx, request, None, ALICE))

    def _booked(self, pick: int) -> list[dict[str, Any]]:
        if not self.bookings:
            return []
        shown = self.world.request("injection", self.bookings[pick % len(self.bookings)])
        files = shown["files"]
        assert isinstance(files, list)
        return files

    # --- owners and operators --------------------------------------------------------------------

    def close(self, dataset: int) -> None:
        """Say that production is finished."""
        wanted = schemas.Closure(dataset=DATASETS[dataset])
        self._call(lambda: closure.file(self.world.ctx, wanted, ALICE))

    def copy(self, dataset: int, site: int, consolidate: bool | None) -> None:
        """Ask for data at a site."""
        wanted = schemas.Copy(dataset=DATASETS[dataset], site=SITES[site], consolidate=consolidate)
        self._call(lambda: copies_submission.file(self.world.ctx, wanted, ALICE))

    def spread(self, dataset: int, number: int) -> None:
        """Ask for copies at the best sites."""
        wanted = schemas.Copy(dataset=DATASETS[dataset], site=("T2_*",), copies=number)
        self._call(lambda: copies_submission.file(self.world.ctx, wanted, ALICE))

    def delete(self, dataset: int) -> None:
        """Remove a dataset altogether."""
        self._delete(dataset=DATASETS[dataset])

    def delete_files(self, dataset: int, numbers: Sequence[int]) -> None:
        """Remove files altogether."""
        known = [name for n in numbers if (name := name_of(n, dataset)) in self.seen.files]
        if known:
            self._delete(dataset=DATASETS[dataset], lfns=tuple(dict.fromkeys(known)))

    def delete_block(self, pick: int) -> None:
        """Remove a block altogether."""
        if self.seen.blocks:
            block = list(self.seen.blocks.values())[pick % len(self.seen.blocks)]
            dataset = self.seen.datasets[block.dataset_id].name
            self._delete(dataset=dataset, blocks=(f"{dataset}#{block.uuid}",))

    def delete_at(self, dataset: int, site: int, last_copy: bool) -> None:
        """Remove what lies at a site."""
        self._delete(dataset=DATASETS[dataset], site=SITES[site], last_copy=last_copy)

    def _delete(self, **wanted: Any) -> None:
        self._call(
            lambda: deletions_submission.file(self.world.ctx, schemas.Deletion(**wanted), ALICE)
        )

    def cancel(self, pick: int) -> None:
        """Call a request off; of a deletion, rescue what nobody has touched."""
        now = Picture(self.world)
        going = [row for row in now.requests.values() if row.state not in ENDED]
        if not going:
            return
        request = going[pick % len(going)]
        kind = RequestKind(request.kind)
        self._call(lambda: cancellation.cancel(self.world.ctx, kind, request.id, ALICE))

    def switch(self, which: int, stopped: bool) -> None:
        """Stop something, or let it go on."""
        body = schemas.SwitchBody(stopped=stopped)
        self._call(lambda: switches.update(self.world.ctx, SWITCHES[which], body, OPERATOR))

    def status(self, site: int, status: int) -> None:
        """Say how a site is."""
        body = schemas.SiteBody(status=STATUSES[status])
        self._call(lambda: sites.update(self.world.ctx, SITES[site], body, OPERATOR))

    def room(self, site: int, size: int) -> None:
        """Give users more or less room at a site."""
        body = schemas.QuotaBody(limit=ROOM[size])
        self._call(lambda: sites.set_quota(self.world.ctx, SITES[site], "User", body, OPERATOR))

    def allow(self, limit: int | None) -> None:
        """Say how many unique bytes the user may have."""
        body = schemas.UserQuotaBody(limit=limit)
        self._call(lambda: user_quotas.update(self.world.ctx, ALICE.name, body, OPERATOR))

    # --- pools and time --------------------------------------------------------------------------

    def deliver(self, pick: int, times: int) -> None:
        """Let a pool take a hint, once or several times over."""
        if self.world.published:
            hint = self.world.published.pop(pick % len(self.world.published))
            for _ in range(times):
                self.world.take(hint)

    def lose(self, pick: int) -> None:
        """Let a hint get lost."""
        if self.world.published:
            self.world.published.pop(pick % len(self.world.published))

    def work(self) -> None:
        """Let the pools work until no hint is left."""
        self.world.work(300)

    def sweep(self) -> None:
        """Look for lost work."""
        self.world.run("sweep")

    def idle(self) -> None:
        """Close blocks that took no file for long."""
        self.world.run("close-idle")

    def purge(self) -> None:
        """Forget what ended long ago."""
        self.world.run("purge")

    def tick(self, minutes: int) -> None:
        """Let time pass."""
        self.clock.forward(minutes=minutes)

    # --- the end ---------------------------------------------------------------------------------

    def mend(self) -> None:
        """Put all outputs where they should have been."""
        for name in self.seen.files:
            for site in SITES:
                self._source(site, name).write_bytes(self.ledger.content(name))

    def let_everything_run(self) -> None:
        """Take all obstacles away and wait until nothing is left to do."""
        for which in range(len(SWITCHES)):
            self.switch(which, False)
        for site in range(len(SITES)):
            self.status(site, 0)
            self.room(site, len(ROOM) - 1)
        self.allow(None)
        self.look()
        self.mend()
        for dataset in range(len(DATASETS)):
            self.close(dataset)
        self._rest()
        owed = list(self.ledger.owed(self.seen))
        assert not owed, owed
        for dataset in range(len(DATASETS)):
            self._drop_what_never_came(dataset)
        self._rest()
        assert self._open() == []
        found = [str(one) for one in invariants.check(self.world.ctx) if not one.is_warning]
        assert found == []

    def _rest(self) -> None:
        for _ in range(40):
            self.clock.forward(hours=25)
            self.sweep()
            self.work()
            self.look()
            if not self._open():
                return

    def _open(self) -> list[str]:
        """Name what is still to be done; nobody waits for copies of what does not exist."""
        known = {row.name for row in self.seen.datasets.values()}
        waiting = [
            f"{row.kind} {row.id} {row.state} {row.reason}"
            for row in self.seen.requests.values()
            if row.state not in ENDED and not (row.kind == "copy" and row.dataset not in known)
        ]
        moving = [
            f"transfer {row.id} {row.kind} {row.state} {row.reason}"
            for row in self.seen.transfers
            if row.state in ("queued", "active", "held")
        ]
        return waiting + moving + [f"deletion {row.id} {row.state}" for row in self.seen.deletions]

    def _drop_what_never_came(self, dataset: int) -> None:
        lost = [
            name
            for name, row in self.seen.files.items()
            if self.seen.datasets[row.dataset_id].name == DATASETS[dataset]
            and name not in self.seen.available
        ]
        if lost:
            self._delete(dataset=DATASETS[dataset], lfns=tuple(lost))


CALLS = frozenset(
    [
        "inject",
        "confirm",
        "close",
        "copy",
        "spread",
        "delete",
        "delete_files",
        "delete_block",
        "delete_at",
        "cancel",
    ]
)
"""Acts that whoever got no answer repeats."""
