"""Where a command's words go: tables to stdout, plain or drawn by rich; progress to stderr, if anybody looks."""

from __future__ import annotations

import importlib.util
import json
import sys
import textwrap
from collections.abc import Iterable
from typing import IO, Any, Final, Literal

from omniroute.insight.tables import Table, plain, printable

WIDTH: Final = 100


class Screen:
    """Writes a report. Rich is used where it is installed and the stream is a terminal, plain text otherwise."""

    def __init__(self, stream: IO[str] | None = None, *, rich: bool | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        terminal = self.stream.isatty()
        self.rich = terminal and importlib.util.find_spec("rich") is not None if rich is None else rich
        self._console = _console(self.stream, terminal=terminal) if self.rich else None

    def heading(self, text: str) -> None:
        """Begin a part of the report."""
        text = printable(text)
        if self._console is not None:
            self._console.print(f"\n{text}", style="bold", markup=False, highlight=False)
        else:
            self._write(f"\n{text}\n{'-' * len(text)}")

    def say(self, text: str) -> None:
        """Write a paragraph, wrapped."""
        self._write(textwrap.fill(printable(text), WIDTH))

    def items(self, texts: Iterable[str]) -> None:
        """Write a list, wrapped."""
        for text in texts:
            self._write(textwrap.fill(printable(text), WIDTH, initial_indent="  - ", subsequent_indent="    "))

    def table(self, table: Table) -> None:
        """Write a table with a blank line before it."""
        if self._console is None or least_width(table) > self._console.width:
            self._write(f"\n{plain(table)}")
        else:
            self._console.print()
            self._console.print(drawn(table))

    def document(self, values: dict[str, Any]) -> None:
        """Write one JSON document."""
        self._write(json.dumps(values, indent=2, allow_nan=False))

    def _write(self, text: str) -> None:
        self.stream.write(text + "\n")


def _console(stream: IO[str], *, terminal: bool) -> Any:
    from rich.console import Console

    return Console(file=stream, width=None if terminal else 160)


def least_width(table: Table) -> int:
    """Return how many columns of a terminal a drawn table needs so that no word is cut. O(cells).

    A table that is wider is written plain: a terminal wraps its lines, but no figure is lost.
    """
    cells = [table.headings, *table.rows]
    longest = [
        max((len(word) for row in cells for word in row[column].split()), default=0)
        for column in range(len(table.headings))
    ]
    return sum(longest) + 2 * len(longest) + 2


def drawn(table: Table, *, breaks: bool = True) -> Any:
    """Return the table for rich; cells are text, never markup, and break between words only, or not at all."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(table.title, style="italic") if table.title else None
    made = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True)
    for column, heading in enumerate(table.headings):
        justify: Literal["left", "right"] = "left" if column < table.left else "right"
        made.add_column(Text(heading), justify=justify, vertical="bottom", no_wrap=not breaks)
    for row in table.rows:
        made.add_row(*(Text(cell.replace(" ", "\u00a0", len(cell) - len(cell.lstrip(" ")))) for cell in row))
    return made


class Progress:
    """One line on stderr that says what is going on; silent where stderr is no terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()

    def say(self, text: str) -> None:
        """Replace the line."""
        if self._shown:
            self._stream.write(f"\r\x1b[K{printable(text)}")
            self._stream.flush()

    def done(self) -> None:
        """Clear the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
