"""Probes a storage with a small file: which operations work, and how long each takes."""

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
from dynamo.reasons import Reason
from dynamo.storage import temporary_names
from dynamo.storage.checksum import pour
from dynamo.storage.protocol import Fetching, Guarded, Storage

SIZE = 4096
FOLDER = "_probe"
"""Folder of probes in the reserved namespace; no user's name begins with `_`."""
TOLERANCE = timedelta(minutes=5)
"""Limit of a storage's clock error: beyond it, young files are taken for old."""


class Outcome(StrEnum):
    """Result of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """A tried operation."""

    name: str
    outcome: Outcome
    seconds: float
    reason: Reason | None = None
    detail: str | None = None


NEEDED = frozenset({"write", "stat", "sum", "rename", "delete"})
"""Steps that transfers and deletions need."""


def is_usable(steps: Sequence[ProbeStep]) -> bool:
    """Return whether transfers and deletions can work at the storage."""
    done = {step.name for step in steps if step.outcome is Outcome.OK}
    return done >= NEEDED


@dataclass(frozen=True, slots=True)
class ProbedStorage:
    """Parameters of a probe."""

    area: str
    namespace: str
    third_party: int
    """File size in bytes from which servers copy among themselves."""
    moment: Callable[[], datetime]
    """Dynamo's clock, that of the database."""
    delete: Callable[[Storage, str], object]
    """Deletes a file; the only caller of a storage's delete besides the reaper."""
    expected: Sequence[str] = ()
    """Files at the site; at least one must exist."""


class _Refused(Exception):
    """The storage answered, but wrongly."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Skipped(Exception):
    """The step does not apply to this storage."""


def probe(storage: Storage, parameters: ProbedStorage) -> list[ProbeStep]:
    """Probe everything that transfers and deletions need; return the steps.

    Steps that depend on a failed step are skipped. Never raises for failures of the storage;
    removes its files where the storage works.
    """
    return _Trial(storage, parameters).run()


class _Trial:
    def __init__(self, storage: Storage, parameters: ProbedStorage) -> None:
        key = secrets.token_hex(8)
        self._storage = storage
        self._parameters = parameters
        self._content = secrets.token_bytes(SIZE)
        self._temporary = temporary_names.probe(parameters.area, key)
        self._fetched = f"{self._temporary}.fetched"
        self._lfn = f"{parameters.namespace}/{FOLDER}/{key}"
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
            text = f"not tried, because {missing[0]} did not work"
            self._steps.append(ProbeStep(name, Outcome.SKIPPED, 0.0, detail=text))
            return
        begun = time.monotonic()
        outcome, reason, detail = _called(call)
        seconds = round(time.monotonic() - begun, 3)
        self._steps.append(ProbeStep(name, outcome, seconds, reason, detail))

    def _worked(self, name: str) -> bool:
        return any(step.name == name and step.outcome is Outcome.OK for step in self._steps)

    def _write(self) -> None:
        self._look()
        self._begun = self._parameters.moment()
        with self._storage.write(self._temporary) as target:
            self._written = pour(io.BytesIO(self._content), target, lambda: None, SIZE)
        self._ended = self._parameters.moment()

    def _look(self) -> None:
        """Refuse the empty folder of a disk that is not mounted, before it is filled."""
        names = self._parameters.expected
        if names and all(self._storage.stat(name) is None for name in names):
            text = f"none of {len(names)} files that should lie there does: is the disk mounted?"
            raise _Refused(Reason.DESTINATION_ERROR, text)

    def _stat(self) -> None:
        known = self._storage.stat(self._temporary)
        if known is None or known.size != SIZE:
            actual = "nothing" if known is None else f"{known.size} bytes"
            raise _Refused(
                Reason.DESTINATION_ERROR, f"{SIZE} bytes were written, {actual} are there"
            )
        self._modified = known.modified

    def _sum(self) -> None:
        actual, written = self._storage.adler32(self._temporary), self._written.adler32
        if actual != written:
            raise _Refused(Reason.CHECKSUM_MISMATCH, f"{written} was written, {actual} is there")

    def _clock(self) -> str:
        if self._modified is None:
            raise _Skipped("the storage does not tell when a file was changed")
        # most storages report whole seconds only
        early = self._begun - self._modified - timedelta(seconds=1)
        late = self._modified - self._ended
        off = max(early, late, timedelta())
        text = f"{off.total_seconds():.0f} s {'behind' if early >= late else 'ahead'}"
        if off > TOLERANCE:
            raise _Refused(Reason.DESTINATION_ERROR, f"the storage's clock is {text}")
        return text if off else "agrees"

    def _rename(self) -> None:
        self._storage.rename(self._temporary, self._lfn)
        reached(Point.PROBED)
        if self._storage.stat(self._lfn) is None:
            raise _Refused(Reason.DESTINATION_ERROR, "the file is not there under its new name")

    def _fetch(self) -> str:
        if not isinstance(self._storage, Fetching):
            raise _Skipped("a file system has no server that could fetch a file")
        large = max(SIZE, self._parameters.third_party)  # large enough for a third-party copy
        address = self._storage.pfn(self._lfn)
        if not self._storage.fetch(address, self._fetched, large, lambda: None):
            raise _Skipped("the servers do not copy among themselves: bytes pass through workers")
        known = self._storage.stat(self._fetched)
        if known is None or known.size != SIZE:
            raise _Refused(Reason.TRANSFER_ERROR, "the file that the server fetched is not whole")
        return "the servers copy among themselves"

    def _delete(self) -> None:
        self._parameters.delete(self._storage, self._lfn)
        if self._storage.stat(self._lfn) is not None:
            raise _Refused(Reason.DESTINATION_ERROR, "the file is still there after it was deleted")

    def _namespace(self) -> str:
        if not isinstance(self._storage, Guarded):
            raise _Skipped("the storage does not tell who may write")
        if self._storage.open_to_others(self._lfn):
            text = f"others than Dynamo can write below {self._parameters.namespace}"
            raise _Refused(Reason.PERMISSION_DENIED, text)
        return "only Dynamo can write there"

    def _clean(self) -> None:
        if any(step.reason == Reason.QUEUE_TIMEOUT for step in self._steps):
            return  # do not wait for it a second time: temporary files are cleaned up later
        for name in (self._temporary, self._fetched):
            with suppress(DynamoError):
                self._storage.discard(name)


def _called(call: Callable[[], str | None]) -> tuple[Outcome, Reason | None, str | None]:
    try:
        return Outcome.OK, None, call()
    except _Skipped as skipped:
        return Outcome.SKIPPED, None, str(skipped)
    except (DynamoError, _Refused) as error:
        return Outcome.FAILED, error.reason, error.detail
