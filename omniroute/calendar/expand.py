"""From rules to timetables: every rule becomes spans inside a horizon, and these are laid over one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias, TypeVar, cast
from zoneinfo import ZoneInfo

import attrs

from omniroute.calendar.recurrence import dates_of
from omniroute.calendar.rules import DAYS, Absence, Closure, Holidays, Hours, Shift, When
from omniroute.calendar.timetable import (
    ABSENCE,
    CLOSURE,
    OPEN,
    SHIFT,
    SPANS_MAX,
    Span,
    Timetable,
    Waiting,
    cut,
    normal,
    over,
)
from omniroute.calendar.wall import DAY_MS, instant_of, local_day
from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.extras import library
from omniroute.model import checked_name, instant_text, shown

__all__ = ["HORIZON_MAX_MS", "TOTAL_MAX", "Entry", "spans_of", "timetables_of"]

HORIZON_MAX_MS: Final = 3_660 * DAY_MS
"""Ten years."""
TOTAL_MAX: Final = 2**21
"""Spans of all rules of a calendar together, inside one horizon."""
DAYS_MAX: Final = 2**24
"""Days of all recurrence rules of a calendar, from the start of each to the end of the horizon; about 2 us each."""
MARGIN_MS: Final = 2 * DAY_MS
"""Rules are followed so far beyond the horizon: a shift that touches it is whole, and so is what drains before it."""

Subject: TypeAlias = tuple[Literal["agent", "queue"], str]
_T = TypeVar("_T")


def _subject(value: str) -> str:
    return checked_name(value, "subject")


@attrs.frozen(kw_only=True)
class Entry:
    """One span of one agent or queue from outside the rules, such as an event of an iCalendar file.

    ``kind`` is "shift", "absence", "open", "closed" or the reason of a break; the last but two are those of queues.
    """

    subject: str = attrs.field(converter=_subject)
    span: Span

    @property
    def role(self) -> Literal["agent", "queue"]:
        """Whose kind it is."""
        return "queue" if self.span.kind in (OPEN, CLOSURE) else "agent"


def days_off(holidays: Iterable[Holidays], first: date, last: date) -> dict[str, frozenset[date]]:
    """Return the dates of each holidays' name from ``first`` to ``last``. O(names x years).

    Raises PlanError for a country or subdivision that is not known, MissingExtraError.
    """
    found = {}
    for position, item in enumerate(holidays):
        days = set(item.dates)
        if item.country:
            countries = library("holidays", "calendars")
            years = range(first.year, last.year + 1)
            try:
                of_country = countries.country_holidays(item.country, subdiv=item.subdivision or None, years=years)
            except NotImplementedError as error:
                known = item.country in countries.list_supported_countries(include_aliases=True)
                key, code = ("subdivision", item.subdivision) if known else ("country", item.country)
                message = f"no {key} that the library 'holidays' knows: {shown(code)}"
                raise PlanError(message, field=f"holidays[{position}].{key}") from error
            days |= set(of_country)
        found[item.name] = frozenset(days - set(item.without))
    return found


def spans_of(rule: When, kind: str, start_ms: int, end_ms: int, off: Mapping[str, frozenset[date]]) -> list[Span]:
    """Return the spans of a rule that touch ``start_ms..end_ms``, in order. O(days, and those since a rule's start).

    A span of which nothing is left, because clocks skip it, is none.
    """
    zone = ZoneInfo(rule.zone)
    low = local_day(start_ms, zone) - timedelta(days=2)
    high = local_day(end_ms, zone) + timedelta(days=1)
    low = max(low, rule.start or low)
    high = min(high, rule.until or high)
    skipped = set(rule.without).union(*(off[name] for name in rule.holidays))
    later = timedelta(milliseconds=rule.to_ms if rule.to_ms > rule.from_ms else rule.to_ms + DAY_MS)
    found = []
    for day in _days_of(rule, low, high):
        if day in skipped:
            continue
        midnight = datetime(day.year, day.month, day.day)
        start = instant_of(midnight + timedelta(milliseconds=rule.from_ms), zone)
        end = instant_of(midnight + later, zone)
        if start < end and start < end_ms and end > start_ms:
            found.append(Span(start, end, kind))
    return found


def _days_of(rule: When, low: date, high: date) -> list[date]:
    """Return the dates on which a rule's spans begin, from ``low`` to ``high``."""
    if rule.rrule:
        assert rule.start is not None
        return dates_of(rule.rrule, rule.start, low, high) if low <= high else []
    wanted = {DAYS.index(day) for day in rule.days or DAYS}
    every = (low + timedelta(days=number) for number in range((high - low).days + 1))
    return [day for day in every if day.weekday() in wanted]


@attrs.define
class _Book:
    """The spans of every subject: what there is, what takes from it, what lies over it, and terms with their places."""

    base: dict[Subject, list[Span]] = attrs.Factory(dict)
    less: dict[Subject, list[Span]] = attrs.Factory(dict)
    pauses: dict[Subject, list[list[Span]]] = attrs.Factory(dict)
    terms: dict[tuple[Subject, str], tuple[object, str]] = attrs.Factory(dict)
    total: int = 0

    def add(self, subject: Subject, spans: Sequence[Span], kind: str, where: str) -> None:
        """Take the spans of one rule for one subject. Raises PlanError naming the rule that is too much."""
        if kind in (SHIFT, OPEN, ABSENCE, CLOSURE):
            rows = (self.base if kind in (SHIFT, OPEN) else self.less).setdefault(subject, [])
            rows.extend(spans)
        else:
            rows = list(spans)
            self.pauses.setdefault(subject, []).append(rows)
        self.total += len(spans)
        if len(rows) > SPANS_MAX or self.total > TOTAL_MAX:
            limit = f"{SPANS_MAX} spans for one agent or queue, {TOTAL_MAX} in all"
            raise PlanError(f"too many for this horizon; allowed are {limit}", field=where)

    def agree(self, subject: Subject, key: str, value: object, where: str) -> None:
        """Keep a term of a subject; what an earlier rule said otherwise is refused."""
        if value is None:
            return
        said, there = self.terms.setdefault((subject, key), (value, where))
        if said != value:
            raise PlanError(f"says otherwise about {subject[1]!r} than {there}", field=f"{where}.{key}")

    def term(self, subject: Subject, key: str, default: _T) -> _T:
        """Return what the rules of a subject say, or the default."""
        return cast("_T", self.terms.get((subject, key), (default, ""))[0])


def timetables_of(
    rules: Mapping[str, Sequence[When]],
    holidays: Sequence[Holidays],
    entries: Iterable[Entry],
    start_ms: int,
    end_ms: int,
) -> tuple[Timetable, ...]:
    """Return the timetables of all agents and queues named, agents first, each by name. O(spans log spans).

    Shifts less absences, breaks over them in the order of the rules (a later one is right), nothing outside a shift;
    hours less closures. Raises PlanError naming the rule, MisuseError for a horizon out of range.
    """
    if not 0 <= start_ms < end_ms <= TIME_MAX - MARGIN_MS or end_ms - start_ms > HORIZON_MAX_MS:
        limit = f"up to {TIME_MAX - MARGIN_MS}, at most {HORIZON_MAX_MS} long"
        raise MisuseError(f"a horizon is not from {start_ms} to {end_ms}: allowed is {limit}")
    low, high = max(0, start_ms - MARGIN_MS), end_ms + MARGIN_MS
    book = _Book()
    utc = ZoneInfo("UTC")
    edge = timedelta(days=4)
    _check_followed(rules, local_day(high, utc))
    off = days_off(holidays, local_day(low, utc) - edge, local_day(high, utc) + edge)
    for table, items in rules.items():
        for position, rule in enumerate(items):
            _write(book, rule, f"{table}[{position}]", low, high, off)
    events: dict[tuple[Subject, str], list[Span]] = {}
    for entry in entries:
        if entry.span.start_ms < high and entry.span.end_ms > low:
            events.setdefault(((entry.role, entry.subject), entry.span.kind), []).append(entry.span)
    for (subject, kind), spans in events.items():
        book.add(subject, spans, kind, f"events of {subject[1]}")
    subjects = sorted({*book.base, *book.less, *book.pauses})
    tables = tuple(_timetable(book, subject, start_ms, end_ms) for subject in subjects)
    _check_moves(tables)
    return tables


def _check_followed(rules: Mapping[str, Sequence[When]], last: date) -> None:
    """Refuse recurrences that would take long to follow, before any is. O(rules). Raises PlanError naming the rule."""
    days = 0
    for table, items in rules.items():
        for position, rule in enumerate(items):
            if rule.rrule and rule.start is not None:
                days += max(0, (min(last, rule.until or last) - rule.start).days)
            if days > DAYS_MAX:
                message = f"the days of this and the recurrences before it are more than {DAYS_MAX}: begin later"
                raise PlanError(message, field=f"{table}[{position}].rrule")


def _write(book: _Book, rule: When, where: str, low: int, high: int, off: Mapping[str, frozenset[date]]) -> None:
    """Follow one rule for everybody whom it names."""
    kinds = {Shift: SHIFT, Absence: ABSENCE, Hours: OPEN, Closure: CLOSURE}
    kind = kinds.get(type(rule)) or str(getattr(rule, "kind", ""))
    spans = spans_of(rule, kind, low, high, off)
    queues: tuple[str, ...] = getattr(rule, "queues", ())
    agents: tuple[str, ...] = getattr(rule, "agents", ())
    subjects: list[Subject] = [*(("queue", name) for name in queues), *(("agent", name) for name in agents)]
    for subject in subjects:
        book.add(subject, spans, kind, where)
        if isinstance(rule, Shift):
            book.agree(subject, "drain", rule.drain_ms, where)
        elif isinstance(rule, Hours):
            book.agree(subject, "last_call", rule.last_call_ms, where)
            book.agree(subject, "waiting", rule.waiting, where)
            book.agree(subject, "move_to", rule.move_to or None, where)


def _timetable(book: _Book, subject: Subject, start_ms: int, end_ms: int) -> Timetable:
    """Lay the spans of one subject over another."""
    role, name = subject
    if role == "queue" and subject not in book.base:
        raise PlanError(f"the queue {name!r} is closed at times, but no hours say when it is open", field="closures")
    spans = cut(normal(book.base.get(subject, [])), normal(book.less.get(subject, [])))
    for pause in book.pauses.get(subject, []):
        spans = over(spans, cut(normal(pause), spans, inside=True))
    waiting: Waiting = book.term(subject, "waiting", "keep")
    table = Timetable(
        subject=name,
        role=role,
        start_ms=start_ms,
        end_ms=end_ms,
        spans=spans,
        drain_ms=book.term(subject, "drain", 0),
        last_call_ms=book.term(subject, "last_call", 0),
        waiting=waiting,
        move_to=book.term(subject, "move_to", ""),
    )
    return table.near(start_ms, end_ms)


def _check_moves(tables: Sequence[Timetable]) -> None:
    """Refuse to move what waits into a queue that is closed at that instant: the router would refuse the closing."""
    queues = {table.subject: table for table in tables if table.role == "queue"}
    for table in queues.values():
        target = queues.get(table.move_to)
        for span in table.spans if target is not None else ():
            at = span.end_ms
            if target is not None and table.start_ms <= at < table.end_ms and not target.takes(at):
                message = f"what waits in {table.subject!r} moves to {table.move_to!r} at {instant_text(at)}"
                raise PlanError(f"{message}, which is closed then", field="hours")
