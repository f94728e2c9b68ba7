"""The layout of a core's dump, field by field: integers become named rows, and rows become the same integers.

This is what the dump means, written down once more so that a program can read it without a core: a release whose core
has another layout changes the rows of the old one (:mod:`omniroute.upgrades`). Each layout that was ever released stays
in ``LAYOUTS`` under its number.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from omniroute.core.lifecycle import InteractionState
from omniroute.core.limits import SHARES_MAX
from omniroute.errors import InputError

__all__ = ["LAYOUTS", "Row", "Rows", "Run", "joined", "split"]

Value: TypeAlias = "int | list[int] | list[Row | None]"
Row: TypeAlias = "dict[str, Value]"
"""Fields by name: integers, lists of integers, and rows of their own."""


@frozen
class Run:
    """Integers in a row: so many, or as many as the field ``many`` of the whole says; "" where a count is before them.

    The name of a field that holds rows stands for how many there are.
    """

    name: str
    many: int | str = ""


@frozen
class Rows:
    """Rows of the same fields, as many as a :class:`Run` has integers; ``absent`` alone stands for one that is free."""

    name: str
    fields: tuple[Field, ...]
    many: int | str = ""
    absent: int | None = None


Field: TypeAlias = "str | Run | Rows"

_FADING: Final = ("value", "at")
_QUEUE: Final = (
    *("offers", "offer_timeout", "limit", "retry_after", "target", "setup_timeout", "auto", "every", "window"),
    *("control_every", "control_due", "version", "entered", "connected", "in_target", "abandoned"),
    Rows("rona", ("after", "rest"), 4),
)
_GROUP_7: Final = (
    *("units", Run("at_most", "pools"), Run("allow", "channels"), Run("interrupts", "channels")),
    *("idle_rate", "term", "auto", "burst", "burst_per", "weight", Rows("levels", _FADING, 3)),
    *(Rows("shares", ("of", "share")), Run("atoms")),
)
_GROUP_8: Final = (*_GROUP_7[:9], "busiest", *_GROUP_7[9:])
_GROUP: Final = (*_GROUP_8[:-2], Rows("here", _FADING, "watched"), *_GROUP_8[-2:])
_CLASS: Final = (
    *("queue", "channel", "age_rate", "length_rate", "offset", "age_cap", "step_at", "step_next", "step_tier"),
    *("step_when", "skip_if", "step_copy", "patient", "agent_key", Run("program")),
    Rows("pairs", ("opens", "rank_out", "cost_out", "rank_in", "cost_in", "condition"), "groups"),
)
_AGENT_7: Final = (
    *("group", "obligation", "order", "presence", "used", "idle_since", "stamp", "handled", "offered", "rest"),
    *("burst_from", "burst_count", Run("misses", 4), "ready", "accepted", "talked", "released", "busy"),
    *(Rows("fading", _FADING, 3), Run("spent", SHARES_MAX), "spent_at", Run("counts", "pools")),
)
_AGENT_8: Final = (*_AGENT_7[:-1], "rested", "away", Rows("own", _FADING, 1), _AGENT_7[-1])
_AGENT: Final = (*_AGENT_8[:-1], Rows("here", (*_FADING, "talked", "offered"), "watched"), _AGENT_8[-1])
_INTERACTION: Final = (
    *("state", "seq", "wait_from", "step_from", "agent", "channel", "connected_at", "due", "gap"),
    *(Rows("entries", ("class", "tier", "since", "seq")), Rows("ties", ("agent", "kind", "until", "seq"))),
)


def _layout(group: tuple[Field, ...], agent: tuple[Field, ...], *more: Field) -> tuple[Field, ...]:
    return (
        *("format", "now", "seq", "estimates_every", "estimates_due", "half_life", "seed", "looks_back", "pools"),
        Rows("channels", ("load", "flags", Run("pools"))),
        Rows("windows", ("length", "closes_at")),
        Rows("queues", _QUEUE),
        *more,
        "atoms",
        Rows("groups", group),
        Rows("ladders", (Rows("rungs", ("left", "group")),), "groups"),
        Rows("gauges", ("kind", "subject", "given", Run("program"))),
        Rows("conditions", ("gauge", "on", "off", "below", "holds")),
        Rows("classes", _CLASS),
        Rows("agents", agent),
        Rows("interactions", _INTERACTION, absent=int(InteractionState.GONE)),
        Run("free_interactions"),
        Rows("offers", ("interaction", "entry", "agent", "due", "seq"), absent=-1),
        Run("free_offers"),
    )


LAYOUTS: Final[Mapping[int, tuple[Field, ...]]] = {
    7: _layout(_GROUP_7, _AGENT_7),
    8: _layout(_GROUP_8, _AGENT_8),
    9: _layout(_GROUP, _AGENT, Run("watched")),
}
"""By the number with which a dump begins; the order is that of the integers."""


def split(numbers: Sequence[int], layout: Sequence[Field] | None = None) -> Row:
    """The rows of a dump, by its own number or by a layout that is given. O(size). Raises InputError.

    >>> split([3, 2, 10, 20], ["format", Run("ages")])
    {'format': 3, 'ages': [10, 20]}
    """
    if layout is None:
        number = numbers[0] if numbers else -1
        if number not in LAYOUTS:
            raise InputError(f"the core has layout {number}, known are {', '.join(map(str, LAYOUTS))}")
        layout = LAYOUTS[number]
    left = iter(numbers)
    whole: Row = {}
    try:
        _split(left, layout, whole, whole)
    except (StopIteration, RuntimeError):  # the latter: it ended inside of a comprehension
        raise InputError("the integers of the core end too early") from None
    if next(left, None) is not None:
        raise InputError("the integers of the core go on after their end")
    return whole


def _split(left: Iterator[int], layout: Sequence[Field], into: Row, whole: Row) -> None:
    for field in layout:
        if isinstance(field, str):
            into[field] = next(left)
            continue
        many = next(left) if field.many == "" else _many(field, whole)
        if many < 0:
            raise InputError(f"{field.name} of the core has {many} values")
        if isinstance(field, Run):
            into[field.name] = [next(left) for _ in range(many)]
            continue
        rows: list[Row | None] = []
        into[field.name] = rows
        for _ in range(many):
            row: Row | None = {}
            if field.absent is not None:
                first = next(left)
                row = None if first == field.absent else {str(field.fields[0]): first}
            if row is not None:
                _split(left, field.fields[len(row) :], row, whole)
            rows.append(row)


def _many(field: Run | Rows, whole: Row) -> int:
    """How many a field has without a count of its own."""
    many = whole[field.many] if isinstance(field.many, str) else field.many
    return many if isinstance(many, int) else len(many)


def joined(rows: Row, layout: Sequence[Field] | None = None) -> array[int]:
    """The integers of rows. O(size). Raises InputError where a field is missing or has another shape.

    >>> joined({"format": 3, "ages": [10, 20]}, ["format", Run("ages")])
    array('q', [3, 2, 10, 20])
    """
    numbers = array("q")
    try:
        _join(rows, LAYOUTS[rows["format"]] if layout is None else layout, numbers, rows)  # type: ignore[index]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"the rows of the core do not fit their layout: {error!r}") from error
    return numbers


def _join(rows: Row, layout: Sequence[Field], numbers: array[int], whole: Row) -> None:
    for field in layout:
        if isinstance(field, str):
            numbers.append(rows[field])  # type: ignore[arg-type]
            continue
        values = rows[field.name]
        assert isinstance(values, list)
        if field.many == "":
            numbers.append(len(values))
        elif len(values) != _many(field, whole):
            raise InputError(f"{field.name} of the core has {len(values)} values, expected {_many(field, whole)}")
        if isinstance(field, Run):
            numbers.extend(values)  # type: ignore[arg-type]
            continue
        for row in values:
            if row is None and field.absent is not None:
                numbers.append(field.absent)
            else:
                _join(row, field.fields, numbers, whole)  # type: ignore[arg-type]
