"""A recent rate of arrivals: how many came, old ones fading, and over how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from attrs import define, field

from omniroute.core.estimate.integers import checked, rounded
from omniroute.core.estimate.service_level import WEIGHT_MAX, weight_of
from omniroute.core.limits import TIME_MAX, too_early
from omniroute.errors import MisuseError

_LN2: Final = 744_261_118
"""In 2**-30."""
_NOTHING_LEFT: Final = 62
"""Half-lives after which nothing of an arrival is left."""


@define
class Arrivals:
    """How many arrived lately, where an arrival counts half after each half-life.

    Weights and their sums are those of :class:`ServiceLevel`: looking changes nothing, and the count depends on the
    additions alone. ``half_life_ms`` is in ``1..TIME_MAX``.

    >>> recent = Arrivals(60_000)
    >>> for at in (0, 60_000, 60_000):
    ...     recent.add(at)
    >>> recent.count(60_000), memory(60_000, 60_000)
    (2500, 43281)
    """

    half_life_ms: int
    _last: int = field(init=False, default=0)
    _sum: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        checked("half_life_ms", self.half_life_ms, 1, TIME_MAX)

    def add(self, now: int) -> None:
        """Count an arrival; more than 2**31 in one half-life count as that. O(1). Raises :class:`TimeError`."""
        found = (self._sum >> self._halvings(now)) + weight_of(now % self.half_life_ms, self.half_life_ms)
        self._last, self._sum = now, min(found, WEIGHT_MAX)

    def count(self, now: int) -> int:
        """Return the count that is left, in thousandths to the nearest. O(1). Raises :class:`TimeError`."""
        left = self._sum >> self._halvings(now)
        return rounded(1000 * left, weight_of(now % self.half_life_ms, self.half_life_ms))

    def _halvings(self, now: int) -> int:
        """Return how many half-lives began since the last addition; check the time. O(1)."""
        if type(now) is not int:
            raise MisuseError(f"now is a {type(now).__name__}, allowed is an integer")
        if not self._last <= now <= TIME_MAX:
            raise too_early(now, self._last, now)
        return min(now // self.half_life_ms - self._last // self.half_life_ms, _NOTHING_LEFT + 64)

    def state(self) -> tuple[int, ...]:
        """Return everything it knows: half-life, last addition, decayed sum. O(1)."""
        return (self.half_life_ms, self._last, self._sum)

    @classmethod
    def of_state(cls, state: Sequence[int]) -> Self:
        """Return the value that had this :meth:`state`; raise :class:`MisuseError` if none can have had it. O(1)."""
        if len(state) != 3:
            raise MisuseError(f"the state of arrivals has 3 integers, not {len(state)}")
        found = cls(state[0])
        found._last = checked("last", state[1], 0, TIME_MAX)
        found._sum = checked("sum", state[2], 0, WEIGHT_MAX)
        return found


def memory(passed_ms: int, half_life_ms: int) -> int:
    """Return the time in ms over which a fading count has been made, as if nothing of it had faded.

    It is ``half_life / ln 2 * (1 - 2 ** -(passed / half_life))``: a count is the rate times this, on average.
    Less than 1 ms and a part in 2**28 off. O(1).
    Raises :class:`MisuseError` for a time out of ``0..TIME_MAX``.
    """
    checked("passed_ms", passed_ms, 0, TIME_MAX)
    checked("half_life_ms", half_life_ms, 1, TIME_MAX)
    halvings = min(passed_ms // half_life_ms, _NOTHING_LEFT)
    one = weight_of(passed_ms % half_life_ms, half_life_ms) << halvings
    return rounded(half_life_ms * (one - (1 << 30)) << 30, one * _LN2)
