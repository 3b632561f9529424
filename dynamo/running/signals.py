"""Signals as events to wait for: a child's end wakes the process, a request to end is kept."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """The signals received."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self.ending = False
        """Whether a signal asked this process to end."""

    def wait(self, seconds: float) -> None:
        """Sleep until a signal arrives or the time is over."""
        ready, _, _ = select.select([self._receiver], [], [], seconds)
        if ready:
            self.ending |= any(number in ENDING for number in self._receiver.recv(4096))


@contextmanager
def listening() -> Iterator[Signals]:
    """Receive signals as events while the block lasts."""
    sender, receiver = socket.socketpair()
    sender.settimeout(0)
    numbers = [*ENDING, signal.SIGCHLD]
    if (
        signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    ):  # started with nohup: survives the terminal
        numbers.remove(signal.SIGHUP)
    before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
    previous = signal.set_wakeup_fd(sender.fileno())
    try:
        yield Signals(receiver)
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in before.items():
            signal.signal(number, handler)
        sender.close()
        receiver.close()
