"""A table of somebody else's configuration: every value is hostile until it was read by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from omniroute.errors import InputError, PlanError
from omniroute.model import checked_integer, checked_name, nearest, shown
from omniroute.plan import Limits, Step

__all__ = ["ROWS_MAX", "Table", "few", "inside", "named", "rows", "same"]

ROWS_MAX: Final = 100_000
"""Rows of one list of a configuration."""

_T = TypeVar("_T")
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_WORDS: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class Table:
    """One table, whose keys are all known; a key that cannot be expressed is refused with its reason.

    Raises PlanError with ``field`` as the place of the table and the key.
    """

    def __init__(
        self,
        value: object,
        field: str,
        known: Sequence[str],
        *,
        silent: Iterable[str] = (),
        refused: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(value, Mapping):
            raise PlanError(f"expected a table, got {shown(value)}", field=field)
        self.field = field
        self._values: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise PlanError(f"expected a name as key, got {shown(key)}", field=field)
            if refused is not None and key in refused:
                raise PlanError(f"cannot be expressed in a plan: {refused[key]}", field=self.at(key))
            if key in known:
                self._values[key] = item
            elif key not in silent:
                raise PlanError(f"unknown key {shown(key)}{nearest(key, known)}", field=field)

    def at(self, key: str) -> str:
        """The place of a key, as it stands in errors. O(1)."""
        return f"{self.field}.{key}"

    def has(self, key: str) -> bool:
        """Whether a value is given. O(1)."""
        return key in self._values

    def get(self, key: str) -> object:
        """The value as it came, or None. O(1)."""
        return self._values.get(key)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """An integer, from a number or its text; without a default it is needed. Raises PlanError."""
        return integer(self._given(key, default), self.at(key), low, high)

    def seconds(self, key: str, default: int | None = None) -> int:
        """A duration in whole seconds, up to ten years, as milliseconds. Raises PlanError."""
        return 1_000 * self.integer(key, 0, 315_360_000, default)

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no. Raises PlanError."""
        value = self._given(key, default)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
        raise PlanError(f"expected yes or no, got {shown(value)}", field=self.at(key))

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """One of some words. Raises PlanError with the nearest."""
        value = self._given(key, default)
        if not isinstance(value, str) or value not in allowed:
            message = f"expected one of {', '.join(allowed)}, got {shown(value)}{nearest(value, allowed)}"
            raise PlanError(message, field=self.at(key))
        return value

    def name(self, key: str) -> str:
        """A name. Raises PlanError."""
        return checked_name(self._given(key, None), self.at(key))

    def only(self, key: str, expected: _T, value: _T, why: str) -> None:
        """Refuse a value that is not the expected one. Raises PlanError."""
        if value != expected:
            raise PlanError(f"cannot be expressed in a plan: {why}", field=self.at(key))

    def _given(self, key: str, default: object) -> object:
        value = self._values.get(key, default)
        if value is None:
            raise PlanError("is needed", field=self.at(key))
        return value


def integer(value: object, field: str, low: int, high: int) -> int:
    """An integer in a range, from a number or its text. Raises PlanError.

    >>> integer("15", "timeout", 0, 60)
    15
    """
    text = value.strip() if isinstance(value, str) else ""
    return checked_integer(int(text) if _INTEGER.fullmatch(text) else value, field, low, high)


@contextmanager
def inside(field: str) -> Iterator[None]:
    """Name the place of a configuration in errors of the values that are built from it. Raises PlanError."""
    try:
        yield
    except InputError as error:
        if error.field is not None and error.field.startswith(field):
            raise
        raise PlanError(error.message, field=f"{field}.{error.field}" if error.field else field) from error


def few(steps: list[Step]) -> list[Step]:
    """The steps, if they are no more than a plan's queue has by default. Raises PlanError."""
    most = Limits().steps
    if len(steps) > most:
        raise PlanError(f"at most {most} instants at which something changes, got {len(steps)}")
    return steps


def rows(value: object, field: str) -> list[tuple[str, object]]:
    """The items of a list, each with its place. Raises PlanError."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise PlanError(f"expected a list, got {shown(value)}", field=field)
    if len(value) > ROWS_MAX:
        raise PlanError(f"at most {ROWS_MAX}, got {len(value)}", field=field)
    return [(f"{field}[{position}]", item) for position, item in enumerate(value)]


def named(value: object, field: str) -> list[tuple[str, str, object]]:
    """The items of a table by name: place, name, item. Raises PlanError."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table by name, got {shown(value)}", field=field)
    if len(value) > ROWS_MAX:
        raise PlanError(f"at most {ROWS_MAX}, got {len(value)}", field=field)
    found = [(checked_name(name, field), item) for name, item in value.items()]
    return [(f"{field}.{name}", name, item) for name, item in found]


def same(known: dict[str, _T], name: str, value: _T, field: str, what: str) -> None:
    """Note the one value that somebody has; refuse a second one that differs. Raises PlanError."""
    if known.setdefault(name, value) != value:
        message = f"cannot be expressed in a plan: {name!r} has one {what}, and it is {known[name]} already"
        raise PlanError(message, field=field)
