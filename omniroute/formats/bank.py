"""The call-by-call files of a bank's call centre, 1999, from the Technion (Ilan Guedj, Avi Mandelbaum).

One row is one interaction: seventeen columns between tabs, dates YYMMDD, clocks h:mm:ss without a zone (read as if
UTC), durations in seconds; ``0:00:00`` means *did not happen*. The queue is the row's ``type``, the arrival is the exit
from the voice menu (``vru_exit``), the wait is ``q_time``, the handle time ``ser_time``, both as logged.

What the rows' oddities become, each counted in ``ReadSummary.notes``:

- a clock more than twelve hours before the one it must follow belongs to the next day; less is taken as it stands (menu
  times below zero, services that start a second or two before the queue exit);
- a wait without a queue entry (an entry at midnight is written ``0:00:00``) keeps the wait and has no ``queued_ms``;
- AGENT without a service clock is served with no ``handle_ms``; AGENT with ``NO_SERVER`` is served with no agent;
- HANG with a service time or a named server left all the same: neither is kept.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator
from typing import Final

from omniroute.formats.limits import MAX_DURATION_MS, MAX_NAME_CHARS, MAX_PRIORITY
from omniroute.formats.lines import NumberedLines
from omniroute.formats.records import (
    BrokenLine,
    LoggedInteraction,
    Outcome,
    ReadSummary,
    moment_in,
    name_in,
    whole_number,
)

COLUMNS: Final = 17
DAY_MS: Final = 86_400_000
_HALF_DAY_MS: Final = DAY_MS // 2
_HOURS: Final = {text: hour for hour in range(24) for text in (str(hour), f"{hour:02}")}
_SIXTIETHS: Final = {f"{number:02}": number for number in range(60)}
_DATE: Final = re.compile(r"[0-9]{6}")
_NO_SERVER: Final = "NO_SERVER"
_CLOCKS: Final = (
    (6, "vru_entry"),
    (7, "vru_exit"),
    (9, "q_start"),
    (10, "q_exit"),
    (13, "ser_start"),
    (14, "ser_exit"),
)
_VRU_ENTRY, _VRU_EXIT, _Q_START, _Q_EXIT, _SER_START, _SER_EXIT = range(6)


def read_bank(lines: NumberedLines, summary: ReadSummary) -> Iterator[LoggedInteraction]:
    """Yield one interaction per row, in file order; PHANTOM rows come as SET_ASIDE.

    O(1) memory. Raises LogError for the first broken line when the summary is strict.
    """
    for number, text in lines:
        fields = text.split("\t")
        if fields[0] == "vru+line":
            summary.put_aside("header")
            continue
        try:
            record = _row(fields, number, summary)
        except BrokenLine as error:
            summary.refuse(number, error.reason, field=error.field)
            continue
        if record.outcome is Outcome.SET_ASIDE:
            summary.put_aside("phantom")
        else:
            summary.kept += 1
        summary.interactions += 1
        yield record


def _row(fields: list[str], number: int, summary: ReadSummary) -> LoggedInteraction:
    """Read one row; notes are counted at the end, so that a broken row leaves none."""
    if len(fields) != COLUMNS:
        raise BrokenLine("not seventeen columns")
    line_name, call, customer, priority, kind, date = fields[:6]
    if not (line_name and call and kind) or len(line_name) + len(call) + len(kind) > MAX_NAME_CHARS:
        for text, column in ((line_name, "vru+line"), (call, "call_id"), (kind, "type")):
            name_in(text, column)
    clocks = _clocks(fields)
    day_ms = _day_ms(date)
    wait_ms = _span_ms(fields[11])
    if wait_ms < 0:
        raise BrokenLine("below zero", field="q_time")
    notes: list[str] = []
    arrived_ms = _arrival(day_ms, clocks, _span_ms(fields[8]), notes)
    queued_ms, left_ms = _wait(day_ms, clocks, arrived_ms, wait_ms, notes)
    outcome = _outcome(fields[12], queued=queued_ms is not None)
    after_ms = arrived_ms + wait_ms if left_ms is None else left_ms
    handle_ms = _span_ms(fields[15])
    started_ms = ended_ms = None
    server = fields[16].strip()
    agent = None if server in ("", _NO_SERVER) else name_in(server, "server")
    if outcome is Outcome.SERVED:
        started_ms, ended_ms = _service(day_ms, clocks, after_ms, handle_ms, notes)
        if agent is None:
            notes.append("served without an agent")
    elif outcome is not Outcome.SET_ASIDE:
        if handle_ms > 0:
            notes.append("left, with a service time")
        if agent is not None:
            notes.append("left, with a named server")
    priority_number = whole_number(priority, "priority", MAX_PRIORITY)
    moment_in(arrived_ms, "vru_exit")
    for note in notes:
        summary.note(note)
    return LoggedInteraction(
        id=f"{date}.{line_name}.{call}",
        queue=kind,
        channel="voice",
        priority=priority_number,
        customer=None if customer in ("0", "") else customer,
        arrived_ms=arrived_ms,
        queued_ms=queued_ms,
        left_queue_ms=left_ms,
        wait_ms=wait_ms,
        outcome=outcome,
        agent=agent if outcome is Outcome.SERVED else None,
        started_ms=started_ms,
        ended_ms=ended_ms,
        handle_ms=None if started_ms is None or handle_ms < 0 else handle_ms,
        line=number,
    )


def _arrival(day_ms: int, clocks: list[int], menu_ms: int, notes: list[str]) -> int:
    """Return the exit from the voice menu; where it is not logged, the entry plus the menu time."""
    entry, leaving = clocks[_VRU_ENTRY], clocks[_VRU_EXIT]
    if leaving == 0 and (entry + menu_ms) % DAY_MS != 0:
        notes.append("no menu exit")
        return day_ms + entry + max(menu_ms, 0)
    arrived_ms = _following(day_ms + entry, day_ms, leaving)
    if arrived_ms < day_ms + entry:
        notes.append("menu time below zero")
    return arrived_ms


def _wait(
    day_ms: int, clocks: list[int], arrived_ms: int, wait_ms: int, notes: list[str]
) -> tuple[int, int] | tuple[None, None]:
    """Return when it entered and left the queue, or twice None where no entry is logged."""
    entered, leaving = clocks[_Q_START], clocks[_Q_EXIT]
    if entered == 0:
        if wait_ms:
            notes.append("wait without a queue entry")
        return None, None
    queued_ms = _following(arrived_ms, day_ms, entered)
    left_ms = _following(queued_ms, day_ms, leaving)
    if left_ms // DAY_MS != queued_ms // DAY_MS:
        notes.append("queue crosses midnight")
    if left_ms - queued_ms != wait_ms:
        notes.append("wait differs from the clocks")
    return queued_ms, left_ms


def _service(
    day_ms: int, clocks: list[int], after_ms: int, handle_ms: int, notes: list[str]
) -> tuple[int, int] | tuple[None, None]:
    """Return when the service started and ended, or twice None where the clocks say that it did not happen."""
    if handle_ms <= 0:
        notes.append("served without a handle time")
    starting, ending = clocks[_SER_START], clocks[_SER_EXIT]
    if starting == 0 and ending == 0:
        notes.append("served without a service clock")
        return None, None
    started_ms = _following(after_ms, day_ms, starting)
    ended_ms = _following(started_ms, day_ms, ending)
    if ended_ms // DAY_MS != started_ms // DAY_MS:
        notes.append("service crosses midnight")
    if ended_ms - started_ms != handle_ms:
        notes.append("handle time differs from the clocks")
    return started_ms, ended_ms


def _outcome(text: str, *, queued: bool) -> Outcome:
    if text == "AGENT":
        return Outcome.SERVED
    if text == "HANG":
        return Outcome.ABANDONED if queued else Outcome.LEFT_BEFORE_QUEUE
    if text == "PHANTOM":
        return Outcome.SET_ASIDE
    raise BrokenLine("unknown outcome", field="outcome")


def _following(earlier_ms: int, day_ms: int, clock_ms: int) -> int:
    """Return the moment of a clock that must come after ``earlier_ms``, on the row's day or a later one."""
    moment_ms = day_ms + clock_ms
    days = -((moment_ms - earlier_ms + _HALF_DAY_MS) // DAY_MS)
    return moment_ms + max(days, 0) * DAY_MS


@functools.lru_cache(maxsize=4096)
def _day_ms(date: str) -> int:
    """Return the start of a day written YYMMDD; 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068, as in POSIX."""
    if not _DATE.fullmatch(date):
        raise BrokenLine("not YYMMDD", field="date")
    year = int(date[:2])
    try:
        day = datetime.date(year + (1900 if year >= 69 else 2000), int(date[2:4]), int(date[4:]))
    except ValueError:
        raise BrokenLine("no such day", field="date") from None
    return moment_in((day - datetime.date(1970, 1, 1)).days * DAY_MS, "date")


def _clocks(fields: list[str]) -> list[int]:
    """Return the six clocks of a row as milliseconds since midnight, in the order of the columns."""
    clocks = []
    for column, name in _CLOCKS:
        try:
            clocks.append(_clock_ms(fields[column]))
        except BrokenLine as error:
            raise BrokenLine(error.reason, field=name) from None
    return clocks


@functools.lru_cache(maxsize=1 << 17)
def _clock_ms(text: str) -> int:
    """Read h:mm:ss as milliseconds since midnight. Raises BrokenLine.

    All 86,400 clocks of a day fit into the cache; what is no clock raises, and so is not held there.
    """
    try:
        hour, minute, second = text.split(":")
        return ((_HOURS[hour] * 60 + _SIXTIETHS[minute]) * 60 + _SIXTIETHS[second]) * 1000
    except (KeyError, ValueError):
        raise BrokenLine("not a clock h:mm:ss") from None


@functools.lru_cache(maxsize=1 << 13)
def _span_ms(text: str) -> int:
    """Read whole seconds, perhaps below zero."""
    sign = -1 if text.startswith("-") else 1
    return sign * 1000 * whole_number(text.removeprefix("-"), "duration", MAX_DURATION_MS // 1000)
