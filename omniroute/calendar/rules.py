"""Rules: who works when, when a queue is open, and which days are holidays, as people say it: on the wall clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Final, TypeVar

import attrs

from omniroute.calendar.recurrence import checked_rrule
from omniroute.calendar.timetable import ABSENCE, CLOSURE, OPEN, SHIFT, Waiting
from omniroute.calendar.wall import DAY_MS, checked_zone, wall_ms
from omniroute.checks import Duration, milliseconds, unique
from omniroute.errors import PlanError
from omniroute.model import checked_name, shown

__all__ = ["DAYS", "LEAD_MAX_MS", "Absence", "Break", "Closure", "Holidays", "Hours", "Shift", "When", "named"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAD_MAX_MS: Final = DAY_MS
"""Longest ``drain`` and ``last_call``."""
NAMES_MAX: Final = 65_536
"""Agents or queues of one rule, dates of one list, rules of one kind."""
YEAR_MIN, YEAR_MAX = 1970, 2109

_T = TypeVar("_T")


def _list(value: object, field: str) -> list[object]:
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list, got {shown(value)}", field=field)
    found = list(value)
    if len(found) > NAMES_MAX:
        raise PlanError(f"at most {NAMES_MAX} items, got {len(found)}", field=field)
    return found


def named(value: object, field: str, *, empty: bool = False) -> tuple[str, ...]:
    """Return different names; one text is one name. O(names). Raises PlanError naming ``field``."""
    items = [value] if isinstance(value, str) else _list(value, field)
    names = tuple(checked_name(item, field) for item in items)
    if not names and not empty:
        raise PlanError("expected at least one name", field=field)
    if len(set(names)) != len(names):
        raise PlanError("a name is there twice", field=field)
    return names


def _day(value: object, field: str) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise PlanError(f"expected a date such as 2026-03-29, got {shown(value)}", field=field)
    if not YEAR_MIN <= value.year < YEAR_MAX:
        raise PlanError(f"a year is in {YEAR_MIN}..{YEAR_MAX - 1}, got {value}", field=field)
    return value


def _dates(value: object, field: str) -> tuple[date, ...]:
    return tuple(sorted({_day(item, field) for item in _list(value, field)}))


def _start(value: date | None) -> date | None:
    return None if value is None else _day(value, "start")


def _until(value: date | None) -> date | None:
    return None if value is None else _day(value, "until")


def _days(value: Iterable[str]) -> tuple[str, ...]:
    """Return the named days of the week in its order."""
    found = _list(value, "days")
    for day in found:
        if day not in DAYS:
            raise PlanError(f"expected {', '.join(DAYS)}, got {shown(day)}", field="days")
    return tuple(day for day in DAYS if day in found)


def _lead(value: Duration | None, field: str) -> int | None:
    if value is None:
        return None
    lead_ms = milliseconds(value, field)
    if lead_ms > LEAD_MAX_MS:
        raise PlanError("must be at most a day", field=field)
    return lead_ms


def _drain(value: Duration | None) -> int | None:
    return _lead(value, "drain")


def _last_call(value: Duration | None) -> int | None:
    return _lead(value, "last_call")


def _code(value: object, field: str) -> str:
    if not isinstance(value, str) or len(value) > 16 or not value.isascii():
        raise PlanError(f"expected a code such as 'DE' or 'BY', got {shown(value)}", field=field)
    return value


def _from(value: int | str | time) -> int:
    return wall_ms(value, "from")


def _to(value: int | str | time) -> int:
    return wall_ms(value, "to")


def _except(value: Iterable[date]) -> tuple[date, ...]:
    return _dates(value, "except")


def _holidays(value: str | Iterable[str]) -> tuple[str, ...]:
    return named(value, "holidays", empty=True)


def _agents(value: str | Iterable[str]) -> tuple[str, ...]:
    return named(value, "agents")


def _queues(value: str | Iterable[str]) -> tuple[str, ...]:
    return named(value, "queues")


def _holiday_name(value: str) -> str:
    return checked_name(value, "name")


def _country(value: str) -> str:
    return _code(value, "country")


def _subdivision(value: str) -> str:
    return _code(value, "subdivision")


def _extra(value: Iterable[date]) -> tuple[date, ...]:
    return _dates(value, "dates")


@attrs.frozen(kw_only=True)
class When:
    """On which days, and from when to when on the wall clock of a zone.

    ``to_ms`` at or before ``from_ms`` is on the next day. Days are those of the week in ``days``, or those of the
    recurrence rule ``rrule`` from ``start`` on, or all; not before ``start``, not after ``until`` (both included), not
    ``without`` dates and not on ``holidays`` (names). What passes midnight belongs to the day on which it begins.
    Times and dates are those of the wall. Raises PlanError naming the key.

    >>> When(zone="Europe/Berlin", from_ms="22:00", to_ms="06:00", days=["fri"]).to_ms
    21600000
    """

    zone: str = attrs.field(converter=checked_zone)
    from_ms: int = attrs.field(default=0, converter=_from)
    to_ms: int = attrs.field(default=DAY_MS, converter=_to)
    days: tuple[str, ...] = attrs.field(default=(), converter=_days)
    rrule: str = ""
    start: date | None = attrs.field(default=None, converter=_start)
    until: date | None = attrs.field(default=None, converter=_until)
    without: tuple[date, ...] = attrs.field(default=(), converter=_except)
    holidays: tuple[str, ...] = attrs.field(default=(), converter=_holidays)

    def __attrs_post_init__(self) -> None:
        if self.from_ms == DAY_MS:
            raise PlanError("a day begins at 00:00", field="from")
        if self.from_ms == self.to_ms:
            raise PlanError('is the same as "from"; a whole day is from "00:00" to "24:00"', field="to")
        if self.start is not None and self.until is not None and self.until < self.start:
            raise PlanError(f"is {self.until}, before start", field="until")
        if not self.rrule:
            return
        if self.days:
            raise PlanError("has no place beside days", field="rrule")
        if self.start is None:
            raise PlanError("needs a start, the date from which it counts", field="rrule")
        object.__setattr__(self, "rrule", checked_rrule(self.rrule, first=self.start))


@attrs.frozen(kw_only=True)
class Shift(When):
    """When agents work; ``drain_ms`` before its end, and before a break in it, they take nothing more."""

    agents: tuple[str, ...] = attrs.field(converter=_agents)
    drain_ms: int | None = attrs.field(default=None, converter=_drain)


def _kind(value: str) -> str:
    kind = checked_name(value, "kind")
    if kind in (SHIFT, OPEN, ABSENCE, CLOSURE):
        raise PlanError(f"{kind!r} is no kind of break", field="kind")
    return kind


@attrs.frozen(kw_only=True)
class Break(When):
    """When agents at work take nothing; ``kind`` is the reason that their presence gets: "break", "meeting"."""

    agents: tuple[str, ...] = attrs.field(converter=_agents)
    kind: str = attrs.field(default="break", converter=_kind)


@attrs.frozen(kw_only=True)
class Absence(When):
    """When agents do not work in spite of their shifts."""

    agents: tuple[str, ...] = attrs.field(converter=_agents)


@attrs.frozen(kw_only=True)
class Hours(When):
    """When queues are open. ``last_call_ms`` before closing nothing more enters.

    At closing what waits is kept ("keep"), cancelled ("cancel") or moved to the queue ``move_to`` ("move").
    """

    queues: tuple[str, ...] = attrs.field(converter=_queues)
    last_call_ms: int | None = attrs.field(default=None, converter=_last_call)
    waiting: Waiting | None = None
    move_to: str = ""

    def __attrs_post_init__(self) -> None:
        When.__attrs_post_init__(self)
        if self.waiting not in (None, "keep", "cancel", "move"):
            raise PlanError(f"expected keep, cancel or move, got {shown(self.waiting)}", field="waiting")
        if (self.waiting == "move") != bool(self.move_to):
            raise PlanError('goes with waiting = "move", and that with it', field="move_to")
        if self.move_to and checked_name(self.move_to, "move_to") in self.queues:
            raise PlanError("is the queue itself", field="move_to")


@attrs.frozen(kw_only=True)
class Closure(When):
    """When queues are closed in spite of their hours."""

    queues: tuple[str, ...] = attrs.field(converter=_queues)


@attrs.frozen(kw_only=True)
class Holidays:
    """Days off under a name: those of a country or a part of it, more dates, and some days that are not after all.

    ``country`` and ``subdivision`` are codes of ISO 3166, as the library ``holidays`` knows them; without a country
    only ``dates`` count. Raises PlanError naming the key.

    >>> Holidays(name="ours", dates=[date(2026, 12, 24)]).country
    ''
    """

    name: str = attrs.field(converter=_holiday_name)
    country: str = attrs.field(default="", converter=_country)
    subdivision: str = attrs.field(default="", converter=_subdivision)
    dates: tuple[date, ...] = attrs.field(default=(), converter=_extra)
    without: tuple[date, ...] = attrs.field(default=(), converter=_except)

    def __attrs_post_init__(self) -> None:
        if self.subdivision and not self.country:
            raise PlanError("is a part of no country", field="subdivision")
        if not self.country and not self.dates:
            raise PlanError("expected a country or dates", field="country")


def checked_rules(value: Iterable[_T], kind: type[_T], field: str) -> tuple[_T, ...]:
    """Return rules of one kind. O(rules). Raises PlanError naming ``field``."""
    found = []
    for position, item in enumerate(_list(value, field)):
        if not isinstance(item, kind):
            raise PlanError(f"expected {kind.__name__}, got {shown(item)}", field=f"{field}[{position}]")
        found.append(item)
    return tuple(found)


def check_holidays(holidays: tuple[Holidays, ...], rules: dict[str, tuple[When, ...]]) -> None:
    """Refuse two holidays of one name, and a rule that names none. O(rules). Raises PlanError."""
    unique([item.name for item in holidays], ".name", "holidays")
    known = {item.name for item in holidays}
    for table, items in rules.items():
        for position, rule in enumerate(items):
            for name in rule.holidays:
                if name not in known:
                    raise PlanError(f"no holidays are called {name!r}", field=f"{table}[{position}].holidays")
