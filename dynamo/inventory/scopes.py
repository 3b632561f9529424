"""What a token of the WLCG profile lets its bearer do: actions below paths."""

import re
from dataclasses import dataclass

from dynamo.inventory.names import parts

CREATE = "storage.create"
MODIFY = "storage.modify"
_CAPABILITY = re.compile(r"(?:storage|compute)\.[a-z_]+(?::.*)?", re.ASCII | re.DOTALL)
_GRANTING = {CREATE: frozenset({CREATE, MODIFY}), MODIFY: frozenset({MODIFY})}
"""An action -> the capabilities that allow it: who may change may also make."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The capabilities of a token: each an action and the path below which it may be done."""

    granted: tuple[tuple[str, str], ...]

    def permit(self, action: str, path: str) -> bool:
        """Tell whether an action may be done to what a path names."""
        return any(held in _GRANTING[action] and _covers(area, path) for held, area in self.granted)

    def mention(self, action: str) -> bool:
        """Tell whether an action may be done anywhere at all."""
        return any(held in _GRANTING[action] for held, _ in self.granted)


def parse(text: str) -> Scopes | None:
    """Read a `scope` claim; None = no capabilities, so that groups count. Raises ValueError."""
    words = [word for word in text.split(" ") if _CAPABILITY.fullmatch(word)]
    return Scopes(tuple(_capability(word) for word in words)) if words else None


def _capability(word: str) -> tuple[str, str]:
    action, _, path = word.partition(":")
    if not action.startswith("storage.") and not path:
        return action, "/"
    inner = path[1:].removesuffix("/").split("/")
    if not path.startswith("/") or (path != "/" and {"", ".", ".."} & set(inner)):
        raise ValueError(f"{word[:100]!r} names no path; write for example {CREATE}:/store/user")
    return action, path


def _covers(area: str, path: str) -> bool:
    """Compare part by part: `/foo/bar` is not above `/foo/bargain`."""
    above = parts(area)
    return parts(path)[: len(above)] == above
