"""Checks the files on the disks without Dynamo."""

import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path

from dynamo.cli.demo.job_output import Made


def faults(folders: Iterable[Path], target: Path, made: Iterable[Made]) -> list[str]:
    """Return errors in the sites' folders: each file must be once, below `target`, and complete."""
    expected = {str(target) + output.lfn: output for output in made}
    present = {path for folder in folders for path in _everything(folder)}
    errors = [f"missing: {path}" for path in sorted(expected.keys() - present)]
    errors += [f"unexpected: {path}" for path in sorted(present - expected.keys())]
    return errors + [
        fault
        for path in sorted(expected.keys() & present)
        if (fault := _fault(path, expected[path].size, expected[path].adler32))
    ]


def untouched(made: Iterable[Made]) -> list[str]:
    """Return errors in the jobs' own files, which must be unchanged."""
    return [
        fault for output in made if (fault := _fault(str(output.path), output.size, output.adler32))
    ]


def _everything(folder: Path) -> set[str]:
    """Return all paths but folders: files, links, sockets."""
    return {
        os.path.join(parent, name)  # noqa: PTH118 - plain texts, as they are on the disk
        for parent, folders, files in os.walk(folder)
        for name in (
            *files,
            *(directory for directory in folders if Path(parent, directory).is_symlink()),
        )
    }


def _fault(path: str, size: int, adler32: int) -> str | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return f"missing: {path}"
    if not stat.S_ISREG(status.st_mode):
        return f"not a plain file: {path}"
    if status.st_size != size:
        return f"{status.st_size} bytes in place of {size}: {path}"
    value = 1
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.adler32(chunk, value)
    return None if value == adler32 else f"other content: {path}"
