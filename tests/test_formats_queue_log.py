"""The reader of Asterisk's ``queue_log``."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import LogError
from omniroute.formats.detect import open_log
from omniroute.formats.lines import numbered_lines
from omniroute.formats.queue_log import read_queue_log
from omniroute.formats.records import LoggedInteraction, Outcome, PresenceChange, PresenceKind, ReadSummary

T = 1_600_000_000


def read(
    data: bytes | str, *, strict: bool = False, **limits: int
) -> tuple[list[LoggedInteraction], list[PresenceChange], ReadSummary]:
    """Read a log given as bytes or text."""
    summary = ReadSummary(format="queue_log", source="queue_log", strict=strict)
    raw = data.encode() if isinstance(data, str) else data
    records = list(read_queue_log(numbered_lines(io.BytesIO(raw), summary), summary, **limits))
    calls = [record for record in records if isinstance(record, LoggedInteraction)]
    return calls, [record for record in records if isinstance(record, PresenceChange)], summary


def log(*events: str) -> str:
    """Write events as ``seconds call|queue|member|EVENT|data`` under one another, seconds counted from T."""
    lines = []
    for event in events:
        seconds, rest = event.split(" ", 1)
        lines.append(f"{T + int(seconds)}|{rest}")
    return "\n".join(lines) + "\n"


def one(*events: str) -> tuple[LoggedInteraction, ReadSummary]:
    """Read a log that tells one call, without a broken line."""
    calls, _, summary = read(log(*events))
    assert summary.broken == {}
    (call,) = calls
    return call, summary


ENTER = "0 c1|sales|NONE|ENTERQUEUE||5551234|3|Ana Q"
CONNECT = "20 c1|sales|SIP/1|CONNECT|20|c9|4"


# -- the life of a call


def test_a_served_call() -> None:
    """Entry, connection and completion make one interaction with the logged hold and talk times."""
    call, summary = one(ENTER, CONNECT, "80 c1|sales|SIP/1|COMPLETEAGENT|20|60|3")
    assert call == LoggedInteraction(
        id="c1",
        queue="sales",
        channel="voice",
        customer="5551234",
        arrived_ms=T * 1000,
        queued_ms=T * 1000,
        left_queue_ms=T * 1000 + 20_000,
        wait_ms=20_000,
        outcome=Outcome.SERVED,
        agent="SIP/1",
        started_ms=T * 1000 + 20_000,
        ended_ms=T * 1000 + 80_000,
        handle_ms=60_000,
        position=3,
        line=1,
    )
    assert (summary.kept, summary.interactions, summary.notes) == (3, 1, {})
    assert "5551234" not in repr(call)


@pytest.mark.parametrize(
    "end",
    [
        "COMPLETEAGENT|20|60|3",
        "COMPLETECALLER|20|60",
        "COMPLETECALLER",
        "TRANSFER|800|default|20|60",
        "TRANSFER|800|default",
        "BLINDTRANSFER|800|default|20|60|3",
        "ATTENDEDTRANSFER|BRIDGE|b-1|20|60|3",
        "ATTENDEDTRANSFER|LINK|x|20|60",
    ],
)
def test_every_end_of_a_talk(end: str) -> None:
    """Completions and transfers of all versions end a served call; what they do not say is taken from the clocks."""
    call, _ = one(ENTER, CONNECT, f"80 c1|sales|SIP/1|{end}")
    assert (call.outcome, call.wait_ms, call.handle_ms) == (Outcome.SERVED, 20_000, 60_000)
    assert call.ended_ms == T * 1000 + 80_000


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("ABANDON|1|3|31", Outcome.ABANDONED),
        ("ABANDON|1", Outcome.ABANDONED),
        ("AGENTDUMP|", Outcome.ABANDONED),
        ("EXITWITHTIMEOUT|1|3|31", Outcome.TIMED_OUT),
        ("EXITWITHTIMEOUT|1", Outcome.TIMED_OUT),
        ("EXITWITHKEY|9|1|3|31", Outcome.KEYED_OUT),
        ("EXITWITHKEY|9|1", Outcome.KEYED_OUT),
        ("EXITEMPTY|1|3|31", Outcome.EMPTIED),
        ("WITHDRAW|1|3|31|moved", Outcome.WITHDRAWN),
    ],
)
def test_every_end_of_a_wait(end: str, outcome: Outcome) -> None:
    """A call may leave the queue in many ways; the wait is the logged one, else what passed on the clock."""
    call, _ = one(ENTER, f"30 c1|sales|SIP/1|{end}")
    assert (call.outcome, call.wait_ms) == (outcome, 31_000 if end.count("|") > 2 else 30_000)
    assert (call.left_queue_ms, call.agent, call.handle_ms) == (T * 1000 + 30_000, None, None)


@pytest.mark.parametrize("event", ["FULL", "CLOSED|", "JOINEMPTY"])
def test_a_call_that_is_never_let_in(event: str) -> None:
    """FULL, CLOSED and JOINEMPTY make a refused interaction that never queued."""
    call, _ = one(f"5 c1|sales|NONE|{event}")
    assert (call.outcome, call.queued_ms, call.wait_ms) == (Outcome.REFUSED, None, 0)


def test_old_connect_without_times() -> None:
    """An old CONNECT says neither hold nor ring time: the wait is what passed since the entry."""
    call, _ = one(ENTER, "20 c1|sales|SIP/1|CONNECT", "80 c1|sales|SIP/1|COMPLETECALLER|20|60")
    assert call.wait_ms == 20_000


def test_the_logged_hold_time_wins_over_the_clock() -> None:
    """Where the hold time and the clocks differ by rounding, the wait is the logged one."""
    call, _ = one(ENTER, "20 c1|sales|SIP/1|CONNECT|19|c9|4", "80 c1|sales|SIP/1|COMPLETECALLER|19|61|1")
    assert (call.wait_ms, call.handle_ms) == (19_000, 61_000)


# -- where the file begins, breaks off and restarts


def test_a_call_that_began_before_the_file() -> None:
    """Without its entry or connection, a call is rebuilt from the hold and talk times of its last event."""
    call, summary = one("80 c1|sales|SIP/1|COMPLETEAGENT|20|60|1")
    assert (call.queued_ms, call.started_ms, call.agent) == (T * 1000, T * 1000 + 20_000, "SIP/1")
    call, _ = one("20 c1|sales|SIP/1|CONNECT|20|c9|4", "80 c1|sales|SIP/1|COMPLETEAGENT|20|60|1")
    assert (call.queued_ms, call.wait_ms, call.handle_ms) == (T * 1000, 20_000, 60_000)
    call, _ = one("31 c1|sales|NONE|ABANDON|1|1|31")
    assert (call.queued_ms, call.wait_ms) == (T * 1000, 31_000)
    assert summary.notes == {"entry not in the log": 1}


@pytest.mark.parametrize("tail", [(), ("90 NONE|NONE|NONE|QUEUESTART|",)])
def test_what_is_open_at_the_end_is_told(tail: tuple[str, ...]) -> None:
    """At the end of the file and at a restart, a waiting call is OPEN and a connected one SERVED without an end."""
    calls, _, summary = read(log(ENTER, CONNECT, "30 c2|sales|NONE|ENTERQUEUE||1|1", *tail))
    assert [(call.id, call.outcome, call.agent) for call in calls] == [
        ("c1", Outcome.SERVED, "SIP/1"),
        ("c2", Outcome.OPEN, None),
    ]
    assert (calls[0].ended_ms, calls[0].handle_ms, calls[1].left_queue_ms) == (None, None, None)
    assert sum(summary.notes.values()) == 2


def test_a_call_that_passes_several_queues() -> None:
    """Each passage is an interaction of its own; the second and later ones get a number behind the id."""
    calls, _, _ = read(
        log(
            "0 c1|sales|NONE|ENTERQUEUE||1|1",
            "30 c1|sales|NONE|EXITWITHTIMEOUT|1|1|30",
            "31 c1|help|NONE|ENTERQUEUE||1|1",
            "40 c1|help|SIP/1|CONNECT|9|x|1",
            "50 c1|help|SIP/1|BLINDTRANSFER|sales|ctx|9|10|1",
            "51 c1|sales|NONE|ENTERQUEUE||1|1",
            "60 c1|sales|NONE|ABANDON|1|1|9",
        )
    )
    assert [(call.id, call.queue, call.outcome.label) for call in calls] == [
        ("c1", "sales", "timed_out"),
        ("c1#2", "help", "served"),
        ("c1#3", "sales", "abandoned"),
    ]


def test_an_attended_transfer_waits_in_two_queues_at_once() -> None:
    """A call may be connected in one queue while it waits in another: they are kept apart by queue."""
    calls, _, _ = read(
        log(
            "0 c1|a|NONE|ENTERQUEUE||1|1",
            "5 c1|a|SIP/1|CONNECT|5|x|1",
            "9 c1|b|NONE|ENTERQUEUE||1|1",
            "12 c1|b|SIP/2|CONNECT|3|x|1",
            "15 c1|a|SIP/1|ATTENDEDTRANSFER|BRIDGE|y|5|10|1",
            "20 c1|b|SIP/2|COMPLETECALLER|3|8|1",
        )
    )
    assert [(call.queue, call.agent, call.handle_ms) for call in calls] == [
        ("a", "SIP/1", 10_000),
        ("b", "SIP/2", 8_000),
    ]


def test_entered_twice_loses_neither() -> None:
    """A second entry of a call that is still open closes the first as it stands."""
    calls, _, summary = read(log(ENTER, ENTER, "30 c1|sales|NONE|ABANDON|1|1|30"))
    assert [(call.id, call.outcome) for call in calls] == [("c1", Outcome.OPEN), ("c1#2", Outcome.ABANDONED)]
    assert summary.notes == {"entered twice": 1}


def test_left_after_being_connected() -> None:
    """A departure from the queue after a connection cannot make a served call abandoned."""
    call, summary = one(ENTER, CONNECT, "25 c1|sales|NONE|ABANDON|1|1|25")
    assert (call.outcome, call.handle_ms) == (Outcome.SERVED, None)
    assert summary.notes == {"left the queue after being connected": 1}


def test_clocks_that_step_back() -> None:
    """Set-back clocks are noted; no wait comes out below zero."""
    call, summary = one("100 c1|sales|NONE|ENTERQUEUE||1|1", "40 c1|sales|NONE|ABANDON|1")
    assert (call.wait_ms, summary.notes) == (0, {"time goes backwards": 1})


def test_open_calls_are_bounded() -> None:
    """When more calls are open than the limit allows, the one held longest is told as it stands."""
    entries = log(*(f"{i} c{i}|sales|NONE|ENTERQUEUE||1|1" for i in range(5)))
    calls, _, summary = read(entries, max_open=3)
    assert [call.id for call in calls] == ["c0", "c1", "c2", "c3", "c4"]
    assert summary.notes == {"more calls open than the limit": 2, "open when the log ended": 3}


def test_remembered_ids_are_bounded() -> None:
    """Only the latest ids are remembered for numbering passages; an id forgotten begins anew."""
    round_trip = ("0 a|q|NONE|ENTERQUEUE||1|1", "1 a|q|NONE|ABANDON|1|1|1")
    calls, _, _ = read(log(*round_trip, *round_trip, "2 b|q|NONE|JOINEMPTY", *round_trip), max_legs=1)
    assert [call.id for call in calls] == ["a", "a#2", "b", "a"]


# -- presence


def test_presence_of_agents() -> None:
    """Members come, pause, change penalty and go, in one queue or in all."""
    _, changes, summary = read(
        log(
            "0 MANAGER|sales|SIP/1|ADDMEMBER|",
            "1 CLI|sales|SIP/2|ADDMEMBER|PAUSED",
            "2 NONE|sales|SIP/1|PAUSE|lunch",
            "3 NONE|sales|SIP/1|UNPAUSE|",
            "4 NONE|NONE|SIP/1|PAUSEALL|meeting",
            "5 NONE|NONE|SIP/1|UNPAUSEALL",
            "6 NONE|sales|SIP/1|PENALTY|7",
            "7 NONE|sales|SIP/1|REMOVEMEMBER|",
            "8 c7|NONE|Agent/9|AGENTLOGIN|SIP/3",
            "9 c7|NONE|Agent/9|AGENTLOGOFF|SIP/3|120",
            "10 c8|NONE|Agent/9|AGENTCALLBACKLOGIN|9@ctx",
            "11 c8|NONE|Agent/9|AGENTCALLBACKLOGOFF|9@ctx|60|Autologoff",
            "12 NONE|sales|NONE|PENALTY|3",
        )
    )
    kinds = PresenceKind
    assert [(c.agent, c.queue, c.kind, c.reason, c.penalty) for c in changes] == [
        ("SIP/1", "sales", kinds.SIGNED_IN, None, None),
        ("SIP/2", "sales", kinds.SIGNED_IN, None, None),
        ("SIP/2", "sales", kinds.NOT_READY, "PAUSED", None),
        ("SIP/1", "sales", kinds.NOT_READY, "lunch", None),
        ("SIP/1", "sales", kinds.READY, None, None),
        ("SIP/1", None, kinds.NOT_READY, "meeting", None),
        ("SIP/1", None, kinds.READY, None, None),
        ("SIP/1", "sales", kinds.PENALTY, None, 7),
        ("SIP/1", "sales", kinds.SIGNED_OUT, None, None),
        ("Agent/9", None, kinds.SIGNED_IN, None, None),
        ("Agent/9", None, kinds.SIGNED_OUT, None, None),
        ("Agent/9", None, kinds.SIGNED_IN, None, None),
        ("Agent/9", None, kinds.SIGNED_OUT, "Autologoff", None),
    ]
    assert (summary.presence_changes, summary.kept) == (13, 13)
    assert summary.notes == {"presence without an agent": 1}


# -- lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x|c1|q|NONE|ENTERQUEUE", "time: not a whole number"),
        ("9" * 400 + "|c1|q|NONE|ENTERQUEUE", "time: out of range"),
        ("-5|c1|q|NONE|ENTERQUEUE", "time: not a whole number"),
        ("5|c1|q|NONE", "fewer than five fields"),
        ("5|c1|q|NONE|", "event: not an event name"),
        ("5|c1|q|NONE|" + "E" * 99, "event: not an event name"),
        ("5|NONE|q|NONE|ENTERQUEUE||1|1", "callid: missing"),
        ("5|c1|NONE|NONE|ABANDON|1|1|1", "queue: missing"),
        ("5|c1|q|NONE|ENTERQUEUE||1|first", "position: not a whole number"),
        ("5|c1|q|SIP/1|CONNECT|soon", "hold: not a whole number"),
        ("5|c1|q|SIP/1|CONNECT|" + "9" * 30, "hold: out of range"),
        ("5|c1|q|SIP/1|CONNECT|60", "wait: out of range"),
        ("5|c1|q|SIP/1|COMPLETEAGENT|1|-4", "talk: not a whole number"),
        ("5|c1|q|SIP/1|PENALTY|", "penalty: not a whole number"),
        ("5|" + "c" * 999 + "|q|NONE|ENTERQUEUE", "name too long"),
    ],
)
def test_a_broken_line_moves_nothing(line: str, reason: str) -> None:
    """A line that cannot be read is counted and named, and no call is opened, closed or changed by it."""
    good = log(ENTER, "30 c1|sales|NONE|ABANDON|1|1|30")
    expected, _, _ = read(good)
    first, second = good.splitlines()
    data = "\n".join((first, line, second))
    calls, _, summary = read(data)
    assert [call.wait_ms for call in calls] == [call.wait_ms for call in expected]
    assert (summary.broken, summary.broken_lines) == ({reason: 1}, [(2, reason)])
    assert summary.balanced()
    with pytest.raises(LogError, match=r"^queue_log:2: "):
        read(data, strict=True)


def test_unknown_events_are_counted_and_never_fatal() -> None:
    """Dialplans write events of their own: they are set aside and counted by name, even strictly."""
    _, _, summary = read("5|c1|q|NONE|DID|123\n6|c1|q|NONE|Mood|good|1\n7|c1|q|SIP/1|RINGNOANSWER|1000\n", strict=True)
    assert summary.set_aside == {"unknown event": 2}
    assert summary.events == {"DID": 1, "Mood": 1, "RINGNOANSWER": 1}
    assert summary.balanced()


def test_names_counted_are_bounded() -> None:
    """A log full of different event names fills no table without end."""
    _, _, summary = read("".join(f"5|c|q|NONE|E{i}\n" for i in range(1000)))
    assert len(summary.events) == 257
    assert summary.events["(other)"] == 744


def test_fractions_of_seconds() -> None:
    """Times with microseconds are read to the millisecond."""
    calls, _, _ = read("5.123456|c1|q|NONE|ENTERQUEUE||1|1\n6.5|c1|q|NONE|ABANDON|1\n")
    assert (calls[0].queued_ms, calls[0].wait_ms) == (5123, 1377)


# -- garbage

EVENTS = [
    "ENTERQUEUE",
    "CONNECT",
    "COMPLETEAGENT",
    "COMPLETECALLER",
    "ABANDON",
    "TRANSFER",
    "BLINDTRANSFER",
    "ATTENDEDTRANSFER",
    "EXITEMPTY",
    "EXITWITHKEY",
    "EXITWITHTIMEOUT",
    "AGENTDUMP",
    "WITHDRAW",
    "FULL",
    "JOINEMPTY",
    "QUEUESTART",
    "ADDMEMBER",
    "PAUSE",
    "PENALTY",
    "AGENTLOGOFF",
    "DID",
]
pieces = st.one_of(st.sampled_from(("", "1", "20", "NONE", "x", "-1", "PAUSED")), st.text(max_size=6))
events = st.builds(
    lambda time, call, queue, member, event, data: "|".join((str(time), call, queue, member, event, *data)),
    st.one_of(st.integers(0, 200), st.integers(-(10**20), 10**20)),
    st.sampled_from(("a", "b", "NONE")),
    st.sampled_from(("q", "r", "NONE")),
    st.sampled_from(("SIP/1", "NONE", "")),
    st.sampled_from(EVENTS),
    st.lists(pieces, max_size=5),
)
logs = st.one_of(st.binary(max_size=300), st.lists(events, max_size=25).map(lambda lines: "\n".join(lines).encode()))


@given(logs, st.integers(1, 3))
def test_any_bytes_are_accounted_for(data: bytes, max_open: int) -> None:
    """No input crashes the reader; lines add up; no call is told twice under one id; strictly, broken is LogError."""
    calls, changes, summary = read(data, max_open=max_open)
    assert summary.balanced()
    assert (summary.interactions, summary.presence_changes) == (len(calls), len(changes))
    assert len({call.id for call in calls}) == len(calls)
    assert all(call.wait_ms >= 0 and call.arrived_ms >= 0 and (call.handle_ms or 0) >= 0 for call in calls)
    if summary.broken:
        with pytest.raises(LogError):
            read(data, strict=True)
    else:
        read(data, strict=True)


@given(st.lists(events, max_size=25))
def test_every_entry_comes_out_once(lines: list[str]) -> None:
    """Each entry that is read gives exactly one interaction; the others are those rebuilt or refused at the door."""
    calls, _, summary = read("\n".join(lines))
    told = ["\n".join(lines).split("\n")[call.line - 1].split("|") for call in calls]
    entered = sum(1 for fields in told if fields[4] == "ENTERQUEUE")
    assert entered == summary.events.get("ENTERQUEUE", 0)
    rebuilt = summary.notes.get("entry not in the log", 0)
    refused = sum(1 for call in calls if call.queued_ms is None)
    assert len(calls) == entered + rebuilt + refused


# -- the real logs

WEEK_FACTS: dict[str, Callable[[Any], object]] = {
    "file": lambda week: week.path.name,
    "calls": lambda week: len(week.interactions),
    "connected": lambda week: _count(week, Outcome.SERVED),
    "abandoned": lambda week: _count(week, Outcome.ABANDONED),
    "agents": lambda week: len({call.agent for call in week.interactions} - {None}),
    "max_orig_position": lambda week: max(call.position for call in week.interactions),
    "events": lambda week: sum(week.summary.events.values()),
    "by_queue": lambda week: {
        queue: {"offered": len(calls), "abandoned": sum(call.outcome is Outcome.ABANDONED for call in calls)}
        for queue in {call.queue for call in week.interactions}
        for calls in [[call for call in week.interactions if call.queue == queue]]
    },
}


def _count(week: Any, outcome: Outcome) -> int:
    return sum(call.outcome is outcome for call in week.interactions)


@pytest.mark.data
@pytest.mark.parametrize("fact", WEEK_FACTS)
def test_counts_of_the_real_week(queue_log_week: Any, fact: str) -> None:
    """Every count in the facts of the week as a queue_log is met exactly, and no line is left over."""
    assert WEEK_FACTS[fact](queue_log_week) == queue_log_week.facts[fact]
    assert queue_log_week.summary.kept == queue_log_week.summary.lines


@pytest.mark.data
def test_the_week_and_the_month_tell_the_same(queue_log_week: Any, bank_month: Callable[[str], Any]) -> None:
    """The week read as a queue_log and as bank rows agrees call by call in queue, wait, outcome and agent.

    The queue_log's hold time was made from the start of the service, a second or two before the bank's queue exit.
    What the week leaves out of the bank's rows is what its facts say was skipped, counted here through the bank reader.
    """
    rows = {r.id: r for r in bank_month("february").interactions if r.id < "990208"}
    for call in queue_log_week.interactions:
        row = rows[call.id]
        agent = None if call.agent is None else call.agent.removeprefix("Agent/")
        wait_ms = row.wait_ms
        if row.started_ms is not None:
            joined_ms = row.arrived_ms if row.queued_ms is None else row.queued_ms
            wait_ms = max(row.started_ms - joined_ms, 0)
        assert (call.queue, call.wait_ms, call.outcome) == (row.queue, wait_ms, row.outcome)
        assert agent in (row.agent, "NO_SERVER")
    outcomes = Counter(row.outcome for row in rows.values())
    skipped = queue_log_week.facts["skipped"]
    assert outcomes[Outcome.LEFT_BEFORE_QUEUE] == skipped["vru_hang"]
    assert outcomes[Outcome.SET_ASIDE] == skipped["phantom"]
    kept = {call.id for call in queue_log_week.interactions}
    untimed = [row for row in rows.values() if row.outcome is Outcome.SERVED and row.started_ms is None]
    assert len([row for row in untimed if row.id in kept]) == skipped["kept_served_without_service_times"]
    gone = [row for row in rows.values() if row.id not in kept]
    others = [row for row in gone if row.outcome in (Outcome.SERVED, Outcome.ABANDONED)]
    assert len(others) == skipped["neg_vru"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "calls", "changes", "notes"),
    [
        ("docs_asterisk_org", [], 0, {}),
        (
            "freepbx_2010_fragments",
            [("1266833925.10", "served", 2_000, 4_000), ("1266833996.30", "served", 36_000, 8_000)],
            0,
            {"entry not in the log": 2},
        ),
        ("reformatted_spaces_2010", [("1266833925.10", "abandoned", 13_000, None)], 0, {"entry not in the log": 1}),
        (
            "tutorial_2020_tail",
            [("1596512941.163", "abandoned", 68_000, None), ("1596513054.164", "open", 0, None)],
            1,
            {"open when the system started anew": 1},
        ),
    ],
)
def test_genuine_fragments(data_dir: Path, name: str, calls: list[object], changes: int, notes: dict[str, int]) -> None:
    """Fragments of real logs, old forms and blanks around the bars included, are recognised and read in full."""
    source = open_log(data_dir / "queue_log" / f"{name}.queue_log", strict=True)
    found = [(call.id, call.outcome.label, call.wait_ms, call.handle_ms) for call in source.interactions()]
    assert source.format == "queue_log"
    assert found == calls
    assert (source.summary.presence_changes, source.summary.notes) == (changes, notes)
    assert source.summary.kept == source.summary.lines
