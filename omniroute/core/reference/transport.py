"""The optimum of a decision window, by definition: one shortest path after the other, each found from nothing."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute.core.limits import NOT_ELIGIBLE

Distance = tuple[int, int]
"""What a way concedes, then its arcs: of the ways that concede least, the one with the fewest."""


def greatest(cost: Sequence[int]) -> int:
    """Return the greatest magnitude of the costs of eligible pairs. O(cells)."""
    return max((abs(c) for c in cost if c != NOT_ELIGIBLE), default=0)


def solve(
    weights: Sequence[int], first: Sequence[int], available: Sequence[int], cost: Sequence[int], most: int
) -> list[tuple[int, int, int]]:
    """Return (class, group, how many) where any are matched, in order.

    ``weights[first[k]:first[k + 1]]`` are those of class ``k``, greatest first; ``cost`` has a row for each class. One
    match is added at a time: the one that adds least to cost less weight, at most ``most``, others moved over to other
    groups where that helps. Successive shortest paths, each by Bellman and Ford: O(matches * classes * groups * hops).
    """
    classes, groups = range(len(first) - 1), range(len(available))
    price = [[cost[k * len(groups) + g] for g in groups] for k in classes]
    left, served = list(available), [0 for _ in classes]
    flow = [[0 for _ in groups] for _ in classes]
    while True:
        of_class, of_group = distances(price, flow, left)
        adds = [
            (way[0] - weights[first[k] + served[k]], k)
            for k, way in enumerate(of_class)
            if way is not None and first[k] + served[k] < first[k + 1]
        ]
        if not adds or min(adds)[0] > most:
            return [(k, g, flow[k][g]) for k in classes for g in groups if flow[k][g]]
        k = min(adds)[1]
        served[k] += 1
        while True:
            g = min(g for g in groups if through_group(of_group[g], price[k][g]) == of_class[k])
            flow[k][g] += 1
            if left[g]:
                left[g] -= 1
                break
            k = min(c for c in classes if flow[c][g] and back_to_class(of_class[c], price[c][g]) == of_group[g])
            flow[k][g] -= 1


def distances(
    price: Sequence[Sequence[int]], flow: Sequence[Sequence[int]], left: Sequence[int]
) -> tuple[list[Distance | None], list[Distance | None]]:
    """Return the shortest way from each class and from each group to an agent who is left; ``None``: there is none.

    From a class it goes to any group that is eligible, from a group back to any class that it serves.
    """
    of_class: list[Distance | None] = [None for _ in price]
    of_group: list[Distance | None] = [(0, 0) if many else None for many in left]
    moved = True
    while moved:
        moved = False
        for k, row in enumerate(price):
            for g in range(len(left)):
                way = through_group(of_group[g], row[g])
                if way is not None and (of_class[k] is None or way < of_class[k]):  # type: ignore[operator]
                    of_class[k], moved = way, True
                way = back_to_class(of_class[k], row[g]) if flow[k][g] else None
                if way is not None and (of_group[g] is None or way < of_group[g]):  # type: ignore[operator]
                    of_group[g], moved = way, True
    return of_class, of_group


def through_group(way: Distance | None, cost: int) -> Distance | None:
    """The way of a class that goes to this group. O(1)."""
    return None if way is None or cost == NOT_ELIGIBLE else (way[0] + cost, way[1] + 1)


def back_to_class(way: Distance | None, cost: int) -> Distance | None:
    """The way of a group that gives up one of this class. O(1)."""
    return None if way is None else (way[0] - cost, way[1] + 1)
