"""The storage backends by URL scheme, and the storages of all sites."""

import functools
import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import replace

from dynamo.errors import Invalid
from dynamo.storage.bounded_calls import Haste
from dynamo.storage.lfn2pfn import Addresses
from dynamo.storage.posix.storage import PosixStorage
from dynamo.storage.protocol import Storage
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.storage import XRootDStorage

_LIMITS = Timeouts()

BACKENDS: dict[str, Callable[[Addresses, str, Timeouts], Storage]] = {
    "file": lambda addresses, area, _limits: PosixStorage.at(addresses, area),
    "root": XRootDStorage.at,
    "roots": XRootDStorage.at,
}
"""Backends by URL scheme."""


class Storages:
    """The storages of all sites; one object per URL and rules."""

    def __init__(
        self, area: str, limits: Timeouts = _LIMITS, patience: float | None = None
    ) -> None:
        """Take the incoming area, the same at each site, and the timeouts.

        `patience`: the deadline in seconds to prepare an upload, if shorter.
        """
        self.area = area.rstrip("/")
        self.limits = limits
        self._open = functools.cache(self._new)
        self._haste = Haste(limits.answer if patience is None else patience)

    def answering_within(self, seconds: float) -> "Storages":
        """Return the same storages, whose answers are not waited for longer."""
        return Storages(self.area, replace(self.limits, answer=seconds))

    def at(self, url: str, rules: Mapping[str, object]) -> Storage:
        """Return the storage of a site with this URL and these rules. Raises Invalid."""
        return self._open(url, json.dumps(rules, sort_keys=True))

    def pfn(self, url: str, rules: Mapping[str, object], lfn: str) -> str:
        """Return the address of a name at a site. Raises Invalid."""
        return self.at(url, rules).pfn(lfn)

    def prepare(self, url: str, rules: Mapping[str, object], temporary: str) -> None:
        """Make the folder of an upload, within the deadline. Raises StorageError."""
        storage = self.at(url, rules)
        self._haste.call(url, lambda: storage.prepare(temporary))

    def check(self, url: str, rules: Mapping[str, object]) -> None:
        """Refuse a site without a usable storage. Raises Invalid."""
        self.at(url, rules)

    def _new(self, url: str, rules: str) -> Storage:
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme not in BACKENDS:
            known = ", ".join(f"{name}:" for name in BACKENDS)
            raise Invalid(f"{url!r} has a scheme that no storage speaks; use one of {known}")
        return BACKENDS[scheme](Addresses.of(url, json.loads(rules)), self.area, self.limits)
