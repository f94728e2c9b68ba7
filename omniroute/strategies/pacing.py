"""How many customers may be approached now: places that will be there, less those that others will have taken.

Take a *pool* of agents and count places, each room for one interaction of a channel. Over a horizon, all by itself::

    net = available + releases - waiting - arrivals - come

An agent who is idle stays so until somebody takes him, so nothing that happens in between matters: at the end of the
horizon nobody is left waiting if ``net >= 0``. The terms are independent sums:

- ``releases``: each interaction in hand ends with the chance ``P(H <= age + horizon | H > age)`` of the handle times H
  that were seen, as if one more of them had been endless; it frees the places that its agent then gains. What begins
  during the horizon is taken to outlast it;
- ``waiting``, ``arrivals``, ``come``: each comes into this pool with the share that it has of what the agents who may
  serve it offer, room now and releases expected, and takes a place at least. Arrivals are Poisson of an unknown rate:
  with ``n`` seen in a time ``T`` negative binomial, ``n + 1/2`` successes of probability ``T / (T + horizon)``
  (Jeffreys' prior). Those approached come with the chance ``take``.

There is a pool of all agents who may take who is approached, and one for each kind of others who want some of them, in
places of their own channel. The answer is the greatest number for which ``P(net >= 0) >= sure`` in every pool, and 0
where one customer who came for certain would not be taken as surely: an invitation that hardly anybody takes is no
reason to make one that cannot be kept. What ``E[net]`` then is in the tightest pool is the reserve. The rule is that of
a reserve for a protected class, and a predictive dialler's: Samuelson, Predictive dialing for outbound telephone call
centers, Interfaces 29 (1999). Floats live here: what is computed is read, and moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from omniroute.errors import MisuseError
from omniroute.model import shown

__all__ = ["COUNT_MAX", "Prospect", "Room", "check", "room"]

COUNT_MAX: Final = 100_000
"""Most customers that are approached at one time, or have been."""
_SPARE: Final = 32
_TAIL: Final = 1e-13
"""What is left out at either end of a distribution; it counts against the promise."""


@attrs.frozen(kw_only=True)
class Room:
    """How many may be approached now, and why: what is so in the tightest pool, in places of its channel.

    ``queue`` is the queue because of which no more may be, maybe the one asked about. ``available`` places are free;
    ``releasing``, ``waiting``, ``arriving`` and ``coming`` are expected over the horizon: places that become free, and
    those that are taken by who waits, who arrives, and who was approached before and now. ``reserve`` is what is left
    for chance, so ``available + releasing - waiting - arriving - coming - reserve`` is 0. ``short`` names the queues
    that these agents serve and that are below their targets: while there are any, the count is 0.
    """

    count: int
    queue: str
    available: int
    releasing: float
    waiting: float
    arriving: float
    coming: float
    reserve: float
    short: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Prospect:
    """What is known of a pool: ``releases`` and ``waiting`` as chance and places of each one.

    ``arrived`` has, by places, how many arrivals were seen in ``watched_ms``. Of those who come because they were
    approached the part ``share`` comes into this pool, and each takes ``size`` places.
    """

    queue: str = ""
    available: int
    releases: tuple[tuple[float, int], ...] = ()
    waiting: tuple[tuple[float, int], ...] = ()
    arrived: Mapping[int, float] = attrs.Factory(dict)
    watched_ms: int
    within_ms: int
    share: float = 1.0
    size: int = 1


@attrs.define
class _Sum:
    """The distribution of a sum of independent integers: the chance of ``low``, ``low + 1`` and so on."""

    low: int
    mass: npt.NDArray[np.float64]
    widest: int = 64
    """So many cells are kept before the ends are looked at."""

    def add(self, amount: int, chance: float) -> None:
        """Add an amount that comes with some chance. O(spread)."""
        if chance <= 0 or not amount:
            return
        if chance >= 1:
            self.low += amount
            return
        found = np.zeros(len(self.mass) + abs(amount))
        at = max(-amount, 0)
        found[at : at + len(self.mass)] = self.mass * (1.0 - chance)
        found[at + amount : at + amount + len(self.mass)] += self.mass * chance
        self.low, self.mass = self.low - at, found
        if len(found) > self.widest:
            self.trim()

    def take(self, amount: int, mass: npt.NDArray[np.float64]) -> None:
        """Take an amount 0, 1, 2... times, with these chances. O(spread * len(mass))."""
        spaced = np.zeros(amount * (len(mass) - 1) + 1)
        spaced[::amount] = mass
        self.low -= len(spaced) - 1
        self.mass = np.convolve(self.mass, spaced[::-1])
        self.trim()

    def trim(self) -> None:
        """Leave out the ends that hardly ever happen. O(spread)."""
        upto = np.cumsum(self.mass)
        if upto[-1] <= 2 * _TAIL:  # whatever else may be, it does not keep the promise
            self.mass = np.zeros(1)
            return
        first = int(np.searchsorted(upto, _TAIL))
        last = int(np.searchsorted(upto, upto[-1] - _TAIL))
        self.low, self.mass = self.low + first, self.mass[first : last + 1]
        self.widest = len(self.mass) + _SPARE

    def enough(self, size: int, chance: float) -> Callable[[int], float]:
        """The chance that 0 or more is left when ``n`` may take ``size`` each, as a function of n. O(spread), once."""
        tail = np.cumsum(self.mass[::-1])[::-1]
        most = (self.low + len(tail) - 1) // size
        left = [float(tail[max(size * b - self.low, 0)]) for b in range(most + 1)]

        def found(n: int) -> float:
            upto = min(n, most)
            return sum(p * q for p, q in zip(_binomial(n, chance, upto), left, strict=False))

        return found


def _predicted(seen: float, watched_ms: int, within_ms: int, upto: int) -> npt.NDArray[np.float64]:
    """The chances of 0, 1, 2... arrivals over a horizon, no more than ``upto``. O(greatest number with a chance)."""
    shape, mean = seen + 0.5, (seen + 0.5) * within_ms / watched_ms
    most = min(upto, int(mean + 12.0 * math.sqrt(mean * (1.0 + within_ms / watched_ms)) + 30.0))
    log_none = shape * math.log(watched_ms / (watched_ms + within_ms))
    log_next = math.log(within_ms / (watched_ms + within_ms))
    logs = [
        math.lgamma(shape + n) - math.lgamma(shape) - math.lgamma(n + 1.0) + log_none + n * log_next
        for n in range(most + 1)
    ]
    return np.exp(logs)


def _binomial(n: int, chance: float, upto: int) -> list[float]:
    """The chances that 0, 1 ... ``upto`` of n come. O(upto)."""
    if chance <= 0.0 or chance >= 1.0 or n == 0:
        return [float(b == (n if chance > 0.0 else 0)) for b in range(upto + 1)]
    yes, no = math.log(chance), math.log1p(-chance)
    whole = math.lgamma(n + 1.0)
    return [
        math.exp(whole - math.lgamma(b + 1.0) - math.lgamma(n - b + 1.0) + b * yes + (n - b) * no)
        for b in range(upto + 1)
    ]


def _expected(parts: Iterable[tuple[float, int]]) -> float:
    return sum(chance * places for chance, places in parts)


def check(sure: float, take: float, invited: int) -> None:
    """Raise MisuseError for a promise that cannot be made. O(1)."""
    for what, value, most in (("sure", sure, math.nextafter(1.0, 0.0)), ("take", take, 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            raise MisuseError(
                f"{what} is {shown(value)}, expected a chance above 0{'' if most == 1 else ' and below 1'}"
            )
    if type(invited) is not int or not 0 <= invited <= COUNT_MAX:
        raise MisuseError(f"invited is {shown(invited)}, allowed is an integer in 0..{COUNT_MAX}")


def room(
    prospects: Iterable[Prospect], *, sure: float, take: float, invited: int = 0, short: tuple[str, ...] = ()
) -> Room:
    """Return how many may be approached; of ``invited`` more it is not known yet whether they come.

    The first prospect is that of the agents who may take them. For each pool O((in hand + waiting + log(answer)) *
    spread), where the spread is some standard deviations of ``net``. Raises MisuseError for a chance that is none.

    >>> quiet = Prospect(available=3, watched_ms=60_000, within_ms=20_000)
    >>> room([quiet], sure=0.9, take=1.0).count, room([quiet], sure=0.9, take=0.3).count
    (3, 6)
    >>> room([quiet], sure=0.9, take=0.3, invited=2).count
    4
    """
    check(sure, take, invited)
    count, tightest = 0 if short else COUNT_MAX, None
    for prospect in prospects:
        if tightest is not None and not (count and prospect.share):
            continue
        net, chance = _net(prospect), take * prospect.share
        fits = net.enough(prospect.size, chance)
        most = _most(lambda n, fits=fits: fits(invited + n) >= sure, count)  # type: ignore[misc]
        if tightest is None and _Sum(net.low - prospect.size, net.mass).enough(prospect.size, chance)(invited) < sure:
            most = 0
        if tightest is None or most < count:
            tightest, count = prospect, most
    if tightest is None:
        raise MisuseError("there is no pool of agents to look at")
    releasing, waiting = _expected(tightest.releases), _expected(tightest.waiting)
    arriving = sum(places * _mean(tightest, seen) for places, seen in tightest.arrived.items())
    coming = take * tightest.share * (invited + count) * tightest.size
    return Room(
        count=count,
        queue=tightest.queue,
        available=tightest.available,
        releasing=releasing,
        waiting=waiting,
        arriving=arriving,
        coming=coming,
        reserve=tightest.available + releasing - waiting - arriving - coming,
        short=short,
    )


def _net(prospect: Prospect) -> _Sum:
    """The distribution of what is left before anybody comes who was approached."""
    net = _Sum(prospect.available, np.ones(1))
    for chance, places in prospect.releases:
        net.add(places, chance)
    for chance, places in prospect.waiting:
        net.add(-places, chance)
    for places, seen in sorted(prospect.arrived.items()):
        most = max(0, net.low + len(net.mass) - 1) // places  # more than that leaves nobody a place
        net.take(places, _predicted(seen, prospect.watched_ms, prospect.within_ms, most))
    return net


def _most(fits: Callable[[int], bool], upto: int) -> int:
    """The greatest number up to ``upto`` that fits, where all smaller ones do; 0 where none does. O(log) questions."""
    if fits(upto):
        return upto
    low, step = 0, 1
    while low + step < upto and fits(low + step):
        low, step = low + step, 2 * step
    high = min(low + step, upto)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _mean(prospect: Prospect, seen: float) -> float:
    return (seen + 0.5) * prospect.within_ms / prospect.watched_ms
