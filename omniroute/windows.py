"""The decision window of a queue: for how long its offers are held back, to be matched together."""

from __future__ import annotations

import attrs

from omniroute.checks import Duration, milliseconds
from omniroute.core.limits import WINDOW_MS_MAX
from omniroute.errors import PlanError
from omniroute.model import checked_integer, checked_name

__all__ = ["Window", "checked_window"]


def _length(value: Duration) -> int:
    return checked_integer(milliseconds(value, "length"), "length", 1, WINDOW_MS_MAX)


def _name(value: str) -> str:
    return checked_name(value, "name") if value else ""


@attrs.frozen
class Window:
    """A decision window: all who wait are matched with all who are available, together.

    It opens when a pair could be matched and closes ``length_ms`` later (1 ms to a minute), or sooner. Queues whose
    windows have the same ``name`` are matched together; a plan says the same length for each of them.
    Raises PlanError.

    >>> Window("200ms")
    Window(length_ms=200, name='')
    """

    length_ms: int = attrs.field(converter=_length)
    name: str = attrs.field(default="", converter=_name)


def checked_window(value: Window | Duration | None) -> Window | None:
    """Return a window from itself or from its length. Raises PlanError naming ``window``."""
    if value is None or isinstance(value, Window):
        return value
    try:
        return Window(value)
    except PlanError as error:
        raise PlanError(error.message, field="window") from error
