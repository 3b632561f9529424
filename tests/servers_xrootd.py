"""Real XRootD servers for tests: on the loopback, without privileges, gone at the end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dynamo.running.process import spawn, stop
from tests.servers import free_port, program, wait_until

PACKAGE = "xrootd-server xrootd-client"
_ACCOUNT = "xrootd"
_CONFIG = """\
all.export /
oss.localroot {root}
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrd.allow host 127.0.0.1
xrd.allow host localhost
xrootd.async off
"""
CHECKSUMS = "xrootd.chksum max 2 adler32"
THIRD_PARTY = "ofs.tpc ttl 60 60 xfr 9 pgm {xrdcp} --server"
USUAL = (CHECKSUMS, THIRD_PARTY)
"""What servers of the grid do for their callers."""


@dataclass
class XRootD:
    """A server of one folder; it can be frozen, thawed, ended and started again."""

    folder: Path
    port: int
    does: Sequence[str] = USUAL
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Return the URL of its root."""
        return f"root://127.0.0.1:{self.port}/"

    @property
    def root(self) -> Path:
        """Return the folder that it shows."""
        return self.folder / "root"

    @property
    def logins(self) -> int:
        """Return how many connections have been made to it so far."""
        said = (self.folder / "said").read_text(errors="replace")
        return sum("login" in line for line in said.splitlines())

    def start(self) -> None:
        """Start it, at the same address as before."""
        for name in ("root", "admin"):
            (self.folder / name).mkdir(exist_ok=True)
        xrdcp = program(("xrdcp",), PACKAGE)
        text = _CONFIG + "".join(f"{line}\n" for line in self.does)
        config = self.folder / "xrootd.cfg"
        config.write_text(text.format(root=self.root, folder=self.folder, xrdcp=xrdcp))
        self.give(self.folder)
        command = [program(("xrootd",), PACKAGE), "-c", str(config), "-p", str(self.port)]
        # it refuses to serve as root
        command += ["-R", _ACCOUNT] if os.geteuid() == 0 else []
        said = self.folder / "said"
        self.process = spawn(command, said, cwd=self.folder)
        wait_until(self._connect, said, self.process)

    def stop(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            stop(self.process, signal.SIGKILL, 5)
            self.process = None

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{self.process.pid}/stat")
        while state.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def plant(self, name: str, data: bytes) -> Path:
        """Put a file where the server shows it under this name."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.give(self.root)
        return path

    def seal(self, name: str) -> None:
        """Let it read a folder and change nothing in it."""
        path = self.root / name.lstrip("/")
        path.chmod(0o555)
        if os.geteuid() == 0:
            os.chown(path, 0, 0)

    def clear(self) -> None:
        """Remove everything that it shows."""
        for path in self.root.iterdir():
            path.chmod(0o755)
            shutil.rmtree(path)

    def files(self) -> dict[str, bytes]:
        """Return what really lies in the folder."""
        return {
            f"/{path.relative_to(self.root)}": path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def give(self, top: Path) -> None:
        """Make everything below a folder the server's own."""
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNT)
            for path in (top, *top.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)

    def _connect(self) -> None:
        socket.create_connection(("127.0.0.1", self.port), 1).close()


@contextmanager
def xrootd_servers(count: int, does: Sequence[str] = USUAL) -> Iterator[list[XRootD]]:
    """Run servers in folders that their unprivileged account can reach."""
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            # the folders that pytest makes are closed to other accounts
            folder = Path(tempfile.mkdtemp(prefix="dynamo-xrootd-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.chmod(0o755)
            server = XRootD(folder, free_port(), does)
            stack.callback(server.stop)
            server.start()
            servers.append(server)
        yield servers


class Wire:
    """Stands between clients and a server; it can lose every answer while all that is asked passes.

    `mute_after` names bytes: once they have passed to the server, nothing comes back. `when` lets
    something happen in the middle of a copy, which no watcher from outside can be sure to meet.
    """

    def __init__(self, server: XRootD) -> None:
        self.server = server
        self.asked = 0
        self.answered = 0
        self._trap: tuple[int, Callable[[], None]] | None = None
        self.mute_after: bytes | None = None
        self.mute = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"root://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def when(self, passed: int, act: Callable[[], None]) -> None:
        """Act once, as soon as so many more bytes have come from either side, before they go on."""
        self._trap = (self.asked + self.answered + passed, act)

    def heal(self) -> None:
        """Let all answers pass again."""
        self.mute, self.mute_after = False, None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.server.port))
                except OSError:  # the server is away
                    near.close()
                    continue
                for source, target, ask in ((near, far, True), (far, near, False)):
                    threading.Thread(
                        target=self._carry, args=(source, target, ask), daemon=True
                    ).start()

    def _spring(self) -> None:
        with self._lock:
            if self._trap is None or self.asked + self.answered < self._trap[0]:
                return
            act, self._trap = self._trap[1], None
        act()

    def _carry(self, source: socket.socket, target: socket.socket, ask: bool) -> None:
        with suppress(OSError):  # either side may have gone
            while data := source.recv(2**20):
                if ask:
                    self.asked += len(data)
                    self.mute |= self.mute_after is not None and self.mute_after in data
                else:
                    self.answered += len(data)
                self._spring()
                if ask or not self.mute:
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
