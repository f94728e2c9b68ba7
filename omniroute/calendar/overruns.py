"""Overruns: what agents were still doing when their shift had ended or a break had begun."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

import attrs

from omniroute.calendar.timetable import SHIFT, Timetable
from omniroute.errors import MisuseError
from omniroute.events import Connected, Event, Released, Requeued, TakenOver, Transferred

__all__ = ["Overruns", "overruns"]


@attrs.frozen(kw_only=True)
class Overruns:
    """An agent's stretch of time. All are integers.

    ``obligations``: shift ends and beginnings of breaks. ``overrun``: of these, with something still in hand that was
    begun before. ``overtime_ms``: until the last of it was over, in all. ``begun``: interactions that came into his
    hands. ``late``: of these, in hand at an obligation.

    >>> Overruns(obligations=20, overrun=3, overtime_ms=400_000, begun=150, late=3).late_share
    0.02
    """

    obligations: int
    overrun: int
    overtime_ms: int
    begun: int
    late: int

    @property
    def late_share(self) -> float | None:
        """Of what was begun, the share that ended late; what a guard keeps below its risk. None of nothing. O(1)."""
        return self.late / self.begun if self.begun else None


def overruns(
    events: Iterable[Event], tables: Iterable[Timetable], start_ms: int, end_ms: int, *, grace_ms: int = 0
) -> dict[str, Overruns]:
    """Return how each agent of the timetables kept to his obligations in ``start_ms <= at < end_ms``, by name.

    ``events`` are a router's, in its order, from a time when nobody had anything in hand; what is in hand at their end
    counts until ``end_ms``. What is over ``grace_ms`` after an obligation, or sooner, is in time. An interaction counts
    from connected, or taken over, until it is released, requeued, transferred or taken over; letters that wait on a
    desk while their agent is signed out count like all others. O(events log obligations). Raises MisuseError for a
    stretch beyond a horizon, or events not in order.
    """
    dues: dict[str, list[int]] = {}
    for table in tables:
        if table.role == "agent":
            if not table.start_ms <= start_ms <= end_ms <= table.end_ms:
                horizon = f"{table.start_ms}..{table.end_ms}"
                raise MisuseError(f"not from {start_ms} to {end_ms}: {table.subject!r} is known for {horizon}")
            ends = (span.end_ms for span in table.spans if span.kind == SHIFT)
            dues[table.subject] = [end for end in ends if start_ms <= end < end_ms]
    held = _held(events, end_ms)
    return {name: _of_agent(dues[name], held[name], (start_ms, end_ms), grace_ms) for name in sorted(dues)}


def _held(events: Iterable[Event], end_ms: int) -> dict[str, list[tuple[int, int]]]:
    """From when until when each agent had each interaction."""
    hands: dict[str, tuple[str, int]] = {}
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    last = 0
    for event in events:
        if event.at < last:
            raise MisuseError(f"events are not in order: {event.at} after {last}")
        last = event.at
        if isinstance(event, Released | Requeued | Transferred | TakenOver) and event.interaction in hands:
            agent, began = hands.pop(event.interaction)
            found[agent].append((began, event.at))
        if isinstance(event, Connected | TakenOver):
            hands[event.interaction] = event.agent, event.at
    for agent, began in hands.values():
        found[agent].append((began, max(began, end_ms)))
    return found


def _of_agent(dues: list[int], held: list[tuple[int, int]], stretch: tuple[int, int], grace_ms: int) -> Overruns:
    over: dict[int, int] = {}
    begun = late = 0
    for began, ended in held:
        if not stretch[0] <= began < stretch[1]:
            continue
        begun += 1
        first = bisect_left(dues, began + 1)
        behind = bisect_left(dues, ended - grace_ms)
        late += first < behind
        for due in dues[first:behind]:
            over[due] = max(over.get(due, 0), ended - due)
    return Overruns(obligations=len(dues), overrun=len(over), overtime_ms=sum(over.values()), begun=begun, late=late)
