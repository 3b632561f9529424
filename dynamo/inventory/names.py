"""What names look like, and how paths are compared."""

import re
from dataclasses import dataclass

from dynamo.errors import Invalid
from dynamo.reasons import Reason

MAX_BYTES = 500
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"
_LFN = re.compile(rf"(?:/{_PART})+", re.ASCII)
_DATASET = re.compile(rf"/{_PART}/{_PART}/{_PART}", re.ASCII)
_SITE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_USER = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_BLOCK_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_ADLER32 = re.compile(r"[0-9a-f]{8}", re.ASCII)


def is_lfn(text: str) -> bool:
    """Return whether a text can be a logical file name.

    No `..`, no empty part, ASCII, at most 500 bytes.
    """
    return len(text) <= MAX_BYTES and _LFN.fullmatch(text) is not None


def is_dataset(text: str) -> bool:
    """Return whether a text has the shape `/part/part/part`."""
    return len(text) <= MAX_BYTES and _DATASET.fullmatch(text) is not None


def is_site(text: str) -> bool:
    """Return whether a text can be the name of a site, partition or group."""
    return _SITE.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Return whether a text can be a user's name."""
    return _USER.fullmatch(text) is not None


def is_adler32(text: str) -> bool:
    """Return whether a text is an Adler-32 of eight lower-case hex digits."""
    return _ADLER32.fullmatch(text) is not None


def parts(path: str) -> list[str]:
    """Split a path into its parts, without empty parts at the ends."""
    return path.strip("/").split("/") if path.strip("/") else []


def within(path: str, area: str) -> bool:
    """Return whether a path lies below an area, compared part by part.

    `alice` does not own `alicebob`.
    """
    above = parts(area)
    below = parts(path)
    return len(below) > len(above) and below[: len(above)] == above


@dataclass(frozen=True, slots=True)
class BlockName:
    """A block's name, `<dataset>#<id>`."""

    dataset: str
    id: str

    @classmethod
    def parse(cls, text: str) -> "BlockName":
        """Return the parts of a full block name. Raises Invalid."""
        dataset, mark, block = text.partition("#")
        if not mark or not is_dataset(dataset) or _BLOCK_ID.fullmatch(block) is None:
            raise Invalid(
                f"{text!r} is not a block name; write <dataset>#<id>", Reason.NAME_INVALID
            )
        return cls(dataset, block)

    def __str__(self) -> str:
        return f"{self.dataset}#{self.id}"
