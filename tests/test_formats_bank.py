"""The reader of the Technion bank files (Ilan Guedj, Avi Mandelbaum)."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import LogError
from omniroute.formats.bank import read_bank
from omniroute.formats.detect import open_log
from omniroute.formats.lines import numbered_lines
from omniroute.formats.records import LoggedInteraction, Outcome, ReadSummary

DAY_MS = 86_400_000
FIRST_MS = 10_592 * DAY_MS  # 1999-01-01, counted in days since 1970

GOOD = "AA0101 33116 9664491 2 PS 990101 9:00:31 9:00:36 5 9:00:36 9:03:09 153 AGENT 9:03:08 9:05:00 112 ANAT"
COLUMNS = GOOD.split()


def row(**changes: str) -> str:
    """Return the good row with some columns replaced, by their number as ``c12="HANG"``."""
    fields = list(COLUMNS)
    for column, text in changes.items():
        fields[int(column[1:])] = text
    return "\t".join(fields)


def read(data: bytes, *, strict: bool = False) -> tuple[list[LoggedInteraction], ReadSummary]:
    """Read a file given as bytes."""
    summary = ReadSummary(format="bank", source="month.txt", strict=strict)
    return list(read_bank(numbered_lines(io.BytesIO(data), summary), summary)), summary


def one(**changes: str) -> tuple[LoggedInteraction, ReadSummary]:
    """Read the good row with some columns replaced."""
    records, summary = read(row(**changes).encode())
    assert summary.broken == {}
    return records[0], summary


NEVER = "0:00:00"
NOT_SERVED = {"c13": NEVER, "c14": NEVER, "c15": "0", "c16": "NO_SERVER"}


# -- one row


def test_a_row_becomes_an_interaction() -> None:
    """The queue is the type, the arrival the menu's exit; wait and handle time are the logged seconds."""
    record, summary = one()
    at = FIRST_MS + 9 * 3_600_000
    assert record == LoggedInteraction(
        id="990101.AA0101.33116",
        queue="PS",
        channel="voice",
        priority=2,
        customer="9664491",
        arrived_ms=at + 36_000,
        queued_ms=at + 36_000,
        left_queue_ms=at + 189_000,
        wait_ms=153_000,
        outcome=Outcome.SERVED,
        agent="ANAT",
        started_ms=at + 188_000,
        ended_ms=at + 300_000,
        handle_ms=112_000,
        line=1,
    )
    assert (summary.lines, summary.kept, summary.interactions, summary.notes) == (1, 1, 1, {})


def test_a_customer_is_not_printed() -> None:
    """The customer's number never comes into a printed record."""
    assert "9664491" not in repr(one()[0])


def test_never_queued_means_no_entry_and_no_wait() -> None:
    """0:00:00 says that it did not happen: no entry, no exit, wait 0."""
    record, _ = one(c9=NEVER, c10=NEVER, c11="0")
    assert (record.queued_ms, record.left_queue_ms, record.wait_ms) == (None, None, 0)


def test_a_wait_without_an_entry_is_kept_as_logged() -> None:
    """An entry at midnight looks like none: the wait stays, the entry is not invented, the summary says so."""
    record, summary = one(c6="23:59:54", c7="23:59:54", c9=NEVER, c10="0:00:27", c11="27", c13="0:00:26", c14="0:01:33")
    assert (record.queued_ms, record.wait_ms) == (None, 27_000)
    assert record.started_ms == FIRST_MS + DAY_MS + 26_000
    assert summary.notes["wait without a queue entry"] == 1


def test_hang_with_and_without_a_queue_entry() -> None:
    """HANG abandons when it had entered the queue, and left before the queue when it had not."""
    assert one(c12="HANG", **NOT_SERVED)[0].outcome is Outcome.ABANDONED
    record, _ = one(c9=NEVER, c10=NEVER, c11="0", c12="HANG", **NOT_SERVED)
    assert record.outcome is Outcome.LEFT_BEFORE_QUEUE


def test_hang_with_a_service_left_all_the_same() -> None:
    """A service time or a server beside HANG is noted and not believed."""
    record, summary = one(c12="HANG")
    assert record.outcome is Outcome.ABANDONED
    assert (record.agent, record.started_ms, record.ended_ms, record.handle_ms) == (None, None, None, None)
    assert summary.notes == {"left, with a service time": 1, "left, with a named server": 1}


def test_phantom_is_set_aside_and_still_told() -> None:
    """PHANTOM is yielded as SET_ASIDE and its line is counted as set aside."""
    records, summary = read(row(c12="PHANTOM").encode())
    assert records[0].outcome is Outcome.SET_ASIDE
    assert (summary.kept, summary.set_aside) == (0, {"phantom": 1})


def test_served_by_nobody() -> None:
    """AGENT with NO_SERVER is served by an agent that the log does not name."""
    record, summary = one(c16="NO_SERVER")
    assert (record.outcome, record.agent, record.handle_ms) == (Outcome.SERVED, None, 112_000)
    assert summary.notes == {"served without an agent": 1}


def test_no_service_clock_is_no_handle_time() -> None:
    """Served without service clocks has no handle time; with clocks and zero seconds it has one of zero."""
    record, _ = one(c13=NEVER, c14=NEVER, c15="0")
    assert (record.outcome, record.started_ms, record.handle_ms) == (Outcome.SERVED, None, None)
    record, _ = one(c14="9:03:08", c15="0")
    assert record.handle_ms == 0


def test_midnight_falls_between_any_two_clocks() -> None:
    """A clock that steps back by more than half a day belongs to the next day, wherever in the row it happens."""
    record, summary = one(
        c6="23:59:23",
        c7="23:59:23",
        c8="0",
        c9="23:59:28",
        c10="0:00:03",
        c11="35",
        c13="0:00:03",
        c14="0:00:55",
        c15="52",
    )
    assert record.left_queue_ms == FIRST_MS + DAY_MS + 3_000
    assert record.started_ms == FIRST_MS + DAY_MS + 3_000
    assert record.ended_ms == FIRST_MS + DAY_MS + 55_000
    assert summary.notes == {"queue crosses midnight": 1}
    record, summary = one(
        c6="23:59:50", c7="0:00:05", c8="15", c9=NEVER, c10=NEVER, c11="0", c13="0:00:04", c14="0:00:10", c15="6"
    )
    assert record.arrived_ms == FIRST_MS + DAY_MS + 5_000
    assert record.started_ms == FIRST_MS + DAY_MS + 4_000


def test_menu_time_below_zero_is_taken_as_it_stands() -> None:
    """An exit from the menu a minute before its entry is noted, not moved to the next day."""
    record, summary = one(c7="8:59:36", c8="-55")
    assert record.arrived_ms == FIRST_MS + 9 * 3_600_000 - 24_000
    assert summary.notes == {"menu time below zero": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"c5": "990230"}, "date: no such day"),
        ({"c5": "9902"}, "date: not YYMMDD"),
        ({"c6": "9:60:00"}, "vru_entry: not a clock h:mm:ss"),
        ({"c10": "24:00:00"}, "q_exit: not a clock h:mm:ss"),
        ({"c11": "-1"}, "q_time: below zero"),
        ({"c11": "1_0"}, "duration: not a whole number"),
        ({"c15": "9" * 5000}, "duration: out of range"),
        ({"c3": "\u0663"}, "priority: not a whole number"),
        ({"c3": "9" * 12}, "priority: out of range"),
        ({"c12": "LOST"}, "outcome: unknown outcome"),
        ({"c4": ""}, "type: missing"),
        ({"c4": "x" * 500}, "type: name too long"),
        ({"c0": "AA\t01"}, "not seventeen columns"),
    ],
)
def test_a_broken_row_is_named_and_counted(changes: dict[str, str], reason: str) -> None:
    """A row that cannot be read is counted under its reason and listed with its number; the next row is read."""
    data = (row() + "\r\n" + row(**changes) + "\n" + row() + "\n").encode()
    records, summary = read(data)
    assert (len(records), summary.broken, summary.broken_lines) == (2, {reason: 1}, [(2, reason)])
    assert summary.balanced()
    assert summary.notes == {}
    with pytest.raises(LogError, match=r"^month\.txt:2: ") as caught:
        read(data, strict=True)
    assert caught.value.line == 2


def test_both_line_ends_and_a_cut_file() -> None:
    """CR LF and LF may be mixed, a byte order mark and a header may lead, the last line may lack its end."""
    data = b"\xef\xbb\xbfvru+line\tcall_id\r\n" + row().encode() + b"\r\n\r\n" + row(c1="2").encode()
    records, summary = read(data)
    assert [record.id for record in records] == ["990101.AA0101.33116", "990101.AA0101.2"]
    assert summary.set_aside == {"header": 1, "blank": 1}
    assert summary.balanced()


def test_bytes_that_are_not_text() -> None:
    """Bytes that are not UTF-8 stay apart and printable; a NUL byte breaks its line only."""
    data = b"\n".join(row(c16=name).encode("latin-1") for name in ("M\xfcller", "M\xf6ller", "A\0B"))
    records, summary = read(data)
    assert [record.agent for record in records] == ["M\\xfcller", "M\\xf6ller"]
    assert summary.broken == {"NUL byte": 1}
    assert summary.notes == {"bytes that are not UTF-8": 2}


# -- garbage

cells = st.one_of(
    st.sampled_from((*COLUMNS, NEVER, "0", "-5", "HANG", "PHANTOM", "AGENT", "", "99:99:99", "23:59:59", "700101")),
    st.text(max_size=12),
    st.integers(-(10**30), 10**30).map(str),
)
rows = st.one_of(
    st.lists(cells, min_size=15, max_size=18).map("\t".join),
    st.tuples(st.integers(0, 16), cells).map(lambda change: row(**{f"c{change[0]}": change[1]})),
)
files = st.one_of(st.binary(max_size=400), st.lists(rows, max_size=8).map(lambda lines: "\n".join(lines).encode()))


@given(files)
def test_any_bytes_are_accounted_for(data: bytes) -> None:
    """No input crashes the reader; every line is kept, set aside or broken; strictly, broken means LogError."""
    records, summary = read(data)
    assert summary.balanced()
    assert summary.interactions == len(records)
    assert all(record.wait_ms >= 0 and record.arrived_ms >= 0 for record in records)
    if summary.broken:
        with pytest.raises(LogError):
            read(data, strict=True)
    else:
        assert read(data, strict=True) == (records, _strict(summary))


def _strict(summary: ReadSummary) -> ReadSummary:
    summary.strict = True
    return summary


# -- the real months

Month = Callable[[str], Any]
MONTHS = ("january", "february")
NAMES = {
    Outcome.SERVED: "AGENT",
    Outcome.ABANDONED: "HANG",
    Outcome.LEFT_BEFORE_QUEUE: "HANG",
    Outcome.SET_ASIDE: "PHANTOM",
}


def _outcomes(interactions: list[LoggedInteraction]) -> Counter[str]:
    return Counter(NAMES[record.outcome] for record in interactions)


def _starts_early(record: LoggedInteraction) -> bool:
    if record.started_ms is None:
        return False
    ready_ms = record.arrived_ms if record.left_queue_ms is None else record.left_queue_ms
    return 1_000 <= ready_ms - record.started_ms <= 6_000


READER_FACTS: dict[str, Callable[[Any], object]] = {
    "file": lambda month: month.path.name,
    "sha256": lambda month: hashlib.sha256(month.path.read_bytes()).hexdigest(),
    "rows_ok": lambda month: month.summary.interactions,
    "malformed_lines": lambda month: month.summary.broken_lines,
    "date_min": lambda month: min(record.id[:6] for record in month.interactions),
    "date_max": lambda month: max(record.id[:6] for record in month.interactions),
    "days_present": lambda month: len({record.id[:6] for record in month.interactions}),
    "count_by_outcome": lambda month: _outcomes(month.interactions),
    "count_by_type": lambda month: Counter(record.queue for record in month.interactions),
    "count_by_priority": lambda month: Counter(str(record.priority) for record in month.interactions),
    "queued": lambda month: sum(record.queued_ms is not None for record in month.interactions),
    "queued_by_outcome": lambda month: _outcomes([r for r in month.interactions if r.queued_ms is not None]),
    "not_queued_by_outcome": lambda month: _outcomes([r for r in month.interactions if r.queued_ms is None]),
    "agents": lambda month: len({record.agent for record in month.interactions} - {None}),
}


@pytest.mark.data
@pytest.mark.parametrize("fact", READER_FACTS)
@pytest.mark.parametrize("name", MONTHS)
def test_counts_of_the_real_months(bank_month: Month, name: str, fact: str) -> None:
    """Every count that the facts of January and February 1999 know about rows is met exactly."""
    month = bank_month(name)
    assert READER_FACTS[fact](month) == month.facts[fact]


@pytest.mark.data
@pytest.mark.parametrize("name", MONTHS)
def test_oddities_of_the_real_months(bank_month: Month, name: str) -> None:
    """The oddities that the facts count are those that the reader notes.

    The facts see a wait or a service that differs from its clocks wherever these cross midnight; the reader puts the
    second clock on the next day, so that none is left that differs.
    """
    month = bank_month(name)
    notes = Counter(month.summary.notes)
    assert notes["wait differs from the clocks"] == notes["handle time differs from the clocks"] == 0
    assert month.facts["anomalies"] == {
        "neg_vru_time": notes["menu time below zero"],
        "q_time_ne_diff": notes["queue crosses midnight"],
        "ser_time_ne_diff": notes["service crosses midnight"],
        "agent_outcome_but_NO_SERVER": notes["served without an agent"],
        "agent_outcome_ser_time_0": notes["served without a handle time"],
        "hang_but_ser_time_gt0": notes["left, with a service time"],
        "hang_but_named_server": notes["left, with a named server"],
        "queued_customer_id_0": sum(r.queued_ms is not None and r.customer is None for r in month.interactions),
        "service_starts_1_to_6s_before_queue_exit": sum(map(_starts_early, month.interactions)),
        "ser_crosses_midnight": notes["service crosses midnight"],
        "q_crosses_midnight": notes["queue crosses midnight"],
    }


@pytest.mark.data
@pytest.mark.parametrize("name", MONTHS)
def test_no_line_of_the_real_months_is_lost(bank_month: Month, name: str) -> None:
    """Lines read = kept + set aside + broken, and the lines are those of the file."""
    month = bank_month(name)
    assert month.summary.balanced()
    assert month.summary.lines == month.path.read_bytes().count(b"\n")
    assert month.summary.set_aside == {"header": 1, "phantom": month.facts["count_by_outcome"]["PHANTOM"]}
    assert len({record.id for record in month.interactions}) == len(month.interactions)


@pytest.mark.data
def test_the_excerpt_is_a_day_of_its_month(bank_month: Month) -> None:
    """The rows of the one-day excerpt read as the same interactions as in the whole month."""
    month = bank_month("february")
    log = open_log(month.path.with_name("excerpt_19990201.txt"))
    whole = {record.id: record for record in month.interactions}
    records = list(log.interactions())
    assert log.summary.balanced()
    assert len(records) > 1_000
    assert all(_essence(record) == _essence(whole[record.id]) for record in records)


def _essence(record: LoggedInteraction) -> tuple[object, ...]:
    return (record.arrived_ms, record.queued_ms, record.wait_ms, record.outcome, record.agent, record.handle_ms)
