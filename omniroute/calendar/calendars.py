"""A calendar: all rules of a centre as one value, read from TOML and written back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

import attrs

from omniroute.calendar.expand import Entry, timetables_of
from omniroute.calendar.rules import (
    Absence,
    Break,
    Closure,
    Holidays,
    Hours,
    Shift,
    When,
    check_holidays,
    checked_rules,
)
from omniroute.calendar.timetable import Timetable
from omniroute.calendar.wall import clock_text
from omniroute.checks import duration_text
from omniroute.toml_tables import (
    block,
    checked_keys,
    keys_of,
    read_document,
    read_table,
    rows_of,
    text_of_file,
    without,
)

__all__ = ["Calendar"]

_TABLES: Final[dict[str, type]] = {
    "shifts": Shift,
    "breaks": Break,
    "absences": Absence,
    "hours": Hours,
    "closures": Closure,
    "holidays": Holidays,
}


def _shifts(value: Iterable[Shift]) -> tuple[Shift, ...]:
    return checked_rules(value, Shift, "shifts")


def _breaks(value: Iterable[Break]) -> tuple[Break, ...]:
    return checked_rules(value, Break, "breaks")


def _absences(value: Iterable[Absence]) -> tuple[Absence, ...]:
    return checked_rules(value, Absence, "absences")


def _hours(value: Iterable[Hours]) -> tuple[Hours, ...]:
    return checked_rules(value, Hours, "hours")


def _closures(value: Iterable[Closure]) -> tuple[Closure, ...]:
    return checked_rules(value, Closure, "closures")


def _holidays(value: Iterable[Holidays]) -> tuple[Holidays, ...]:
    return checked_rules(value, Holidays, "holidays")


@attrs.frozen(kw_only=True)
class Calendar:
    """Rules of shifts, breaks, absences, queue hours and closures, and the holidays that they name.

    Raises PlanError naming table and key. Cost of the checks: O(size).

    >>> text = '''
    ... [[shifts]]
    ... agents = ["ana"]
    ... zone = "Europe/Berlin"
    ... from = "22:00"
    ... to = "06:00"
    ... '''
    >>> night = Calendar.from_toml_text(text)
    >>> (table,) = night.timetables(1_774_656_000_000, 1_774_828_800_000)  # 28 and 29 March 2026, in UTC
    >>> [(span.end_ms - span.start_ms) // 3_600_000 for span in table.spans]
    [8, 7, 8]
    """

    shifts: tuple[Shift, ...] = attrs.field(default=(), converter=_shifts)
    breaks: tuple[Break, ...] = attrs.field(default=(), converter=_breaks)
    absences: tuple[Absence, ...] = attrs.field(default=(), converter=_absences)
    hours: tuple[Hours, ...] = attrs.field(default=(), converter=_hours)
    closures: tuple[Closure, ...] = attrs.field(default=(), converter=_closures)
    holidays: tuple[Holidays, ...] = attrs.field(default=(), converter=_holidays)

    def __attrs_post_init__(self) -> None:
        check_holidays(self.holidays, self._rules())

    def _rules(self) -> dict[str, tuple[When, ...]]:
        return {name: getattr(self, name) for name in _TABLES if name != "holidays"}

    def timetables(self, start_ms: int, end_ms: int, *, events: Iterable[Entry] = ()) -> tuple[Timetable, ...]:
        """Return the timetables of all agents and queues for a horizon of at most ten years, agents first, by name.

        ``events`` are added to the rules: shifts to shifts, breaks over those of the rules. O(spans log spans). Raises
        PlanError naming the rule, MisuseError for a horizon out of range, MissingExtraError.
        """
        return timetables_of(self._rules(), self.holidays, events, start_ms, end_ms)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Calendar:
        """Read a calendar from a file. Raises PlanError with file, line and field."""
        return cls.from_toml_text(text_of_file(path), source=os.fspath(path))

    @classmethod
    def from_toml_text(cls, text: str, *, source: str = "calendar") -> Calendar:
        """Read a calendar from TOML; ``source`` is its name in errors. Raises PlanError with line and field."""
        return read_document(text, source, _built)

    def to_toml(self) -> str:
        """Return the calendar as TOML for a person to edit; :meth:`from_toml_text` reads it back as an equal one."""
        blocks = []
        for name in _TABLES:
            blocks += [block(f"[[{name}]]", _table(rule)) for rule in getattr(self, name)]
        return "\n".join(blocks)


def _key_of(key: str) -> str:
    """Return the key that stands for an attribute: ``except`` is a word of Python's."""
    return "except" if key == "without" else key


_KEYS: Final = {name: {_key_of(key): to for key, to in keys_of(kind).items()} for name, kind in _TABLES.items()}


def _built(document: dict[str, Any]) -> Calendar:
    """Build a calendar from what a TOML document says."""
    values = checked_keys(document, {name: name for name in _TABLES}, (), "")
    built: dict[str, Any] = {
        name: [read_table(_TABLES[name], item, _KEYS[name], at) for at, item in rows_of(values, name, "")]
        for name in values
    }
    return Calendar(**built)


def _table(rule: object) -> dict[str, object]:
    """Return what TOML says of a rule, where it is not the default."""
    table: dict[str, object] = {}
    unsaid = {"from": "00:00", "to": "24:00", "kind": "break"}
    unsaid |= dict.fromkeys(("rrule", "move_to", "country", "subdivision"), "")
    for field in attrs.fields(type(rule)):  # type: ignore[arg-type]
        key, value = _key_of(field.name.removesuffix("_ms")), getattr(rule, field.name)
        if key in ("from", "to"):
            value = clock_text(value)
        elif field.name.endswith("_ms") and value is not None:
            value = duration_text(value)
        elif value == ():
            value = None
        table[key] = value
    first = [key for key in ("name", "agents", "queues", "kind") if key in table]
    return without({key: table[key] for key in [*first, *table]}, unsaid)
