"""A host with a journal, to be killed: it says on stdout what it tries, what it was told, and what it recovered.

Run as a script. What an earlier run had tried without an answer is given on stdin, and tried again with the same key.
"""

from __future__ import annotations

import os
import sys
import zlib
from concurrent.futures import Future
from typing import Any

from play import PLAN, TEXTS, command, fixed_moves, instant

from omniroute import commands, events
from omniroute.journal import Journaled, SqliteStore


def say(*words: object) -> None:
    """One line to whoever listens, at once."""
    line = " ".join(map(str, words)).encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


def told(what: str, happened: list[Any]) -> None:
    """Say which events were released: each number with a hash."""
    say(what, *(f"{event.seq}:{zlib.crc32(events.encode([event]))}" for event in happened))


def main(path: str, durability: str, width: str, first: str) -> None:
    """Try again what is in doubt, then go on for ever, ``width`` commands on their way at a time."""
    journaled = Journaled(SqliteStore(path, durability=durability), PLAN, snapshot_every=150)  # type: ignore[arg-type]
    journaled.router.check()
    number = int(first)
    for line in sys.stdin:
        now, body = line.split()
        told(f"ack {number}", journaled.apply(int(now), commands.decode(bytes.fromhex(body)), f"key {number}"))
        number += 1
    say("state", number, journaled.router.now, journaled.router.digest())
    flying: list[tuple[int, Future[list[Any]]]] = []
    for kind, a, b, gap in fixed_moves(number + 3_000)[number:]:
        if number % 7 == 0:
            told("tick", journaled.advance(instant(journaled.router, gap // 2)))
        now = instant(journaled.router, gap)
        what = command(journaled.router, kind, a, b, TEXTS, now)
        say("try", number, now, commands.encode(what).hex())
        flying.append((number, journaled.submit(now, what, f"key {number}")))
        number += 1
        while len(flying) >= (1 if number % 97 == 0 else int(width)):
            done, future = flying.pop(0)
            told(f"ack {done}", future.result())
        if number % 97 == 0:  # nothing is in doubt
            journaled.compact()
    journaled.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
