"""Shell globs over names: `*` is any text, `?` any one character; other characters are literal."""

import re
from dataclasses import dataclass

from dynamo.errors import Invalid
from dynamo.reasons import Reason

MOST_CHARACTERS = 500
MOST_STARS = 8
"""Each star multiplies the work of a comparison."""
_SHAPE = re.compile(r"[A-Za-z0-9_./#:*?-]*", re.ASCII)
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Glob:
    """A name, or a pattern of names."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Glob":
        """Check a caller's pattern and return the glob. Raises Invalid if no name can match."""
        text = re.sub(r"\*+", "*", text)
        if len(text) > MOST_CHARACTERS or text.count("*") > MOST_STARS:
            raise Invalid(f"a pattern has at most {MOST_CHARACTERS} characters and {MOST_STARS} *")
        if _SHAPE.fullmatch(text) is None:
            raise Invalid(
                "a filter is a name; * and ? are wildcards; names are of A-Za-z0-9_./#:-",
                Reason.NAME_INVALID,
            )
        return cls(text)

    @property
    def exact(self) -> bool:
        """Return whether the glob matches one name only."""
        return _WILD.search(self.text) is None

    @property
    def prefix(self) -> str:
        """Return the text that all matching names begin with."""
        return _WILD.split(self.text, maxsplit=1)[0]

    @property
    def beyond(self) -> str | None:
        """Return the first text after all names with the prefix; None without a prefix."""
        return self.prefix[:-1] + chr(ord(self.prefix[-1]) + 1) if self.prefix else None

    @property
    def like(self) -> str:
        """Return the pattern for SQL's LIKE with the escape character `!`."""
        return self.text.replace("_", "!_").replace("*", "%").replace("?", "_")

    def fits(self, name: str) -> bool:
        """Return whether a name matches."""
        words = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in self.text)
        return re.fullmatch("".join(words), name, re.DOTALL) is not None
