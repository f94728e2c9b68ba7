"""What the estimates share: ranges, their check, and rounding."""

from __future__ import annotations

from typing import Final

from omniroute.core.limits import ORDER_MAX, out_of_range
from omniroute.errors import MisuseError

COUNT_MAX: Final = ORDER_MAX
"""Most interactions waiting in a class, agents in a pool, arrivals of a class in an hour, outcomes in one addition."""

HANDLE_MAX: Final = 2**31 - 1
"""Longest handle time in ms: 24.8 days."""


def checked(what: str, value: int, low: int, high: int) -> int:
    """Return an integer in its range, or raise :class:`MisuseError`. O(1)."""
    if type(value) is not int:
        raise MisuseError(f"{what} is a {type(value).__name__}, allowed is an integer")
    if not low <= value <= high:
        raise out_of_range(what, value, low, high)
    return value


def rounded(numerator: int, denominator: int) -> int:
    """Return a ratio of non-negative integers, rounded to the nearest, a half upward. O(1)."""
    return (2 * numerator + denominator) // (2 * denominator)
