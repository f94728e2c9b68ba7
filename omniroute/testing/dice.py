"""Choices from a seed: the same on every machine, in every version of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

__all__ = ["Dice"]

T = TypeVar("T")
_MASK: Final = 2**64 - 1


class Dice:
    """Integers from a seed, by the generator SplitMix64 of Steele, Lea and Flood.

    >>> dice = Dice(7)
    >>> [dice.below(6) for _ in range(5)]
    [3, 0, 0, 3, 4]
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, bound: int) -> int:
        """An integer in ``0..bound - 1``. O(1)."""
        self._state = mixed = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
        return (mixed ^ mixed >> 31) % bound

    def one(self, options: Sequence[T]) -> T:
        """One of some options. O(1)."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """At most so many different places of the options, in any order. O(options)."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(min(len(rest), most))]
