"""What the parts of a plan are checked with: durations, requirements, lists of values, names given once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeAlias, TypeVar

from omniroute.errors import PlanError, RequirementError
from omniroute.model import checked_integer, shown
from omniroute.requirements import Requirement, parse

__all__ = [
    "DURATION_MAX_MS",
    "Duration",
    "duration_text",
    "longer_than_nothing",
    "milliseconds",
    "parsed",
    "share",
    "unique",
    "values",
]

Duration: TypeAlias = int | str | timedelta
"""Milliseconds, text such as ``"30s"`` or ``"1h30m"``, or a timedelta."""

DURATION_MAX_MS: Final = 315_360_000_000
"""Ten years."""
DURATION_LENGTH_MAX: Final = 128
"""Characters of a duration."""

_T = TypeVar("_T")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:ms|s|m|h|d))+")


def milliseconds(value: Duration, field: str = "duration") -> int:
    """Return a duration in milliseconds, in 0..DURATION_MAX_MS. Raises PlanError naming ``field``.

    >>> milliseconds("250ms"), milliseconds("1h30m"), milliseconds(timedelta(seconds=2)), milliseconds(5)
    (250, 5400000, 2000, 5)
    """
    number: object = value
    if isinstance(value, str):
        compact = value.replace(" ", "") if len(value) <= DURATION_LENGTH_MAX else ""
        if not _DURATION.fullmatch(compact):
            raise PlanError(f'expected a duration such as "30s", "5m", "1h", "250ms", got {shown(value)}', field=field)
        number = sum(int(n) * _UNITS_MS[unit] for n, unit in re.findall(r"([0-9]+)([a-z]+)", compact))
    elif isinstance(value, timedelta):
        number, rest = divmod(value, timedelta(milliseconds=1))
        if rest:
            raise PlanError(f"not a whole number of milliseconds: {value}", field=field)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise PlanError(f'expected a duration such as "30s" or integer milliseconds, got {shown(value)}', field=field)
    return checked_integer(number, field, 0, DURATION_MAX_MS)


def longer_than_nothing(value: Duration, field: str) -> int:
    """Return a duration in milliseconds, at least 1. Raises PlanError naming ``field``."""
    found = milliseconds(value, field)
    if not found:
        raise PlanError("must be longer than nothing", field=field)
    return found


def duration_text(value_ms: int) -> str:
    """Return the shortest text that :func:`milliseconds` reads back, in one unit.

    >>> duration_text(20_000), duration_text(3_600_000), duration_text(1_500), duration_text(0)
    ('20s', '1h', '1500ms', '0s')
    """
    if not value_ms:
        return "0s"
    unit = next(unit for unit in ("h", "m", "s", "ms") if value_ms % _UNITS_MS[unit] == 0)
    return f"{value_ms // _UNITS_MS[unit]}{unit}"


def share(value: float | str, field: str) -> float:
    """Return a share from a number or a text such as ``"80%"``; its range is the caller's. Raises PlanError.

    >>> share("80%", "share")
    0.8
    """
    number: object = value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?%", value):
        number = float(value[:-1]) / 100
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise PlanError(f'expected a share such as 0.8 or "80%", got {shown(value)}', field=field)
    return float(number)


def parsed(text: str, field: str) -> Requirement:
    """Return the requirement of a text; its error names ``field``. Cost: O(length log length). Raises PlanError."""
    try:
        return parse(text)
    except RequirementError as error:
        where = f"{error.field}: " if error.field else ""
        raise PlanError(f"{where}{error.message}", field=field) from error


def values(value: object, kind: type[_T], field: str) -> tuple[_T, ...]:
    """Return a tuple of values of one kind. O(values). Raises PlanError naming ``field``."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list of {kind.__name__}, got {shown(value)}", field=field)
    found: list[_T] = []
    for item in value:
        if not isinstance(item, kind):
            raise PlanError(f"expected {kind.__name__}, got {shown(item)}", field=f"{field}[{len(found)}]")
        found.append(item)
    return tuple(found)


def unique(names: Sequence[str], key: str, field: str) -> None:
    """Refuse a name that an earlier one has. O(names). Raises PlanError naming ``field[position]key``."""
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if first.setdefault(name, position) != position:
            raise PlanError(f"{name!r} is {field}[{first[name]}] already", field=f"{field}[{position}]{key}")
