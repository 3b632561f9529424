"""Which storage speaks for a site."""

import functools
import json
import urllib.parse
from collections.abc import Callable, Mapping

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
"""URL schemes and who speaks them."""


class Storages:
    """The storages of all sites; one object per URL and rules."""

    def __init__(
        self, area: str, limits: Timeouts = _LIMITS, patience: float | None = None
    ) -> None:
        """Take the incoming area, the same at each site, and the limits of what is far away.

        `patience`: the seconds that whoever prepares an upload has, where they are fewer.
        """
        self.area = area.rstrip("/")
        self.limits = limits
        self._open = functools.cache(self._new)
        self._haste = Haste(limits.answer if patience is None else patience)

    def at(self, url: str, rules: Mapping[str, object]) -> Storage:
        """Return the storage of a site with this endpoint and these rules. Raises Invalid."""
        return self._open(url, json.dumps(rules, sort_keys=True))

    def pfn(self, url: str, rules: Mapping[str, object], lfn: str) -> str:
        """Return the address of a name at a site. Raises Invalid."""
        return self.at(url, rules).pfn(lfn)

    def prepare(self, url: str, rules: Mapping[str, object], temporary: str) -> None:
        """Make room for a job's upload, as far as the site answers in time. Raises StorageError."""
        storage = self.at(url, rules)
        self._haste.call(url, lambda: storage.prepare(temporary))

    def check(self, url: str, rules: Mapping[str, object]) -> None:
        """Refuse a site that nobody could speak to. Raises Invalid."""
        self.at(url, rules)

    def _new(self, url: str, rules: str) -> Storage:
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme not in BACKENDS:
            known = ", ".join(f"{name}:" for name in BACKENDS)
            raise Invalid(f"{url!r} has a scheme that no storage speaks; use one of {known}")
        return BACKENDS[scheme](Addresses.of(url, json.loads(rules)), self.area, self.limits)
