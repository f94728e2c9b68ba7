"""Timetables: what is planned for one agent or one queue, as sorted intervals of milliseconds since 1970.

Nothing here knows of days, zones or daylight saving. An interval is half-open: it holds its first instant and not its
last. Spans of a timetable are sorted, do not overlap, and those of one kind do not touch, so equal plans are equal.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import attrs

from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError
from omniroute.model import instant_text, shown

__all__ = [
    "ABSENCE",
    "CLOSED",
    "CLOSURE",
    "OPEN",
    "SHIFT",
    "SPANS_MAX",
    "Span",
    "Timetable",
    "Waiting",
    "cut",
    "normal",
    "over",
    "takers",
]

SPANS_MAX: Final = 2**16
"""Spans of a timetable."""

SHIFT: Final = "shift"
OPEN: Final = "open"
ABSENCE: Final = "absence"
CLOSURE: Final = "closed"
CLOSED: Final = ""
"""What :meth:`Timetable.at` says where nothing is planned."""

Waiting: TypeAlias = Literal["keep", "cancel", "move"]


@attrs.frozen
class Span:
    """From ``start_ms``, before ``end_ms``, and what for: "shift", "open", or the reason of a pause.

    Raises MisuseError for anything but two ascending instants and a text.
    """

    start_ms: int
    end_ms: int
    kind: str

    def __attrs_post_init__(self) -> None:
        ends = (self.start_ms, self.end_ms)
        if not all(type(end) is int for end in ends) or not isinstance(self.kind, str) or not self.kind:
            raise MisuseError(f"expected two integers and a kind, got {', '.join(map(shown, (*ends, self.kind)))}")
        if not -TIME_MAX <= self.start_ms < self.end_ms <= 2 * TIME_MAX:
            raise MisuseError(f"a span is not from {self.start_ms} to {self.end_ms}")


def normal(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans of one kind, or of several that do not overlap; of one kind those that touch become one. O(n log n).

    >>> normal([Span(5, 9, "shift"), Span(0, 5, "shift"), Span(9, 12, "break")])
    (Span(start_ms=0, end_ms=9, kind='shift'), Span(start_ms=9, end_ms=12, kind='break'))
    """
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start_ms, span.end_ms)):
        last = found[-1] if found else None
        if last is None or last.end_ms < span.start_ms or last.kind != span.kind:
            found.append(span)
        elif span.end_ms > last.end_ms:
            found[-1] = Span(last.start_ms, span.end_ms, span.kind)
    return tuple(found)


def cut(spans: Sequence[Span], by: Sequence[Span], *, inside: bool = False) -> tuple[Span, ...]:
    """Return the parts of ``spans`` outside ``by``, or ``inside``; both sorted and without overlaps. O(n + m).

    >>> cut([Span(0, 9, "shift")], [Span(3, 4, "break")])
    (Span(start_ms=0, end_ms=3, kind='shift'), Span(start_ms=4, end_ms=9, kind='shift'))
    """
    found: list[Span] = []
    first = 0
    for span in spans:
        while first < len(by) and by[first].end_ms <= span.start_ms:
            first += 1
        at, position = span.start_ms, first
        while position < len(by) and by[position].start_ms < span.end_ms:
            start, end = max(by[position].start_ms, at), min(by[position].end_ms, span.end_ms)
            low, high = (start, end) if inside else (at, start)
            if low < high:
                found.append(Span(low, high, span.kind))
            at = end
            position += 1
        if not inside and at < span.end_ms:
            found.append(Span(at, span.end_ms, span.kind))
    return normal(found)


def over(below: Sequence[Span], above: Sequence[Span]) -> tuple[Span, ...]:
    """Return both; where both cover an instant, ``above`` says what it is for. O((n + m) log (n + m))."""
    return normal([*cut(below, above), *above])


def _checked(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Bring spans into their one form; overlaps of different kinds are refused."""
    found = normal(spans)
    for before, after in pairwise(found):
        if after.start_ms < before.end_ms:
            first, then = instant_text(before.end_ms), instant_text(after.start_ms)
            raise MisuseError(f"spans overlap: {before.kind} until {first}, {after.kind} from {then}")
    if len(found) > SPANS_MAX:
        raise MisuseError(f"at most {SPANS_MAX} spans, got {len(found)}")
    return found


@attrs.frozen(kw_only=True)
class Timetable:
    """What is planned for ``subject``, an agent or a queue, and known from ``start_ms`` until before ``end_ms``.

    An agent's spans are "shift" where he works and otherwise the reason of a pause; a queue's are "open". Spans may
    reach beyond the horizon. ``drain_ms`` before a pause or the end of a shift an agent takes nothing more.
    ``last_call_ms`` before closing nothing more enters a queue; at closing what waits is kept, cancelled or moved to
    ``move_to``. Cost of the checks: O(n log n). Raises MisuseError.

    >>> day = Timetable(subject="ana", start_ms=0, end_ms=100, spans=[Span(10, 60, "shift")])
    >>> day.at(10), day.at(60), day.next_edge(10), day.next_edge(60)
    ('shift', '', 60, None)
    """

    subject: str
    role: Literal["agent", "queue"] = "agent"
    start_ms: int
    end_ms: int
    spans: tuple[Span, ...] = attrs.field(converter=_checked)
    drain_ms: int = 0
    last_call_ms: int = 0
    waiting: Waiting = "keep"
    move_to: str = ""

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.start_ms <= self.end_ms <= TIME_MAX:
            raise MisuseError(f"a horizon is not from {self.start_ms} to {self.end_ms}")

    def covers(self, now: int) -> None:
        """Refuse an instant of which nothing is known. O(1). Raises MisuseError: an unknown day is not a free day."""
        if not self.start_ms <= now < self.end_ms:
            horizon = f"{instant_text(self.start_ms)} until before {instant_text(self.end_ms)}"
            raise MisuseError(f"the timetable of {self.subject!r} is known from {horizon}, asked for {now}")

    def at(self, now: int) -> str:
        """Return the kind of the span at an instant, :data:`CLOSED` where there is none. O(log n).

        Raises MisuseError outside the horizon.
        """
        span = self._span(now)
        return CLOSED if span is None else span.kind

    def takes(self, now: int) -> bool:
        """Whether an agent is to take, or a queue to let in, anything at an instant: working, open, no end near.

        O(log n). Raises MisuseError outside the horizon.
        """
        span = self._span(now)
        if span is None or span.kind not in (SHIFT, OPEN):
            return False
        return now < span.end_ms - (self.drain_ms if span.kind == SHIFT else self.last_call_ms)

    def near(self, start_ms: int, end_ms: int) -> Timetable:
        """Return the timetable with only the spans that say what to do in a stretch of time. O(log n + spans there).

        These are the spans that touch it, and those that begin so soon after it that a drain or last call reaches in.
        """
        first = bisect_left(self.spans, start_ms, key=lambda span: span.end_ms)
        behind = bisect_left(self.spans, end_ms + max(self.drain_ms, self.last_call_ms), key=lambda span: span.start_ms)
        return attrs.evolve(self, spans=self.spans[first:behind])

    def _span(self, now: int) -> Span | None:
        """Return the span at an instant."""
        self.covers(now)
        position = bisect_right(self.spans, now, key=lambda span: span.start_ms) - 1
        return None if position < 0 or self.spans[position].end_ms <= now else self.spans[position]

    def next_edge(self, now: int) -> int | None:
        """Return the first later instant of the horizon at which :meth:`at` says something else. O(log n).

        Raises MisuseError outside the horizon.
        """
        self.covers(now)
        position = bisect_right(self.spans, now, key=lambda span: span.end_ms)
        if position == len(self.spans):
            return None
        span = self.spans[position]
        edge = span.end_ms if span.start_ms <= now else span.start_ms
        return edge if edge < self.end_ms else None

    def union(self, other: Timetable) -> Timetable:
        """Return this timetable with another one over it: where both plan something, the other is right.

        O((n + m) log (n + m)). Raises MisuseError for another horizon.
        """
        return attrs.evolve(self, spans=over(self.spans, self._alike(other).spans))

    def minus(self, other: Timetable) -> Timetable:
        """Return what is planned here and not there. O(n + m). Raises MisuseError for another horizon."""
        return attrs.evolve(self, spans=cut(self.spans, self._alike(other).spans))

    def _alike(self, other: Timetable) -> Timetable:
        if (other.start_ms, other.end_ms) != (self.start_ms, self.end_ms):
            raise MisuseError("timetables of different horizons cannot be combined")
        return other


def takers(tables: Iterable[Timetable], now: int) -> tuple[str, ...]:
    """Return the agents who are to take interactions at an instant, by name: what prices and reserves look ahead to.

    O(agents log spans). Raises MisuseError outside a horizon.

    >>> day = Timetable(subject="ana", start_ms=0, end_ms=100, spans=[Span(10, 60, "shift")], drain_ms=5)
    >>> takers([day], 54), takers([day], 55)
    (('ana',), ())
    """
    return tuple(sorted(table.subject for table in tables if table.role == "agent" and table.takes(now)))
