"""Formulas of working past an obligation: how likely, how long, when to stop, and whom to keep in reserve.

Floats live here; what reaches a router is rounded by :mod:`omniroute.strategies.schedule`, or is a number in a plan.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

from omniroute.errors import MisuseError

__all__ = ["best_stop", "expected_overrun", "may_enter", "quantile", "reserve"]

_NORMAL: Final = NormalDist()
RESERVE_MAX: Final = 1_000


def _lognormal(mean: float, cv: float) -> tuple[float, float]:
    """Return mu and s of the logarithm."""
    if not (0 < mean < math.inf and 0 < cv < math.inf):
        raise MisuseError(f"the mean and cv of a lognormal time are above 0, got {mean:g} and {cv:g}")
    variance = math.log1p(cv * cv)
    return math.log(mean) - variance / 2, math.sqrt(variance)


def quantile(mean: float, cv: float, share: float) -> float:
    """Return the time within which a share of lognormal handle times end; ``cv`` is standard deviation over mean. O(1).

    ``share`` is inside 0..1. Raises MisuseError.

    >>> round(quantile(300, 1, 0.9), 4)
    616.5692
    """
    mu, s = _lognormal(mean, cv)
    if not 0 < share < 1:
        raise MisuseError(f"a share is inside 0..1, got {share:g}")
    return math.exp(mu + s * _NORMAL.inv_cdf(share))


def expected_overrun(mean: float, cv: float, left: float) -> float:
    """Return how long a lognormal handle time is expected to go on after ``left``: E[(H - left)+]. O(1).

    ``m Phi(d1) - x Phi(d2)`` with ``d1 = (mu + s^2 - ln x) / s`` and ``d2 = d1 - s``, as the price of a call option
    (Black and Scholes, The pricing of options and corporate liabilities, 1973). Raises MisuseError.

    >>> round(expected_overrun(300, 1, 60), 6), round(expected_overrun(300, 1, 150), 6), expected_overrun(300, 1, -10)
    (241.058618, 169.031549, 310)
    """
    mu, s = _lognormal(mean, cv)
    if left <= 0:
        return mean - left
    d1 = (mu + s * s - math.log(left)) / s
    return mean * _NORMAL.cdf(d1) - left * _NORMAL.cdf(d1 - s)


def best_stop(mean: float, overtime: float, idle: float) -> float:
    """Return how long before his obligation a busy agent should stop, by the prices of overtime and of idling. O(1).

    With exponential handle times, who stops ``g`` means before works over with probability ``exp(-g)``, for ``exp(-g)``
    means on average, and idles for ``g - 1 + exp(-g)``; the sum of both is least at ``g = ln(1 + overtime / idle)``.
    Raises MisuseError for prices or a mean not above 0.

    >>> round(best_stop(300, overtime=1.5, idle=1), 3)
    274.887
    """
    if not all(0 < value < math.inf for value in (mean, overtime, idle)):
        raise MisuseError(f"the mean and the prices are above 0, got {mean:g}, {overtime:g} and {idle:g}")
    return mean * math.log1p(overtime / idle)


def reserve(arrivals: float, releases: int, risk: float, most: int = 3) -> int:
    """Return how many agents to keep for a protected class: the least r, at most ``most``, that is rarely too few.

    Too few is more of its arrivals, Poisson of mean ``arrivals`` over some minutes, than ``r + releases``, the agents
    who get free meanwhile; rarely is with probability ``risk`` or less. Others begin while more than r are idle:
    ``at_least = r + 1`` of a condition. O(r + releases). Raises MisuseError.

    >>> [reserve(arrivals, releases=2, risk=0.1) for arrivals in (0.5, 2, 3, 9)]
    [0, 2, 3, 3]
    """
    if not (0 <= arrivals < RESERVE_MAX / 2 and 0 < risk < 1):
        raise MisuseError(f"arrivals are 0..{RESERVE_MAX // 2} and a risk inside 0..1, got {arrivals:g} and {risk:g}")
    if not (0 <= releases <= RESERVE_MAX and 0 <= most <= RESERVE_MAX):
        raise MisuseError(f"releases and most are in 0..{RESERVE_MAX}, got {releases} and {most}")
    term = reached = math.exp(-arrivals)
    for n in range(1, releases + 1):
        term *= arrivals / n
        reached += term
    for r in range(most):
        if 1 - reached <= risk:
            return r
        term *= arrivals / (releases + r + 1)
        reached += term
    return most


def may_enter(now: int, close: int, wait_ms: int | None, longest_ms: int) -> bool:
    """Whether who comes now would be done at closing: the expected wait and a long handle time fit before it. O(1).

    ``wait_ms`` None is a wait that nobody knows, and counts as 0. All in ms.

    >>> may_enter(0, 600_000, 300_000, 300_000), may_enter(1, 600_000, 300_000, 300_000)
    (True, False)
    """
    return (wait_ms or 0) + longest_ms <= close - now
