"""The optimum of a decision window: all who wait against all who are available, matched together.

The entries of a class differ in their weight alone and the agents of a group in nothing, so it is a transportation
problem between classes and groups, with one twist: the more of a class are served, the less the next one weighs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from omniroute.core import IMPLEMENTATION
from omniroute.core.limits import MATCH_REACH_MAX, MATCH_WEIGHT_MAX, NOT_ELIGIBLE, ORDER_MAX, out_of_range
from omniroute.errors import MisuseError

if IMPLEMENTATION == "kernel":
    from omniroute.core.transport import greatest, solve
else:
    from omniroute.core.reference.transport import greatest, solve

__all__ = ["NOT_ELIGIBLE", "Matching", "match"]

WEIGHT_MAX: Final = MATCH_WEIGHT_MAX
"""Greatest weight of an entry, either sign; greatest ``bonus``."""

MATCHED_MAX: Final = ORDER_MAX
"""Most entries, and most agents of a group."""

CELLS_MAX: Final = 2**24
"""Most classes times groups."""

REACH_MAX: Final = MATCH_REACH_MAX
"""Greatest cost times the square of the least power of two that is ``2 * min(classes, groups) + 3`` or more."""


@frozen
class Matching:
    """Who is matched: of each class its first so many entries, to agents of these groups.

    ``flows`` are (class, group, how many), each at least one, in order. ``served`` and ``taken`` are how many of each
    class and of each group are matched. ``gain`` is the weight of the matched entries less the cost of their pairs.
    """

    flows: tuple[tuple[int, int, int], ...]
    served: tuple[int, ...]
    taken: tuple[int, ...]
    gain: int

    @property
    def matched(self) -> int:
        """How many are matched. O(classes)."""
        return sum(self.served)


def match(
    weights: Sequence[Iterable[int]],
    available: Iterable[int],
    cost: Iterable[Iterable[int]],
    *,
    bonus: int | None = None,
) -> Matching:
    """Match as many as can be matched and, of all ways to do so, one of greatest gain.

    ``weights[k]`` are those of the entries of class ``k``, in its order: none is greater than the one before.
    ``available[g]`` is how many agents group ``g`` has. ``cost[k][g]`` is what such a pair concedes, in the unit of the
    weights, or ``NOT_ELIGIBLE``. Arrays of int64 with two dimensions are taken as ``cost`` without a look at each row.

    With a ``bonus``, the greatest total of gain plus ``bonus`` for each match instead: nobody is matched where that
    would lower it, and of ways that end equal the one that matches most is taken.

    Exact, in integers. Of several optima both cores give the same one: matches are added one by one, each time the one
    that adds most to the gain (of equals, of the class of least number), and those who have to move do so along the way
    with the fewest moves (of equals, over groups and classes of least number). O(classes) for each match, and what it
    takes to measure anew the ways that it cut off: O(classes * groups * log(classes + groups)) at worst.

    Raises :class:`MisuseError` for shapes that differ, a weight greater than the one before, and integers out of range:
    ``abs(weight) <= 2**60``, and ``abs(cost)`` up to 2**44 for 50 groups, 2**36 for 1,000 classes and 1,000 groups.
    The method is the successive shortest paths of Busacker and Gowen (1960), with the potentials of Edmonds and Karp
    ("Theoretical improvements in algorithmic efficiency for network flow problems", 1972).

    >>> found = match([[90, 40], [80]], [1, 1], [[5, 30], [10, NOT_ELIGIBLE]])
    >>> found.flows, found.served, found.gain
    (((0, 1, 1), (1, 0, 1)), (1, 1), 130)
    >>> match([[90, 40], [80]], [1, 1], [[5, 30], [10, NOT_ELIGIBLE]], bonus=-60).flows
    ((0, 0, 1),)
    """
    rows = [_integers(f"weights[{k}]", row) for k, row in enumerate(weights)]
    sizes = _integers("available", available)
    cells = _table(cost, len(rows), len(sizes))
    first, flat = array("q", [0]), array("q")
    for row in rows:
        flat.extend(row)
        first.append(len(flat))
    _check(rows, sizes, cells)
    most = 2 * WEIGHT_MAX
    if bonus is not None:
        (most,) = _integers("bonus", (bonus,))
        _check_range("bonus", (most,), -WEIGHT_MAX, WEIGHT_MAX)
    flows = solve(flat, first, sizes, cells, most)
    served, taken, gain = [0] * len(rows), [0] * len(sizes), 0
    for k, g, many in flows:
        served[k] += many
        taken[g] += many
        gain -= cells[k * len(sizes) + g] * many
    gain += sum(sum(row[:many]) for row, many in zip(rows, served, strict=True))
    return Matching(tuple(flows), tuple(served), tuple(taken), gain)


def _view(values: object) -> memoryview | None:
    """Return the buffer of what is given, where it has one and that is of int64. O(1)."""
    try:
        view = memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    return view if view.itemsize == 8 and view.format in ("l", "q") else None


def _integers(what: str, values: Iterable[int]) -> array[int]:
    """Return int64 of what is given; of a buffer of them without a look at each. O(values)."""
    view = _view(values)
    try:
        return array("q", iter(values) if view is None else view.tobytes())
    except (TypeError, OverflowError) as error:
        raise MisuseError(f"{what}: {error}") from None


def _table(cost: Iterable[Iterable[int]], classes: int, groups: int) -> array[int]:
    """Return the cells of a table, row by row. O(cells)."""
    view = _view(cost)
    if view is None:
        rows = [_integers(f"cost[{k}]", row) for k, row in enumerate(cost)]
        fits = len(rows) == classes and all(len(row) == groups for row in rows)
        cells = array("q", b"".join(row.tobytes() for row in rows))
    else:
        fits, cells = view.shape == (classes, groups), array("q", view.tobytes())
    if not fits:
        raise MisuseError(f"cost has not {classes} rows of {groups}")
    return cells


def _check(rows: Sequence[array[int]], sizes: array[int], cells: array[int]) -> None:
    """Raise unless everything is in its range. O(entries + cells)."""
    for k, row in enumerate(rows):
        _check_range(f"weights[{k}]", row, -WEIGHT_MAX, WEIGHT_MAX)
        if row.tolist() != sorted(row, reverse=True):
            raise MisuseError(f"weights[{k}]: one is greater than the one before")
    _check_range("entries", [sum(map(len, rows))], 0, MATCHED_MAX)
    _check_range("available", sizes, 0, MATCHED_MAX)
    _check_range("cells", [len(cells)], 0, CELLS_MAX)
    span = 1 << (2 * min(len(rows), len(sizes)) + 2).bit_length()
    _check_range("the greatest cost", [greatest(cells)], 0, REACH_MAX // span**2)


def _check_range(what: str, values: Sequence[int], low: int, high: int) -> None:
    """Raise where a value is out of range. O(values)."""
    if values and min(values) < low:
        raise out_of_range(what, min(values), low, high)
    if values and max(values) > high:
        raise out_of_range(what, max(values), low, high)
