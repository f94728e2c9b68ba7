"""Texts that people or strangers write: requirements, plans, calendars, mappings, other products' configurations."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from calendars import CALENDAR
from hostile import INTEGERS, SCALARS, VALUES, WORDS, Fuzz, kept, mutated_texts, mutations, nested
from hypothesis import strategies as st
from test_importers import IMPORTS

from omniroute import Plan
from omniroute.calendar import Calendar, events_of_text
from omniroute.calendar.icalendar_file import events_of_file
from omniroute.checks import milliseconds, share
from omniroute.formats.csv_mapped import CsvMapping
from omniroute.model import Agent, instant
from omniroute.requirements import parse
from omniroute.strategies import catalogue
from omniroute.toml_tables import toml_text

HOUR = 3_600_000

# -- requirements

NAMES = st.one_of(st.sampled_from(("a", "spanish", "b.c", "x:y", "`two words`", "not", "in", "true", "AND")), WORDS)
TOKENS = st.one_of(
    st.sampled_from((">=", "<=", "==", "!=", ">", "<", "(", ")", "{", "}", ",", "not", "and", "or", "in", "not in")),
    NAMES,
    INTEGERS.filter(lambda n: abs(n) < 10**4000).map(str),
    WORDS.map(lambda word: f'"{word}"'),
)
ATOMS = st.one_of(
    NAMES,
    st.builds(lambda name, op, n: f"{name} {op} {n}", NAMES, st.sampled_from((">=", "<", "==", "!=")), st.integers()),
    st.builds(lambda name, rows: f"{name} in {{{', '.join(rows)}}}", NAMES, st.lists(TOKENS, max_size=300)),
    st.builds(lambda word, name: f'"{word}" not in {name}', WORDS, NAMES),
)
EXPRESSIONS = st.one_of(
    st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.builds(lambda x: f"not {x}", inner),
            st.builds(lambda n, x: "(" * n + x + ")" * n, st.integers(0, 40), inner),
            st.builds(lambda op, rows: op.join(rows), st.sampled_from((" and ", " or ")), st.lists(inner, max_size=70)),
        ),
        max_leaves=20,
    ),
    st.lists(TOKENS, max_size=40).map(" ".join),
    mutated_texts('spanish >= 3 and (billing or refunds) and not trainee and region in {"n", "s"} and "gold" in tiers'),
    st.text(),
)


def test_requirements(fuzz: Fuzz) -> None:
    """Any text is a requirement that means the same when written out, or an error.

    Planted: the canonical text without quotes round names of several words.
    """

    def check(text: str) -> None:
        found = kept(lambda: parse(text))
        if found is not None:
            assert parse(found.text) == found  # type: ignore[attr-defined]
            found.matches({"a": 1}, {"spanish": True})  # type: ignore[attr-defined]
            found.why_not({"a": 1}, {"x:y": frozenset({"gold"})})  # type: ignore[attr-defined]

    for text in ("`two words`", "not `two words` and b", '`in` >= 2 or "a\\"b\\\\" in `and`'):
        check(text)
        assert kept(lambda text=text: parse(text)) is not None  # type: ignore[misc]
    fuzz(EXPRESSIONS, check, examples=150)


def test_requirements_of_any_type() -> None:
    """What is no text is refused."""
    for value in (None, 3, b"a", ["a"], nested(5_000)):
        assert kept(lambda value=value: parse(value)) is None  # type: ignore[arg-type,misc]


# -- plans

PLAN = """
retention = "2h"
skills = ["spanish", "billing"]
[limits]
agents = 50
[csv]
delimiter = ";"
[csv.columns]
id = "Ticket"
queue = "Team"
arrived = "Created"
[journey]
expires = "1d"
hash_keys = true
private = ["card"]
salt = "00112233445566778899aabbccddeeff"
[journey.effort]
contact = 3
[[channels]]
name = "voice"
load = 2
[[conditions]]
name = "rush"
of = "waiting"
queue = "sales"
at_least = 5
[[queues]]
name = "sales"
needs = "spanish >= 2"
strategy = {name = "skills_first"}
offers = 1
offer_timeout = "20s"
wrap_up = "until released"
target = {within = "20s", share = 0.8}
only_while = [{condition = "rush", agents = "billing"}]
window = "500ms"
[queues.rona.no_answer]
after = 2
rest = "5s"
[[queues.steps]]
after = "30s"
needs = "spanish"
say = "soon"
[[queues]]
name = "support"
[intake]
mode = "first"
utc_offset = "+01:00"
private = ["card"]
default = {queue = "support"}
[[intake.rules]]
name = "vip"
when = "tier == 3"
queue = "sales"
priority = 3
head_start = "60s"
[[agents]]
id = "ana"
skills = {spanish = 3}
labels = {"region of" = "north", tiers = ["gold"]}
queues = {sales = 1, support = 0}
at_most = {voice = 1}
delays = {sales = "5s"}
windows = [["1999-01-04T07:00:00Z", "1999-01-04T15:00:00Z"]]
"""
KEYS = st.sampled_from(sorted({line.split(" = ")[0] for line in PLAN.splitlines() if " = " in line}))
TABLES = st.sampled_from(
    (
        "",
        *("[limits]", "[csv]", "[csv.columns]", "[journey]", "[journey.effort]", "[intake]", "[replay]"),
        "[[channels]]",
        "[[conditions]]",
        "[[queues]]",
        "[[queues.steps]]",
        "[queues.rona.no_answer]",
        "[queues.target]",
        "[[intake.rules]]",
        "[[agents]]",
        "[agents.labels]",
        "[[queues.only_while]]",
        "[queues.rona]",
        "[a.b.c]",
    )
)


def toml_of(value: object) -> str:
    """A value as TOML, hostile ones included; what TOML cannot say becomes text."""
    try:
        return toml_text(value)
    except (ValueError, RecursionError):
        return '"?"'


TOML_VALUES = st.one_of(
    VALUES.map(toml_of),
    st.sampled_from(
        ("1979-05-27T07:32:00Z", "1979-05-27", "25:00:00", "07:32:00.999999", "inf", "-nan", "0x_1", "[[]]")
    ),
    st.sampled_from(('"skills_first"', '"30s"', '"never"', '"80%"', '"' + "1s" * 3_000 + '"', "[" * 900, "{a=" * 900)),
    st.builds(lambda key, value: f"{{{toml_text(key)} = {toml_of(value)}}}", WORDS, SCALARS),
    st.builds(lambda n: ".".join(["a"] * n) + " = 1", st.integers(1, 60)),
)
LINES = st.one_of(TABLES, st.builds(lambda key, value: f"{key} = {value}", KEYS, TOML_VALUES), st.text(max_size=30))
PLANS = st.one_of(
    mutated_texts(PLAN),
    st.lists(LINES, max_size=12).map("\n".join),
    st.builds(lambda lines, at: splice(PLAN, at, "\n".join(lines)), st.lists(LINES, max_size=3), st.integers(0, 60)),
)


def splice(text: str, line: int, inserted: str) -> str:
    """A text with something at a line of it."""
    lines = text.split("\n")
    return "\n".join([*lines[:line], inserted, *lines[line + 1 :]])


def test_plans(fuzz: Fuzz) -> None:
    """Any TOML is a plan, which reads back as it was written, or an error that names the file."""

    def check(text: str) -> None:
        found = kept(lambda: Plan.from_toml_text(text, source="x.toml"))
        if isinstance(found, Plan):
            assert Plan.from_toml_text(found.to_toml()) == found

    assert isinstance(kept(lambda: Plan.from_toml_text(PLAN)), Plan)
    fuzz(PLANS, check, examples=150)


def test_plan_files(fuzz: Fuzz, tmp_path: Path) -> None:
    """Any bytes in a file are a plan or an error that names it."""
    place = tmp_path / "x.toml"

    def check(data: bytes) -> None:
        place.write_bytes(data)
        kept(lambda: Plan.from_toml(place))

    fuzz(mutations(PLAN.encode(), PLAN.encode("utf-16"), b"\xef\xbb\xbf" + PLAN.encode()), check, examples=60)


@pytest.mark.parametrize("name", sorted(catalogue._CLASSES))
def test_strategies(fuzz: Fuzz, name: str) -> None:
    """Any parameters of any strategy of the catalogue are a strategy or an error."""
    import attrs

    keys = [field.alias for field in attrs.fields(catalogue._class(name))] or ["x"]
    tables = st.dictionaries(st.sampled_from(keys) | WORDS, VALUES, max_size=3)
    fuzz(tables, lambda table: kept(lambda: catalogue.read({"name": name, **table}, "strategy")), examples=40)


def test_agents(fuzz: Fuzz) -> None:
    """Any values make an agent or an error."""
    import attrs

    keys = st.sampled_from([field.alias for field in attrs.fields(Agent)])
    tables = st.dictionaries(keys, VALUES | st.dictionaries(WORDS, SCALARS, max_size=3), max_size=3)
    fuzz(tables, lambda table: kept(lambda: Agent(**{"id": "ana", **table})), examples=120)


def test_durations_shares_and_instants(fuzz: Fuzz) -> None:
    """Any value is a duration, a share, an instant, or an error."""
    texts = st.lists(st.sampled_from(("1", "9" * 15, "s", "ms", "h", " ", "%", "-", ".5", "١", "²")), max_size=8)
    values = (
        VALUES | texts.map("".join) | st.datetimes() | st.timedeltas() | st.sampled_from(("1999-01-04T07:00+99:99",))
    )

    def check(value: Any) -> None:
        for read in (milliseconds, lambda v: share(v, "share"), instant):
            kept(lambda read=read: read(value))  # type: ignore[misc]

    fuzz(values, check, examples=150)


# -- calendars

RULES = st.lists(
    st.builds(
        lambda key, value: f"{key}={value}",
        st.sampled_from(
            (
                "FREQ",
                "INTERVAL",
                "COUNT",
                "UNTIL",
                "BYDAY",
                "BYMONTHDAY",
                "BYYEARDAY",
                "BYWEEKNO",
                "BYMONTH",
                "BYSETPOS",
                "WKST",
                "BYHOUR",
                "BYEASTER",
                "X",
            )
        ),
        st.sampled_from(
            ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", "SECONDLY", "MO", "-1FR", "99SU", "0", "1", "-366", "53")
        )
        | st.sampled_from(
            ("29", "31,30,-31", "1000", "10000", "20260101", "20269999T000000Z", "2", "366", "MO,TU,-5WE")
        )
        | WORDS,
    ),
    min_size=1,
    max_size=6,
).map(";".join)
CALENDAR_KEYS = st.sampled_from(sorted({line.split(" = ")[0] for line in CALENDAR.splitlines() if " = " in line}))
CALENDAR_VALUES = st.one_of(
    TOML_VALUES,
    RULES.map(toml_text),
    st.sampled_from(("0001-01-01", "9999-12-31", "2108-12-31", "1970-01-01", "2027-02-29", "23:59:59.999999", "24:00"))
    | st.sampled_from(
        ('"24:00"', '"Europe"', '"../etc/passwd"', '"/etc/passwd"', '"tzdata.zi"', '"posixrules"', '"US"')
    )
    | st.sampled_from(('"entities"', '"__init__"', '"HolidayBase"', '"de"', '"Brussels"', '"UTC"', '"Etc/GMT+12"')),
)
CALENDAR_LINES = st.one_of(
    st.sampled_from(("[[shifts]]", "[[breaks]]", "[[absences]]", "[[hours]]", "[[closures]]", "[[holidays]]", "[x]")),
    st.builds(lambda key, value: f"{key} = {value}", CALENDAR_KEYS, CALENDAR_VALUES),
)
CALENDARS = st.one_of(
    mutated_texts(CALENDAR),
    st.builds(lambda line, at: splice(CALENDAR, at, line), CALENDAR_LINES, st.integers(1, len(CALENDAR.splitlines()))),
    st.builds(
        lambda rule: (
            f'[[shifts]]\nagents = ["a"]\nzone = "UTC"\nfrom = "08:00"\nto = "09:00"\nstart = 1999-12-31\n'
            f"rrule = {toml_text(rule)}"
        ),
        RULES,
    ),
)
STARTS = st.sampled_from((0, 1_774_656_000_000, 2**42 - 400_000_000))


def test_calendars(fuzz: Fuzz) -> None:
    """Any TOML is a calendar, whose timetables follow or are refused, or an error."""
    pytest.importorskip("dateutil")
    pytest.importorskip("holidays")

    def check(drawn: tuple[str, int]) -> None:
        text, start_ms = drawn
        found = kept(lambda: Calendar.from_toml_text(text))
        if isinstance(found, Calendar):
            assert Calendar.from_toml_text(found.to_toml()) == found
            kept(lambda: found.timetables(start_ms, start_ms + 48 * HOUR))

    fuzz(st.tuples(CALENDARS, STARTS), check, examples=60)


ICALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VTIMEZONE
TZID:Mine
END:VTIMEZONE
BEGIN:VEVENT
UID:1
SUMMARY:Late shift
CATEGORIES:a,b
DTSTART;TZID=Europe/Berlin:20260327T220000
DTEND;TZID=Europe/Berlin:20260328T060000
RRULE:FREQ=DAILY;COUNT=5
EXDATE;TZID=Europe/Berlin:20260329T220000
END:VEVENT
BEGIN:VEVENT
UID:1
RECURRENCE-ID;TZID=Europe/Berlin:20260328T220000
SUMMARY:Late shift
DTSTART;TZID=Europe/Berlin:20260328T230000
DURATION:PT2H
STATUS:CONFIRMED
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;VALUE=DATE:20260328
RDATE;VALUE=DATE:20260330,20260331
SUMMARY:shift all day
END:VEVENT
END:VCALENDAR
"""
ICAL_LINES = st.builds(
    lambda key, value: f"{key}:{value}",
    st.sampled_from(
        ("DTSTART", "DTEND", "DTSTART;TZID=Europe/Berlin", "DTSTART;VALUE=DATE", "DURATION", "RDATE", "EXDATE")
    )
    | st.sampled_from(
        ("RECURRENCE-ID", "RECURRENCE-ID;RANGE=THISANDFUTURE", "RRULE", "EXRULE", "UID", "SUMMARY", "STATUS")
    )
    | st.sampled_from(
        ("CATEGORIES", "BEGIN", "END", "DTSTART;TZID=../../etc/passwd", "RDATE;VALUE=PERIOD", "X-WR-TIMEZONE")
    )
    | WORDS,
    st.sampled_from(
        ("20260328T080000Z", "20260328", "00010101T000000", "99991231T235959Z", "20261345", "P1D", "PT999999999H")
    )
    | st.sampled_from(
        ("-P1D", "P", "VEVENT", "VALARM", "VCALENDAR", "VTIMEZONE", "20260328T080000Z/PT1H", "20260328,20260329")
    )
    | RULES
    | WORDS,
)


def test_icalendar(fuzz: Fuzz, tmp_path: Path) -> None:
    """Any text, in a file or not, is a list of entries or an error that names it."""
    pytest.importorskip("icalendar")
    pytest.importorskip("recurring_ical_events")
    terms: dict[str, Any] = {"subject": "ana", "kinds": {"shift": "shift", "*": "break"}, "zone": "Europe/Berlin"}
    terms |= {"start_ms": 1_774_656_000_000, "end_ms": 1_774_828_800_000}
    place = tmp_path / "x.ics"

    def check(text: str) -> None:
        kept(lambda: events_of_text(text, **terms))
        place.write_bytes(text.encode("utf-8", "surrogateescape") if "\ud800" not in text else b"\xff")
        kept(lambda: events_of_file(place, **terms))

    good = kept(lambda: events_of_text(ICALENDAR, **terms))
    assert isinstance(good, list)
    assert good
    spliced = st.builds(lambda line, at: splice(ICALENDAR, at, line), ICAL_LINES, st.integers(0, 32))
    fuzz(mutated_texts(ICALENDAR) | spliced, check, examples=60)


# -- mappings and other products

MAPPING: dict[str, Any] = {
    "columns": {"id": "Ticket", "queue": "Team", "arrived": "Created", "wait": "Wait", "outcome": "Result"},
    "delimiter": ";",
    "time_format": "%d.%m.%Y %H:%M:%S",
    "duration_unit": "clock",
    "channel": "chat",
    "outcomes": {"handled": "served"},
}
FORMATS = st.lists(
    st.sampled_from(
        ("%Y", "%m", "%d", "%H", "%M", "%S", "%f", "%z", "%Z", "%j", "%U", "%c", "%x", "%%", "%", " ", "(", "%Q")
    )
    | WORDS,
    max_size=8,
).map("".join)


def test_mappings(fuzz: Fuzz) -> None:
    """Any table is a mapping, or an error that names the key."""

    def check(drawn: tuple[str, Any]) -> None:
        key, value = drawn
        kept(lambda: CsvMapping.from_table({**copy.deepcopy(MAPPING), key: value}, source="x.toml"))

    keys = st.sampled_from(sorted(MAPPING)) | WORDS
    fuzz(st.tuples(keys, VALUES | FORMATS | st.dictionaries(WORDS, WORDS, max_size=3)), check, examples=150)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a configuration."""
    found = [path]
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(item, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A configuration with something else at a place."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_importers(fuzz: Fuzz, name: str) -> None:
    """Anything at any place of a configuration is a plan or an error.

    Planted: a strategy that is no text looked up among the known ones.
    """
    build, good = IMPORTS[name]
    where = [place for place in places([*good]) if place]
    keyed = st.builds(lambda key, value: {key: value}, st.sampled_from(sorted(map(str, KEYS_OF[name]))) | WORDS, VALUES)
    texts = st.lists(st.sampled_from((",", "0", "+5", "-1", "9" * 12, "a", " ")), max_size=9).map("".join)

    def check(drawn: tuple[tuple[Any, ...], Any]) -> None:
        kept(lambda: build(*replaced([*copy.deepcopy(good)], *drawn)))

    fuzz(st.tuples(st.sampled_from(where), VALUES | keyed | texts), check, examples=100)
    for path in where:
        for deep in (nested(5_000), 10**5_000, float("nan"), "\ud800", {"a": nested(5_000)}):
            check((path, deep))


KEYS_OF: dict[str, set[Any]] = {
    name: {key for path in places([*good]) for key in path if isinstance(key, str)}
    for name, (_, good) in IMPORTS.items()
}
