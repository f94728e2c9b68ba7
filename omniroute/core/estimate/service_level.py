"""A recent service level: the share served in target, old outcomes fading."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final, Self

from attrs import define, field

from omniroute.core.estimate.integers import COUNT_MAX, checked, rounded
from omniroute.core.limits import TIME_MAX, too_early
from omniroute.errors import MisuseError

WEIGHT_MAX: Final = 2**62
"""Greatest decayed sum, in 2**-30 of an interaction: more than 2**31 interactions in one half-life are refused."""

_ONE: Final = 1 << 62
_FRACTION_BITS: Final = 30
"""Binary places of a weight, and of the part of a half-life that has passed."""


def _roots() -> tuple[int, ...]:
    """Return 2 ** (1/2), 2 ** (1/4) ..., in 2**-62. O(places)."""
    found = [isqrt(2 * _ONE * _ONE)]
    while len(found) < _FRACTION_BITS:
        found.append(isqrt(found[-1] * _ONE))
    return tuple(found)


_ROOTS: Final = _roots()


def weight_of(passed_ms: int, half_life_ms: int) -> int:
    """Return ``2 ** (passed / half-life)`` in 2**-30, less than 2**-29 of it too small; never falls. O(1)."""
    part = (passed_ms << _FRACTION_BITS) // half_life_ms
    found = _ONE
    for place, root in enumerate(_ROOTS, 1):
        if part >> (_FRACTION_BITS - place) & 1:
            found = found * root // _ONE
    return found * (1 << _FRACTION_BITS) // _ONE


@define
class ServiceLevel:
    """The share of interactions served in target, in which an outcome counts half after each half-life.

    Nothing decays by being looked at. An outcome enters with a weight that doubles with every half-life since time 0
    (forward decay: Cormode and others, "Forward decay: a practical time decay model for streaming systems", 2009); sums
    are halved when a whole half-life has passed between additions. So the share depends on the additions alone, it can
    neither drift nor depend on ticks, and each weight is less than 2**-29 of itself off.

    ``half_life_ms`` is in ``1..TIME_MAX``.

    >>> recent = ServiceLevel(60_000)
    >>> recent.share(0) is None
    True
    >>> recent.add(0, 0, 2)
    >>> recent.add(60_000, 4, 4)
    >>> recent.share(60_000)
    800
    """

    half_life_ms: int
    _last: int = field(init=False, default=0)
    _good: int = field(init=False, default=0)
    _offered: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        checked("half_life_ms", self.half_life_ms, 1, TIME_MAX)

    def add(self, now: int, good: int, n: int) -> None:
        """Count ``n`` outcomes, ``good`` of them in target, at ``now``. O(1).

        Nothing added changes nothing. Raises :class:`MisuseError` for counts out of range and for more than about 2**31
        outcomes in one half-life, :class:`TimeError` for a time before the last addition; then nothing has changed.
        """
        halvings = self._halvings(now)
        checked("n", n, 0, COUNT_MAX)
        checked("good", good, 0, n)
        if n == 0:
            return
        weight = weight_of(now % self.half_life_ms, self.half_life_ms)
        offered = (self._offered >> halvings) + n * weight
        if offered > WEIGHT_MAX:
            raise MisuseError(f"{n} outcomes are too many in one half-life of {self.half_life_ms} ms")
        self._last, self._good, self._offered = now, (self._good >> halvings) + good * weight, offered

    def share(self, now: int) -> int | None:
        """Return the share in target, in per mille to the nearest; ``None`` without data. O(1).

        Without data means that the decayed count is below 1/1024: ten half-lives after a single outcome, twenty after
        a thousand. Until then at most .51 per mille off the exact value. Raises :class:`TimeError` as :meth:`add`.
        """
        left = self._offered >> self._halvings(now)
        if left << 10 < weight_of(now % self.half_life_ms, self.half_life_ms):
            return None
        return rounded(1000 * self._good, self._offered)

    def _halvings(self, now: int) -> int:
        """Return how many half-lives began since the last addition; check the time. O(1)."""
        if type(now) is not int:
            raise MisuseError(f"now is a {type(now).__name__}, allowed is an integer")
        if not self._last <= now <= TIME_MAX:
            raise too_early(now, self._last, now)
        return now // self.half_life_ms - self._last // self.half_life_ms

    def state(self) -> tuple[int, ...]:
        """Return everything it knows: half-life, last addition, decayed sums. O(1)."""
        return (self.half_life_ms, self._last, self._good, self._offered)

    @classmethod
    def of_state(cls, state: Sequence[int]) -> Self:
        """Return the value that had this :meth:`state`; raise :class:`MisuseError` if none can have had it. O(1)."""
        if len(state) != 4:
            raise MisuseError(f"the state of a service level has 4 integers, not {len(state)}")
        half_life_ms, last, good, offered = state
        found = cls(half_life_ms)
        found._last = checked("last", last, 0, TIME_MAX)
        found._offered = checked("offered", offered, 0, WEIGHT_MAX)
        found._good = checked("good", good, 0, offered)
        least = weight_of(last % half_life_ms, half_life_ms)
        if offered < least and (last or offered):
            raise MisuseError(f"offered is {offered}, but an addition at {last} leaves at least {least}")
        return found
