"""iCalendar files (RFC 5545): events become entries of a calendar, their recurrences followed inside a horizon.

A file is hostile until it is read: its size, its events and its recurrence rules are bounded before a library follows
any of them. Zones are those of the IANA database by name; definitions of zones inside the file are not looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs

from omniroute.calendar.expand import HORIZON_MAX_MS, MARGIN_MS, Entry
from omniroute.calendar.recurrence import checked_rrule
from omniroute.calendar.rules import YEAR_MAX, YEAR_MIN
from omniroute.calendar.timetable import SPANS_MAX, Span
from omniroute.calendar.wall import checked_zone, instant_of
from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.extras import library
from omniroute.model import shown
from omniroute.toml_tables import read_bytes

__all__ = ["DATES_MAX", "EVENTS_MAX", "ICAL_BYTES_MAX", "LONGEST", "events_of_file", "events_of_text"]

ICAL_BYTES_MAX: Final = 4 * 2**20
EVENTS_MAX: Final = 10_000
"""Events of a file, changed recurrences included."""
DATES_MAX: Final = 2**18
"""Dates of all events of a file, from each one's first to the end of the horizon, as many as their rules can have."""
LONGEST: Final = timedelta(days=366)
"""Longest event."""

_ZONE_BEGINS = re.compile(r"\s*BEGIN\b.*:\s*VTIMEZONE\s*$", re.IGNORECASE)
_ZONE_ENDS = re.compile(r"\s*END\b.*:\s*VTIMEZONE\s*$", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class _Reader:
    """What is known about the file while it is read."""

    source: str
    subject: str
    kinds: Mapping[str, str]
    zone: ZoneInfo

    def error(self, message: str, event: str = "") -> PlanError:
        """Return an error that names the file and the event."""
        return PlanError(message, source=self.source, field=event or None)


def events_of_file(
    path: str | os.PathLike[str], *, subject: str, kinds: Mapping[str, str], zone: str, start_ms: int, end_ms: int
) -> list[Entry]:
    """Return the entries of a file of at most ICAL_BYTES_MAX bytes; see :func:`events_of_text`."""
    try:
        text = read_bytes(path, ICAL_BYTES_MAX).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"is not UTF-8 at byte {error.start}", source=os.fspath(path)) from error
    return events_of_text(
        text, subject=subject, kinds=kinds, zone=zone, start_ms=start_ms, end_ms=end_ms, source=os.fspath(path)
    )


def events_of_text(
    text: str,
    *,
    subject: str,
    kinds: Mapping[str, str],
    zone: str,
    start_ms: int,
    end_ms: int,
    source: str = "icalendar",
) -> list[Entry]:
    """Return the events of an iCalendar text that touch a horizon, as entries of one agent or queue, by start.

    ``kinds`` says which events count and as what: the first of its keys that is a category of the event, or that stands
    in its summary as a word, in capitals or not; ``"*"`` stands for any event. ``zone`` is that of times without one
    and of whole days. An event ends when the wall says so, be it written as an end or as a duration. Cancelled events
    are none. O(bytes + recurrences since the first event). Raises PlanError naming file and event, MissingExtraError.

    >>> text = '''BEGIN:VCALENDAR
    ... BEGIN:VEVENT
    ... UID:1
    ... SUMMARY:Late shift
    ... DTSTART;TZID=Europe/Berlin:20260327T220000
    ... DTEND;TZID=Europe/Berlin:20260328T060000
    ... RRULE:FREQ=DAILY
    ... END:VEVENT
    ... END:VCALENDAR'''
    >>> horizon = {"start_ms": 1_774_656_000_000, "end_ms": 1_774_828_800_000}
    >>> found = events_of_text(text, subject="ana", kinds={"shift": "shift"}, zone="Europe/Berlin", **horizon)
    >>> [(entry.span.end_ms - entry.span.start_ms) // 3_600_000 for entry in found[1:3]]
    [7, 8]
    """
    if not 0 <= start_ms < end_ms <= TIME_MAX - MARGIN_MS or end_ms - start_ms > HORIZON_MAX_MS:
        raise MisuseError(f"a horizon is not from {start_ms} to {end_ms}")
    reader = _Reader(
        source, subject, {key.casefold(): kind for key, kind in kinds.items()}, ZoneInfo(checked_zone(zone))
    )
    calendar = _parsed(text, reader)
    low, high = (_EPOCH + timedelta(milliseconds=at) for at in (max(0, start_ms - MARGIN_MS), end_ms + MARGIN_MS))
    events = calendar.walk("VEVENT")
    if len(events) > EVENTS_MAX:
        raise reader.error(f"at most {EVENTS_MAX} events, got {len(events)}")
    dates = 0
    for number, event in enumerate(events, 1):
        dates += _check_event(event, high.date(), _name(event, number), reader)
        if dates > DATES_MAX:
            raise reader.error(
                f"the dates of this and the events before it are more than {DATES_MAX}", _name(event, number)
            )
    found = []
    for event in _followed(calendar, low, high, reader):
        entry = _entry(event, reader)
        if entry is not None:
            found.append(entry)
        if len(found) > SPANS_MAX:
            raise reader.error(f"at most {SPANS_MAX} spans of one agent or queue", _name(event, 0))
    return sorted(found, key=lambda entry: (entry.span.start_ms, entry.span.end_ms, entry.span.kind))


def _parsed(text: str, reader: _Reader) -> Any:
    """Return the one calendar of a text, as the library reads it, without definitions of zones."""
    if len(text) > ICAL_BYTES_MAX:
        raise reader.error(f"at most {ICAL_BYTES_MAX} characters, got {len(text)}")
    lines, inside = [], False
    for line in re.sub(r"\r?\n[ \t]", "", text).split("\n"):
        line = line.strip("\r")
        inside = inside or bool(_ZONE_BEGINS.match(line))
        if not inside and not line.upper().startswith("X-WR-TIMEZONE"):
            lines.append(line)
        inside = inside and not _ZONE_ENDS.match(line)
    try:
        return library("icalendar", "calendars").Calendar.from_ical("\r\n".join(lines) + "\r\n")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError) as error:  # zones are files
        raise reader.error(f"not an iCalendar file: {str(error)[:200]}") from error


def _name(event: Any, number: int) -> str:
    """Return the name of an event for a person who looks for it: its number and what it says of itself."""
    said = shown(str(event.get("UID") or event.get("SUMMARY") or "without UID"))
    return f"event {number} ({said})" if number else f"event {said}"


def _check_event(event: Any, last: date, name: str, reader: _Reader) -> int:
    """Refuse what a library should not be asked to follow; how many dates it has at most."""
    if event.errors:
        key, message = event.errors[0]
        raise reader.error(f"{key}: {message}", name)
    start = getattr(event.get("DTSTART"), "dt", None)
    if not isinstance(start, date):
        raise reader.error("DTSTART is missing or there twice", name)
    dates = 0
    for key in ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE"):
        for moment in _moments(event.get(key), key, name, reader):
            dates += key in ("EXDATE", "RDATE")
            if not YEAR_MIN <= moment.year < YEAR_MAX:
                raise reader.error(f"{key}: a year is in {YEAR_MIN}..{YEAR_MAX - 1}, got {moment.year}", name)
    duration = getattr(event.get("DURATION"), "dt", timedelta(0))
    if not isinstance(duration, timedelta) or not timedelta(0) <= duration <= LONGEST:
        raise reader.error("DURATION: expected at most a year", name)
    rule = event.get("RRULE")
    if isinstance(rule, list):
        raise reader.error("RRULE is there twice", name)
    if "EXRULE" in event:
        raise reader.error("EXRULE is not known any more; name the days in EXDATE", name)
    if rule is not None:
        first = _date(start)
        try:
            text = checked_rrule(rule.to_ical().decode(), "RRULE", first=first, until=True)
        except PlanError as error:
            raise reader.error(f"RRULE: {error.message}", name) from error
        dates += _dates_of(text, first, last)
    return dates


def _dates_of(rrule: str, first: date, last: date) -> int:
    """Return how many dates a checked rule has until ``last`` at most."""
    parts = dict(part.split("=") for part in rrule.split(";"))
    if "UNTIL" in parts:
        last = min(last, datetime.strptime(parts["UNTIL"][:8], "%Y%m%d").date())
    period = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 28, "YEARLY": 365}[parts["FREQ"]]
    listed = any(key.startswith("BY") for key in parts)
    in_one = len(parts.get("BYDAY", "").split(",")) if period == 7 else period if listed else 1
    return (max(0, (last - first).days) // (period * int(parts.get("INTERVAL", 1))) + 1) * in_one


def _date(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _moments(value: Any, key: str, name: str, reader: _Reader) -> Iterator[date]:
    """Return the dates and times of a property, each with a zone that is known."""
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        zone = getattr(item, "params", {}).get("TZID")
        for one in getattr(item, "dts", [item]):
            moment = getattr(one, "dt", None)
            if isinstance(moment, tuple):
                raise reader.error(f"{key}: periods are not known", name)
            if not isinstance(moment, date):
                raise reader.error(f"{key}: expected a date or a date with time", name)
            if isinstance(moment, datetime) and moment.tzinfo is None and zone:
                raise reader.error(f"{key}: no time zone of the IANA database: {shown(str(zone))}", name)
            yield moment


def _followed(calendar: Any, low: datetime, high: datetime, reader: _Reader) -> Iterator[Any]:
    """Follow the recurrences of a checked calendar."""
    try:
        yield from library("recurring_ical_events", "calendars").of(calendar).between(low, high)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, OSError) as error:
        raise reader.error(f"an event cannot be followed: {str(error)[:200]}") from error


def _entry(event: Any, reader: _Reader) -> Entry | None:
    """Return one occurrence as an entry, if its kind is asked for and anything of it is left."""
    kind = _kind_of(event, reader.kinds)
    if kind is None or str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    start, end = (_instant(event[key].dt, reader.zone) for key in ("DTSTART", "DTEND"))
    if end - start > LONGEST // timedelta(milliseconds=1):
        raise reader.error("an event is at most a year long", _name(event, 0))
    return Entry(subject=reader.subject, span=Span(start, end, kind)) if start < end else None


def _kind_of(event: Any, kinds: Mapping[str, str]) -> str | None:
    """Return the kind of the first key that is a category or a word of the summary."""
    listed = event.get("CATEGORIES") or []
    rows = listed if isinstance(listed, list) else [listed]
    categories = {str(item).casefold().strip() for row in rows for item in getattr(row, "cats", [row])}
    summary = str(event.get("SUMMARY", "")).casefold()
    for key, kind in kinds.items():
        if key == "*" or key in categories or re.search(rf"(?<!\w){re.escape(key)}(?!\w)", summary):
            return kind
    return None


def _instant(moment: date, zone: ZoneInfo) -> int:
    """Return the instant of a date (its midnight), of a local time, or of one with its zone."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None or isinstance(moment.tzinfo, ZoneInfo):
        return instant_of(moment, moment.tzinfo if isinstance(moment.tzinfo, ZoneInfo) else zone)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
