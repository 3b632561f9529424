"""Sources outside of Dynamo's sites, by URL: which may be read, and how."""

import contextlib
import io
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from dynamo.errors import Forbidden
from dynamo.reasons import Reason
from dynamo.storage.checksum import adler32_of
from dynamo.storage.errno_reasons import at_source, told
from dynamo.storage.http import addresses as http_addresses
from dynamo.storage.http import source as http_source
from dynamo.storage.posix.tree import Tree
from dynamo.storage.protocol import Readable as Stream
from dynamo.storage.protocol import Source, Stat, Storage, moment
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd import source as xrootd_source

_LIMITS = Timeouts()
_PLAIN = re.compile(r"[ -~]*", re.ASCII)
_FORBIDDEN = re.compile(r"[%?#\\]")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A file at a site, as the source of a copy to another."""

    storage: Storage
    lfn: str

    def stat(self) -> Stat | None:
        """Return the storage's metadata; failures count as the source's."""
        with at_source():
            return self.storage.stat(self.lfn)

    def adler32(self) -> str:
        """Return the storage's checksum."""
        with at_source():
            return self.storage.adler32(self.lfn)

    def address(self) -> str:
        """Return the URL under which another server finds it."""
        return self.storage.pfn(self.lfn)

    def read(self) -> contextlib.AbstractContextManager[Stream]:
        """Open the file at its site."""
        return self.storage.read(self.lfn)


@dataclass(frozen=True, slots=True)
class ScratchFile:
    """A job's file below one of the scratch folders of its site."""

    folder: Tree
    path: tuple[str, ...]

    def stat(self) -> Stat | None:
        """Return size and modification time; None if there is no such file."""
        with told("/".join(self.path), Reason.SOURCE_ERROR):
            known = self.folder.look(self.path)
        return known and Stat(known.st_size, moment(known.st_mtime))

    def adler32(self) -> str:
        """Return the checksum, by reading the file."""
        with self.read() as stream:
            return adler32_of(stream).adler32

    @contextlib.contextmanager
    def read(self) -> Iterator[io.FileIO]:
        """Open the file without following links below the scratch folder."""
        with told("/".join(self.path), Reason.SOURCE_ERROR):
            stream = io.FileIO(self.folder.open_file(self.path))
        with stream:
            yield stream


def check_source(url: str, scratch: Sequence[str], allowed: Sequence[str]) -> None:
    """Refuse a URL that workers may not read for this site. Raises Forbidden.

    Uses neither disk nor network: links and host addresses are checked when the source is opened.
    """
    _source(url, scratch, allowed, _LIMITS)


def open_source(
    url: str, scratch: Sequence[str], allowed: Sequence[str], limits: Timeouts = _LIMITS
) -> Source:
    """Return the source at a URL, checked again. Raises Forbidden."""
    return _source(url, scratch, allowed, limits)


def _source(url: str, scratch: Sequence[str], allowed: Sequence[str], limits: Timeouts) -> Source:
    if not _PLAIN.fullmatch(url) or len(url) > 2000:
        _refuse("a source is a URL of plain ASCII characters")
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        _refuse("the source is not a URL")
    if parts.scheme == "file":
        return _scratch_file(url, parts, scratch)
    if not parts.scheme or not parts.hostname:
        _refuse("a source is a URL with a scheme and a host, or file:///path")
    reader = _READERS.get(parts.scheme)
    if reader is None:
        known = ", ".join(["file", *_READERS])
        _refuse(f"{parts.scheme}: sources cannot be read yet; use one of {known}")
    return reader(url, allowed, limits)


def _scratch_file(url: str, parts: urllib.parse.SplitResult, scratch: Sequence[str]) -> ScratchFile:
    if (
        parts.netloc not in {"", "localhost"}
        or not url.startswith("file:/")
        or _FORBIDDEN.search(url)
    ):
        _refuse("a file source is file:///path, without a host and without the characters % ? # \\")
    names = parts.path.split("/")[1:]
    if {"", ".", ".."} & set(names):
        _refuse("the path of a file source has an empty part, '.' or '..'")
    source = next((file for folder in scratch if (file := _below(folder, names))), None)
    if source is None:
        _refuse("the source lies outside of the scratch folders of the site")
    return source


def _below(folder: str, names: Sequence[str]) -> ScratchFile | None:
    above = os.path.normpath(folder).strip("/").split("/")
    if not folder.startswith("/") or len(names) <= len(above) or names[: len(above)] != above:
        return None
    return ScratchFile(Tree(os.path.normpath(folder)), tuple(names[len(above) :]))


def _web_file(url: str, allowed: Sequence[str], _limits: Timeouts) -> Source:
    if "?" in url or "#" in url:
        # signed addresses carry a credential there; rows and answers would show it
        _refuse("a source has nothing behind a ? or a #: addresses hold no credentials")
    return http_source.WebFile(http_addresses.allow(url, allowed), tuple(allowed))


def _xrootd_file(url: str, allowed: Sequence[str], limits: Timeouts) -> Source:
    return xrootd_source.allowed_file(url, allowed, limits)


_READERS: dict[str, Callable[[str, Sequence[str], Timeouts], Source]] = {
    "root": _xrootd_file,
    "roots": _xrootd_file,
    "https": _web_file,
    "davs": _web_file,
    "http": _web_file,
}
"""Readers by URL scheme."""


def _refuse(text: str) -> NoReturn:
    raise Forbidden(text, Reason.SOURCE_NOT_ALLOWED)
