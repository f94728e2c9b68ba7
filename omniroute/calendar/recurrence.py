"""Recurrence rules (RFC 5545): checked first, because a rule can be wrong, endless or never, then left to dateutil.

A rule says dates here, never times: rules by the hour are refused, because hours counted on the wall are wrong on both
days of a change, and dateutil counts on the wall. Dates by the day, week, month and year are right.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

from omniroute.errors import PlanError
from omniroute.extras import library
from omniroute.model import shown

__all__ = ["COUNT_MAX", "INTERVAL_MAX", "RULE_LENGTH_MAX", "checked_rrule", "dates_of"]

RULE_LENGTH_MAX: Final = 512
INTERVAL_MAX: Final = 1_000
COUNT_MAX: Final = 10_000

FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_NUMBERS = r"[+-]?[0-9]{1,3}(,[+-]?[0-9]{1,3})*"
_DAY = r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)"
_PARTS = {
    "FREQ": "|".join(FREQUENCIES),
    "INTERVAL": "[0-9]{1,4}",
    "COUNT": "[0-9]{1,5}",
    "UNTIL": "[0-9]{8}(T[0-9]{6}Z?)?",
    "BYDAY": f"{_DAY}(,{_DAY})*",
    "BYMONTHDAY": _NUMBERS,
    "BYYEARDAY": _NUMBERS,
    "BYWEEKNO": _NUMBERS,
    "BYMONTH": _NUMBERS,
    "BYSETPOS": _NUMBERS,
    "WKST": "MO|TU|WE|TH|FR|SA|SU",
}
_BY_THE_HOUR = {"BYHOUR", "BYMINUTE", "BYSECOND"}
_MOST = {"INTERVAL": INTERVAL_MAX, "COUNT": COUNT_MAX}
_CYCLES = 19 * 400
"""Years: the calendar repeats after 400, weekdays included, so a rule can be tried near the end of all dates."""


def checked_rrule(value: object, field: str = "rrule", *, first: date | None = None, until: bool = False) -> str:
    """Return a recurrence rule in capitals, its parts known and bounded; ``until`` allows UNTIL.

    With ``first`` a rule that never comes to pass after it is refused; without this a search would go on to the year
    9999. Raises PlanError naming ``field``, MissingExtraError with ``first``. O(years until the first date).

    >>> checked_rrule("freq=monthly;byday=-1FR")
    'FREQ=MONTHLY;BYDAY=-1FR'
    """
    if not isinstance(value, str) or len(value) > RULE_LENGTH_MAX:
        message = f"expected a recurrence rule of at most {RULE_LENGTH_MAX} characters, got {shown(value)}"
        raise PlanError(message, field=field)
    parts: dict[str, str] = {}
    for part in value.upper().rstrip(";").split(";"):
        key, _, content = part.partition("=")
        _check_part(key, content, field)
        if key in parts:
            raise PlanError(f"{key} is there twice", field=field)
        parts[key] = content
    if "FREQ" not in parts:
        raise PlanError(f"the part FREQ is missing in {shown(value)}", field=field)
    if "UNTIL" in parts and not until:
        raise PlanError("say the last day with the key 'until', not with UNTIL", field=field)
    text = ";".join(f"{key}={content}" for key, content in parts.items())
    if first is not None:
        parts.pop("UNTIL", None)
        _check_possible(";".join(f"{key}={content}" for key, content in parts.items()), first, field)
    return text


def _check_part(key: str, content: str, field: str) -> None:
    """Refuse a part that is unknown, malformed, by the hour or too large."""
    if key in _BY_THE_HOUR or (key == "FREQ" and content in ("HOURLY", "MINUTELY", "SECONDLY")):
        message = f"{key}={content} counts hours on the wall, which is wrong when clocks change"
        raise PlanError(f"{message}; a rule says days, from {' to '.join(FREQUENCIES[::3])}", field=field)
    if key not in _PARTS or not re.fullmatch(_PARTS[key], content):
        raise PlanError(f"unknown or malformed part {shown(f'{key}={content}')}", field=field)
    if key in _MOST and not 1 <= int(content) <= _MOST[key]:
        raise PlanError(f"{key} must be in 1..{_MOST[key]}, got {content}", field=field)


def _check_possible(text: str, first: date, field: str) -> None:
    """Refuse a rule that names no date in the 290 years after ``first``."""
    moved = datetime(first.year + _CYCLES, first.month, first.day)
    try:
        found = next(iter(library("dateutil.rrule", "schedules").rrulestr(text, dtstart=moved)), None)
    except (ValueError, OverflowError, IndexError) as error:
        raise PlanError(f"not a recurrence rule: {error}", field=field) from error
    if found is None:
        raise PlanError(f"{text} never comes to pass", field=field)


def dates_of(rrule: str, first: date, low: date, high: date) -> list[date]:
    """Return the dates of a checked rule that begins with ``first``, from ``low`` to ``high``, both included.

    O(days from first to high). Raises MissingExtraError.

    >>> dates_of("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", date(2026, 3, 2), date(2026, 3, 10), date(2026, 4, 1))
    [datetime.date(2026, 3, 16), datetime.date(2026, 3, 30)]
    """
    rule = library("dateutil.rrule", "schedules").rrulestr(rrule, dtstart=datetime(first.year, first.month, first.day))
    start = datetime(low.year, low.month, low.day)
    found = rule.between(start - timedelta(days=1), datetime(high.year, high.month, high.day), inc=True)
    return [moment.date() for moment in found if moment >= start]
