"""Delivery to consumers: at least once with sequence numbers on this side, exactly once on theirs.

A consumer that keeps the number of the last event that it has taken, in the same transaction as what it did with it,
takes every event once: what it has seen already is left out here, and a gap is not passed over.
"""

from __future__ import annotations

from collections.abc import Iterable

from omniroute.errors import MisuseError
from omniroute.events import Event

__all__ = ["unseen"]


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
