"""iCalendar files: recurrences, changes and cancellations, zones, what events mean, and hostile ones."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.calendar import icalendar_file as module
from omniroute.calendar.calendars import Calendar
from omniroute.calendar.expand import Entry
from omniroute.calendar.icalendar_file import events_of_file, events_of_text
from omniroute.errors import MisuseError, PlanError

pytest.importorskip("recurring_ical_events", reason="needs the extra calendars")

HOUR = 3_600_000
SPRING = int(datetime(2026, 3, 27, 12, tzinfo=UTC).timestamp()) * 1_000
AUTUMN = int(datetime(2026, 10, 23, 12, tzinfo=UTC).timestamp()) * 1_000
NIGHT = """\
BEGIN:VEVENT
UID:night
SUMMARY:Night shift
DTSTART;TZID=Europe/Berlin:20260105T220000
DTEND;TZID=Europe/Berlin:20260106T060000
RRULE:FREQ=DAILY
END:VEVENT
"""


def text_of(*events: str) -> str:
    """A calendar of events, with the line ends of the format."""
    return "".join(["BEGIN:VCALENDAR\n", "VERSION:2.0\n", "PRODID:-//test\n", *events, "END:VCALENDAR\n"]).replace(
        "\n", "\r\n"
    )


def event(
    *lines: str, uid: str = "1", start: str = ";TZID=Europe/Berlin:20260328T080000", tail: str = "DURATION:PT1H"
) -> str:
    """One event."""
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", f"DTSTART{start}", tail, *lines, "END:VEVENT", ""])


def read(text: str, start_ms: int = SPRING, days: int = 4, **terms) -> list[Entry]:
    """The entries of some days."""
    terms = {"subject": "ana", "kinds": {"*": "shift"}, "zone": "Europe/Berlin", "source": "ana.ics"} | terms
    found = events_of_text(text, start_ms=start_ms, end_ms=start_ms + days * 24 * HOUR, **terms)
    return [e for e in found if start_ms <= e.span.start_ms < start_ms + days * 24 * HOUR]


def starts(entries: list[Entry]) -> list[str]:
    """Starts in UTC."""
    return [datetime.fromtimestamp(e.span.start_ms / 1_000, UTC).strftime("%d %H:%M") for e in entries]


def hours(entries: list[Entry]) -> list[float]:
    """Real lengths."""
    return [(e.span.end_ms - e.span.start_ms) / HOUR for e in entries]


def test_a_night_is_as_long_as_it_is() -> None:
    """A night shift has 7 hours in spring and 9 in autumn, written as an end or as a duration."""
    for text in (NIGHT, NIGHT.replace("DTEND;TZID=Europe/Berlin:20260106T060000", "DURATION:PT8H")):
        assert hours(read(text_of(text))) == [8, 7, 8, 8]
        assert hours(read(text_of(text), AUTUMN)) == [8, 9, 8, 8]


def test_gap_and_fold_are_those_of_the_rules() -> None:
    """A file and a rule read skipped and double times alike: 02:30 moves to 03:30, and the first 02:30 is meant."""
    text = text_of(event("RRULE:FREQ=DAILY", start=";TZID=Europe/Berlin:20260101T023000", tail="DURATION:PT45M"))
    rule = Calendar.from_toml_text('[[shifts]]\nagents = "ana"\nzone = "Europe/Berlin"\nfrom = "02:30"\nto = "03:15"')
    for start_ms in (SPRING, AUTUMN):
        (table,) = rule.timetables(start_ms, start_ms + 96 * HOUR)
        assert [entry.span for entry in read(text, start_ms)] == list(table.spans)
    assert starts(read(text)) == ["28 01:30", "30 00:30", "31 00:30"], "of the 45 minutes on the 29th nothing is left"
    assert hours(read(text, AUTUMN)) == [0.75, 1.75, 0.75, 0.75]


def test_recurrences_that_were_changed() -> None:
    """Excluded dates, added dates, a moved and a cancelled recurrence, and whole events that are cancelled."""
    daily = event("RRULE:FREQ=DAILY;UNTIL=20260401T000000Z", "EXDATE;TZID=Europe/Berlin:20260328T080000")
    added = event("RDATE;TZID=Europe/Berlin:20260330T200000", uid="2", start=";TZID=Europe/Berlin:20260101T200000")
    moved = event("RECURRENCE-ID;TZID=Europe/Berlin:20260329T080000", start=";TZID=Europe/Berlin:20260329T110000")
    gone = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20260330T080000",
        "STATUS:CANCELLED",
        start=";TZID=Europe/Berlin:20260330T080000",
    )
    off = event("STATUS:CANCELLED", uid="3")
    assert starts(read(text_of(daily, added, moved, gone, off))) == ["29 09:00", "30 18:00", "31 06:00"]


def test_zones_of_a_file() -> None:
    """Times in UTC, in a zone, in none (then that of the reader), in one of Windows' names, and whole days."""
    zones = {
        ":20260328T080000Z": "28 08:00",
        ";TZID=America/New_York:20260328T080000": "28 12:00",
        ":20260328T080000": "28 07:00",
        ";TZID=W. Europe Standard Time:20260328T080000": "28 07:00",
    }
    for start, instant in zones.items():
        assert starts(read(text_of(event(start=start)))) == [instant]
    (day,) = read(text_of(event(start=";VALUE=DATE:20260329", tail="DTEND;VALUE=DATE:20260330")))
    assert (starts([day]), hours([day])) == (["28 23:00"], [23])


def test_zones_defined_in_a_file_are_not_looked_at() -> None:
    """A definition changes no name's meaning, nor makes its reader count seconds since 1970, however hidden.

    Planted: definitions kept; lines not unfolded before they are looked for.
    """
    own = (
        "BEGIN{}:VTIMEZONE\nTZID:Own\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
        "TZOFFSETFROM:+0900\nTZOFFSETTO:+0900\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    endless = own.replace("DTSTART", "RRULE:FREQ=SECONDLY\nDTSTART").replace("Own", "Europe/Berlin")
    folded = [definition.format("").replace("VTIME", "VTI\n ME") for definition in (own, endless)]
    for zone, seconds in (folded, *((own.format(how), endless.format(how)) for how in ("", ";X=1"))):
        assert starts(read(text_of(seconds, event()))) == ["28 07:00"]
        with pytest.raises(PlanError, match="DTSTART: no time zone of the IANA database: 'Own'"):
            read(text_of(zone, event(start=";TZID=Own:20260328T080000")))
    assert starts(read(text_of("X-WR-TIMEZONE:Asia/Tokyo\n", event(start=":20260328T080000Z")))) == ["28 08:00"]


def test_what_events_mean() -> None:
    """The first key that is a category or a word of the summary decides; what no key names does not count."""
    kinds = {"Meeting": "meeting", "Early shift": "shift", "lunch": "break"}

    def kind(*lines: str) -> str:
        return next((e.span.kind for e in read(text_of(event(*lines)), kinds=kinds)), "")

    assert kind("SUMMARY:Team MEETING, room 3") == "meeting"
    assert kind("SUMMARY:Meetings of others") == ""
    assert kind("SUMMARY:early shift and meeting") == "meeting"
    assert kind("SUMMARY:x", "CATEGORIES:work,Early Shift") == "shift"
    assert kind("SUMMARY:x", "CATEGORIES:work", "CATEGORIES:Lunch") == "break"
    assert kind("SUMMARY:Lunch") == "break"


def test_entries_and_rules_together(tmp_path: Path) -> None:
    """A file of shifts and the breaks of a calendar make one timetable."""
    place = tmp_path / "ana.ics"
    place.write_text(text_of(NIGHT), newline="")
    horizon = {"start_ms": SPRING, "end_ms": SPRING + 48 * HOUR}
    entries = events_of_file(place, subject="ana", kinds={"night": "shift"}, zone="UTC", **horizon)
    calendar = Calendar.from_toml_text(
        '[[breaks]]\nagents = "ana"\nzone = "Europe/Berlin"\nfrom = "01:30"\nto = "03:30"'
    )
    (table,) = calendar.timetables(*horizon.values(), events=entries)
    lengths = [((s.end_ms - s.start_ms) / HOUR, s.kind) for s in table.spans]
    assert lengths == [(3.5, "shift"), (2, "break"), (2.5, "shift"), (3.5, "shift"), (1, "break"), (2.5, "shift")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ana.ics: not an iCalendar file"),
        ("hello", "ana.ics: not an iCalendar file"),
        (
            text_of(event(start=";TZID=Utopia/Nowhere:20260328T080000")),
            r"ana.ics: event 1 \('1'\): DTSTART: no time zone .*'Utopia/Nowhere'",
        ),
        (text_of(event(), event(start=":20269928T080000", uid="two")), r"event 2 \('two'\): DTSTART"),
        (text_of(event(start=":19650328T080000")), r"event 1 \('1'\): DTSTART: a year is in 1970\.\.2108, got 1965"),
        (text_of(event("DTSTART:20260328T080000")), "DTSTART is missing or there twice"),
        (text_of("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n"), r"event 1 \('x'\): DTSTART is missing"),
        (text_of(event(tail="DURATION:P400D")), "DURATION: expected at most a year"),
        (text_of(event(tail="DTEND:20270628T080000Z")), "an event is at most a year long"),
        (text_of(event("RRULE:FREQ=HOURLY")), r"event 1 \('1'\): RRULE: FREQ=HOURLY counts hours on the wall"),
        (text_of(event("RRULE:FREQ=SECONDLY")), "RRULE: FREQ=SECONDLY counts hours"),
        (text_of(event("RRULE:FREQ=DAILY;INTERVAL=0")), "RRULE: INTERVAL must be in"),
        (text_of(event("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")), "RRULE: .* never comes to pass"),
        (text_of(event("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY")), "RRULE is there twice"),
        (text_of(event("RRULE:FREQ=FOO")), "RRULE: "),
        (text_of(event("EXRULE:FREQ=DAILY")), "EXRULE is not known any more"),
        (text_of(event("RDATE;VALUE=PERIOD:20260328T080000Z/PT1H")), "RDATE: periods are not known"),
        (text_of(event("RDATE;TZID=Utopia/Nowhere:20260328T080000")), "RDATE: no time zone"),
        (
            text_of(*(event("RRULE:FREQ=DAILY", uid=str(n), start=":19710101T080000") for n in range(20))),
            "event 13 .* are more than 262144",
        ),
        (text_of("BEGIN:VEVENT\n" * 3000), "not an iCalendar file|DTSTART"),
    ],
    ids=range(20),
)
def test_hostile_files(text: str, message: str) -> None:
    """What is wrong, endless or too much is refused with file and event, before a library follows it."""
    with pytest.raises(PlanError, match=message):
        read(text)


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, events and the horizon have limits; bytes that are no text are named."""
    place = tmp_path / "large.ics"
    terms = {"subject": "ana", "kinds": {"*": "shift"}, "zone": "UTC", "start_ms": 0, "end_ms": HOUR}
    place.write_bytes(b"X" * (module.ICAL_BYTES_MAX + 1))
    with pytest.raises(PlanError, match=r"large.ics: is larger than 4194304 bytes"):
        events_of_file(place, **terms)
    place.write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="is not UTF-8 at byte 0"):
        events_of_file(place, **terms)
    monkeypatch.setattr(module, "EVENTS_MAX", 2)
    with pytest.raises(PlanError, match="at most 2 events, got 3"):
        read(text_of(*(event(uid=str(n)) for n in range(3))))
    with pytest.raises(MisuseError, match="a horizon is not from"):
        events_of_text(text_of(), **(terms | {"end_ms": 2**43}))


PIECES = [line for line in text_of(NIGHT, event("EXDATE:20260328T080000Z", "CATEGORIES:a,b")).split("\r\n") if line]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=25), st.integers(0, 200), st.text(max_size=4))
def test_any_text_is_read_or_refused(lines: list[str], at: int, inserted: str) -> None:
    """What a file holds is read or refused by the one error for it. Planted: a library's own error let through."""
    text = "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"])
    for hostile in (text, text_of(NIGHT[:at] + inserted + NIGHT[at:])):
        with contextlib.suppress(PlanError):
            read(hostile)
