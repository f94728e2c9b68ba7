"""A consumer to be killed: it takes what is on stdin, says up to where it has, and dies at the effect that it is told.

Run as a script: the file of its database, at which effect to die, and whether ``before`` it is written, ``after`` it,
or once everything was ``taken`` and before anybody was told.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys

from omniroute import events
from omniroute.journal import Consumer


def main(path: str, fatal: str, when: str) -> None:
    """Take what is delivered, ten events at a time, each delivery with some that came before."""
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE IF NOT EXISTS done (seq INTEGER, kind TEXT)")
    consumer = Consumer(database)
    delivered = events.decode(sys.stdin.buffer.read())
    left = int(fatal)

    def die(now: str) -> None:
        if left <= 0 and when == now:
            os.kill(os.getpid(), signal.SIGKILL)

    def effect(event: events.Event) -> None:
        nonlocal left
        left -= 1
        die("before")
        database.execute("INSERT INTO done VALUES (?, ?)", (event.seq, type(event).__name__))
        die("after")

    for begin in range(0, len(delivered), 10):
        consumer.take(delivered[max(0, begin - 3) : begin + 10], effect)
        die("taken")
        print(delivered[min(len(delivered), begin + 10) - 1].seq, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
