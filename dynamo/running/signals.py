"""Signals as something to wait for: a child that ended wakes us, a wish to end is remembered."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """What has been heard."""

    def __init__(self, ears: socket.socket) -> None:
        self._ears = ears
        self.ending = False
        """Whether somebody has asked us to end."""

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes or the time is over."""
        ready, _, _ = select.select([self._ears], [], [], seconds)
        if ready:
            self.ending |= any(number in ENDING for number in self._ears.recv(4096))


@contextmanager
def listening() -> Iterator[Signals]:
    """Turn signals into something to wait for, for as long as the block lasts."""
    mouth, ears = socket.socketpair()
    mouth.settimeout(0)
    numbers = [*ENDING, signal.SIGCHLD]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # started with nohup: the terminal may go
        numbers.remove(signal.SIGHUP)
    before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
    previous = signal.set_wakeup_fd(mouth.fileno())
    try:
        yield Signals(ears)
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in before.items():
            signal.signal(number, handler)
        mouth.close()
        ears.close()
