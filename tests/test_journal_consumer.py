"""A consumer takes every event once: whatever is delivered twice, whatever raises, and whenever it is killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from play import PLAN, command, fixed_moves, instant

from omniroute import events
from omniroute.errors import MisuseError
from omniroute.events import Event
from omniroute.journal import Consumer, Journaled, MemoryStore

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}


def told(count: int) -> list[Event]:
    """So many events of a play, numbered from 1."""
    journaled = Journaled(MemoryStore(), PLAN)
    for kind, a, b, gap in fixed_moves(600):
        now = instant(journaled.router, gap)
        journaled.apply(now, command(journaled.router, kind, a, b, now=now))
    found = list(journaled.events(0))[:count]
    assert [event.seq for event in found] == list(range(1, count + 1))
    return found


@pytest.mark.parametrize("when", ["before", "after", "taken"])
def test_a_consumer_that_is_killed_takes_every_event_once(tmp_path: Path, when: str) -> None:
    """Killed before its effect, between effect and cursor, and between both and the acknowledgement: each event once.

    What was not acknowledged is delivered again, as after a crash of either side. Seen to fail: the effect was
    committed before the cursor (between both it was done twice); the cursor before the effect (it was never done).
    """
    everything, path, acknowledged, killed = told(80), tmp_path / "consumer.db", 0, 0
    while acknowledged < len(everything):
        ran = subprocess.run(
            [sys.executable, str(HERE / "consumer_child.py"), str(path), str(13 + 7 * killed % 25), when],
            input=events.encode(everything[max(0, acknowledged - 2) :]),
            capture_output=True,
            env=ENVIRONMENT,
            check=False,
        )
        assert ran.returncode in (-9, 0), ran.stderr
        killed += ran.returncode == -9
        acknowledged = max([acknowledged, *map(int, ran.stdout.split())])
    assert killed >= 3
    database = sqlite3.connect(path)
    done = database.execute("SELECT seq, kind FROM done ORDER BY rowid").fetchall()
    assert done == [(event.seq, type(event).__name__) for event in everything]
    assert Consumer(database).after == len(everything)
    database.close()


def test_what_raises_has_not_happened() -> None:
    """An effect that raises takes the whole delivery back; it comes again, and then all of it happens."""
    database, everything, calls = sqlite3.connect(":memory:"), told(20), []
    database.execute("CREATE TABLE done (seq INTEGER)")
    consumer = Consumer(database)

    def effect(event: Event) -> None:
        database.execute("INSERT INTO done VALUES (?)", (event.seq,))
        calls.append(event.seq)
        if calls.count(7) == 1 and event.seq == 7:
            raise ArithmeticError

    assert consumer.take(everything[:5], effect) == 5
    with pytest.raises(ArithmeticError):
        consumer.take(everything, effect)
    assert (consumer.after, database.execute("SELECT max(seq) FROM done").fetchone()) == (5, (5,))
    assert consumer.take(everything, effect) == 15
    assert [seq for (seq,) in database.execute("SELECT seq FROM done")] == list(range(1, 21))
    with pytest.raises(MisuseError, match="events 21 to 21 are missing"):
        consumer.take([events.Released(22, 0, "c", "ana")], effect)
    assert not database.in_transaction


def test_one_transaction_is_not_another() -> None:
    """A transaction of the consumer's own is not mixed in, and one that its effect ends is an error."""
    database, everything = sqlite3.connect(":memory:"), told(4)
    consumer = Consumer(database)
    database.execute("CREATE TABLE done (seq INTEGER)")
    database.execute("INSERT INTO done VALUES (0)")
    with pytest.raises(MisuseError, match="a transaction is open"):
        consumer.take(everything, print)
    database.commit()
    with pytest.raises(MisuseError, match="has ended the transaction"):
        consumer.take(everything, lambda _: database.commit())
    assert consumer.after == 0


def test_consumers_of_one_database_do_not_share_a_cursor() -> None:
    """Each name has its own place; the same name goes on where it was."""
    database, everything, first, second = sqlite3.connect(":memory:"), told(9), [], []
    assert Consumer(database, "screen").take(everything[:4], first.append) == 4
    assert Consumer(database, "bill").take(everything, second.append) == 9
    assert Consumer(database, "screen").take(everything, first.append) == 5
    assert first == second == everything
