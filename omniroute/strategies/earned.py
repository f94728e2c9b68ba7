"""What was earned: goals that it follows, and what routing for value adds to it."""

from __future__ import annotations

import math

import attrs
import numpy as np

from omniroute.errors import MisuseError

__all__ = ["Arm", "Goal", "Lift"]


@attrs.frozen
class Goal:
    """A metric is to follow a curve: ``points`` are instants in ms with what is to be earned by then in all, ascending.

    The metric's weight is multiplied, at each solution, by ``exp(rate * (planned - earned) / planned in all)``, after
    the budget pacing of online markets. Raises MisuseError for a curve that falls or ends at nothing.
    """

    metric: str
    points: tuple[tuple[int, int], ...] = attrs.field(converter=tuple)
    rate: float = 1.0

    def __attrs_post_init__(self) -> None:
        amounts = [amount for _, amount in self.points]
        times = [at for at, _ in self.points]
        if not amounts or amounts[-1] <= 0 or amounts != sorted(amounts) or times != sorted(set(times)):
            raise MisuseError("a goal has points in the order of time, which never fall and end above 0")

    def planned(self, at: int) -> float:
        """What is to be earned by an instant, in a straight line between points. O(points)."""
        times, amounts = zip(*self.points, strict=True)
        return float(np.interp(at, times, amounts))


@attrs.frozen
class Lift:
    """What routing for value earns more per interaction than it does on those held out, with its 95 % interval.

    In minor units, weighted. Both kinds share queues and agents, so this compares two ways to be routed in this
    centre, not this centre with one that routes nobody for value.
    """

    more: float
    low: float
    high: float
    priced: int
    held_out: int


@attrs.define
class Arm:
    """Interactions of one kind whose end is known: how many, what they earned, and its square."""

    count: int = 0
    total: float = 0.0
    square: float = 0.0

    def add(self, count: int, earned: float, square: float) -> None:
        """So many more, with the sum of what they earned and that of its squares. O(1)."""
        self.count += count
        self.total += earned
        self.square += square

    def mean(self) -> float:
        """The mean; NaN of nothing. O(1)."""
        return self.total / self.count if self.count else math.nan

    def error(self) -> float:
        """The square of the standard error of the mean; NaN of fewer than two. O(1)."""
        if self.count < 2:
            return math.nan
        return max(0.0, self.square - self.total**2 / self.count) / (self.count - 1) / self.count
