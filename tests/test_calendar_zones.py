"""The wall clock: every zone of the database, every change of its clocks from 2020 to 2035."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from omniroute.calendar.expand import spans_of
from omniroute.calendar.rules import Shift
from omniroute.calendar.timetable import Span, normal
from omniroute.calendar.wall import DAY_MS, checked_zone, clock_text, instant_of, local_day, wall_ms
from omniroute.errors import PlanError

HOUR = 3_600
EPOCH = datetime(1970, 1, 1)
FIRST = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2036, 1, 1, tzinfo=UTC).timestamp())


class Change(NamedTuple):
    """A change of a zone's clocks: its instant and the offsets around it, in seconds."""

    zone: ZoneInfo
    at: int
    before: int
    after: int


def offset(zone: ZoneInfo, at: int) -> int:
    """The offset at an instant; only ever from UTC to the wall, which is never ambiguous."""
    found = datetime.fromtimestamp(at, zone).utcoffset()
    assert found is not None
    return int(found.total_seconds())


@cache
def zones() -> list[ZoneInfo]:
    """Every zone of the database."""
    return [ZoneInfo(name) for name in sorted(available_timezones()) if name not in ("Factory", "localtime")]


@cache
def changes() -> list[Change]:
    """Every change of every zone, found by looking every five days and halving."""
    found = []
    for zone in zones():
        at, now = FIRST, offset(zone, FIRST)
        while at < LAST:
            then, later = at + 5 * 24 * HOUR, offset(zone, at + 5 * 24 * HOUR)
            if later != now:
                low, high = at, then
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if offset(zone, middle) == now else (low, middle)
                found.append(Change(zone, high, now, later))
            at, now = then, later
    return found


def wall(seconds: int) -> datetime:
    """A local date and time from its seconds on the wall."""
    return EPOCH + timedelta(seconds=seconds)


def test_there_are_changes() -> None:
    """The sweep looks at something: some six hundred zones, thousands of changes forward and back, by 30 min to 2 h."""
    sizes = {change.after - change.before for change in changes()}
    assert len(zones()) > 400
    assert len(changes()) > 4_000
    assert {HOUR, -HOUR, HOUR // 2, -HOUR // 2, 2 * HOUR, -2 * HOUR} <= sizes


def test_every_local_time_around_every_change() -> None:
    """A skipped time moves forward by what is skipped, of a double one the first is meant, any other is itself.

    Planted: the second of a fold; the offset after a gap; subtraction in the zone, which counts wall time.
    """
    for zone, at, before, after in changes():
        edges = {at + before, at + after, at + (before + after) // 2}
        for seconds in {edge + near for edge in edges for near in (-7_200, -1, 0, 1, 7_200)}:
            first, second = seconds - before, seconds - after
            expected = first if first < at or second < at else second
            assert instant_of(wall(seconds), zone) == expected * 1_000, (zone.key, wall(seconds))


def test_a_shift_over_every_change_is_as_long_as_it_is() -> None:
    """From four hours before a change to four hours after it are eight hours, whatever the wall says.

    Planted: the end as start plus wall length; the subtraction in one zone.
    """
    for zone, at, before, after in changes():
        start, end = wall(at + before - 4 * HOUR), wall(at + after + 4 * HOUR)
        later = 0 if end.date() == start.date() else DAY_MS
        if (end - start) >= timedelta(days=1) or (end.date() - start.date()).days > 1:
            continue  # a zone that moves by a day
        clock = [((t.hour * 60 + t.minute) * 60 + t.second) * 1_000 for t in (start, end)]
        if later and clock[1] > clock[0]:
            continue
        rule = Shift(
            agents="ana",
            zone=zone.key,
            from_ms=clock[0],
            to_ms=clock[1] or DAY_MS,
            start=start.date(),
            until=start.date(),
        )
        (span,) = spans_of(rule, "shift", at * 1_000, at * 1_000 + 1, {})
        assert (span.start_ms, span.end_ms) == ((at - 4 * HOUR) * 1_000, (at + 4 * HOUR) * 1_000), zone.key


@pytest.mark.parametrize("starts", [(0,), (6, 14, 22)], ids=["whole days", "three shifts"])
def test_rules_that_share_out_the_day_leave_no_hole(starts: tuple[int, ...]) -> None:
    """Whole days, and three shifts around the clock, are one span over every change, also where midnight is skipped.

    Planted: an end that is read in its own way, as the second of a fold.
    """
    rules = {
        zone.key: [
            Shift(agents="ana", zone=zone.key, from_ms=start * HOUR * 1_000, to_ms=(to or 24) * HOUR * 1_000)
            for start, to in zip(starts, (*starts[1:], starts[0]), strict=True)
        ]
        for zone in zones()
    }
    for zone, at, *_ in changes():
        if FIRST + 6 * 365 * 24 * HOUR < at < FIRST + 9 * 365 * 24 * HOUR:
            low, high = at * 1_000 - DAY_MS, at * 1_000 + DAY_MS
            spans = [span for rule in rules[zone.key] for span in spans_of(rule, "shift", low, high, {})]
            assert len(normal(spans)) == 1, zone.key
            assert sum(span.end_ms - span.start_ms for span in spans) == spans_length(spans), zone.key


def spans_length(spans: list[Span]) -> int:
    """From the first start to the last end: equal to the sum of lengths where none overlap."""
    return max(span.end_ms for span in spans) - min(span.start_ms for span in spans)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 6, 1), 8)],
    ids=["spring", "autumn", "summer"],
)
def test_a_night_shift(day: date, hours: int) -> None:
    """A night from 22:00 to 06:00 in Berlin has 7 hours in spring, 9 in autumn, else 8; a naive difference says 8."""
    berlin = ZoneInfo("Europe/Berlin")
    rule = Shift(agents=["ana"], zone="Europe/Berlin", from_ms="22:00", to_ms="06:00", start=day, until=day)
    noon = instant_of(datetime(day.year, day.month, day.day, 12), berlin)
    (span,) = spans_of(rule, "shift", noon, noon + DAY_MS, {})
    assert span.end_ms - span.start_ms == hours * HOUR * 1_000
    start, end = (datetime(2026, 3, 28, 22, tzinfo=berlin), datetime(2026, 3, 29, 6, tzinfo=berlin))
    assert end - start == timedelta(hours=8), "the trap is gone: Python subtracts instants in one zone"


def test_gap_and_fold_by_example() -> None:
    """In Berlin 02:30 is 03:30 in the night of spring, and the first 02:30 in that of autumn."""
    berlin = ZoneInfo("Europe/Berlin")
    assert instant_of(datetime(2026, 3, 29, 2, 30), berlin) == instant_of(datetime(2026, 3, 29, 3, 30), berlin)
    first = instant_of(datetime(2026, 10, 25, 2, 30), berlin)
    assert instant_of(datetime(2026, 10, 25, 2, 30, fold=1), berlin) == first
    assert instant_of(datetime(2026, 10, 25, 3, 0), berlin) - first == 90 * 60 * 1_000


def test_what_the_clocks_skip_is_not_there() -> None:
    """A break from 02:00 to 03:00 is none in the night that skips that hour, and two hours where it comes twice."""
    rule = Shift(agents="ana", zone="Europe/Berlin", from_ms="02:00", to_ms="03:00")
    spring, autumn = (int(datetime(2026, m, d, 12, tzinfo=UTC).timestamp()) * 1_000 for m, d in ((3, 28), (10, 24)))
    assert spans_of(rule, "shift", spring, spring + DAY_MS, {}) == []
    (span,) = spans_of(rule, "shift", autumn, autumn + DAY_MS, {})
    assert span.end_ms - span.start_ms == 2 * HOUR * 1_000


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Berlin",
        "Europe",
        "../UTC",
        "/etc/passwd",
        "localtime",
        "right/UTC",
        "posix/UTC",
        "posixrules",
        "Factory",
        "a\0b",
        3,
        None,
        "x" * 999,
    ],
)
def test_zones_that_are_none(name: object) -> None:
    """A zone is a name of the database: no path, no folder, no clock that counts leap seconds, not this machine's."""
    with pytest.raises(PlanError, match=r"zone: .*time zone"):
        checked_zone(name)


def test_times_of_day() -> None:
    """Every minute, and odd milliseconds, are written and read back."""
    for value in [*range(0, DAY_MS + 1, 60_000), 1, 999, 1_000, 61_001, DAY_MS - 1]:
        assert wall_ms(clock_text(value), "from") == value


@pytest.mark.parametrize(
    "value", ["8:00", "25:00", "24:01", "12:60", "12:00:61", "noon", -1, DAY_MS + 1, True, 1.5, None]
)
def test_times_that_are_none(value: object) -> None:
    """A time of day is 00:00 to 24:00, written with two digits."""
    with pytest.raises(PlanError, match=r"from: expected a time of day"):
        wall_ms(value, "from")


def test_local_day() -> None:
    """The date on the wall is not that of UTC."""
    assert local_day(0, ZoneInfo("Pacific/Auckland")) == date(1970, 1, 1)
    assert local_day(0, ZoneInfo("America/Los_Angeles")) == date(1969, 12, 31)
