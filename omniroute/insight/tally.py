"""Counters, distributions and recent service levels, from events as they come: the same for everybody who shows them.

A tally is no part of a router's state. It counts from the moment when it is made, so after a restart it begins at
nothing, as counters of a process do. It may be fed by one thread and read by another.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from omniroute import events as e
from omniroute.checks import Duration, milliseconds
from omniroute.errors import MisuseError
from omniroute.router import Router

__all__ = ["ANSWER_MS", "HANDLE_MS", "WAIT_MS", "WITHIN_MS", "Histogram", "Recent", "Tally"]

WAIT_MS: Final = tuple(
    1_000 * s for s in (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1_800, 3_600, 14_400, 86_400)
)
"""Upper bounds of waits: seconds on the telephone, hours by mail."""
ANSWER_MS: Final = tuple(1_000 * s for s in (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60, 120, 300))
"""Upper bounds of the time to answer an offer."""
HANDLE_MS: Final = tuple(
    1_000 * s for s in (5, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1_200, 1_800, 3_600, 7_200)
)
"""Upper bounds of handling times."""
WITHIN_MS: Final = 20_000
"""What counts as in time in a queue whose plan has no target."""
CELL_MS: Final = 60_000
"""Recent service levels forget by the minute."""

Key: TypeAlias = tuple[str, ...]
"""The name of a figure and the values of its labels."""
Observed: TypeAlias = Callable[[str, tuple[str, ...], int], object]
"""Hears of every single duration: the name of a figure, the values of its labels, milliseconds."""


class Histogram:
    """Durations by upper bound, which belongs to its bucket; ``counts`` has one more, for what is longer than all.

    >>> waits = Histogram((1_000, 5_000))
    >>> for wait_ms in (1_000, 1_001, 9_000):
    ...     waits.add(wait_ms)
    >>> waits.counts, waits.sum_ms
    ([1, 1, 1], 11001)
    """

    __slots__ = ("bounds_ms", "counts", "sum_ms")

    def __init__(self, bounds_ms: tuple[int, ...]) -> None:
        self.bounds_ms = bounds_ms
        self.counts = [0] * (len(bounds_ms) + 1)
        self.sum_ms = 0

    def add(self, duration_ms: int) -> None:
        """Count a duration. O(log buckets)."""
        self.counts[bisect_left(self.bounds_ms, duration_ms)] += 1
        self.sum_ms += duration_ms

    def copy(self) -> Histogram:
        """Return the same, to be read while this one goes on. O(buckets)."""
        other = Histogram(self.bounds_ms)
        other.counts, other.sum_ms = self.counts.copy(), self.sum_ms
        return other


@attrs.frozen(kw_only=True)
class Recent:
    """Who left a queue lately: served, abandoned, both also within the target, and otherwise."""

    served: int = 0
    abandoned: int = 0
    otherwise: int = 0
    served_within: int = 0
    abandoned_within: int = 0

    @property
    def level(self) -> float | None:
        """``served_within_of_offered``: of all who left, who was served in time; None for nobody.

        >>> Recent(served=3, served_within=2, abandoned=1).level
        0.5
        """
        offered = self.served + self.abandoned + self.otherwise
        return self.served_within / offered if offered else None


_OUTCOMES: Final = {"served": 1, "abandoned": 2}
_OTHERWISE: Final = 3


class Tally:
    """What has happened since it was made, counted by queue.

    ``feed`` takes the events of every command and deadline of one router, in their order; one that comes twice counts
    once. ``follow`` tells it what lives in that router already. ``window`` is how far back service levels look; the
    other three are upper bounds of histograms. Memory O(queues * buckets + live interactions).

    >>> from omniroute import Agent, Plan, Queue
    >>> router, tally = Router(Plan(queues=[Queue("sales")], agents=[Agent("ana")])), Tally()
    >>> tally.feed(router.sign_in(0, "ana"))
    >>> told = router.enqueue(1_000, "call-1", "sales")
    >>> tally.feed(told)
    >>> tally.feed(router.accept(4_000, told[-1].offer))
    >>> tally.counters()["interactions.left", "sales", "served"], tally.recent(4_000)["sales"].level
    (1, 1.0)
    """

    def __init__(
        self,
        *,
        window: Duration = "30m",
        wait_ms: tuple[int, ...] = WAIT_MS,
        answer_ms: tuple[int, ...] = ANSWER_MS,
        handle_ms: tuple[int, ...] = HANDLE_MS,
    ) -> None:
        self.window_ms = milliseconds(window, "window")
        self._bounds = {"wait": wait_ms, "answer": answer_ms, "handle": handle_ms}
        for name, bounds in self._bounds.items():
            if list(bounds) != sorted(set(bounds)) or not bounds or bounds[0] < 0:
                raise MisuseError(f"{name}_ms is {bounds!r}, expected ascending milliseconds, at least one")
        self.observers: list[Observed] = []
        """Who hears of every single wait, answer and handling time, behind the events that were fed with it."""
        self._observed: list[tuple[str, tuple[str, ...], int]] = []
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._kinds: Counter[type] = Counter()
        self._histograms: dict[Key, Histogram] = {}
        self._cells: dict[str, deque[list[int]]] = {}
        self._within: dict[str, int] = {}
        self._ways: dict[tuple[str, int], str] = {}
        self._queue: dict[str, str] = {}
        self._accepting: set[str] = set()
        self._parked: set[str] = set()
        self._rung: dict[int, tuple[int, str]] = {}
        self._began: dict[str, int] = {}
        self._last = -1
        self._at = 0
        self._missed = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            e.Queued: self._queued,
            e.Offered: self._offered,
            e.Accepted: self._accepted,
            e.OfferDeclined: lambda event: self._offer_ended(event, "declined"),
            e.OfferExpired: lambda event: self._offer_ended(event, "expired"),
            e.OfferWithdrawn: lambda event: self._offer_ended(event, "withdrawn"),
            e.Connected: self._connected,
            e.SetupFailed: lambda event: self._accepting.discard(event.interaction),
            e.Parked: self._put_aside,
            e.Abandoned: lambda event: self._gone(event, "abandoned"),
            e.Cancelled: lambda event: self._gone(event, "cancelled"),
            e.StepTaken: self._stepped,
            e.Updated: lambda event: self._move(event.at, event.interaction, event.queue),
            e.Transferred: self._transferred,
            e.Requeued: self._requeued,
            e.Finished: self._finished,
            e.Released: self._released,
            e.Rejected: self._rejected,
            e.StrategyFailed: self._strategy_failed,
        }

    # What happens ----------------------------------------------------------------------------------------------------

    def follow(self, router: Router) -> None:
        """Know what lives in a router, and its plan: targets, and where steps lead. When it is new, after a gap.

        Counters go on. O(live interactions + queues).
        """
        found = router.live()
        within = {queue.name: queue.target.within_ms for queue in router.plan.queues if queue.target is not None}
        ways = {
            (queue.name, number): step.queue
            for queue in router.plan.queues
            for number, step in enumerate(queue.steps, 1)
            if step.queue is not None
        }
        with self._lock:
            self._within, self._ways = within, ways
            self._queue = {name: queue for name, (_, queue) in found.items()}
            self._accepting = {name for name, (state, _) in found.items() if state == "accepting"}
            self._parked = {name for name, (state, _) in found.items() if state == "parked"}
            self._rung = {offer: row for offer, row in self._rung.items() if row[1] in found}
            self._began = {name: at for name, at in self._began.items() if name in found}
            for queue in router.plan.queues:
                self._open(queue.name)

    def _open(self, queue: str) -> None:
        """Let a queue's counters begin at zero, so that whoever looks sees the first of each as an increase."""
        counts = self._counts
        counts["interactions.entered", queue, "queued"] += 0
        counts["offers", queue] += 0
        for outcome in ("served", "abandoned"):
            counts["interactions.left", queue, outcome] += 0
            counts["interactions.in_target", queue, outcome] += 0
        for outcome in ("accepted", "declined", "expired", "withdrawn"):
            counts["offers.ended", queue, outcome] += 0

    def feed(self, events: Iterable[e.Event]) -> None:
        """Count events. O(1) for each."""
        with self._lock:
            for event in events:
                seq = event.seq
                if seq != self._last + 1 and self._last >= 0:
                    if seq <= self._last:
                        continue
                    self._missed += seq - self._last - 1
                self._last, self._at = seq, event.at
                kind = type(event)
                self._kinds[kind] += 1
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(event)
            observed, self._observed = self._observed, []
        for one in observed:  # without the lock, because whoever hears may have one of his own
            for observer in self.observers:
                observer(*one)

    def _queued(self, event: e.Queued) -> None:
        name = event.interaction
        if name in self._parked:  # it was put aside, and never left its queue
            self._parked.discard(name)
        else:
            self._queue[name] = event.queue
            self._counts["interactions.entered", event.queue, "queued"] += 1

    def _put_aside(self, event: e.Parked) -> None:
        name, queue = event.interaction, event.queue
        self._parked.add(name)
        if name not in self._queue:  # it came for self-service, and was never queued before
            self._queue[name] = queue
            self._counts["interactions.entered", queue, "parked"] += 1

    def _requeued(self, event: e.Requeued) -> None:
        self._handled(event.at, event.interaction)
        self._queue[event.interaction] = event.queue
        self._counts["interactions.entered", event.queue, "requeued"] += 1

    def _transferred(self, event: e.Transferred) -> None:
        if event.agent is None:
            self._left(event.at, self._queue.get(event.interaction, ""), "transferred")
        else:
            self._handled(event.at, event.interaction)
        self._parked.discard(event.interaction)
        self._queue[event.interaction] = event.queue
        self._counts["interactions.entered", event.queue, "transferred"] += 1

    def _stepped(self, event: e.StepTaken) -> None:
        """A step may lead out of the queue; where to, the plan says, and the event does not."""
        to = self._ways.get((event.queue, event.step))
        if to is not None and self._queue.get(event.interaction) == event.queue:
            self._move(event.at, event.interaction, to)

    def _move(self, at: int, name: str, queue: str) -> None:
        before = self._queue.get(name)
        if before != queue:
            if before is not None:
                self._left(at, before, "moved")
            self._queue[name] = queue
            self._counts["interactions.entered", queue, "moved"] += 1

    def _offered(self, event: e.Offered) -> None:
        self._rung[event.offer] = event.at, event.interaction
        self._counts["offers", self._queue.get(event.interaction, "")] += 1

    def _offer_ended(self, event: e.OfferDeclined | e.OfferExpired | e.OfferWithdrawn, outcome: str) -> None:
        self._rung.pop(event.offer, None)
        self._counts["offers.ended", self._queue.get(event.interaction, ""), outcome] += 1

    def _taken(self, queue: str, offer: int, at: int) -> None:
        """An offer was accepted."""
        rung = self._rung.pop(offer, None)
        self._counts["offers.ended", queue, "accepted"] += 1
        if rung is not None:
            self._observe("answer", (queue,), at - rung[0])

    def _accepted(self, event: e.Accepted) -> None:
        self._taken(self._queue.get(event.interaction, ""), event.offer, event.at)
        self._accepting.add(event.interaction)

    def _connected(self, event: e.Connected) -> None:
        name, offer = event.interaction, event.offer
        self._began[name] = event.at
        self._parked.discard(name)
        queue = self._queue.get(name)
        if queue is None:
            if offer < 0:  # work that was not routed: it never waited
                return
            queue = ""
        if name in self._accepting:
            self._accepting.discard(name)
        elif offer >= 0:
            self._taken(queue, offer, event.at)
        self._left(event.at, queue, "served", event.wait_ms)

    def _gone(self, event: e.Abandoned | e.Cancelled, outcome: str) -> None:
        queue = self._queue.get(event.interaction, event.queue)
        self._forget(event.interaction)
        self._left(event.at, queue, outcome, event.wait_ms)

    def _left(self, at: int, queue: str, outcome: str, wait_ms: int = 0) -> None:
        self._counts["interactions.left", queue, outcome] += 1
        place = _OUTCOMES.get(outcome, _OTHERWISE)
        cell = self._cell(at, queue)
        cell[place] += 1
        if place == _OTHERWISE:
            return
        self._observe("wait", (queue, outcome), wait_ms)
        if wait_ms <= self._within.get(queue, WITHIN_MS):
            self._counts["interactions.in_target", queue, outcome] += 1
            cell[place + 3] += 1

    def _cell(self, at: int, queue: str) -> list[int]:
        """What is counted of this minute; minutes that nobody looks at any more are forgotten."""
        cells = self._cells.get(queue)
        if cells is None:
            cells = self._cells[queue] = deque()
        minute = at // CELL_MS
        if not cells or cells[-1][0] != minute:
            cells.append([minute, 0, 0, 0, 0, 0])
            while cells[0][0] < minute - self.window_ms // CELL_MS:
                cells.popleft()
        return cells[-1]

    def _finished(self, event: e.Finished) -> None:
        self._began[event.interaction] = event.at - event.handle_ms  # an interruption is no handling

    def _released(self, event: e.Released) -> None:
        self._handled(event.at, event.interaction)
        self._forget(event.interaction)

    def _handled(self, at: int, name: str) -> None:
        """An agent has it no longer; how long is not known of what was in hand before this tally was made."""
        began = self._began.pop(name, None)
        if began is not None:
            self._observe("handle", (self._queue.get(name, ""),), at - began)

    def _forget(self, name: str) -> None:
        self._queue.pop(name, None)
        self._accepting.discard(name)
        self._parked.discard(name)

    def _rejected(self, event: e.Rejected) -> None:
        self._counts["rejections", event.command, event.reason] += 1

    def _strategy_failed(self, event: e.StrategyFailed) -> None:
        self._counts["strategy.failures", event.queue] += 1

    def _observe(self, name: str, labels: tuple[str, ...], duration_ms: int) -> None:
        key = (name, *labels)
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = Histogram(self._bounds[name])
        found.add(duration_ms)
        if self.observers:
            self._observed.append((name, labels, duration_ms))

    # Reading ---------------------------------------------------------------------------------------------------------

    @property
    def bounds_ms(self) -> Mapping[str, tuple[int, ...]]:
        """The upper bounds of each histogram by the name of its figure."""
        return dict(self._bounds)

    def within_ms(self, queue: str) -> int:
        """What counts as in time in a queue. O(1)."""
        return self._within.get(queue, WITHIN_MS)

    def counters(self) -> dict[Key, int]:
        """Every counter that is not zero, by the name of its figure and the values of its labels. O(counters)."""
        with self._lock:
            found = dict(self._counts)
            found |= {("events", kind.__name__): count for kind, count in self._kinds.items()}
            found["events.missed",] = self._missed
        return found

    def histograms(self) -> dict[Key, Histogram]:
        """Every histogram, by the name of its figure and the values of its labels. O(histograms * buckets)."""
        with self._lock:
            return {key: histogram.copy() for key, histogram in self._histograms.items()}

    def recent(self, now: int | None = None) -> dict[str, Recent]:
        """Who left each queue in the window that ends at ``now``, or with the last event. O(queues * window).

        A minute counts until all of it is older than the window.
        """
        found = {}
        with self._lock:
            first = (max(self._at, now or 0) - self.window_ms) // CELL_MS
            for queue, cells in self._cells.items():
                sums = [sum(cell[place] for cell in cells if cell[0] >= first) for place in range(1, 6)]
                served, abandoned, otherwise, served_within, abandoned_within = sums
                found[queue] = Recent(
                    served=served,
                    abandoned=abandoned,
                    otherwise=otherwise,
                    served_within=served_within,
                    abandoned_within=abandoned_within,
                )
        return found

    def levels(self, now: int | None = None) -> dict[str, float | None]:
        """The service level of each queue in the window. O(queues * window)."""
        return {queue: found.level for queue, found in self.recent(now).items()}
