"""Whether others than Dynamo can write to a part of a file system."""

import os
import stat

from dynamo.storage.posix.tree import Path, Tree

_NEAREST = 2
"""Number of folders above a file in which only Dynamo may create names."""


def open_to_others(tree: Tree, path: Path) -> bool:
    """Return whether another identity could create, replace or remove files below.

    Further up, others may create names if the sticky bit keeps them from moving Dynamo's.
    """
    parents = len(path) - 1
    return any(
        _is_open(tree, path[:depth], may_be_shared=depth <= parents - _NEAREST)
        for depth in range(parents + 1)
    )


def _is_open(tree: Tree, parts: Path, *, may_be_shared: bool) -> bool:
    with tree.folder(parts) as number:
        known = os.fstat(number)
    if may_be_shared and known.st_mode & stat.S_ISVTX:
        return False
    # a folder's owner can change its mode at any time
    owned = not may_be_shared and known.st_uid not in {0, os.geteuid()}
    strangers = bool(known.st_mode & stat.S_IWGRP) and known.st_gid != os.getegid()
    return owned or strangers or bool(known.st_mode & stat.S_IWOTH)
