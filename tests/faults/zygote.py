"""Forks a pool for each line that it reads: importing costs a second, a fork a hundredth of it.

What is forked is a pool as any other: a process with threads, connections and signals of its own.
"""

import json
import os
import signal
import sys

from dynamo.running.process import die_with_parent
from workers.app import app


def pool(log: str, arguments: list[str]) -> None:
    """Be a pool, with its output in a log."""
    os.setsid()
    die_with_parent()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    app.worker_main(arguments)
    os._exit(0)


def main() -> None:
    """Start pools and tell how they ended."""
    answers = os.fdopen(int(sys.argv[1]), "w")
    app.loader.import_default_modules()
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            told = os.fork()
            if told == 0:
                pool(order["log"], order["start"])
        elif "kill" in order:
            os.kill(order["kill"], signal.SIGKILL)
            told = os.waitpid(order["kill"], 0)[1]
        else:
            told = os.waitpid(order["ended"], os.WNOHANG)[1]
        print(told, file=answers, flush=True)


if __name__ == "__main__":
    main()
