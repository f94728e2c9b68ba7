"""Snapshots of older formats, made into those of this release: one step for each number, applied one after the other.

A snapshot is a list of fields, in the order of :class:`omniroute.snapshot.Snapshot`, and the core's integers among
them. A step gets the list as the older release wrote it and returns the list of the next format. It moves fields by
their place; the core's integers it reads and writes as named rows (:func:`core_of`, :func:`with_core`). What the older
release did not know gets what a router has that was never told of it.

Who gives ``snapshot.FORMAT`` or the core's layout another number writes the step here, keeps the old layout in
``core.dumped.LAYOUTS`` and makes the next golden snapshot, which a test asks for. The same is due where a field keeps
its layout and changes its meaning: that commands do something else from now on is ``snapshot.SEMANTICS``, and a state
of before is a state still.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from omniroute.core.dumped import Row, joined, split
from omniroute.errors import InputError

__all__ = ["CORE", "OLDEST", "STEPS", "core_of", "upgraded", "with_core"]

OLDEST: Final = 11
"""The oldest format that can be read."""
CORE: Final = 4
"""The place of the core's integers in a snapshot, in every format so far."""

_ESTIMATES: Final = 37
"""The place of the estimates."""

Step: TypeAlias = Callable[[list[Any]], list[Any]]


def _caps_and_closings(record: list[Any]) -> list[Any]:
    """Format 12: groups have a cap on occupancy, agents the end of their last break; queues, when they close."""
    rows: Any = core_of(record)
    rows["format"] = 8
    for group in rows["groups"]:
        group["busiest"] = 1_000
    for agent in rows["agents"]:
        agent.update(rested=0, away=0, own=[{"value": 0, "at": 0}])
    return with_core([12, *record[1:], []], rows)


def _of_a_queue(record: list[Any]) -> list[Any]:
    """Format 13: what agents did for a queue, which nobody kept; handle times by class and group, none known.

    Handle times have a count for each bucket in use.
    """
    rows: Any = core_of(record)
    rows.update(format=9, watched=[])
    for row in (*rows["groups"], *rows["agents"]):
        row["here"] = []
    estimates = record[_ESTIMATES]
    if estimates is not None:
        handled, levels, in_hand, *rest = estimates
        used = [(q, [*row[:2], *(x for at, n in enumerate(row[2:]) if n for x in (at, n))]) for q, row in handled]
        estimates = [used, levels, [(*row, -1, -1) for row in in_hand], *rest, []]
    return with_core([13, *record[1:_ESTIMATES], estimates, *record[_ESTIMATES + 1 :]], rows)


STEPS: Final[Mapping[int, Step]] = {11: _caps_and_closings, 12: _of_a_queue}
"""By the format that a step reads; it returns the next one."""


def upgraded(record: list[Any], wanted: int, steps: Mapping[int, Step] = STEPS) -> list[Any]:
    """The fields of a snapshot in the format that is wanted. O(state). Raises InputError where a step is missing.

    >>> upgraded([1, "ana"], 3, {1: lambda old: [2, *old[1:], 0], 2: lambda old: [3, *old[1:], ""]})
    [3, 'ana', 0, '']
    """
    while record[0] != wanted:
        before = record[0]
        if before not in steps:
            raise InputError(f"there is no way from format {before} to format {wanted}")
        record = steps[before](record)
        if record[0] != before + 1:
            raise InputError(f"the step from format {before} gives format {record[0]}")
    return record


def core_of(record: list[Any]) -> Row:
    """The core's integers of a snapshot as named rows. O(size). Raises InputError."""
    numbers = array("q")
    try:
        numbers.frombytes(record[CORE])
    except (ValueError, TypeError) as error:
        raise InputError(f"the core of a snapshot is no list of integers: {error}") from error
    return split(numbers)


def with_core(record: list[Any], rows: Row) -> list[Any]:
    """A snapshot with other rows in its core. O(size). Raises InputError."""
    return [*record[:CORE], joined(rows).tobytes(), *record[CORE + 1 :]]
