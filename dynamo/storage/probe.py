"""Trying a storage with a small file: what works there, and how long each step takes."""

import io
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dynamo.errors import DynamoError
from dynamo.points import Point, reached
from dynamo.storage import temporary_names
from dynamo.storage.checksum import pour
from dynamo.storage.protocol import Fetching, Guarded, Storage

SIZE = 4096
FOLDER = "_probe"
"""Folder of probes in the reserved namespace; no user's name begins like it."""
TOLERANCE = timedelta(minutes=5)
"""How far the clock of a storage may be from ours: by more, young files are taken for old."""


class Outcome(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One thing that was tried; `reason` is one of `errors.RETRYABLE`."""

    name: str
    outcome: Outcome
    seconds: float
    reason: str | None = None
    detail: str | None = None


NEEDED = frozenset({"write", "stat", "sum", "rename", "delete"})
"""The steps without which no file comes or goes."""


def is_usable(steps: Sequence[ProbeStep]) -> bool:
    """Tell whether files can come and go there."""
    done = {step.name for step in steps if step.outcome is Outcome.OK}
    return done >= NEEDED


@dataclass(frozen=True, slots=True)
class ProbedStorage:
    """Where and by what a storage is tried."""

    area: str
    namespace: str
    third_party: int
    """Bytes from which servers copy among themselves."""
    moment: Callable[[], datetime]
    """Our clock: the database's."""
    delete: Callable[[Storage, str], object]
    """The one way to a storage's delete."""
    expected: Sequence[str] = ()
    """Files of which one at least must lie there."""


class _Refused(Exception):
    """The storage answered, and wrongly."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Skipped(Exception):
    """There is nothing to try."""


def probe(storage: Storage, ground: ProbedStorage) -> list[ProbeStep]:
    """Try everything that transfers and deletions need; nothing is left behind where it works.

    What a step that failed makes pointless is skipped. Never raises for what the storage does.
    """
    return _Trial(storage, ground).run()


class _Trial:
    def __init__(self, storage: Storage, ground: ProbedStorage) -> None:
        key = secrets.token_hex(8)
        self._storage = storage
        self._ground = ground
        self._content = secrets.token_bytes(SIZE)
        self._temporary = temporary_names.probe(ground.area, key)
        self._fetched = f"{self._temporary}.fetched"
        self._lfn = f"{ground.namespace}/{FOLDER}/{key}"
        self._steps: list[ProbeStep] = []

    def run(self) -> list[ProbeStep]:
        for name, needs, call in (
            ("write", (), self._write),
            ("stat", ("write",), self._stat),
            ("sum", ("write",), self._sum),
            ("clock", ("stat",), self._clock),
            ("rename", ("write",), self._rename),
            ("third-party copy", ("rename",), self._fetch),
            ("namespace", ("rename",), self._namespace),
            ("delete", ("rename",), self._delete),
        ):
            self._try(name, needs, call)
        self._clean()
        return self._steps

    def _try(self, name: str, needs: Sequence[str], call: Callable[[], str | None]) -> None:
        missing = [need for need in needs if not self._worked(need)]
        if missing:
            text = f"not tried, as {missing[0]} did not work"
            self._steps.append(ProbeStep(name, Outcome.SKIPPED, 0.0, detail=text))
            return
        begun = time.monotonic()
        outcome, reason, detail = _called(call)
        seconds = round(time.monotonic() - begun, 3)
        self._steps.append(ProbeStep(name, outcome, seconds, reason, detail))

    def _worked(self, name: str) -> bool:
        return any(one.name == name and one.outcome is Outcome.OK for one in self._steps)

    def _write(self) -> None:
        self._look()
        self._begun = self._ground.moment()
        with self._storage.write(self._temporary) as target:
            self._written = pour(io.BytesIO(self._content), target, lambda: None, SIZE)
        self._ended = self._ground.moment()

    def _look(self) -> None:
        """Refuse the empty folder that is left where a disk is not mounted, before it is filled."""
        names = self._ground.expected
        if names and all(self._storage.stat(name) is None for name in names):
            text = f"none of {len(names)} files that should lie there does: is the disk mounted?"
            raise _Refused("destination-error", text)

    def _stat(self) -> None:
        found = self._storage.stat(self._temporary)
        if found is None or found.size != SIZE:
            there = "nothing" if found is None else f"{found.size} bytes"
            raise _Refused("destination-error", f"{SIZE} bytes were written, {there} are there")
        self._modified = found.modified

    def _sum(self) -> None:
        found, written = self._storage.adler32(self._temporary), self._written.adler32
        if found != written:
            raise _Refused("checksum-mismatch", f"{written} was written, {found} is there")

    def _clock(self) -> str:
        if self._modified is None:
            raise _Skipped("the storage does not tell when a file was changed")
        # most tell whole seconds only
        early = self._begun - self._modified - timedelta(seconds=1)
        late = self._modified - self._ended
        off = max(early, late, timedelta())
        text = f"{off.total_seconds():.0f} s {'behind' if early >= late else 'ahead'}"
        if off > TOLERANCE:
            raise _Refused("destination-error", f"the storage's clock is {text}")
        return text if off else "agrees"

    def _rename(self) -> None:
        self._storage.rename(self._temporary, self._lfn)
        reached(Point.PROBED)
        if self._storage.stat(self._lfn) is None:
            raise _Refused("destination-error", "the file is not there under its new name")

    def _fetch(self) -> str:
        if not isinstance(self._storage, Fetching):
            raise _Skipped("a file system has no server that could fetch a file")
        large = max(SIZE, self._ground.third_party)  # as if it were worth while
        address = self._storage.pfn(self._lfn)
        if not self._storage.fetch(address, self._fetched, large, lambda: None):
            raise _Skipped("the servers do not copy among themselves: bytes pass through workers")
        found = self._storage.stat(self._fetched)
        if found is None or found.size != SIZE:
            raise _Refused("transfer-error", "the file that the server fetched is not whole")
        return "the servers copy among themselves"

    def _delete(self) -> None:
        self._ground.delete(self._storage, self._lfn)
        if self._storage.stat(self._lfn) is not None:
            raise _Refused("destination-error", "the file is still there after it was deleted")

    def _namespace(self) -> str:
        if not isinstance(self._storage, Guarded):
            raise _Skipped("the storage does not tell who may write")
        if self._storage.open_to_others(self._lfn):
            text = f"others than Dynamo can write below {self._ground.namespace}"
            raise _Refused("permission-denied", text)
        return "only Dynamo can write there"

    def _clean(self) -> None:
        if any(step.reason == "queue-timeout" for step in self._steps):
            return  # nobody waits for it a second time: what is left there is cleaned up later
        for name in (self._temporary, self._fetched):
            with suppress(DynamoError):
                self._storage.discard(name)


def _called(call: Callable[[], str | None]) -> tuple[Outcome, str | None, str | None]:
    try:
        return Outcome.OK, None, call()
    except _Skipped as why:
        return Outcome.SKIPPED, None, str(why)
    except (DynamoError, _Refused) as failed:
        return Outcome.FAILED, failed.reason, failed.detail
