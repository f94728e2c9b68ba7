"""A bare simulation of queues that share pools of agents, and how far an estimate is from the waits in it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import numpy as np

Row = tuple[int, tuple[int, ...], float]
"""Of one who waited and was served: the class, who waited in each class on arrival, oneself included, and the wait."""


def delayed(
    agents: Sequence[int],
    skills: Sequence[tuple[int, ...]],
    rates: Sequence[int],
    *,
    customers: int,
    seed: int,
    patience: float | None = None,
    tiers: Sequence[int] | None = None,
) -> list[Row]:
    """Poisson arrivals, exponential handling of mean 1, least tier then first come, the least skilled idle pool.

    ``skills[p]`` names the classes that pool p serves. The first twentieth of the customers warms up.
    """
    dice = np.random.default_rng(seed)
    total = sum(rates)
    arrivals = np.cumsum(dice.exponential(1 / total, customers)).tolist()
    classes = dice.choice(len(rates), customers, p=np.array(rates) / total).tolist()
    handling = iter(dice.exponential(1, customers).tolist())
    leaving = dice.exponential(patience, customers).tolist() if patience else []
    able = [sorted((len(s), p) for p, s in enumerate(skills) if c in s) for c in range(len(rates))]
    idle, busy, leaves = list(agents), [], []
    lines: list[deque[int]] = [deque() for _ in rates]
    seen: dict[int, tuple[int, ...]] = {}
    found: list[Row] = []

    def freed(now: float, p: int) -> None:
        waiting = [(tiers[c] if tiers else 0, lines[c][0], c) for c in skills[p] if lines[c]]
        if not waiting:
            idle[p] += 1
            return
        _, i, c = min(waiting)
        lines[c].popleft()
        on_arrival = seen.pop(i)
        if i >= customers // 20:
            found.append((c, on_arrival, now - arrivals[i]))
        heappush(busy, (now + next(handling), p))

    for i, (now, c) in enumerate(zip(arrivals, classes, strict=True)):
        while (busy and busy[0][0] <= now) or (leaves and leaves[0][0] <= now):
            if leaves and (not busy or leaves[0][0] < busy[0][0]):
                _, gone, line = heappop(leaves)
                if seen.pop(gone, None) is not None:
                    lines[line].remove(gone)
            else:
                freed(*heappop(busy))
        p = next((p for _, p in able[c] if idle[p]), None)
        if p is not None:
            idle[p] -= 1
            heappush(busy, (now + next(handling), p))
            continue
        lines[c].append(i)
        seen[i] = tuple(map(len, lines))
        if patience:
            heappush(leaves, (now + leaving[i], i, c))
    return found


def relative_error(rows: Sequence[Row], estimate: Callable[[int, tuple[int, ...]], float]) -> float:
    """The root mean squared error of an estimate over the mean wait."""
    known: dict[tuple[int, tuple[int, ...]], float] = {}
    squares = total = 0.0
    for c, waiting, wait in rows:
        if (c, waiting) not in known:
            known[c, waiting] = estimate(c, waiting)
        squares += (known[c, waiting] - wait) ** 2
        total += wait
    return math.sqrt(squares / len(rows)) / (total / len(rows))
