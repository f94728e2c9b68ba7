"""Numbers that people compare, as tables of text: units in the headings, columns aligned, nothing else.

A :class:`Table` does not know where it is shown; :func:`plain` writes it for any stream, and the command line may hand
it to a terminal library instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from omniroute.insight.metrics import Measures, Spread
from omniroute.plan import duration_text

NOTHING: Final = "-"
"""What a cell holds where there is nothing to say, such as the mean of no waits."""
MEASURE: Final = "measure"


def printable(text: str) -> str:
    r"""Replace what would move a terminal's cursor or hide text: names come from logs.

    >>> printable("sales\x1b[2J")
    'sales\ufffd[2J'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _rows(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(printable(cell) for cell in row) for row in rows)


def _row(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(printable(cell) for cell in row)


@attrs.frozen(kw_only=True, slots=True)
class Table:
    """A title, headings, and rows of as many cells; the first ``left`` columns are words, the others numbers."""

    title: str = attrs.field(converter=printable)
    headings: tuple[str, ...] = attrs.field(converter=_row)
    rows: tuple[tuple[str, ...], ...] = attrs.field(converter=_rows)
    left: int = 1


def plain(table: Table) -> str:
    """Return a table as lines of text, columns two blanks apart. O(cells).

    >>> print(plain(Table(title="Waits", headings=("who", "mean s"), rows=(("served", "9.5"), ("all", "10.25")))))
    Waits
      who     mean s
      served     9.5
      all      10.25
    """
    cells = [table.headings, *table.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.headings))]
    lines = [table.title] if table.title else []
    for row in cells:
        placed = [
            cell.ljust(width) if column < table.left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(placed).rstrip())
    return "\n".join(lines)


# -- numbers as text


def counted(number: int | None) -> str:
    """Return a count with separators.

    >>> counted(30161), counted(None)
    ('30,161', '-')
    """
    return NOTHING if number is None else f"{number:,}"


def many(number: int, word: str) -> str:
    """Return a count with its word.

    >>> many(1, "agent"), many(1200, "agent")
    ('1 agent', '1,200 agents')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def seconds(value_ms: float | None) -> str:
    """Return milliseconds as seconds with one decimal.

    >>> seconds(68_090.4)
    '68.1'
    """
    return NOTHING if value_ms is None else f"{value_ms / 1000:,.1f}"


def percent(share: float | None) -> str:
    """Return a share as per cent with one decimal, without the sign.

    >>> percent(0.5438)
    '54.4'
    """
    return NOTHING if share is None else f"{100 * share:.1f}"


def signed(difference: float | None, decimals: int = 1) -> str:
    """Return a difference with its sign; one that rounds to nothing has none.

    >>> signed(1.96), signed(-0.04), signed(12, 0)
    ('+2.0', '0.0', '+12')
    """
    if difference is None:
        return NOTHING
    text = f"{difference:+,.{decimals}f}"
    return text[1:] if not any(digit in text for digit in "123456789") else text


# -- what is compared


@attrs.frozen(slots=True)
class Line:
    """One measure that people compare: its label with the unit, its value in that unit, and its decimals."""

    label: str
    value: Callable[[Measures], float | None]
    decimals: int = 1

    def text(self, measures: Measures) -> str:
        """Return the value as text."""
        value = self.value(measures)
        return NOTHING if value is None else f"{value:,.{self.decimals}f}"

    def difference(self, measures: Measures, base: Measures) -> str:
        """Return by how much ``measures`` is above ``base``, signed, in the unit of the line."""
        value, other = self.value(measures), self.value(base)
        return NOTHING if value is None or other is None else signed(value - other, self.decimals)


def _seconds_of(pick: Callable[[Measures], float | None]) -> Callable[[Measures], float | None]:
    def value(measures: Measures) -> float | None:
        found = pick(measures)
        return None if found is None else found / 1000

    return value


def _percent_of(pick: Callable[[Measures], float | None]) -> Callable[[Measures], float | None]:
    def value(measures: Measures) -> float | None:
        found = pick(measures)
        return None if found is None else 100 * found

    return value


def level_line(within_ms: int) -> Line:
    """Return the line of the service level *served within T of offered*. The threshold must have been measured."""
    levels = "served_within_of_offered"
    return Line(
        f"SL1: served within {duration_text(within_ms)}, % of offered",
        _percent_of(lambda measures: measures.service_levels[levels].get(within_ms)),
    )


def lines(thresholds_ms: Sequence[int]) -> tuple[Line, ...]:
    """Return what a comparison shows, in order."""
    return (
        Line("offered", lambda measures: measures.offered, 0),
        Line("served", lambda measures: measures.served, 0),
        Line("abandoned", lambda measures: measures.abandoned, 0),
        Line("neither served nor abandoned", left_otherwise, 0),
        Line("abandonment, % of offered", _percent_of(lambda measures: measures.abandonment_of_offered)),
        Line("queued", lambda measures: measures.queued, 0),
        Line("wait of queued, mean s", _seconds_of(lambda measures: measures.waits_of_queued.mean_ms)),
        Line("wait of queued, median s", _seconds_of(lambda measures: measures.waits_of_queued.median_ms)),
        Line("wait of queued, p90 s", _seconds_of(lambda measures: measures.waits_of_queued.p90_ms)),
        Line("wait of abandoned, mean s", _seconds_of(lambda measures: measures.waits_of_abandoned.mean_ms)),
        Line("ASA: wait of served, mean s", _seconds_of(lambda measures: measures.asa_ms)),
        *(level_line(within_ms) for within_ms in thresholds_ms),
    )


def left_otherwise(measures: Measures) -> int:
    """Return how many of the offered were neither served nor abandoned: timed out, turned away, never reached."""
    return measures.offered - measures.served - measures.abandoned


def side_by_side(
    title: str, runs: Sequence[tuple[str, Measures]], thresholds_ms: Sequence[int], *, differences: bool = True
) -> Table:
    """Return one row for each line, one column for each run, and behind all but the first its difference to it.

    Lines that say nothing in any run are left out. O(lines * runs).
    """
    base = runs[0][1]
    headings = [MEASURE, runs[0][0]]
    for name, _ in runs[1:]:
        headings += [name, "difference"] if differences else [name]
    rows = []
    for line in lines(thresholds_ms):
        if all(not line.value(measures) for _, measures in runs):
            continue
        row = [line.label, line.text(base)]
        for _, measures in runs[1:]:
            row += [line.text(measures), line.difference(measures, base)] if differences else [line.text(measures)]
        rows.append(tuple(row))
    return Table(title=title, headings=tuple(headings), rows=tuple(rows))


def by_part(
    title: str,
    word: str,
    runs: Sequence[tuple[str, Mapping[str, Measures]]],
    chosen: Sequence[Line],
    *,
    differences: bool = True,
) -> Table:
    """Return for each line a block with a row for each part (a queue), runs beside one another. O(parts * lines)."""
    parts = [part for part, measures in runs[0][1].items() if measures.offered]
    headings = [MEASURE, word, "offered", runs[0][0]]
    for name, _ in runs[1:]:
        headings += [name, "difference"] if differences else [name]
    rows = []
    for line in chosen:
        for position, part in enumerate(parts):
            base = runs[0][1][part]
            row = ["" if position else line.label, part, counted(base.offered), line.text(base)]
            for _, by in runs[1:]:
                measures = by.get(part)
                text = NOTHING if measures is None else line.text(measures)
                row += [text, NOTHING if measures is None else line.difference(measures, base)][: 1 + differences]
            rows.append(tuple(row))
    return Table(title=title, headings=tuple(headings), rows=tuple(rows), left=2)


def spread_row(label: str, found: Spread) -> tuple[str, ...]:
    """Return label, n, and mean, median, p90 and greatest in seconds."""
    values = (found.mean_ms, found.median_ms, found.p90_ms, found.max_ms)
    return (label, counted(found.n), *(seconds(value) for value in values))
