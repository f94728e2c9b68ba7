"""Killed at any moment, a host with a journal loses nothing that it was told, and does nothing twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from play import PLAN

from omniroute import Router, commands, events

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}


class Host:
    """What the world knows of a host that is killed and started again: what it tried, and what it was told."""

    def __init__(self, path: Path, durability: str, width: int) -> None:
        self.arguments = [str(path), durability, str(width)]
        self.tried: list[tuple[int, str]] = []
        self.answered = 0
        self.released: dict[int, int] = {}
        self.twin = Router(PLAN)
        self.twin_told: dict[int, int] = {}
        self.twin_at = 0

    def run(self, lines: int) -> None:
        """Start it, listen to so many lines, kill it, and look at everything that it has said."""
        doubtful = self.tried[self.answered :]
        child = subprocess.Popen(
            [sys.executable, str(HERE / "journal_child.py"), *self.arguments, str(self.answered)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write("".join(f"{now} {body}\n" for now, body in doubtful).encode())
        child.stdin.close()
        said = [line for _, line in zip(range(lines), child.stdout, strict=False)]
        child.kill()
        said += child.stdout.readlines()
        complaint = child.stderr.read().decode()
        child.stdout.close()
        child.stderr.close()
        assert child.wait() in (-9, 0), complaint
        for line in said:
            if line.endswith(b"\n"):
                self.hear(line.decode().split())

    def hear(self, words: list[str]) -> None:
        """Take in one line; nothing may contradict what was said before."""
        what, *rest = words
        if what == "try":
            assert int(rest[0]) == len(self.tried)
            self.tried.append((int(rest[1]), rest[2]))
        elif what == "ack":
            assert int(rest[0]) == self.answered
            self.answered += 1
            self.take(rest[1:])
        elif what == "tick":
            self.take(rest)
        else:
            self.compare(int(rest[0]), int(rest[1]), rest[2])

    def take(self, released: list[str]) -> None:
        """Events may come again, never otherwise than before."""
        for word in released:
            number, crc = map(int, word.split(":"))
            assert self.released.setdefault(number, crc) == crc

    def compare(self, number: int, now: int, digest: str) -> None:
        """After recovery, and after what was in doubt, the state is that of a run that nobody disturbed."""
        assert number == len(self.tried) == self.answered
        for at, body in self.tried[self.twin_at :]:
            for event in self.twin.apply(at, commands.decode(bytes.fromhex(body))):
                self.twin_told[event.seq] = zlib.crc32(events.encode([event]))
        self.twin_at = number
        undisturbed = self.twin.fork()
        for event in undisturbed.advance(now):
            assert self.released.get(event.seq) in (None, zlib.crc32(events.encode([event])))
        assert undisturbed.digest() == digest
        for event_number, crc in self.twin_told.items():
            assert self.released.get(event_number) in (None, crc)
        undisturbed.check()


@pytest.mark.parametrize(("durability", "width", "kills"), [("os", 1, 6), ("os", 48, 5), ("full", 16, 5)])
def test_a_kill_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, durability: str, width: int, kills: int
) -> None:
    """No command that was answered is lost, none is done twice, and the state is that of an undisturbed run.

    Killed by signal 9 at random moments: while it recovers, while it tries again what is in doubt, while it writes,
    with one command on its way or many, and across snapshots. ``--kills 340`` kills as often each way, a thousand
    times in all. Seen to fail: events were released before they were durable (an answered command was missing); keys
    were forgotten on recovery (a command was done twice).
    """
    kills = request.config.getoption("--kills") or kills
    dice = random.Random(kills * width)
    host = Host(tmp_path / "centre.journal", durability, width)
    for _ in range(kills):
        host.run(dice.choice((0, 1, 5, 60, 200, 700, 1_500)) + dice.randrange(60))
    host.run(len(host.tried) - host.answered + 40)
    assert host.twin_at > kills
