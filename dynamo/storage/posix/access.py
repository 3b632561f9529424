"""Whether others than Dynamo can write to a part of a file system."""

import os
import stat

from dynamo.storage.posix.tree import Path, Tree

_NEAREST = 2
"""Folders above a file that are Dynamo's own: nobody else may even make new names in them."""


def open_to_others(tree: Tree, path: Path) -> bool:
    """Tell whether another identity could make, replace or remove what lies below these folders.

    Further up, others may make their own names, if they cannot move ours: the sticky bit says so.
    """
    parents = len(path) - 1
    return any(
        _is_open(tree, path[:depth], may_be_shared=depth <= parents - _NEAREST)
        for depth in range(parents + 1)
    )


def _is_open(tree: Tree, parts: Path, *, may_be_shared: bool) -> bool:
    with tree.folder(parts) as number:
        found = os.fstat(number)
    if may_be_shared and found.st_mode & stat.S_ISVTX:
        return False
    # its owner may do anything in a folder, whatever its modes are now
    owned = not may_be_shared and found.st_uid not in {0, os.geteuid()}
    strangers = bool(found.st_mode & stat.S_IWGRP) and found.st_gid != os.getegid()
    return owned or strangers or bool(found.st_mode & stat.S_IWOTH)
