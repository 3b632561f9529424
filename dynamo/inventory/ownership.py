"""Which dataset names and which part of the namespace a user owns, compared part by part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dynamo.inventory.names import parts, within

_ANY = r"[A-Za-z0-9_.-]+"


@dataclass(frozen=True, slots=True)
class Namespace:
    """The reserved names: users' datasets and files, and the area that jobs write to."""

    users: str
    """Files below `<users>/<name>/` belong to that user."""
    incoming: str
    dataset_pattern: str

    def of(self, user: str) -> str:
        """Return the directory that only this user's data may lie in."""
        return f"{self.users}/{user}"

    def is_dataset_of(self, dataset: str, user: str) -> bool:
        """Return whether a dataset's name has the shape of this user's datasets."""
        return _pattern(self.dataset_pattern, user).fullmatch(dataset) is not None

    def refusal(self, lfn: str, owner: str | None) -> str | None:
        """Return why a file of this owner may not have this name; None if it may.

        An owner of None means official data.
        """
        if within(lfn, self.incoming):
            return f"{self.incoming} is the incoming area"
        if owner is not None:
            return (
                None
                if within(lfn, self.of(owner))
                else f"the name does not lie below {self.of(owner)}/"
            )
        return f"{self.users} is reserved for users" if within(lfn, self.users) else None


def outside(lfns: Sequence[str], namespace: Namespace, owner: str | None) -> dict[int, str]:
    """Return, by position, the reasons why an owner may not use these names."""
    return {
        n: reason
        for n, lfn in enumerate(lfns)
        if (reason := namespace.refusal(lfn, owner)) is not None
    }


@lru_cache(maxsize=10_000)
def _pattern(shape: str, user: str) -> re.Pattern[str]:
    words = [
        re.escape(part).replace(r"\{user\}", re.escape(user)).replace(r"\{part\}", _ANY)
        for part in parts(shape)
    ]
    return re.compile("/" + "/".join(words), re.ASCII)
