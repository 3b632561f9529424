"""Subjects of certificates: one value for all ways to write a subject.

Parts are compared, not texts: in the slash form `/O=x/CN=y` a value may contain a slash, so that
two different subjects can be written alike.
"""

import re

Subject = tuple[tuple[str, str], ...]
"""Type and value of each part, the most general part first."""

MOST = 1000
_TYPE = r"[A-Za-z][A-Za-z0-9.-]*|[0-9.]+"
_VALUE = r"[^\\,+\"<>;\x00-\x1f\x7f]|\\[ #,+\"\\<>;=]|\\[0-9A-Fa-f]{2}"
_PART = re.compile(rf"({_TYPE})=((?:{_VALUE})*)")
_SLASHED = re.compile(rf"/({_TYPE})=((?:[^/]|/(?!(?:{_TYPE})=))*)")
_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)")


def comma(text: str) -> Subject:
    """Parse the RFC 2253 form, the most special part first. Raises ValueError."""
    parts, position = [], 0
    while position <= len(text) <= MOST:
        part = _PART.match(text, position)
        if part is None:
            break
        parts.append((part.group(1).upper(), _plain(part.group(2))))
        position = part.end() + 1
        if part.end() == len(text):
            return tuple(reversed(parts))
        if text[part.end()] != ",":
            break
    raise ValueError("a subject is written as in RFC 2253: CN=Alice Smith,OU=Users,DC=org")


def either(text: str) -> Subject:
    """Parse the RFC 2253 form or the slash form of grid tools. Raises ValueError."""
    if not text.startswith("/"):
        return comma(text)
    parts = _SLASHED.findall(text)
    if "".join(f"/{kind}={value}" for kind, value in parts) != text:
        raise ValueError("a subject is /DC=org/OU=Users/CN=Alice Smith")
    return tuple((kind.upper(), value) for kind, value in parts)


def _plain(value: str) -> str:
    def unescaped(match: re.Match[str]) -> str:
        return chr(int(match.group(1), 16)) if match.group(1) else match.group(2)

    # each byte beyond ASCII is escaped by itself; together they are UTF-8
    raw = _ESCAPED.sub(unescaped, value)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw
