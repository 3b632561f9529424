"""Subjects of certificates: one name, whichever way it is written.

Compared are the parts, not the text: in the slash form `/O=x/CN=y` a value may hold a slash, and
the subject of one could be written like that of another.
"""

import re

Subject = tuple[tuple[str, str], ...]
"""Type and value of each part, the most general first."""

MOST = 1000
_TYPE = r"[A-Za-z][A-Za-z0-9.-]*|[0-9.]+"
_VALUE = r"[^\\,+\"<>;\x00-\x1f\x7f]|\\[ #,+\"\\<>;=]|\\[0-9A-Fa-f]{2}"
_PART = re.compile(rf"({_TYPE})=((?:{_VALUE})*)")
_SLASHED = re.compile(rf"/({_TYPE})=((?:[^/]|/(?!(?:{_TYPE})=))*)")
_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)")


def comma(text: str) -> Subject:
    """Read what RFC 2253 writes, the most special part first. Raises ValueError."""
    found, at = [], 0
    while at <= len(text) <= MOST:
        part = _PART.match(text, at)
        if part is None:
            break
        found.append((part.group(1).upper(), _plain(part.group(2))))
        at = part.end() + 1
        if part.end() == len(text):
            return tuple(reversed(found))
        if text[part.end()] != ",":
            break
    raise ValueError("a subject is written as in RFC 2253: CN=Alice Smith,OU=Users,DC=org")


def either(text: str) -> Subject:
    """Read that or the slash form that grid tools show. Raises ValueError."""
    if not text.startswith("/"):
        return comma(text)
    found = _SLASHED.findall(text)
    if "".join(f"/{kind}={value}" for kind, value in found) != text:
        raise ValueError("a subject is /DC=org/OU=Users/CN=Alice Smith")
    return tuple((kind.upper(), value) for kind, value in found)


def _plain(value: str) -> str:
    def one(match: re.Match[str]) -> str:
        return chr(int(match.group(1), 16)) if match.group(1) else match.group(2)

    # bytes beyond ASCII come one by one, so they are put together as UTF-8 at the end
    raw = _ESCAPED.sub(one, value)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw
