"""The wall clock: which instant a local date and time is, in the zones of the IANA database.

A local time that the clock skips is read with the offset before the change, which moves it forward by what is skipped:
02:30 becomes 03:30. Of a local time that comes twice the first one is meant. Both as RFC 5545, section 3.3.5, has it.

Two traps are avoided here and nowhere else: subtracting datetimes of one zone counts wall time (a night of seven hours
reads as eight), and a skipped time is not an error in Python. So every local time becomes an instant here, once, and
all arithmetic happens afterwards.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from omniroute.errors import PlanError
from omniroute.model import shown

__all__ = ["DAY_MS", "checked_zone", "clock_text", "instant_of", "local_day", "wall_ms"]

DAY_MS: Final = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(milliseconds=1)
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{3}))?)?")
_OF_THIS_MACHINE = ("localtime", "posixrules", "posix/", "right/", "Factory")
"""Not zones of the database: what a machine is set to, and clocks that count leap seconds."""


def checked_zone(value: object, field: str = "zone") -> str:
    """Return the name of a zone of the IANA database. Raises PlanError naming ``field``.

    >>> checked_zone("Europe/Berlin")
    'Europe/Berlin'
    """
    if not isinstance(value, str):
        raise PlanError(f'expected a time zone such as "Europe/Berlin", got {shown(value)}', field=field)
    try:
        known = not value.startswith(_OF_THIS_MACHINE) and ZoneInfo(value)
    except (ValueError, OSError):  # a missing zone is a KeyError, a folder or a broken file is not
        known = False
    except KeyError:
        known = False
    if not known:
        message = f"no time zone of the IANA database: {shown(value)}"
        raise PlanError(f"{message} (without a database on the machine, the extra 'schedules' brings one)", field=field)
    return value


def wall_ms(value: object, field: str) -> int:
    """Return a time of day in milliseconds after the midnight of the clock, 0..DAY_MS. Raises PlanError.

    >>> wall_ms("08:30", "from"), wall_ms("24:00", "to") == DAY_MS
    (30600000, True)
    """
    if isinstance(value, time) and value.tzinfo is None and not value.microsecond % 1_000:
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000 + value.microsecond // 1_000
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MS:
        return value
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        hours, minutes, seconds, rest = (int(part or 0) for part in found.groups())
        total = ((hours * 60 + minutes) * 60 + seconds) * 1_000 + rest
        if minutes < 60 and seconds < 60 and total <= DAY_MS:
            return total
    raise PlanError(f'expected a time of day such as "08:30", got {shown(value)}', field=field)


def clock_text(value_ms: int) -> str:
    """Return the shortest text that :func:`wall_ms` reads back.

    >>> clock_text(30_600_000), clock_text(DAY_MS), clock_text(1_500)
    ('08:30', '24:00', '00:00:01.500')
    """
    seconds, rest = divmod(value_ms, 1_000)
    text = f"{seconds // 3_600:02}:{seconds // 60 % 60:02}"
    if seconds % 60 or rest:
        text += f":{seconds % 60:02}"
    return f"{text}.{rest:03}" if rest else text


def instant_of(moment: datetime, zone: ZoneInfo) -> int:
    """Return the instant of a local date and time in milliseconds since 1970; microseconds are cut off. O(1).

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> night = [datetime(2026, 3, 28, 22), datetime(2026, 3, 29, 6)]
    >>> start, end = (instant_of(moment, berlin) for moment in night)
    >>> (end - start) // 3_600_000
    7
    """
    return (moment.replace(tzinfo=zone, fold=0) - _EPOCH) // _TICK


def local_day(now: int, zone: ZoneInfo) -> date:
    """Return the date on the wall at an instant. O(1)."""
    return (_EPOCH + timedelta(milliseconds=now)).astimezone(zone).date()
