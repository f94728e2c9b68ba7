"""Delivery to consumers: at least once with sequence numbers on this side, exactly once on theirs.

A consumer that keeps the number of the last event that it has taken, in the same transaction as what it did with it,
takes every event once: what it has seen already is left out here, and a gap is not passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from omniroute.errors import MisuseError
from omniroute.events import Event

__all__ = ["Consumer", "unseen"]


class Consumer:
    """Takes every event once, whatever is delivered twice and whoever is killed when.

    ``connection`` is to the consumer's own database, in which what it does with an event is written as well: both are
    committed together. Several consumers in one database have names of their own. One connection is used by one thread.

    >>> from omniroute.events import Released
    >>> database = sqlite3.connect(":memory:")
    >>> made = database.execute("CREATE TABLE work (agent TEXT)")
    >>> consumer = Consumer(database)
    >>> told = [Released(1, 500, "c1", "ana"), Released(2, 800, "c2", "ana")]
    >>> def effect(event):
    ...     database.execute("INSERT INTO work VALUES (?)", (event.agent,))
    >>> [consumer.take(delivery, effect) for delivery in (told[:1], told, told)]
    [1, 1, 0]
    >>> consumer.after, database.execute("SELECT count(*) FROM work").fetchone()
    (2, (2,))
    """

    def __init__(self, connection: sqlite3.Connection, name: str = "omniroute") -> None:
        self._db = connection
        self._name = name
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS omniroute_cursor (name TEXT PRIMARY KEY, after INTEGER)")
            connection.execute("INSERT OR IGNORE INTO omniroute_cursor VALUES (?, 0)", (name,))

    @property
    def after(self) -> int:
        """The number of the last event that was taken, 0 before the first: ``journaled.events(after)`` has the rest."""
        (after,) = self._db.execute("SELECT after FROM omniroute_cursor WHERE name = ?", (self._name,)).fetchone()
        return int(after)

    def take(self, events: Iterable[Event], effect: Callable[[Event], object]) -> int:
        """Call ``effect`` for each event that was not taken yet, in one transaction; how many these were. O(events).

        Where it raises, or the process ends, nothing of this call has happened, and it can be delivered again. Raises
        MisuseError where events between are missing, and where a transaction is open before, or closed by ``effect``.
        """
        db = self._db
        if db.in_transaction:
            raise MisuseError("a transaction is open: events are taken in one of their own")
        db.execute("BEGIN IMMEDIATE")
        try:
            found = unseen(events, self.after)
            for event in found:
                effect(event)
                if not db.in_transaction:
                    raise MisuseError("the effect has ended the transaction in which events are taken")
            if found:
                where = (found[-1].seq, self._name)
                db.execute("UPDATE omniroute_cursor SET after = ? WHERE name = ?", where)
            db.commit()
        except BaseException:
            db.rollback()
            raise
        return len(found)


def unseen(events: Iterable[Event], after: int) -> list[Event]:
    """The events that a consumer has not taken yet, who has taken those up to number ``after``. O(events).

    Raises MisuseError where some between are missing; :meth:`omniroute.journal.Journaled.events` has them.

    >>> from omniroute.events import Released
    >>> told = [Released(1, 500, "c1", "ana"), Released(2, 800, "c2", "ana")]
    >>> [event.seq for event in unseen(told, after=1)]
    [2]
    """
    found = []
    for event in events:
        if event.seq <= after:
            continue
        if event.seq != after + 1:
            raise MisuseError(f"events {after + 1} to {event.seq - 1} are missing: read them with events({after})")
        found.append(event)
        after = event.seq
    return found
