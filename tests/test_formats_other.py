"""JSON lines, mapped CSV, telling formats apart, compressed and hostile files."""

from __future__ import annotations

import doctest
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import LogError, PlanError
from omniroute.formats import csv_mapped as csv_module
from omniroute.formats import lines as lines_module
from omniroute.formats import records as records_module
from omniroute.formats.csv_mapped import FIELDS, CsvMapping, read_csv
from omniroute.formats.detect import open_log
from omniroute.formats.jsonl import read_jsonl, write_jsonl
from omniroute.formats.limits import MAX_DURATION_MS, MAX_EPOCH_MS, MAX_LINE_BYTES, MAX_PRIORITY
from omniroute.formats.lines import numbered_lines
from omniroute.formats.records import (
    LoggedInteraction,
    LogRecord,
    Outcome,
    PresenceChange,
    PresenceKind,
    ReadSummary,
    only_interactions,
)

HEADER = b'{"format":"omniroute-log","version":1}\n'


def read_json(data: bytes, *, strict: bool = False) -> tuple[list[LogRecord], ReadSummary]:
    """Read an omniroute log given as bytes."""
    summary = ReadSummary(format="jsonl", source="log.jsonl", strict=strict)
    return list(read_jsonl(numbered_lines(io.BytesIO(data), summary), summary)), summary


# -- JSON lines

names = st.text(min_size=1, max_size=20)
moments = st.integers(0, MAX_EPOCH_MS - 1)
spans = st.integers(0, MAX_DURATION_MS)
interactions = st.builds(
    LoggedInteraction,
    id=names,
    queue=names,
    channel=names,
    priority=st.integers(0, MAX_PRIORITY),
    customer=st.none() | st.text(max_size=20),
    arrived_ms=moments,
    queued_ms=st.none() | moments,
    left_queue_ms=st.none() | moments,
    wait_ms=spans,
    outcome=st.sampled_from(Outcome),
    agent=st.none() | names,
    started_ms=st.none() | moments,
    ended_ms=st.none() | moments,
    handle_ms=st.none() | spans,
    wrap_up_ms=st.none() | spans,
    needs=st.none() | st.text(max_size=20),
    position=st.none() | st.integers(0, 99),
)
changes = st.builds(
    PresenceChange,
    at_ms=moments,
    agent=names,
    queue=st.none() | names,
    kind=st.sampled_from(PresenceKind),
    reason=st.none() | st.text(max_size=20),
    penalty=st.none() | st.integers(0, 99),
)


def _without_lines(records: list[LogRecord]) -> list[object]:
    return [
        {name: getattr(r, name) for name in type(r).__slots__ if name not in ("line", "__weakref__")} for r in records
    ]


@given(st.lists(interactions | changes, max_size=10))
def test_what_is_written_is_read(records: list[LogRecord]) -> None:
    """Writing and reading an omniroute log gives the same records."""
    stream = io.BytesIO()
    assert write_jsonl(records, stream, customers=True) == len(records)
    found, summary = read_json(stream.getvalue(), strict=True)
    assert _without_lines(found) == _without_lines(records)
    assert summary.balanced()
    assert (summary.lines, summary.interactions + summary.presence_changes) == (len(records) + 1, len(records))


def test_customers_are_written_only_when_asked_for() -> None:
    """Who a customer was does not leave the process by default."""
    record = LoggedInteraction(id="1", queue="q", channel="chat", arrived_ms=5, outcome=Outcome.SERVED, customer="eve")
    stream = io.BytesIO()
    write_jsonl([record], stream)
    assert b"eve" not in stream.getvalue()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 60_000, "not an interaction or presence record"),
        ("\\ud800", "not JSON"),
        ("17", "not an interaction or presence record"),
        ('{"kind":"weather"}', "kind: wrong type or out of range"),
        ('{"kind":"interaction","id":"1"}', "queue: missing"),
        ('{"kind":"presence","at_ms":1,"agent":"a","change":"ready","mood":1}', "unknown field"),
        ('{"kind":"presence","at_ms":"1","agent":"a","change":"ready"}', "at_ms: wrong type or out of range"),
        (
            '{"kind":"presence","at_ms":' + "9" * 40 + ',"agent":"a","change":"ready"}',
            "at_ms: wrong type or out of range",
        ),
        ('{"kind":"presence","at_ms":-1,"agent":"a","change":"ready"}', "at_ms: wrong type or out of range"),
        ('{"kind":"presence","at_ms":1,"agent":"","change":"ready"}', "agent: wrong type or out of range"),
        ('{"kind":"presence","at_ms":1,"agent":"a","change":"asleep"}', "change: wrong type or out of range"),
    ],
)
def test_json_lines_are_read_strictly(line: str, reason: str) -> None:
    """Nothing is converted, guessed or skipped: a line that the version does not know is broken, and named."""
    data = HEADER + line.encode() + b"\n" + b'{"kind":"presence","at_ms":1,"agent":"a","change":"ready"}\n'
    records, summary = read_json(data)
    assert (len(records), summary.broken, summary.broken_lines) == (1, {reason: 1}, [(2, reason)])
    assert summary.balanced()
    with pytest.raises(LogError, match=r"^log\.jsonl:2: "):
        read_json(data, strict=True)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"{}", "the first line must be"),
        (b'{"format":"other","version":1}', "the first line must be"),
        (b"[" * 60_000, "the first line must be"),
        (b'{"format":"omniroute-log","version":2}', "version 2 is not known"),
    ],
)
def test_an_unknown_version_is_refused(header: bytes, said: str) -> None:
    """A log of another format or version is not read at all: guessing would misread it."""
    with pytest.raises(LogError, match=said):
        read_json(header + b"\n")


# -- CSV

TABLE: dict[str, Any] = {
    "delimiter": ";",
    "channel": "chat",
    "columns": {
        "id": "Ticket",
        "queue": "Team",
        "arrived": "Created",
        "wait": "Wait",
        "handle": "Handle",
        "outcome": "Result",
        "agent": "Who",
        "priority": "P",
        "customer": "Mail",
    },
    "outcomes": {"handled": "served", "hung up": "abandoned"},
}
CSV_HEADER = "Ticket;Team;Created;Wait;Handle;Result;Who;P;Mail\n"


def read_rows(
    text: str | bytes, table: dict[str, Any] | None = None, *, strict: bool = False
) -> tuple[list[LoggedInteraction], ReadSummary]:
    """Read CSV under a mapping."""
    summary = ReadSummary(format="csv", source="log.csv", strict=strict)
    data = text.encode() if isinstance(text, str) else text
    mapping = CsvMapping.from_table(TABLE if table is None else table)
    return list(read_csv(numbered_lines(io.BytesIO(data), summary), summary, mapping)), summary


def test_a_mapped_row() -> None:
    """Columns are found by name, wherever they stand; durations and outcomes are read as the mapping says."""
    records, summary = read_rows(
        CSV_HEADER + "7;billing;2024-05-01T10:00:00+02:00;1,5;60;handled;ana;2;eve@example.org\n"
    )
    arrived_ms = 1_714_550_400_000
    assert records == [
        LoggedInteraction(
            id="7",
            queue="billing",
            channel="chat",
            priority=2,
            customer="eve@example.org",
            arrived_ms=arrived_ms,
            queued_ms=arrived_ms,
            left_queue_ms=arrived_ms + 1_500,
            wait_ms=1_500,
            outcome=Outcome.SERVED,
            agent="ana",
            handle_ms=60_000,
            line=2,
        )
    ]
    assert (summary.kept, summary.set_aside) == (1, {"header": 1})


def test_waits_and_handle_times_from_clocks() -> None:
    """Where a log has only clocks, waits and handle times are what passed between them."""
    table = {
        "time_format": "%d.%m.%Y %H:%M",
        "columns": {
            "id": "a",
            "queue": "b",
            "arrived": "c",
            "started": "d",
            "ended": "e",
            "needs": "f",
            "channel": "g",
        },
    }
    text = (
        "a,b,c,d,e,f,g\n"
        "1,q,01.05.2024 10:00,01.05.2024 10:02,01.05.2024 10:07,spanish,email\n"
        "2,q,01.05.2024 10:00,,,,\n"
        "3,q,01.05.2024 10:00,01.05.2024 10:00,01.05.2024 10:01,,\n"
    )
    served, gone, at_once = read_rows(text, table)[0]
    assert (served.wait_ms, served.handle_ms, served.needs, served.channel) == (120_000, 300_000, "spanish", "email")
    assert (served.queued_ms, served.left_queue_ms) == (served.arrived_ms, served.started_ms)
    assert (gone.outcome, gone.channel) == (Outcome.ABANDONED, "voice")
    assert (at_once.queued_ms, at_once.wait_ms) == (None, 0)


@pytest.mark.parametrize(
    ("time_format", "unit", "time", "wait", "expected"),
    [
        ("epoch_s", "s", "1714550400.250", "2", (1_714_550_400_250, 2_000)),
        ("epoch_ms", "ms", "1714550400250", "2", (1_714_550_400_250, 2)),
        ("iso", "clock", "2024-05-01 08:00:00", "0:01:02", (1_714_550_400_000, 62_000)),
        ("iso", "clock", "2024-05-01 08:00:00.250", "1:02.5", (1_714_550_400_250, 62_500)),
    ],
)
def test_times_and_durations(time_format: str, unit: str, time: str, wait: str, expected: tuple[int, int]) -> None:
    """Each named way to write times and durations is read to the millisecond."""
    columns = {"id": "a", "queue": "b", "arrived": "c", "wait": "d"}
    table = {"columns": columns, "time_format": time_format, "duration_unit": unit}
    (record,) = read_rows(f"a,b,c,d\n1,q,{time},{wait}\n", table, strict=True)[0]
    assert (record.arrived_ms, record.wait_ms) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7;billing;2024-05-01;1", "not as many fields as the header"),
        (";billing;2024-05-01;1;1;handled;;;", "id: missing"),
        ("7;billing;yesterday;1;1;handled;;;", "arrived: not a time as the mapping says"),
        ("7;billing;;1;1;handled;;;", "arrived: missing"),
        ("7;billing;1950-01-01;1;1;handled;;;", "arrived: out of range"),
        ("7;billing;2024-05-01;soon;1;handled;;;", "wait: not a number of seconds"),
        ("7;billing;2024-05-01;1;" + "9" * 15 + ";handled;;;", "handle: out of range"),
        ("7;billing;2024-05-01;1;1;lost;;;", "outcome: unknown outcome"),
        ("7;billing;2024-05-01;1;1;handled;;-1;", "priority: not a whole number"),
        ('7;bil"ling;"2024"x;1;1;handled;;;', "not CSV"),
    ],
)
def test_a_broken_row_is_named_and_counted(row: str, reason: str) -> None:
    """A row that cannot be read is counted under its reason; the next is read."""
    text = CSV_HEADER + row + "\n" + "8;billing;2024-05-01;1;1;handled;;;\n"
    records, summary = read_rows(text)
    assert ([record.id for record in records], summary.broken_lines) == (["8"], [(2, reason)])
    assert summary.balanced()
    with pytest.raises(LogError, match=r"^log\.csv:2: "):
        read_rows(text, strict=True)


def test_a_row_over_several_lines_counts_all_of_them() -> None:
    """A quoted line end makes one row of two lines; an open quote at the end makes its lines broken."""
    records, summary = read_rows(
        CSV_HEADER + '"7\nb";q;2024-05-01;1;1;set_aside;;;\n"8\n8";q;2024-05-01;1;1;served;;;\n"9;q\nx\n'
    )
    assert [record.id for record in records] == ["7\nb", "8\n8"]
    assert (summary.lines, summary.kept, summary.set_aside) == (7, 2, {"header": 1, "set aside in the log": 2})
    assert summary.broken == {"not CSV": 2}
    assert summary.balanced()


def test_a_column_that_is_not_there() -> None:
    """A mapped column that the header lacks is an error that names it, what it is for, and what there is."""
    with pytest.raises(
        LogError, match=r'log\.csv:1: the header has no column "Who" \(for agent\); it has Ticket, Team'
    ):
        read_rows(CSV_HEADER.replace(";Who", ""))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colums": {}}, r"plan\.toml: csv\.colums: unknown key"),
        ({"columns": {"id": "a", "queue": "b"}}, r"csv\.columns\.arrived: must name a column"),
        ({"columns": {"id": "a", "queue": "b", "arrived": "c", "when": "d"}}, r"csv\.columns\.when: unknown field"),
        ({"columns": {"id": 1}}, r"csv\.columns\.id: must be a string"),
        ({"columns": 5}, r"csv\.columns: must be a table"),
        ({"outcomes": {"x": "lost"}}, r"csv\.outcomes\.x: unknown outcome"),
        ({"delimiter": ";;"}, r"csv\.delimiter: must be one character"),
        ({"duration_unit": "h"}, r"csv\.duration_unit: must be one of s, ms, clock"),
        ({"time_format": "german"}, r"csv\.time_format: must be"),
        ({"channel": ""}, r"csv\.channel: must be a string, not empty"),
    ],
)
def test_a_wrong_mapping_names_its_key(change: dict[str, Any], said: str) -> None:
    """An error in the [csv] table names file, table and key."""
    with pytest.raises(PlanError, match=said):
        CsvMapping.from_table({**TABLE, **change}, source="plan.toml")


# -- garbage for both

json_lines = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(("kind", "id", "queue", "at_ms", "agent", "change", "outcome")),
        st.one_of(st.integers(), st.text(max_size=5), st.none(), st.sampled_from(("interaction", "presence", "ready"))),
    ).map(lambda fields: json.dumps(fields).encode()),
)


@given(st.lists(json_lines, max_size=8).map(b"\n".join))
def test_any_json_lines_are_accounted_for(data: bytes) -> None:
    """No input crashes the reader of JSON lines; every line is kept, set aside or broken."""
    records, summary = read_json(HEADER + data)
    assert summary.balanced()
    assert summary.interactions + summary.presence_changes == len(records)
    if summary.broken:
        with pytest.raises(LogError):
            read_json(HEADER + data, strict=True)


csv_cells = st.one_of(st.sampled_from(("7", "q", "2024-05-01", '"', '"a"', "", "served", "\n")), st.text(max_size=8))
csv_rows = st.lists(csv_cells, min_size=7, max_size=10).map(";".join)


@given(st.one_of(st.binary(max_size=300), st.lists(csv_rows, max_size=8).map(lambda rows: "\n".join(rows).encode())))
def test_any_csv_is_accounted_for(data: bytes) -> None:
    """No input crashes the CSV reader; every line is kept, set aside or broken."""
    records, summary = read_rows(CSV_HEADER.encode() + data)
    assert summary.balanced()
    assert summary.interactions == len(records)
    if summary.broken:
        with pytest.raises(LogError):
            read_rows(CSV_HEADER.encode() + data, strict=True)


# -- lines

texts = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=30)


@given(st.lists(texts, max_size=10))
def test_lines_are_those_of_the_file(lines: list[str]) -> None:
    """Every line comes with its number, without its line end; blank ones are counted; other line marks do not split."""
    summary = ReadSummary(format="x", source="x")
    found = dict(numbered_lines(io.BytesIO("".join(line + "\r\n" for line in lines).encode()), summary))
    expected = {}
    for number, line in enumerate(lines, 1):
        text = (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r")
        if text and not text.isspace():
            expected[number] = text
    assert found == expected
    assert summary.lines == len(lines)
    assert summary.set_aside.get("blank", 0) == len(lines) - len(expected)


def test_a_line_too_long_is_skipped_without_being_held() -> None:
    """A line of many megabytes is one broken line, and reading it takes no more memory than the longest allowed."""

    class Endless(io.RawIOBase):
        longest = 0

        def __init__(self) -> None:
            self.pieces = self.script()

        def script(self) -> Iterator[bytes]:
            yield b"one\n"
            for _ in range(500):
                yield b"x" * MAX_LINE_BYTES
            yield b"end\n"
            yield b"two\n"

        def readline(self, size: int | None = -1) -> bytes:
            self.longest = max(self.longest, size or 0)
            return next(self.pieces, b"")

    stream: Any = Endless()
    summary = ReadSummary(format="x", source="x")
    assert list(numbered_lines(stream, summary)) == [(1, "one"), (3, "two")]
    assert stream.longest == MAX_LINE_BYTES
    assert summary.broken == {"line too long": 1}
    assert summary.lines == 3


@pytest.mark.parametrize("extra", [-2, -1, 0, 1])
def test_the_longest_line(extra: int) -> None:
    """A line of exactly the allowed length with its line feed is read; one byte more is too long."""
    line = b"x" * (MAX_LINE_BYTES + extra)
    summary = ReadSummary(format="x", source="x")
    found = [number for number, _ in numbered_lines(io.BytesIO(line + b"\ny\n"), summary)]
    assert found == ([1, 2] if extra < 0 else [2])
    assert summary.lines == 2


# -- files

QUEUE_LOG = b"1600000000|c1|q|NONE|ENTERQUEUE||1|1\n1600000009|c1|q|NONE|ABANDON|1|1|9\n"


def _read_log(path: Path, **options: Any) -> tuple[int, ReadSummary]:
    log = open_log(path, **options)
    return sum(1 for _ in log), log.summary


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (QUEUE_LOG, "queue_log"),
        (b"1600000000 | NONE | NONE | NONE | QUEUESTART |\n", "queue_log"),
        (b"\xef\xbb\xbf1600000000|NONE|NONE|NONE|QUEUESTART|\r\n", "queue_log"),
        (b"garbage\n" + QUEUE_LOG, "queue_log"),
        (HEADER, "jsonl"),
        (b"vru+line" + b"\tx" * 16 + b"\r\n", "bank"),
        (b"AA0101\t1\t0\t0\tPS\t990101\t" + b"\t".join([b"0:00:00"] * 11) + b"\n", "bank"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_format_is_told_by_the_first_lines(tmp_path: Path, data: bytes, expected: str, pack: Any) -> None:
    """The name of a file says nothing; its first lines do, compressed or not."""
    path = tmp_path / "log.dat"
    path.write_bytes(pack(data))
    log = open_log(path)
    assert log.format == expected
    list(log)
    assert log.summary.balanced()
    assert log.summary.lines == data.count(b"\n")


UNTOLD = "cannot tell the format from its first lines: name it"
NO_LINE = "has no line: it is empty, or compressed and damaged from its start"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        *((data, UNTOLD) for data in (b"hello\nworld\n", b"a,b,c\n1,2,3\n", b"\0" * 5000)),
        *((data, NO_LINE) for data in (b"", b"\n\n", b"\x1f\x8bbroken")),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, data: bytes, why: str) -> None:
    """A file that looks like no known log is refused with the formats that there are; with a mapping it is CSV."""
    path = tmp_path / "log"
    path.write_bytes(data)
    with pytest.raises(LogError, match=why):
        open_log(path)
    assert open_log(path, mapping=CsvMapping.from_table(TABLE)).format == "csv"
    assert open_log(path, format="queue_log").format == "queue_log"


def test_misuse_is_named(tmp_path: Path) -> None:
    """An unknown format, CSV without a mapping and a file that is not there are LogErrors that say so at once."""
    path = tmp_path / "log"
    with pytest.raises(LogError, match="No such file"):
        open_log(path, format="bank")
    path.write_bytes(QUEUE_LOG)
    with pytest.raises(LogError, match="unknown format 'xml'; known are bank, queue_log, jsonl, csv"):
        open_log(path, format="xml")
    with pytest.raises(LogError, match=r"a \[csv\] table"):
        open_log(path, format="csv")
    with pytest.raises(LogError):
        open_log(tmp_path)


def test_a_log_can_be_walked_twice(tmp_path: Path) -> None:
    """Each iteration reads the file anew and begins its summary anew."""
    path = tmp_path / "log"
    path.write_bytes(QUEUE_LOG)
    log = open_log(path)
    assert list(log) == list(log)
    assert (log.summary.lines, log.summary.interactions) == (2, 1)
    assert list(only_interactions(log)) == list(log.interactions())


def test_a_csv_file_through_the_door(tmp_path: Path) -> None:
    """A mapping makes a CSV file a log like any other."""
    path = tmp_path / "log.csv"
    path.write_text(CSV_HEADER + "7;billing;2024-05-01;1;1;handled;;;\n")
    assert _read_log(path, mapping=CsvMapping.from_table(TABLE))[0] == 1


@pytest.mark.parametrize("cut", [1, 9, 20])
def test_a_compressed_log_cut_off(tmp_path: Path, cut: int) -> None:
    """A compressed log that breaks off gives what it has and one broken line; strictly, a LogError."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(QUEUE_LOG * 2000)[:-cut])
    count, summary = _read_log(path, format="queue_log")
    assert summary.broken == {"compressed data are cut off or damaged": 1}
    assert summary.balanced()
    assert count == summary.interactions
    with pytest.raises(LogError, match="cut off"):
        _read_log(path, format="queue_log", strict=True)


def test_what_is_unpacked_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks without end is stopped at the documented bound."""
    monkeypatch.setattr(lines_module, "MAX_UNPACKED_BYTES", 1_000_000)
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(QUEUE_LOG + b"x" * 5_000_000))
    with pytest.raises(LogError, match="more than 1000000 bytes after decompression"):
        _read_log(path)


@pytest.mark.parametrize("module", [csv_module, records_module])
def test_examples_in_the_docstrings(module: ModuleType) -> None:
    """Examples in the documentation are true."""
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_every_field_of_a_csv_log_is_a_field_of_the_record() -> None:
    """The names in [csv.columns] are those of LoggedInteraction, without their unit."""
    known = {name.removesuffix("_ms") for name in LoggedInteraction.__slots__}
    assert set(FIELDS) <= known
