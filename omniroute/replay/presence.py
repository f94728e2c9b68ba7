"""When agents were there, how long they need between services, and how much they handle at once.

A log that records presence is believed. Otherwise presence is only bounded: an agent was there from the first service
of the day to the last, except where he let somebody wait whom he could have served. The time in which somebody was
waiting for him while he handled nothing is his *exposure*; between two services, more of it than ``away_ms`` means
that he was away, less that he finished what he had to finish. What he needs between two services is measured where
somebody was waiting for him all the time from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import numpy as np

from omniroute.formats.records import PresenceChange, PresenceKind
from omniroute.insight.columns import NONE, Integers, InteractionColumns
from omniroute.replay.history import History

AWAY_MS: Final = 30_000
CLOCK_MS: Final = 2_000
"""Clocks in whole seconds, and services that start before the queue exit, may be off by this."""
DAY_MS: Final = 86_400_000
LONGEST_SPAN_MS: Final = DAY_MS
"""A span of presence without a service is not believed for longer; somebody forgot to sign out."""
UNITS_SHARE: Final = 0.95
UNITS_SERVICES: Final = 100
"""An agent with fewer services is taken to handle one at a time."""

Spans: TypeAlias = list[tuple[int, int]]
"""[start, end) in milliseconds, in order, apart from one another."""


@attrs.frozen(kw_only=True, slots=True, eq=False)
class Waiting:
    """How long somebody has been waiting up to any instant, as a broken line through (``at_ms``, ``passed_ms``)."""

    at_ms: Integers
    passed_ms: Integers

    @classmethod
    def of(cls, entered_ms: Integers, left_ms: Integers) -> Waiting:
        """Add up the time in which at least one of the waits [entered, left) was open. O(n log n)."""
        at = np.concatenate((entered_ms, left_ms))
        steps = np.repeat(np.array((1, -1), dtype=np.int64), len(entered_ms))
        order = np.lexsort((-steps, at))
        at = at[order]
        someone = np.cumsum(steps[order])[:-1] > 0
        passed = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.where(someone, np.diff(at), 0))))
        return cls(at_ms=at, passed_ms=passed[: len(at)])

    def between(self, from_ms: Integers, to_ms: Integers) -> Integers:
        """Return for how long somebody waited in each [from, to), shape (k,), milliseconds. O(k log n)."""
        if not len(self.at_ms):
            return np.zeros(len(from_ms), dtype=np.int64)
        ends = np.interp(to_ms, self.at_ms, self.passed_ms) - np.interp(from_ms, self.at_ms, self.passed_ms)
        return np.rint(ends).astype(np.int64)


@attrs.frozen(kw_only=True, slots=True)
class AgentDays:
    """One agent's presence as spans, and what was seen: services, days, breaks, times between services.

    ``between_ms`` are the gaps, at most ``away_ms``, in which somebody was waiting for the agent all the time.
    """

    windows: tuple[tuple[int, int], ...]
    units: int
    days: int
    breaks: int
    recorded: bool
    widened: int
    between_ms: tuple[int, ...]


def waits_by_queue(interactions: InteractionColumns) -> list[tuple[Integers, Integers]]:
    """Return (entered, left) of the waits of the offered, one pair of columns for each queue name. O(n * queues)."""
    waited = interactions.offered & interactions.queued & (interactions.left_queue_ms > interactions.queued_ms)
    parts = [waited & (interactions.queue == queue) for queue in range(len(interactions.queue_names))]
    return [(interactions.queued_ms[part], interactions.left_queue_ms[part]) for part in parts]


def agent_days(
    history: History, serves: Mapping[str, Sequence[str]], *, away_ms: int = AWAY_MS
) -> dict[str, AgentDays]:
    """Find for each agent in ``serves`` (agent: queues) when he was there. O(n log n) for each distinct set of queues.

    Agents without a service of any length, and without recorded presence, are left out.
    """
    interactions = history.columns
    waits = waits_by_queue(interactions)
    place = {name: number for number, name in enumerate(interactions.queue_names)}
    waiting: dict[tuple[str, ...], Waiting] = {}
    services = _services_by_agent(interactions)
    recorded = recorded_spans(history.presence, _last_ms(history))
    days: dict[str, AgentDays] = {}
    for agent, queues in serves.items():
        key = tuple(sorted(queues))
        if key not in waiting:
            parts = [waits[place[queue]] for queue in key if queue in place]
            waiting[key] = Waiting.of(*(_joined([part[side] for part in parts]) for side in (0, 1)))
        start_ms, end_ms = services.get(agent, (np.empty(0, np.int64), np.empty(0, np.int64)))
        found = _agent_days(start_ms, end_ms, waiting[key], recorded.get(agent), away_ms)
        if found.windows:
            days[agent] = found
    return days


def _joined(parts: list[Integers]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _last_ms(history: History) -> int:
    """Return the last instant that the log knows of."""
    columns = history.columns
    clocks = [columns.arrived_ms, columns.left_queue_ms, columns.ended_ms]
    last = max((int(clock.max(initial=0)) for clock in clocks), default=0)
    return max([last, *(change.at_ms for change in history.presence[-1:])])


def service_clocks(interactions: InteractionColumns) -> tuple[Integers, Integers]:
    """Return start and end of each service, shape (n,), NONE for what was not served. O(n).

    A start that is not logged is the exit from the queue, else arrival and wait. The end is the logged one, or the
    start and the handle time if that is later, for wrap-up that a log counts as handling; where neither is known the
    service has no length.
    """
    waited_ms = np.where(
        interactions.left_queue_ms != NONE, interactions.left_queue_ms, interactions.arrived_ms + interactions.wait_ms
    )
    start_ms = np.where(interactions.started_ms != NONE, interactions.started_ms, waited_ms)
    end_ms = np.maximum(interactions.ended_ms, start_ms + np.maximum(interactions.handle_ms, 0))
    served = interactions.served
    return np.where(served, start_ms, NONE), np.where(served, np.maximum(start_ms, end_ms), NONE)


def _services_by_agent(interactions: InteractionColumns) -> dict[str, tuple[Integers, Integers]]:
    """Return starts and ends of each named agent's services, by start."""
    start_ms, end_ms = service_clocks(interactions)
    rows = np.flatnonzero(interactions.served & (interactions.agent != NONE))
    rows = rows[np.lexsort((end_ms[rows], start_ms[rows], interactions.agent[rows]))]
    if not len(rows):
        return {}
    agents, begins = np.unique(interactions.agent[rows], return_index=True)
    return {
        interactions.agent_names[agent]: (start_ms[own], end_ms[own])
        for agent, own in zip(agents.tolist(), np.split(rows, begins[1:]), strict=True)
    }


def _agent_days(
    start_ms: Integers, end_ms: Integers, waiting: Waiting, recorded: Spans | None, away_ms: int
) -> AgentDays:
    reached = np.maximum.accumulate(end_ms) if len(end_ms) else end_ms
    gap = start_ms[1:] - reached[:-1]
    exposure = np.where(gap > 0, waiting.between(reached[:-1], np.maximum(start_ms[1:], reached[:-1])), 0)
    overnight = (start_ms[1:] // DAY_MS != start_ms[:-1] // DAY_MS) & (gap > 0)
    away = (exposure > away_ms) & ~overnight
    cuts = np.flatnonzero(overnight | away) + 1
    begins = np.concatenate((np.zeros(min(len(start_ms), 1), np.intp), cuts))
    ends = np.append(begins[1:], len(start_ms))[: len(begins)]
    served: Spans = [(int(start_ms[first]), int(reached[last - 1])) for first, last in zip(begins, ends, strict=True)]
    busy = [(start, end) for start, end in served if end > start]
    every = (gap >= 0) & (exposure >= gap - CLOCK_MS) & (gap <= away_ms) & ~overnight
    widened = 0
    if recorded is not None:
        spans = union(list(zip(start_ms.tolist(), end_ms.tolist(), strict=True)))
        widened = sum(1 for span in spans if not covered(span, recorded))
        windows = union([*recorded, *spans])
    else:
        windows = union(busy)
    return AgentDays(
        windows=tuple(windows),
        units=_units(start_ms, end_ms),
        days=len(np.unique(start_ms // DAY_MS)),
        breaks=int(np.count_nonzero(away)),
        recorded=recorded is not None,
        widened=widened,
        between_ms=tuple(gap[every].tolist()),
    )


def _units(start_ms: Integers, end_ms: Integers) -> int:
    """Return how many services at once an agent does not exceed at 95 % of his starts; 1 for few services."""
    if len(start_ms) < UNITS_SERVICES:
        return 1
    running = np.arange(1, len(start_ms) + 1) - np.searchsorted(np.sort(end_ms), start_ms + CLOCK_MS, side="right")
    return max(1, int(np.quantile(np.maximum(running, 1), UNITS_SHARE, method="inverted_cdf")))


def union(spans: Spans) -> Spans:
    """Join spans that overlap or touch; empty ones are dropped. O(n log n).

    >>> union([(5, 9), (0, 3), (2, 4), (7, 7)])
    [(0, 4), (5, 9)]
    """
    joined: Spans = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def covered(span: tuple[int, int], by: Spans) -> bool:
    """Whether one of the spans holds all of ``span``, clocks being off by CLOCK_MS. O(n)."""
    return any(start - CLOCK_MS <= span[0] and span[1] <= end + CLOCK_MS for start, end in by)


def recorded_spans(changes: Sequence[PresenceChange], last_ms: int) -> dict[str, Spans]:
    """Return when each agent who ever signed in or out, or paused, was there and ready. O(changes log changes).

    An agent is there while signed in (to any queue, or to all) and not paused. One first seen signing out, pausing or
    returning was there since the beginning of that day. A span still open at the end ends at ``last_ms``.
    """
    own: dict[str, list[PresenceChange]] = {}
    for change in changes:
        if change.kind is not PresenceKind.PENALTY:
            own.setdefault(change.agent, []).append(change)
    return {agent: _spans_of(said, last_ms) for agent, said in own.items()}


def _spans_of(changes: Sequence[PresenceChange], last_ms: int) -> Spans:
    first = changes[0]
    signed_in: set[str | None] = set()
    paused: set[str | None] = set()
    if first.kind is not PresenceKind.SIGNED_IN:
        signed_in.add(first.queue)
        if first.kind is PresenceKind.READY:
            paused.add(first.queue)
    since_ms = first.at_ms // DAY_MS * DAY_MS
    spans: Spans = []
    for change in changes:
        if _there(signed_in, paused):
            spans.append((since_ms, min(change.at_ms, since_ms + LONGEST_SPAN_MS)))
        since_ms = change.at_ms
        if change.kind is PresenceKind.SIGNED_IN:
            signed_in.add(change.queue)
            paused.discard(change.queue)
        elif change.kind is PresenceKind.SIGNED_OUT:
            _drop(signed_in, change.queue)
        elif change.kind is PresenceKind.NOT_READY:
            paused.add(change.queue)
        else:
            signed_in = signed_in or {change.queue}
            _drop(paused, change.queue)
    if _there(signed_in, paused):
        spans.append((since_ms, min(last_ms, since_ms + LONGEST_SPAN_MS)))
    return union(spans)


def _drop(named: set[str | None], queue: str | None) -> None:
    """Take one queue out; None takes out all."""
    if queue is None:
        named.clear()
    else:
        named.discard(queue)


def _there(signed_in: set[str | None], paused: set[str | None]) -> bool:
    return bool(signed_in) and None not in paused and not (None not in signed_in and signed_in <= paused)


def packed(spans: Spans) -> list[Spans]:
    """Spread spans over the fewest rows in which none overlap: each to the first row that is free. O(n * rows).

    >>> packed([(0, 5), (3, 8), (6, 9)])
    [[(0, 5), (6, 9)], [(3, 8)]]
    """
    rows: list[Spans] = []
    for span in sorted(spans):
        row = next((row for row in rows if row[-1][1] <= span[0]), None)
        if row is None:
            rows.append([span])
        else:
            row.append(span)
    return rows
