"""Taking a file away from the job that wrote it, so that what is verified is what stays.

On a POSIX file system a name is not the file: a job may still hold it open, or have linked it
under another name. So the file moves to a folder that only Dynamo can enter, becomes Dynamo's, and
must then have one name and no writer (a read lease is granted only where nobody has it open for
writing). A file of another identity that cannot become Dynamo's is copied to a new one.

What remains: a process under Dynamo's own identity can always write, and on a network file system
the lease knows the writers of this machine only; there jobs need identities of their own, so that
what they can still open is not what Dynamo owns.
"""

import contextlib
import errno
import fcntl
import io
import os
import signal

from dynamo.storage.checksum import pour
from dynamo.storage.posix.tree import Path, Tree
from dynamo.storage.protocol import StorageError

DROP_BOX = 0o1733
"""Jobs of any identity create files in it; none lists it or touches another's."""

_SET_SIGNAL = getattr(fcntl, "F_SETSIG", 10)
_UNKNOWING = {errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems without leases answer."""


def drop_box(tree: Tree, parts: Path) -> None:
    """Make the folder into which a job writes."""
    with tree.folder(parts[:-1], create=True) as parent:
        with contextlib.suppress(FileExistsError):
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        with tree.folder(parts) as box:
            if os.fstat(box).st_uid == os.geteuid():
                os.fchmod(box, DROP_BOX)


def adopt(tree: Tree, upload: Path, own: Path) -> None:
    """Move an upload to a name of Dynamo's own and seal it; on refusal it lies where it lay.

    Where it has been moved already, by a worker that died then, it is sealed all the same.
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
    """Move an adopted file to where the job may mend it, unless it has written another one."""
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
    found = tree.look(upload)
    if found is None:
        raise StorageError("not-uploaded", f"nothing lies at {'/'.join(upload)}")
    if os.geteuid() in {0, found.st_uid}:
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
        raise StorageError("not-uploaded", "the upload has another name too; write it anew")


def _refuse_writers(number: int) -> None:
    # a broken lease sends SIGIO, which would end the process; SIGURG is ignored by default
    fcntl.fcntl(number, _SET_SIGNAL, signal.SIGURG)
    try:
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in _UNKNOWING:
            return
        raise StorageError("not-uploaded", "somebody still writes to the upload") from error
    fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
