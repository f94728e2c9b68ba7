"""Quantiles and the mean of recent handle times, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, compress
from typing import Final, Self

from attrs import define, field

from omniroute.core.estimate.integers import HANDLE_MAX, checked, rounded
from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError

REMEMBERED_MAX: Final = 2**20
"""Most handle times that a sketch may be told to remember."""

BEYOND_MIN: Final = 10
"""So many handle times beyond a quantile make it one that can be told from chance."""

_PER_OCTAVE: Final = 12
_FIRST_OCTAVE: Final = 8
_OCTAVES: Final = 16


def _bounds() -> tuple[int, ...]:
    """Return where the buckets begin, the first at 0: 2**8 .. 2**24 ms, 12 to the doubling. O(buckets)."""
    scale = 1 << 20
    steps = []
    for k in range(_PER_OCTAVE):
        low, high, power = scale, 2 * scale, scale**_PER_OCTAVE << k
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**_PER_OCTAVE <= power else (low, middle)
        steps.append(low)
    octaves = range(_FIRST_OCTAVE, _FIRST_OCTAVE + _OCTAVES)
    return (0, *(-(-(step << octave) // scale) for octave in octaves for step in steps), 1 << octaves.stop)


_BOUNDS: Final = _bounds()


@define
class HandleTimes:
    """Quantiles and the mean of recent handle times, in 194 counters.

    Buckets are logarithmic, twelve to each doubling between 256 ms and 4.7 hours, so a quantile is at most 3 % off the
    value that a sorted list would give (DDSketch: Masson and others, 2019, has the idea). Below 256 ms it is 128 ms;
    above 4.7 hours, that bound. When ``remembered`` values are held, all counts are halved, so old values fade and the
    estimate follows change; halving moves no cumulated count by more than a half, all halvings together by at most one.

    ``remembered`` is in ``16..REMEMBERED_MAX``.

    >>> times = HandleTimes()
    >>> times.quantile(500) is None
    True
    >>> for value_ms in (60_000, 120_000, 300_000):
    ...     times.add(value_ms)
    >>> times.quantile(500), times.mean_ms()
    (120143, 160000)
    """

    remembered: int = 4096
    _sum: int = field(init=False, default=0)
    _counts: list[int] = field(init=False, factory=lambda: [0] * len(_BOUNDS))
    _total: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        checked("remembered", self.remembered, 16, REMEMBERED_MAX)

    def add(self, value_ms: int) -> None:
        """Count a handle time, ``0..HANDLE_MAX`` ms, otherwise :class:`MisuseError`. O(log buckets), O(1) memory."""
        checked("value_ms", value_ms, 0, HANDLE_MAX)
        self._counts[bisect_right(_BOUNDS, value_ms) - 1] += 1
        self._sum += value_ms
        self._total += 1
        if self._total == self.remembered:
            self._halve()

    def _halve(self) -> None:
        """Halve every cumulated count, rounded down, and keep the mean: a tail of single counts is not lost."""
        below = 0
        for bucket, upto in enumerate(accumulate(self._counts)):
            self._counts[bucket] = upto // 2 - below
            below = upto // 2
        self._sum = self._sum * below // self._total
        self._total = below

    def quantile(self, per_mille: int) -> int | None:
        """Return the least handle time in ms that so many of a thousand do not exceed; ``None`` without data.

        ``per_mille`` is in ``0..1000``, otherwise :class:`MisuseError`; 0 is the least value. O(buckets).
        """
        checked("per_mille", per_mille, 0, 1000)
        if not self._total:
            return None
        wanted = max(1, -(-per_mille * self._total // 1000))
        bucket = next(bucket for bucket, upto in enumerate(accumulate(self._counts)) if upto >= wanted)
        if bucket == len(_BOUNDS) - 1:
            return _BOUNDS[bucket]
        low, high = _BOUNDS[bucket], _BOUNDS[bucket + 1] - 1
        return rounded(2 * low * high, low + high) if low else (high + 1) // 2

    def tells(self, per_mille: int) -> bool:
        """Return whether enough are known to tell that quantile: at least ``BEYOND_MIN`` lie beyond it. O(1).

        And will when counts have been halved, so what can be told once can always be: with 4,096 remembered never what
        is above 995. Raises :class:`MisuseError` as :meth:`quantile`.
        """
        beyond = 1000 - checked("per_mille", per_mille, 0, 1000)
        return min(self._total, self.remembered // 2) * beyond >= 1000 * BEYOND_MIN

    def mean_ms(self) -> int | None:
        """Return the mean in ms to the nearest, old values fading as counts do; ``None`` without data. O(1)."""
        return rounded(self._sum, self._total) if self._total else None

    def beyond(self, value_ms: int) -> int:
        """Return how many of a million handle times lasted longer, 0 without data. O(buckets).

        ``value_ms`` is 0 or more, otherwise :class:`MisuseError`. Inside a bucket they are taken as evenly spread;
        those above the last bound count as longer than anything.
        """
        checked("value_ms", value_ms, 0, TIME_MAX)
        if not self._total:
            return 0
        bucket = bisect_right(_BOUNDS, value_ms) - 1
        longer = 1000 * sum(self._counts[bucket + 1 :])
        if bucket == len(_BOUNDS) - 1:
            return 1000 * 1000 * self._counts[bucket] // self._total
        low, high = _BOUNDS[bucket], _BOUNDS[bucket + 1]
        return 1000 * (longer + 1000 * self._counts[bucket] * (high - value_ms) // (high - low)) // self._total

    @property
    def total(self) -> int:
        """How many are remembered. O(1)."""
        return self._total

    def copy(self) -> Self:
        """Return another that knows the same. O(buckets)."""
        found = type(self)(self.remembered)
        found._sum, found._counts, found._total = self._sum, self._counts.copy(), self._total
        return found

    def state(self) -> tuple[int, ...]:
        """Return everything it knows: what it remembers, the sum, each bucket in use with its count. O(buckets)."""
        used = compress(enumerate(self._counts), self._counts)
        return (self.remembered, self._sum, *chain.from_iterable(used))

    @classmethod
    def of_state(cls, state: Sequence[int]) -> Self:
        """Return the sketch that had this :meth:`state`; raise :class:`MisuseError` if none can have had it."""
        if len(state) < 2 or len(state) % 2:
            raise MisuseError(f"the state of handle times has 2 integers and pairs of them, not {len(state)}")
        found = cls(state[0])
        least = 0
        for bucket, count in zip(state[2::2], state[3::2], strict=True):
            found._counts[checked("bucket", bucket, least, len(_BOUNDS) - 1)] = checked("count", count, 1, state[0])
            least = bucket + 1
        found._total = checked("total", sum(found._counts), 0, found.remembered - 1)
        found._sum = checked("sum", state[1], 0, found._total * HANDLE_MAX)
        return found
