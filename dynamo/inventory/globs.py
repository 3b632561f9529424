"""Shell globs over names: `*` is any text, `?` any one character; everything else is itself."""

import re
from dataclasses import dataclass

from dynamo.errors import Invalid

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
        """Take what a caller wrote. Raises Invalid for what no name could fit."""
        text = re.sub(r"\*+", "*", text)
        if len(text) > MOST_CHARACTERS or text.count("*") > MOST_STARS:
            raise Invalid(f"a pattern has at most {MOST_CHARACTERS} characters and {MOST_STARS} *")
        if _SHAPE.fullmatch(text) is None:
            raise Invalid(
                "a filter is a name; * and ? are wildcards; names are of A-Za-z0-9_./#:-",
                "name-invalid",
            )
        return cls(text)

    @property
    def exact(self) -> bool:
        """Tell whether this fits one name only."""
        return _WILD.search(self.text) is None

    @property
    def prefix(self) -> str:
        """Return what all names begin with that fit."""
        return _WILD.split(self.text, maxsplit=1)[0]

    @property
    def beyond(self) -> str | None:
        """Return the first text after all that begin with the prefix, None without a prefix."""
        return self.prefix[:-1] + chr(ord(self.prefix[-1]) + 1) if self.prefix else None

    @property
    def like(self) -> str:
        """Return the pattern of SQL's LIKE with the escape character `!`."""
        return self.text.replace("_", "!_").replace("*", "%").replace("?", "_")

    def fits(self, name: str) -> bool:
        """Tell whether a name fits."""
        words = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in self.text)
        return re.fullmatch("".join(words), name, re.DOTALL) is not None
