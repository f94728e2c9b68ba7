"""CSV from anywhere, one row per interaction, with a table that says which column is what.

The table stands in a plan as ``[csv]``::

    [csv]
    delimiter = ";"
    time_format = "%d.%m.%Y %H:%M:%S"      # or "iso" (default), "epoch_s", "epoch_ms"
    duration_unit = "s"                    # or "ms", "clock" (h:mm:ss)
    channel = "chat"                       # for all rows, where no column says it
    [csv.columns]
    id = "Ticket"
    queue = "Team"
    arrived = "Created"
    wait = "Wait"
    handle = "Handle"
    outcome = "Result"
    [csv.outcomes]
    "handled" = "served"
    "hung up" = "abandoned"

``id``, ``queue`` and ``arrived`` must be mapped. Where there is no wait, it is what passed between ``queued`` (else
``arrived``) and ``left_queue`` (else ``started``); where there is no handle time, what passed between ``started`` and
``ended``. Without an outcome column, a row with an agent or a start is served and any other abandoned. Times with a
zone are honoured; times without one are read as if they were UTC.
"""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from omniroute.errors import LogError, PlanError
from omniroute.formats.limits import MAX_DURATION_MS, MAX_EPOCH_MS, MAX_PRIORITY, MAX_ROW_CHARS
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

FIELDS: Final = (
    "id",
    "queue",
    "arrived",
    "channel",
    "priority",
    "customer",
    "queued",
    "left_queue",
    "wait",
    "outcome",
    "agent",
    "started",
    "ended",
    "handle",
    "wrap_up",
    "needs",
)
REQUIRED: Final = ("id", "queue", "arrived")
DURATION_UNITS: Final = ("s", "ms", "clock")
PATTERN_LENGTH_MAX: Final = 64
"""Characters of a pattern of times."""
_MESSAGE_CHARS: Final = 400
_NAMED_TIME_FORMATS: Final = ("iso", "epoch_s", "epoch_ms")
_OUTCOMES: Final = {outcome.label: outcome for outcome in Outcome}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DECIMAL: Final = re.compile(r"([0-9]{1,15})(?:[.,]([0-9]{1,12}))?")
_CLOCK: Final = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-5][0-9])(?:[.,]([0-9]{1,12}))?")


@attrs.frozen(kw_only=True, slots=True)
class CsvMapping:
    """Which column of a CSV file is which field of an interaction, and how times and durations are written there."""

    columns: Mapping[str, str]
    delimiter: str = ","
    time_format: str = "iso"
    duration_unit: str = "s"
    channel: str = "voice"
    outcomes: Mapping[str, Outcome] = attrs.Factory(dict)

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, source: str | None = None) -> CsvMapping:
        """Read the ``[csv]`` table of a plan.

        Raises PlanError naming the table and the key, with what would be allowed there.

        >>> table = {"columns": {"id": "Ticket", "queue": "Team", "arrived": "Created"}, "delimiter": ";"}
        >>> CsvMapping.from_table(table).delimiter
        ';'
        """
        known = {field.name for field in attrs.fields(cls)}
        for key in table:
            if key not in known:
                raise PlanError(f"unknown key; known are {_listed(sorted(known))}", source=source, field=f"csv.{key}")
        columns = _string_table(table.get("columns", {}), "csv.columns", source)
        for key in columns:
            if key not in FIELDS:
                raise PlanError(
                    f"unknown field; known are {_listed(FIELDS)}", source=source, field=f"csv.columns.{key}"
                )
        for key in REQUIRED:
            if key not in columns:
                raise PlanError("must name a column", source=source, field=f"csv.columns.{key}")
        outcomes = {}
        for text, label in _string_table(table.get("outcomes", {}), "csv.outcomes", source).items():
            if label not in _OUTCOMES:
                known_labels = _listed(tuple(_OUTCOMES))
                raise PlanError(
                    f"unknown outcome; known are {known_labels}", source=source, field=f"csv.outcomes.{text}"
                )
            outcomes[text] = _OUTCOMES[label]
        delimiter = _string(table, "delimiter", ",", source)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise PlanError("must be one character, not a quote or line end", source=source, field="csv.delimiter")
        unit = _string(table, "duration_unit", "s", source)
        if unit not in DURATION_UNITS:
            raise PlanError(f"must be one of {_listed(DURATION_UNITS)}", source=source, field="csv.duration_unit")
        time_format = _string(table, "time_format", "iso", source)
        if time_format not in _NAMED_TIME_FORMATS and not _is_pattern(time_format):
            allowed = _listed(_NAMED_TIME_FORMATS)
            raise PlanError(f"must be {allowed} or a pattern like %Y-%m-%d", source=source, field="csv.time_format")
        return cls(
            columns=columns,
            delimiter=delimiter,
            time_format=time_format,
            duration_unit=unit,
            channel=_string(table, "channel", "voice", source),
            outcomes=outcomes,
        )


def _is_pattern(text: str) -> bool:
    """Tell whether times can be read with a pattern: each part is known, and there once."""
    if "%" not in text or len(text) > PATTERN_LENGTH_MAX:
        return False
    try:
        return datetime.datetime.strptime(datetime.datetime(1999, 12, 31).strftime(text), text) is not None
    except ValueError as error:
        return "does not match" in str(error) or "unconverted" in str(error)
    except (re.error, LookupError, OverflowError):  # a part is there twice; not known to the reader of times
        return False


def _listed(names: Sequence[str]) -> str:
    """List names for a message: what cannot be printed becomes a question mark, what is too long is cut."""
    text = "".join(char if char.isprintable() else "?" for char in ", ".join(names))
    return text if len(text) <= _MESSAGE_CHARS else text[:_MESSAGE_CHARS] + "..."


def _string(table: Mapping[str, object], key: str, default: str, source: str | None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value:
        raise PlanError("must be a string, not empty", source=source, field=f"csv.{key}")
    return value


def _string_table(value: object, where: str, source: str | None) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise PlanError("must be a table", source=source, field=where)
    strings: dict[str, str] = {}
    for key, text in value.items():
        if not isinstance(key, str) or not isinstance(text, str) or not text:
            raise PlanError("must be a string, not empty", source=source, field=f"{where}.{key}")
        strings[key] = text
    return strings


class _Feed:
    """The numbered lines as the csv module wants them: strings, with the number of the latest one at hand."""

    def __init__(self, lines: NumberedLines) -> None:
        self._lines = lines
        self._room = 0
        self.number = 0
        self.taken = 0

    def begin(self) -> None:
        """A row begins: from here on it may have so many characters."""
        self._room = MAX_ROW_CHARS

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, text = next(self._lines)
        self.taken += 1
        self._room -= len(text)
        if self._room < 0:
            raise BrokenLine("row too long")
        return text + "\n"


def read_csv(lines: NumberedLines, summary: ReadSummary, mapping: CsvMapping) -> Iterator[LoggedInteraction]:
    """Yield one interaction per row under the header, in file order.

    A row that spans lines (a quoted line end) is counted with all its lines. O(1) memory per row.
    Raises LogError when the header lacks a mapped column, and for the first broken line when the summary is strict.
    """
    feed = _Feed(lines)
    rows = csv.reader(feed, delimiter=mapping.delimiter, strict=True)
    builder: _Builder | None = None
    while True:
        taken = feed.taken
        feed.begin()
        try:
            fields = next(rows)
            if builder is None:
                builder = _Builder(fields, mapping, summary.source, feed.number)
                summary.put_aside("header", feed.taken - taken)
                continue
            record = builder.build(fields, feed.number)
        except StopIteration:
            return
        except csv.Error:
            summary.refuse(feed.number, "not CSV", lines=feed.taken - taken)
            continue
        except BrokenLine as error:
            summary.refuse(feed.number, error.reason, field=error.field, lines=feed.taken - taken)
            continue
        if record.outcome is Outcome.SET_ASIDE:
            summary.put_aside("set aside in the log", feed.taken - taken)
        else:
            summary.kept += feed.taken - taken
        summary.interactions += 1
        yield record


class _Builder:
    """Makes interactions of rows; where each field stands is looked up once, in the header."""

    def __init__(self, header: list[str], mapping: CsvMapping, source: str, line: int) -> None:
        names = [name.strip() for name in header]
        self._mapping = mapping
        self._width = len(names)
        self._at: dict[str, int] = {}
        for field, column in mapping.columns.items():
            if column not in names:
                raise LogError(
                    f'the header has no column "{column}" (for {field}); it has {_listed(names)}',
                    source=source,
                    line=line,
                )
            self._at[field] = names.index(column)

    def build(self, row: list[str], line: int) -> LoggedInteraction:
        """Make one interaction. Raises BrokenLine."""
        if len(row) != self._width:
            raise BrokenLine("not as many fields as the header")
        given = {field: row[index].strip() for field, index in self._at.items()}
        arrived_ms = self._moment(given, "arrived")
        if arrived_ms is None:
            raise BrokenLine("missing", field="arrived")
        queued_ms = self._moment(given, "queued")
        started_ms, ended_ms = self._moment(given, "started"), self._moment(given, "ended")
        agent = name_in(given["agent"], "agent") if given.get("agent") else None
        outcome = self._outcome(given, served=agent is not None or started_ms is not None)
        left_ms = self._moment(given, "left_queue")
        wait_ms = self._span(given, "wait")
        if left_ms is None and outcome is Outcome.SERVED:
            left_ms = started_ms
        if wait_ms is None:
            entered_ms = arrived_ms if queued_ms is None else queued_ms
            wait_ms = 0 if left_ms is None else max(left_ms - entered_ms, 0)
        if queued_ms is None and "queued" not in self._at and (wait_ms > 0 or outcome is not Outcome.SERVED):
            queued_ms = None if outcome is Outcome.LEFT_BEFORE_QUEUE else arrived_ms
        if queued_ms is not None and left_ms is None and outcome is not Outcome.OPEN:
            left_ms = queued_ms + wait_ms
        handle_ms = self._span(given, "handle")
        if handle_ms is None and started_ms is not None and ended_ms is not None:
            handle_ms = max(ended_ms - started_ms, 0)
        return LoggedInteraction(
            id=name_in(given["id"], "id"),
            queue=name_in(given["queue"], "queue"),
            channel=name_in(given.get("channel") or self._mapping.channel, "channel"),
            priority=whole_number(given["priority"], "priority", MAX_PRIORITY) if given.get("priority") else 0,
            customer=given.get("customer") or None,
            arrived_ms=arrived_ms,
            queued_ms=queued_ms,
            left_queue_ms=None if queued_ms is None else left_ms,
            wait_ms=wait_ms,
            outcome=outcome,
            agent=agent,
            started_ms=started_ms,
            ended_ms=ended_ms,
            handle_ms=handle_ms,
            wrap_up_ms=self._span(given, "wrap_up"),
            needs=given.get("needs") or None,
            line=line,
        )

    def _outcome(self, given: Mapping[str, str], *, served: bool) -> Outcome:
        text = given.get("outcome")
        if text is None:
            return Outcome.SERVED if served else Outcome.ABANDONED
        outcome = self._mapping.outcomes.get(text)
        if outcome is None:
            outcome = _OUTCOMES.get(text.lower())
        if outcome is None:
            raise BrokenLine("unknown outcome", field="outcome")
        return outcome

    def _moment(self, given: Mapping[str, str], field: str) -> int | None:
        text = given.get(field)
        return None if not text else moment_in(_moment_ms(text, self._mapping.time_format, field), field)

    def _span(self, given: Mapping[str, str], field: str) -> int | None:
        text = given.get(field)
        if not text:
            return None
        span_ms = _span_ms(text, self._mapping.duration_unit, field)
        if span_ms > MAX_DURATION_MS:
            raise BrokenLine("out of range", field=field)
        return span_ms


def _moment_ms(text: str, time_format: str, field: str) -> int:
    """Read a time as milliseconds since 1970. Raises BrokenLine."""
    if time_format == "epoch_ms":
        return whole_number(text, field, MAX_EPOCH_MS)
    if time_format == "epoch_s":
        return _decimal_ms(text, field)
    try:
        if time_format == "iso":
            moment = datetime.datetime.fromisoformat(text)
        else:
            moment = datetime.datetime.strptime(text, time_format)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise BrokenLine("not a time as the mapping says", field=field) from None


def _span_ms(text: str, unit: str, field: str) -> int:
    """Read a duration as milliseconds. Raises BrokenLine."""
    if unit == "ms":
        return whole_number(text, field, MAX_DURATION_MS)
    if unit == "s":
        return _decimal_ms(text, field)
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise BrokenLine("not a duration h:mm:ss", field=field)
    seconds = (int(found[1] or 0) * 60 + int(found[2])) * 60 + int(found[3])
    return seconds * 1000 + _fraction_ms(found[4])


def _decimal_ms(text: str, field: str) -> int:
    """Read seconds with a decimal point or comma as milliseconds; smaller parts are cut off."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise BrokenLine("not a number of seconds", field=field)
    return int(found[1]) * 1000 + _fraction_ms(found[2])


def _fraction_ms(digits: str | None) -> int:
    return int((digits or "")[:3].ljust(3, "0"))
