"""Lists a folder tree: the entries of each folder, and whether it was read completely."""

import os
import stat
from collections.abc import Iterator

from dynamo.storage.posix.tree import Path, Tree
from dynamo.storage.protocol import Entry, Folder, moment


def walk(tree: Tree, parts: Path, name: str) -> Iterator[Folder]:
    """Yield the folders at and below `parts`, each once; memory holds one path at a time."""
    waiting = [(tuple(parts), name)]
    while waiting:
        path, shown = waiting.pop()
        folder, below = _read(tree, path, shown)
        yield folder
        waiting += [((*path, part), f"{shown}/{part}") for part in reversed(below)]


def _read(tree: Tree, path: Path, name: str) -> tuple[Folder, list[str]]:
    entries: list[Entry] = []
    below: list[str] = []
    try:
        with tree.folder(path) as number, os.scandir(number) as items:
            for item in items:
                _sort(item, name, entries, below)
    except OSError as error:
        message = error.strerror or str(error)
        return Folder(name, entries, complete=False, error=message, below=below), below
    entries.sort(key=lambda entry: entry.lfn)
    return Folder(name, entries, complete=True, below=sorted(below)), sorted(below)


def _sort(item: os.DirEntry[str], name: str, entries: list[Entry], below: list[str]) -> None:
    try:
        known = item.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since the folder was read
        return
    if stat.S_ISDIR(known.st_mode):
        below.append(item.name)
        return
    size = known.st_size if stat.S_ISREG(known.st_mode) else None
    entries.append(Entry(f"{name}/{item.name}", size, moment(known.st_mtime)))
