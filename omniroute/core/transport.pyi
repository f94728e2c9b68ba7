# What Python may say to the compiled optimum: exactly what it may say to reference/transport.

from collections.abc import Sequence

def greatest(cost: Sequence[int]) -> int: ...
def solve(
    weights: Sequence[int], first: Sequence[int], available: Sequence[int], cost: Sequence[int], most: int
) -> list[tuple[int, int, int]]: ...
