"""Adherence: what agents did, beside what was planned for them, in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import attrs

from omniroute.calendar.feed import DRAINING, OUT, READY, agent_states
from omniroute.calendar.timetable import CLOSED, SHIFT, Timetable
from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError
from omniroute.events import Event, PresenceChanged

__all__ = ["Adherence", "adherence"]


@attrs.frozen(kw_only=True)
class Adherence:
    """An agent's stretch of time. All are integers.

    ``scheduled_ms``: in shifts, pauses included. ``adherent_ms``: of these, where the presence was the one planned.
    ``overrun_ms``: ready or draining after the end of a shift, until signed out or until the next one begins.

    >>> Adherence(scheduled_ms=100, adherent_ms=90, overrun_ms=5).adherent_ms
    90
    """

    scheduled_ms: int
    adherent_ms: int
    overrun_ms: int


_FITS: Final[dict[tuple[bool, str], frozenset[str]]] = {
    (True, "ready"): frozenset({"ready"}),
    (True, "not_ready"): frozenset({"ready", "not_ready", "draining"}),
    (True, "draining"): frozenset({"ready", "draining", "signed_out"}),
    (False, "not_ready"): frozenset({"not_ready", "draining"}),
}
"""By shift or pause and the state planned: the presences that adhere.

Who drains is done when his hands are empty, and signed out then.
"""


def adherence(events: Iterable[Event], tables: Iterable[Timetable], start_ms: int, end_ms: int) -> dict[str, Adherence]:
    """Return what each agent of the timetables did in ``start_ms <= at < end_ms``, by name.

    ``events`` are a router's, in its order; of what happened before ``start_ms`` only the last presence counts, and
    before any event an agent is signed out. In the drain before a pause or the end of a shift both are right, what was
    before and what comes. A presence says nothing of work in hand: who is not ready may be at his last interaction.
    O(events + spans + agents). Raises MisuseError for a stretch beyond a horizon, or events not in order.
    """
    agents = {table.subject: table for table in tables if table.role == "agent"}
    changes: dict[str, list[tuple[int, str]]] = {name: [(start_ms, OUT[0])] for name in agents}
    last = 0
    for event in events:
        if event.at < last:
            raise MisuseError(f"events are not in order: {event.at} after {last}")
        last = event.at
        if isinstance(event, PresenceChanged) and event.agent in changes and event.at < end_ms:
            changes[event.agent].append((max(event.at, start_ms), event.presence))
    return {name: _of_agent(agents[name], changes[name], start_ms, end_ms) for name in sorted(agents)}


def _of_agent(table: Timetable, changes: list[tuple[int, str]], start_ms: int, end_ms: int) -> Adherence:
    """Walk through both lists at once, from one change to the next."""
    if not table.start_ms <= start_ms <= end_ms <= table.end_ms:
        horizon = f"{table.start_ms}..{table.end_ms}"
        raise MisuseError(f"not from {start_ms} to {end_ms}: {table.subject!r} is known for {horizon}")
    plans = [(-TIME_MAX, OUT), *((at, state) for at, state in agent_states(table) if at < end_ms)]
    edges = (at for span in table.spans for at in (span.start_ms, span.end_ms))
    moments = {*edges, *(at for at, _ in plans), *(at for at, _ in changes)}
    cuts = {start_ms, end_ms, *(at for at in moments if start_ms < at < end_ms)}
    over = False
    scheduled = adherent = overrun = 0
    i = j = 0
    for at, until in pairwise(sorted(cuts)):
        while i + 1 < len(plans) and plans[i + 1][0] <= at:
            i += 1
            over = plans[i][1] == OUT
        while j + 1 < len(changes) and changes[j + 1][0] <= at:
            j += 1
        kind, plan, presence = table.at(at), plans[i][1][0], changes[j][1]
        over = over and presence != OUT[0]
        if kind == CLOSED:
            overrun += until - at if over and presence in (READY[0], DRAINING[0]) else 0
            continue
        scheduled += until - at
        adherent += until - at if presence in _FITS[(kind == SHIFT, plan)] else 0
    return Adherence(scheduled_ms=scheduled, adherent_ms=adherent, overrun_ms=overrun)
