"""The door to the readers: find out what a log is, and read it.

The format is told from the first lines, never from the file's name. Nothing is opened until the log is iterated, and
every iteration reads it anew, so one log can be walked twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from omniroute.errors import LogError
from omniroute.formats.bank import COLUMNS, read_bank
from omniroute.formats.csv_mapped import CsvMapping, read_csv
from omniroute.formats.jsonl import FORMAT, read_jsonl
from omniroute.formats.lines import NumberedLines, head_of, numbered_lines, opened
from omniroute.formats.queue_log import read_queue_log
from omniroute.formats.records import LoggedInteraction, LogRecord, ReadSummary, only_interactions

FORMATS: Final = ("bank", "queue_log", "jsonl", "csv")
_HEAD_BYTES: Final = 65_536
_HEAD_LINES: Final = 20
_QUEUE_LOG_LINE: Final = re.compile(r"\s*[0-9]{6,12}(?:\.[0-9]+)?\s*(?:\|[^|]*){3}\|\s*[A-Za-z_]+\s*(?:\||$)")
_BANK_LINE: Final = re.compile(r"(?:[^\t]*\t){5}[0-9]{6}\t")


class Log:
    """A log on disk: iterate for its records, then read ``summary``.

    ``summary`` is filled while the log is read and begins anew with each iteration. Iterating raises LogError when the
    file cannot be read and, with ``strict``, at its first broken line.
    """

    def __init__(self, path: Path, log_format: str, mapping: CsvMapping | None, *, strict: bool) -> None:
        self.path = path
        self.format = log_format
        self.strict = strict
        self._mapping = mapping
        self.summary = self._fresh()

    def _fresh(self) -> ReadSummary:
        return ReadSummary(format=self.format, source=str(self.path), strict=self.strict)

    def __iter__(self) -> Iterator[LogRecord]:
        """Yield interactions and presence changes in file order."""
        self.summary = summary = self._fresh()
        with opened(self.path) as (stream, limit_bytes):
            yield from self._records(numbered_lines(stream, summary, limit_bytes), summary)

    def interactions(self) -> Iterator[LoggedInteraction]:
        """Yield the interactions only."""
        return only_interactions(self)

    def _records(self, lines: NumberedLines, summary: ReadSummary) -> Iterator[LogRecord]:
        if self.format == "bank":
            return read_bank(lines, summary)
        if self.format == "queue_log":
            return read_queue_log(lines, summary)
        if self.format == "jsonl":
            return read_jsonl(lines, summary)
        if self._mapping is None:
            raise LogError("a CSV log needs to be told which column is what: a [csv] table", source=str(self.path))
        return read_csv(lines, summary, self._mapping)


def open_log(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word that callers and the command line use
    mapping: CsvMapping | None = None,
    strict: bool = False,
) -> Log:
    """Return the log at ``path``, plain or gzip, ready to be iterated.

    ``format`` is one of FORMATS; None tells it from the first lines, where a ``mapping`` decides for CSV when nothing
    else fits. ``strict`` makes the first broken line an error.
    Raises LogError when the file cannot be opened or its format cannot be told.
    """
    place = Path(path)
    if format is not None and format not in FORMATS:
        raise LogError(f"unknown format {format!r}; known are {', '.join(FORMATS)}", source=str(place))
    head_of(place, 0)  # A file that cannot be opened is said here, not at the first record.
    found = format or detect_format(place)
    if found is None and mapping is not None:
        found = "csv"
    if found is None:
        message = (
            f"cannot tell the format from its first lines: name it ({', '.join(FORMATS)}); CSV needs a [csv] table"
        )
        if not head_of(place, _HEAD_BYTES).strip():
            message = "has no line: it is empty, or compressed and damaged from its start"
        raise LogError(message, source=str(place))
    if found == "csv" and mapping is None:
        raise LogError("a CSV log needs to be told which column is what: a [csv] table", source=str(place))
    return Log(place, found, mapping, strict=strict)


def detect_format(path: Path) -> str | None:
    """Return ``bank``, ``queue_log`` or ``jsonl`` by the look of the first lines, else None.

    Reads 64 KiB at most. Raises LogError when the file cannot be opened.
    """
    text = head_of(path, _HEAD_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line for line in text.split("\n")[:_HEAD_LINES] if line.strip()]
    if not lines:
        return None
    if lines[0].startswith("{") and FORMAT in lines[0]:
        return "jsonl"
    tabbed = [line for line in lines if line.count("\t") == COLUMNS - 1]
    if tabbed and (tabbed[0].startswith("vru+line\t") or any(map(_BANK_LINE.match, tabbed))):
        return "bank"
    events = sum(1 for line in lines if _QUEUE_LOG_LINE.match(line))
    if 2 * events >= len(lines):
        return "queue_log"
    return None
