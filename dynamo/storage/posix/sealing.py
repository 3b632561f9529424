"""Takes a file from the job that wrote it, so that the verified bytes are final.

On a POSIX file system a name is not the file: a job may still hold it open, or have linked it
under another name. So the file moves to a folder that only Dynamo can enter, and changes its owner
to Dynamo. It must then have one name and no writer (the system grants a read lease only if no
process has it open for writing). A file whose owner cannot be changed is copied to a new file.

Two gaps remain. A process under Dynamo's own identity can always write. On a network file system
the lease sees the writers of this machine only; there jobs need identities of their own, so that
they cannot open the files that Dynamo owns.
"""

import contextlib
import errno
import fcntl
import io
import os
import signal

from dynamo.reasons import Reason
from dynamo.storage.checksum import pour
from dynamo.storage.posix.tree import Path, Tree
from dynamo.storage.protocol import StorageError

DROP_BOX = 0o1733
"""Mode: jobs of any identity create files, but cannot list them or touch others' files."""

_SET_SIGNAL = getattr(fcntl, "F_SETSIG", 10)
_UNKNOWING = {errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of file systems without leases."""


def drop_box(tree: Tree, parts: Path) -> None:
    """Make the folder into which a job writes."""
    with tree.folder(parts[:-1], create=True) as parent:
        with contextlib.suppress(FileExistsError):
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        with tree.folder(parts) as box:
            if os.fstat(box).st_uid == os.geteuid():
                os.fchmod(box, DROP_BOX)


def adopt(tree: Tree, upload: Path, own: Path) -> None:
    """Move an upload to a name of Dynamo's own and seal it; on refusal move it back.

    An upload that a dead worker has already moved is sealed all the same.
    """
    if tree.look(own) is None:
        _take(tree, upload, own)
    number = tree.open_file(own)
    try:
        _seal(number)
    except (OSError, StorageError):
        give_back(tree, own, upload)
        raise
    finally:
        os.close(number)


def give_back(tree: Tree, own: Path, upload: Path) -> None:
    """Move an adopted file back to its job, unless the job has written another file."""
    if tree.look(upload) is not None:
        tree.remove(own)
        return
    tree.move(own, upload)
    number = tree.open_file(upload)
    try:
        os.fchmod(number, 0o666)
    finally:
        os.close(number)


def _take(tree: Tree, upload: Path, own: Path) -> None:
    known = tree.look(upload)
    if known is None:
        raise StorageError(Reason.NOT_UPLOADED, f"nothing lies at {'/'.join(upload)}")
    if os.geteuid() in {0, known.st_uid}:
        tree.move(upload, own)
        return
    number = tree.open_file(upload)
    with io.FileIO(number) as source, io.FileIO(tree.create(own), "w") as target:
        pour(source, target, lambda: None, None)
    tree.remove(upload)


def _seal(number: int) -> None:
    os.fchown(number, os.geteuid(), -1)
    os.fchmod(number, 0o644)
    _refuse_writers(number)
    if os.fstat(number).st_nlink != 1:
        raise StorageError(Reason.NOT_UPLOADED, "the upload has another name too; write it anew")


def _refuse_writers(number: int) -> None:
    # a broken lease sends SIGIO, which would end the process; SIGURG is ignored by default
    fcntl.fcntl(number, _SET_SIGNAL, signal.SIGURG)
    try:
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in _UNKNOWING:
            return
        raise StorageError(Reason.NOT_UPLOADED, "somebody still writes to the upload") from error
    fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
