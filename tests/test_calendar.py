"""Calendars: timetables and their algebra, rules, TOML, what routers and simulations are told, adherence."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from calendars import CALENDAR
from hypothesis import given
from hypothesis import strategies as st

from omniroute import Agent, Plan, Queue, Router
from omniroute.calendar import __all__ as calendar_names
from omniroute.calendar import calendars
from omniroute.calendar.adherence import Adherence, adherence
from omniroute.calendar.calendars import Calendar
from omniroute.calendar.expand import HORIZON_MAX_MS, Entry
from omniroute.calendar.feed import agent_states, commands_at, commands_between, presences_between
from omniroute.calendar.rules import Absence, Break, Closure, Holidays, Hours, Shift
from omniroute.calendar.timetable import SPANS_MAX, Span, Timetable, cut, over
from omniroute.commands import CloseQueue, OpenQueue, SetObligation, SetPresence, SignIn, SignOut
from omniroute.errors import MissingExtraError, MisuseError, PlanError
from omniroute.events import PresenceChanged, QueueClosed, Queued, Rejected, Transferred
from omniroute.extras import library

END = 60
HOUR = 3_600_000


def at(text: str) -> int:
    """An instant from a time of 2026 in UTC."""
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()) * 1_000


def table(*spans: tuple[int, int, str], **terms) -> Timetable:
    """A timetable of ana from 0 to END."""
    terms = {"subject": "ana", "start_ms": 0, "end_ms": END} | terms
    return Timetable(spans=[Span(*span) for span in spans], **terms)


@st.composite
def tables(draw: st.DrawFn, kinds: tuple[str, ...] = ("shift", "break", "meeting"), **terms: object) -> Timetable:
    """A timetable drawn millisecond by millisecond, so that touching and overlapping come by themselves."""
    cells = draw(st.lists(st.sampled_from(["", *kinds]), min_size=END, max_size=END))
    cells = [cell for cell in cells[: END // 6] for _ in range(6)] if draw(st.booleans()) else cells
    return table(*((n, n + 1, kind) for n, kind in enumerate(cells) if kind), **terms)


def kinds_of(spans: tuple[Span, ...]) -> list[str]:
    """What spans say at every millisecond, slowly."""
    return [next((s.kind for s in spans if s.start_ms <= now < s.end_ms), "") for now in range(END)]


# Timetables -----------------------------------------------------------------------------------------------------------


@given(tables(), tables())
def test_algebra(one: Timetable, other: Timetable) -> None:
    """Union, difference and intersection are right at every instant and have one form.

    Planted: ``<`` for ``<=`` where a span that ended is passed by, a later span of two that touch lost, ``at`` that
    does not move on after a cut.
    """
    a, b = kinds_of(one.spans), kinds_of(other.spans)
    assert kinds_of(one.union(other).spans) == [y or x for x, y in zip(a, b, strict=True)]
    assert kinds_of(one.minus(other).spans) == ["" if y else x for x, y in zip(a, b, strict=True)]
    inside = cut(one.spans, other.spans, inside=True)
    assert kinds_of(inside) == [x if y else "" for x, y in zip(a, b, strict=True)]
    assert over(one.minus(other).spans, inside) == one.spans
    for spans in (one.spans, one.union(other).spans, one.minus(other).spans, inside):
        assert all(s.end_ms < t.start_ms or (s.end_ms == t.start_ms and s.kind != t.kind) for s, t in pairwise(spans))


@given(tables())
def test_at_and_next_edge(one: Timetable) -> None:
    """``at`` and ``next_edge`` say what a walk over every instant says. Planted: bisect_left for bisect_right."""
    slow = kinds_of(one.spans)
    for now in range(END):
        assert one.at(now) == slow[now]
        assert one.next_edge(now) == next((t for t in range(now + 1, END) if slow[t] != slow[now]), None)


def test_the_horizon_is_an_edge_of_knowledge() -> None:
    """Beyond its horizon a timetable knows nothing, and says so instead of "closed"."""
    one = table((0, 90, "shift"))
    assert one.at(END - 1) == "shift"
    assert one.next_edge(5) is None
    for now in (-1, END):
        with pytest.raises(MisuseError, match="is known from"):
            one.at(now)
    with pytest.raises(MisuseError, match="different horizons"):
        one.union(table(end_ms=END - 1))
    with pytest.raises(MisuseError, match="not from 0 to 61"):
        commands_between([one], 0, END + 1)


@pytest.mark.parametrize(
    "span", [(5, 5, "a"), (6, 5, "a"), (0, 5, ""), (0.0, 5, "a"), (0, 2**44, "a"), (True, 5, "a"), (0, 5, 1)]
)
def test_spans_that_are_none(span: tuple) -> None:
    """A span is two ascending integers and a kind; floats and booleans are no instants."""
    with pytest.raises(MisuseError, match=r"span|expected two integers"):
        Span(*span)


def test_timetables_that_are_none() -> None:
    """Overlaps of different kinds, and too many spans, are refused."""
    with pytest.raises(MisuseError, match=r"shift until .*005Z, break from .*004Z"):
        table((0, 5, "shift"), (4, 6, "break"))
    with pytest.raises(MisuseError, match="at most 65536 spans"):
        table(*((2 * n, 2 * n + 1, "shift") for n in range(SPANS_MAX + 1)))


# Rules ----------------------------------------------------------------------------------------------------------------

BERLIN = {"zone": "Europe/Berlin"}


def spans(calendar: Calendar, low: str, high: str, subject: int = 0) -> list[tuple[str, str, str]]:
    """The spans of one timetable, as UTC texts."""
    found = calendar.timetables(at(low), at(high))[subject].spans
    return [
        (*(datetime.fromtimestamp(t / 1_000, UTC).strftime("%m-%d %H:%M") for t in (s.start_ms, s.end_ms)), s.kind)
        for s in found
    ]


def test_a_week_of_ana() -> None:
    """Shifts less absences, breaks over them and only in them, a later rule over an earlier one, except dates."""
    calendar = Calendar(
        shifts=[
            Shift(
                agents="ana",
                from_ms="08:00",
                to_ms="16:00",
                days=["mon", "tue", "wed"],
                without=[date(2026, 6, 2)],
                **BERLIN,
            )
        ],
        breaks=[
            Break(agents="ana", from_ms="12:00", to_ms="12:30", **BERLIN),
            Break(agents="ana", kind="meeting", from_ms="12:15", to_ms="13:00", days=["mon"], **BERLIN),
        ],
        absences=[Absence(agents="ana", from_ms="14:00", start=date(2026, 6, 3), until=date(2026, 6, 5), **BERLIN)],
    )
    assert spans(calendar, "06-01 00:00", "06-06 00:00") == [
        ("06-01 06:00", "06-01 10:00", "shift"),
        ("06-01 10:00", "06-01 10:15", "break"),
        ("06-01 10:15", "06-01 11:00", "meeting"),
        ("06-01 11:00", "06-01 14:00", "shift"),
        ("06-03 06:00", "06-03 10:00", "shift"),
        ("06-03 10:00", "06-03 10:30", "break"),
        ("06-03 10:30", "06-03 12:00", "shift"),
    ]


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    """A night shift on Fridays ends on Saturday; the except date and the holiday are those of its beginning."""
    nights = {"agents": "ana", "from_ms": "22:00", "to_ms": "06:00", "days": ["fri", "sat"], **BERLIN}
    off = Holidays(name="ours", dates=[date(2026, 6, 13)])
    calendar = Calendar(shifts=[Shift(without=[date(2026, 6, 6)], holidays=["ours"], **nights)], holidays=[off])
    assert spans(calendar, "06-05 00:00", "06-15 00:00") == [
        ("06-05 20:00", "06-06 04:00", "shift"),
        ("06-12 20:00", "06-13 04:00", "shift"),
    ]


def test_hours_less_closures() -> None:
    """A queue is open in its hours less its closures; a closure without hours is a mistake."""
    hours = Hours(queues=["sales"], from_ms="08:00", to_ms="18:00", **BERLIN)
    closure = Closure(
        queues=["sales"], from_ms="13:00", to_ms="14:00", start=date(2026, 6, 1), until=date(2026, 6, 1), **BERLIN
    )
    assert spans(Calendar(hours=[hours], closures=[closure]), "06-01 00:00", "06-01 22:00") == [
        ("06-01 06:00", "06-01 11:00", "open"),
        ("06-01 12:00", "06-01 16:00", "open"),
    ]
    with pytest.raises(PlanError, match="no hours say when it is open"):
        Calendar(closures=[closure]).timetables(at("06-01 00:00"), at("06-02 00:00"))


def test_a_horizon_changes_nothing_inside_it() -> None:
    """Whatever the horizon, an instant inside it reads the same, and so do the commands of a stretch of time.

    Planted: no margin, so that a shift that began the day before, or a drain before a break just behind, was missed.
    """
    calendar = Calendar(
        shifts=[Shift(agents="ana", from_ms="22:00", to_ms="06:00", drain_ms="30m", **BERLIN)],
        breaks=[Break(agents="ana", from_ms="02:00", to_ms="02:20", **BERLIN)],
        hours=[Hours(queues="sales", from_ms="07:00", to_ms="24:00", last_call_ms="1h", waiting="cancel", **BERLIN)],
    )
    low, high = at("03-27 00:00"), at("03-31 00:00")
    wide = calendar.timetables(low, high)
    quarter = 15 * 60_000
    for start in range(low, high - 5 * HOUR, 5 * quarter):
        end = start + 5 * HOUR
        narrow = calendar.timetables(start, end)
        assert commands_between(narrow, start, end) == commands_between(wide, start, end)
        assert commands_at(narrow, start) == commands_at(wide, start)
        for one, other in zip(narrow, wide, strict=True):
            assert [one.at(t) for t in range(start, end, quarter)] == [other.at(t) for t in range(start, end, quarter)]


def test_recurrence_rules_say_days() -> None:
    """The last Friday of a month, every other Monday: dates by the library, times by the wall, over both changes."""
    pytest.importorskip("dateutil.rrule", reason="needs the extra schedules")
    shift = {"agents": "ana", "from_ms": "09:00", "to_ms": "10:00", **BERLIN}
    last = Shift(rrule="FREQ=MONTHLY;BYDAY=-1FR", start=date(2026, 1, 1), until=date(2026, 11, 30), **shift)
    found = spans(Calendar(shifts=[last]), "01-01 00:00", "12-31 00:00")
    assert [row[0] for row in found if row[0][:2] in ("03", "04", "10", "11")] == [
        "03-27 08:00",
        "04-24 07:00",
        "10-30 08:00",
        "11-27 08:00",
    ]
    other = Shift(rrule="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", start=date(2020, 1, 13), **shift)
    assert [row[0] for row in spans(Calendar(shifts=[other]), "03-16 00:00", "04-20 00:00")] == [
        "03-16 08:00",
        "03-30 07:00",
        "04-13 07:00",
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("FREQ=HOURLY", "FREQ=HOURLY counts hours on the wall"),
        ("FREQ=SECONDLY", "counts hours on the wall"),
        ("FREQ=DAILY;BYHOUR=9,10", "BYHOUR=9,10 counts hours on the wall"),
        ("FREQ=DAILY;UNTIL=20260101T000000Z", "say the last day with the key 'until'"),
        ("FREQ=DAILY;INTERVAL=0", r"INTERVAL must be in 1\.\.1000, got 0"),
        ("FREQ=DAILY;COUNT=99999", "COUNT must be in"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is there twice"),
        ("INTERVAL=2", "the part FREQ is missing"),
        ("FREQ=DAILY;BYEASTER=1", "unknown or malformed part 'BYEASTER=1'"),
        ("FREQ=DAILY\nEXDATE:20260101", "unknown or malformed"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never comes to pass"),
        ("FREQ=YEARLY;BYWEEKNO=99", "never comes to pass|not a recurrence rule"),
        ("FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO", "not a recurrence rule"),
        ("FREQ=DAILY;" + "X" * 600, "at most 512 characters"),
        ("", None),
    ],
)
def test_recurrence_rules_that_are_none(rule: str, message: str | None) -> None:
    """A rule by the hour, endless, impossible or malformed is refused before a library follows it."""
    pytest.importorskip("dateutil.rrule", reason="needs the extra schedules")
    if message is None:
        return
    with pytest.raises(PlanError, match=message):
        Shift(agents="ana", zone="UTC", rrule=rule, start=date(2026, 1, 1))


def test_hourly_rules_are_a_trap() -> None:
    """Why rules by the hour are refused: every six hours on the wall is five or seven hours in the nights of change."""
    rrule = pytest.importorskip("dateutil.rrule", reason="needs the extra schedules")
    from zoneinfo import ZoneInfo

    start = datetime(2026, 3, 28, 22, tzinfo=ZoneInfo("Europe/Berlin"))
    first, second = list(rrule.rrulestr("FREQ=HOURLY;INTERVAL=6;COUNT=2", dtstart=start))
    assert second.astimezone(UTC) - first.astimezone(UTC) != (second.replace(tzinfo=None) - first.replace(tzinfo=None))


def test_holidays_of_a_part_of_a_country() -> None:
    """Epiphany is a day off in Bavaria and none in Berlin; more dates count, and except takes one out again."""
    pytest.importorskip("holidays", reason="needs the extra calendars")
    day = {
        "agents": "ana",
        "from_ms": "08:00",
        "to_ms": "16:00",
        "start": date(2026, 1, 5),
        "until": date(2026, 1, 8),
        **BERLIN,
    }

    def days(**terms) -> list[str]:
        calendar = Calendar(
            shifts=[Shift(holidays=["off"], **day)], holidays=[Holidays(name="off", country="DE", **terms)]
        )
        return [row[0][:5] for row in spans(calendar, "01-01 00:00", "01-15 00:00")]

    assert days(subdivision="BY") == ["01-05", "01-07", "01-08"]
    assert days(subdivision="BE", dates=[date(2026, 1, 8)]) == ["01-05", "01-06", "01-07"]
    assert days(subdivision="BY", without=[date(2026, 1, 6)]) == ["01-05", "01-06", "01-07", "01-08"]
    for terms, message in (
        ({"subdivision": "XX"}, r"holidays\[0\]\.subdivision: .*'XX'"),
        ({"country": "QQ"}, r"country: .*'QQ'"),
    ):
        calendar = Calendar(holidays=[Holidays(name="off", **({"country": "DE"} | terms))])
        with pytest.raises(PlanError, match=message):
            calendar.timetables(at("01-01 00:00"), at("01-02 00:00"))


def test_rules_of_one_subject_agree() -> None:
    """Two rules that say different things about one queue's last call, or one agent's drain, are refused with both."""
    hours = {"queues": ["sales"], "zone": "UTC", "to_ms": "12:00"}
    calendar = Calendar(
        hours=[Hours(last_call_ms="5m", **hours), Hours(last_call_ms="6m", days=["sat"], **hours), Hours(**hours)]
    )
    with pytest.raises(PlanError, match=r"hours\[1\]\.last_call: says otherwise about 'sales' than hours\[0\]"):
        calendar.timetables(0, HOUR)


def test_moving_into_a_closed_queue_is_refused() -> None:
    """What waits cannot move to a queue that closes at that instant or is in its last call; later is well."""
    sales = Hours(queues="sales", to_ms="17:00", from_ms="08:00", waiting="move", move_to="night", zone="UTC")

    def compiled(**night) -> object:
        other = Hours(queues="night", from_ms="08:00", zone="UTC", **night)
        return Calendar(hours=[sales, other]).timetables(at("06-01 00:00"), at("06-03 00:00"))

    assert compiled(to_ms="17:01")
    for night in ({"to_ms": "17:00"}, {"to_ms": "17:30", "last_call_ms": "30m"}):
        with pytest.raises(PlanError, match="'sales' moves to 'night' at 2026-06-01T17:00:00Z, which is closed then"):
            compiled(**night)


def test_what_grows_is_bounded() -> None:
    """A horizon has at most ten years; too many spans name the rule that is too much."""
    calendar = Calendar(shifts=[Shift(agents="ana", zone="UTC")])
    with pytest.raises(MisuseError, match="a horizon is not from"):
        calendar.timetables(0, HORIZON_MAX_MS + 1)
    with pytest.raises(MisuseError, match="a horizon is not from"):
        calendar.timetables(5, 5)
    crowd = [f"agent {number}" for number in range(600)]
    with pytest.raises(PlanError, match=r"shifts\[1\]: too many for this horizon"):
        Calendar(shifts=[Shift(agents="ana", zone="UTC"), Shift(agents=crowd, zone="UTC")]).timetables(
            0, HORIZON_MAX_MS
        )


def test_a_missing_extra_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks a library is told which extra brings it, and rules that name days need none."""
    monkeypatch.setitem(sys.modules, "dateutil.rrule", None)
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtraError, match=r"dateutil is not installed; pip install 'omniroute\[schedules\]'"):
        Shift(agents="ana", zone="UTC", rrule="FREQ=DAILY", start=date(2026, 1, 1))
    with pytest.raises(ImportError, match=r"omniroute\[calendars\]"):
        library("holidays", "calendars")
    assert len(Calendar(shifts=[Shift(agents="ana", zone="UTC", days=["mon"])]).timetables(0, HOUR)) == 1


# TOML -----------------------------------------------------------------------------------------------------------------


def test_toml_round_trip() -> None:
    """What a calendar writes is what it reads, key by key."""
    pytest.importorskip("dateutil.rrule", reason="needs the extra schedules")
    calendar = Calendar.from_toml_text(CALENDAR)
    assert calendar.to_toml() == CALENDAR
    assert Calendar.from_toml_text(calendar.to_toml()) == calendar
    assert Calendar.from_toml_text("") == Calendar()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'from = "22:00"',
            'from = "22"',
            r'week.toml:4: shifts\[0\].from: expected a time of day such as "08:30", got \'22\'',
        ),
        ('days = ["mon", "fri"]', 'days = ["monday"]', r"week.toml:6: shifts\[0\].days: expected mon"),
        ('zone = "UTC"', 'zone = "Utopia/Nowhere"', r"week.toml:24: absences\[0\].zone: no time zone"),
        ('drain = "5m"', 'drain = "25h"', r"week.toml:11: shifts\[0\].drain: must be at most a day"),
        (
            'drain = "5m"',
            'drains = "5m"',
            r"week.toml:11: shifts\[0\].drains: unknown key 'drains'; did you mean 'drain'",
        ),
        ("start = 2026-01-01", 'start = "soon"', r"week.toml:7: shifts\[0\].start: expected a date"),
        ("until = 2026-12-31", "until = 2025-12-31", r"week.toml:8: shifts\[0\].until: is 2025-12-31, before start"),
        ('to = "06:00"', 'to = "22:00"', r"shifts\[0\].to: is the same"),
        (
            'holidays = ["bavaria"]',
            'holidays = ["baviera"]',
            r"week.toml:10: shifts\[0\].holidays: no holidays are called",
        ),
        ("INTERVAL=2", "INTERVAL=0", r"week.toml:19: breaks\[0\].rrule: INTERVAL must be"),
        ("start = 2026-01-05\n", "", r"breaks\[0\].rrule: needs a start"),
        ('kind = "meeting"', 'kind = "shift"', r"breaks\[0\].kind: 'shift' is no kind of break"),
        ('waiting = "move"', 'waiting = "keep"', r"hours\[0\].move_to: goes with"),
        ('move_to = "night"', 'move_to = "sales"', r"hours\[0\].move_to: is the queue itself"),
        ('agents = ["ben"]', "agents = []", r"absences\[0\].agents: expected at least one name"),
        ('country = "DE"\n', "", r"holidays\[0\].subdivision: is a part of no country"),
        ("[[shifts]]", "[[shift]]", r"unknown key 'shift'; did you mean 'shifts'"),
        ("[[shifts]]", "[shifts", "week.toml:1"),
    ],
)
def test_toml_errors_name_line_and_field(old: str, new: str, message: str) -> None:
    """A mistake in a file is told with its line and its field, as in plans."""
    pytest.importorskip("dateutil.rrule", reason="needs the extra schedules")
    assert old in CALENDAR
    with pytest.raises(PlanError, match=message):
        Calendar.from_toml_text(CALENDAR.replace(old, new, 1), source="week.toml")


def test_every_key_is_in_the_reference() -> None:
    """The reference names every table, every key and every public name of calendars."""
    page = (Path(__file__).resolve().parents[1] / "docs/reference/calendar.md").read_text()
    words = [f"[[{name}]]" for name in calendars._KEYS] + [key for keys in calendars._KEYS.values() for key in keys]
    for word in [*words, *calendar_names]:
        assert f"`{word}`" in page or f"`Calendar.{word}`" in page or f"`{word}`s" in page, word


# What a router is told ------------------------------------------------------------------------------------------------


@given(tables(drain_ms=0), st.integers(0, 9), st.integers(0, END), st.integers(0, END))
def test_stretches_join(one: Timetable, drain: int, a: int, b: int) -> None:
    """Commands of two stretches, joined, are those of both together; a new router is led to what is planned.

    Planted: ``<=`` at the end of a stretch; commands at ``now`` in what a new router is told.
    """
    day = table(*((s.start_ms, s.end_ms, s.kind) for s in one.spans), drain_ms=drain)
    a, b = sorted((a, b))
    whole = commands_between([day], 0, END)
    assert commands_between([day], 0, a) + commands_between([day], a, b) + commands_between([day], b, END) == whole
    if a == END:
        return
    states = [("signed_out", ""), *(state for then, state in agent_states(day) if then <= a)]
    router = router_of(day)
    later = commands_between([day], a, a + 1)
    told = [event for now, command in commands_at([day], a) + later for event in router.apply(now, command)]
    assert sum(isinstance(event, Rejected) for event in told) == sum(
        isinstance(command, SignIn) for _, command in later
    )
    assert presence(router) == expected(states[-1][0])


def router_of(*days: Timetable) -> Router:
    """A router that knows ana and two queues."""
    return Router(
        Plan(queues=[Queue("sales", offer_timeout_ms="1h"), Queue("night")], agents=[Agent("ana"), Agent("ben")])
    )


def presence(router: Router) -> str:
    """What ana is."""
    return router.agent("ana").presence


def expected(planned: str) -> str:
    """Whoever drains with empty hands has gone."""
    return "signed_out" if planned == "draining" else planned


@given(tables(), st.integers(0, 9))
def test_a_router_follows_the_timetable(one: Timetable, drain: int) -> None:
    """A router that is fed is what is planned after every instant; of the two commands of who comes one is refused.

    Planted: no SetPresence behind a sign-in; ready after a break forgotten; SignOut behind a drain.
    """
    day = table(*((s.start_ms, s.end_ms, s.kind) for s in one.spans), drain_ms=drain)
    router = router_of(day)
    states, fed = dict(agent_states(day)), commands_between([day], 0, END)
    refused, planned = 0, "signed_out"
    for now in range(END):
        for then, command in fed:
            if then == now:
                refused += sum(isinstance(event, Rejected) for event in router.apply(now, command))
        planned = states.get(now, (planned, ""))[0]
        assert presence(router) == expected(planned), now
        busy = planned == "ready"
        assert day.takes(now) == busy
    assert refused == sum(isinstance(command, SignIn) for _, command in fed)


def test_who_is_still_at_work_comes_back() -> None:
    """A shift in two parts: whoever is in a call over the whole gap works on after it, and is not lost when it ends.

    Planted: SignIn alone, which is refused while the agent drains.
    """
    day = table((0, 10, "shift"), (20, 40, "shift"))
    router = router_of(day)
    fed = commands_between([day], 0, END)
    for now, command in fed[:3]:
        router.apply(now, command)
    offer = next(e.offer for e in router.enqueue(1, "c1", "sales") if hasattr(e, "offer"))
    router.accept(2, offer)
    seen = []
    for now, command in fed[3:7]:
        router.apply(now, command)
        seen.append(presence(router))
    assert seen == ["draining", "draining", "draining", "ready"]
    assert router.agent("ana").obligation == 40
    router.finish(25, "c1")
    assert presence(router) == "ready"


def test_last_call_and_what_waits() -> None:
    """Before closing nothing more enters, what waits stays; at closing it moves, and the queue is closed again."""
    sales = table((10, 40, "open"), subject="sales", role="queue", last_call_ms=5, waiting="move", move_to="night")
    assert commands_between([sales], 0, END) == [
        (10, OpenQueue("sales", 40)),
        (35, CloseQueue("sales")),
        (40, OpenQueue("sales")),
        (40, CloseQueue("sales", "move", "night")),
    ]
    router = router_of(sales)
    log = []
    for now, command in commands_at([sales], 0) + commands_between([sales], 0, 36):
        log += router.apply(now, command)
    assert [type(event).__name__ for event in log] == ["QueueClosed", "QueueOpened", "QueueClosed"]
    assert any(isinstance(event, Rejected) for event in router.enqueue(36, "late", "sales"))
    router = router_of(sales)
    router.enqueue(11, "c1", "sales")
    for now, command in commands_between([sales], 35, END):
        log += router.apply(now, command)
    assert [len(router.waiting(queue, 9)) for queue in ("sales", "night")] == [0, 1]
    assert isinstance(log[-1], QueueClosed | Queued | Transferred)
    assert any(isinstance(event, Rejected) for event in router.enqueue(50, "later", "sales"))


def test_order_at_one_instant() -> None:
    """Queues open, close, agents come, turn ready, not ready, drain, go; equals by name, in whatever order given."""
    days = [
        table((5, 9, "open"), subject="b", role="queue"),
        table((1, 5, "open"), subject="a", role="queue"),
        table((1, 5, "shift"), subject="out"),
        table((1, 9, "shift"), subject="drains", drain_ms=4),
        table((1, 5, "shift"), (5, 9, "break"), subject="rests"),
        table((1, 5, "break"), (5, 9, "shift"), subject="works"),
        table((5, 9, "shift"), subject="new 2"),
        table((5, 9, "break"), subject="new 1"),
    ]
    fed = [(now, command) for now, command in commands_between(days, 5, 6)]
    assert fed == commands_between(days[::-1], 5, 6)
    assert [command for _, command in fed] == [
        OpenQueue("b", 9),
        CloseQueue("a"),
        SetObligation("new 2", 9),
        SetObligation("works", 9),
        SignIn("new 1", ready=False),
        SetPresence("new 1", "not_ready", "break"),
        SignIn("new 2"),
        SetPresence("new 2", "ready"),
        SetPresence("works", "ready"),
        SetPresence("rests", "not_ready", "break"),
        SetPresence("drains", "draining"),
        SignOut("out"),
    ]
    with pytest.raises(MisuseError, match="two timetables of the agent 'out'"):
        commands_between([*days, days[2]], 5, 6)


def test_presences_for_a_simulation() -> None:
    """A simulation has the agents that the timetables have, pauses and shifts included, as the commands say it."""
    from omniroute import simulate
    from omniroute.world.workload import Workload

    night = table((10, 20, "shift"), (20, 30, "break"), (30, 40, "shift"))
    columns = presences_between([night, table((0, END, "open"), subject="sales", role="queue")], 15, END)
    assert columns.agents == ("ana",)
    assert columns.at_ms.tolist() == [15, 20, 30, 40]
    work = Workload(arrival_ms=[16, 21, 41], handle_ms=[1, 1, 1], queues=["sales"], presences=columns)
    done = simulate(Plan(queues=[Queue("sales")], agents=[Agent("ana")]), work, until_ms=END)
    assert done.wait_ms.tolist() == [0, 9, -1]


# Adherence ------------------------------------------------------------------------------------------------------------


def changed(rows: list[tuple[int, str]], agent: str = "ana") -> list[PresenceChanged]:
    """Events of presence."""
    return [PresenceChanged(seq, now, agent, state, "command") for seq, (now, state) in enumerate(rows)]


def test_adherence_of_a_day() -> None:
    """Late by 2, in the break while it is due, back 3 late, working 5 on after the end: exact integers."""
    day = table((10, 20, "shift"), (20, 30, "break"), (30, 40, "shift"), start_ms=0)
    rows = [(12, "ready"), (20, "not_ready"), (33, "ready"), (40, "draining"), (45, "signed_out"), (50, "ready")]
    assert adherence(changed(rows), [day], 0, END) == {"ana": Adherence(scheduled_ms=30, adherent_ms=25, overrun_ms=5)}
    assert adherence([], [day], 0, END) == {"ana": Adherence(scheduled_ms=30, adherent_ms=0, overrun_ms=0)}
    assert adherence(changed(rows), [day], 15, 35)["ana"].scheduled_ms == 20
    with pytest.raises(MisuseError, match="not in order"):
        adherence(changed(rows)[::-1], [day], 0, END)


@given(
    tables(),
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(0, END - 1), st.sampled_from(["signed_out", "ready", "not_ready", "draining"]))),
)
def test_adherence_by_every_instant(one: Timetable, drain: int, rows: list[tuple[int, str]]) -> None:
    """The sums are those of a walk over every instant.

    Planted: an overrun that goes on after the agent has signed out; the drain before a break counted as a break.
    """
    day = table(*((s.start_ms, s.end_ms, s.kind) for s in one.spans), drain_ms=drain)
    rows.sort(key=lambda row: row[0])
    presences, states = dict(rows), dict(agent_states(day))
    scheduled = adherent = overrun = 0
    planned, real, after = "signed_out", "signed_out", False
    for now in range(END):
        real = presences.get(now, real)
        if now in states:
            planned = states[now][0]
            after = planned == "signed_out"
        after = after and real != "signed_out"
        kind = day.at(now)
        if not kind:
            overrun += after and real in ("ready", "draining")
            continue
        scheduled += 1
        fits = {"ready"} if kind == "shift" else {"not_ready", "draining"}
        if kind == "shift" and planned != "ready":
            fits = {"ready", "draining", "signed_out"} if planned == "draining" else {"ready", "not_ready", "draining"}
        adherent += real in fits
    measured = adherence(changed(rows), [day], 0, END)["ana"]
    assert (measured.scheduled_ms, measured.adherent_ms, measured.overrun_ms) == (scheduled, adherent, overrun)


def test_a_router_that_follows_adheres() -> None:
    """Presences of a router that is fed by the calendar adhere in every millisecond, drains included."""
    day = table((10, 20, "shift"), (20, 30, "break"), (30, 40, "shift"), drain_ms=3)
    router = router_of(day)
    events = [event for now, command in commands_between([day], 0, END) for event in router.apply(now, command)]
    assert adherence(events, [day], 0, END)["ana"] == Adherence(scheduled_ms=30, adherent_ms=30, overrun_ms=0)


def test_entries_from_outside() -> None:
    """Entries count like rules: shifts join shifts, absences take, breaks lie over them, whose kind they have."""
    entries = [
        Entry(subject="ana", span=Span(0, 4 * HOUR, "shift")),
        Entry(subject="ana", span=Span(HOUR, 2 * HOUR, "coaching")),
        Entry(subject="ana", span=Span(3 * HOUR, 5 * HOUR, "absence")),
        Entry(subject="sales", span=Span(0, HOUR, "open")),
    ]
    ana, sales = Calendar().timetables(0, 6 * HOUR, events=entries)
    assert [span.kind for span in ana.spans] == ["shift", "coaching", "shift"]
    assert ana.spans[-1].end_ms == 3 * HOUR
    assert (sales.role, sales.at(0), sales.at(HOUR)) == ("queue", "open", "")
