"""What lies on the disks, seen without any help of Dynamo."""

import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path

from dynamo.cli.demo.job_output import Made


def faults(folders: Iterable[Path], target: Path, made: Iterable[Made]) -> list[str]:
    """Compare the sites' folders with what should be: each file once, below `target`, and whole."""
    expected = {str(target) + one.lfn: one for one in made}
    found = {path for folder in folders for path in _everything(folder)}
    wrong = [f"missing: {path}" for path in sorted(expected.keys() - found)]
    wrong += [f"nobody wants it: {path}" for path in sorted(found - expected.keys())]
    return wrong + [
        fault
        for path in sorted(expected.keys() & found)
        if (fault := _fault(path, expected[path].size, expected[path].adler32))
    ]


def untouched(made: Iterable[Made]) -> list[str]:
    """Look whether the jobs' own files are as the jobs left them."""
    return [fault for one in made if (fault := _fault(str(one.path), one.size, one.adler32))]


def _everything(folder: Path) -> set[str]:
    """Return all that is no folder: files, links, sockets, whatever."""
    return {
        os.path.join(where, name)  # noqa: PTH118 - plain texts, as they are on the disk
        for where, folders, files in os.walk(folder)
        for name in (*files, *(one for one in folders if Path(where, one).is_symlink()))
    }


def _fault(path: str, size: int, adler32: int) -> str | None:
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return f"missing: {path}"
    if not stat.S_ISREG(seen.st_mode):
        return f"no plain file: {path}"
    if seen.st_size != size:
        return f"{seen.st_size} bytes in place of {size}: {path}"
    value = 1
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.adler32(chunk, value)
    return None if value == adler32 else f"other content: {path}"
