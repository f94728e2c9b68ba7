"""The optimum of a decision window: exact, the same in both cores, and what it refuses."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.core import IMPLEMENTATION, matching
from omniroute.core.limits import NOT_ELIGIBLE
from omniroute.core.matching import Matching, match
from omniroute.core.reference import transport as plain
from omniroute.errors import MisuseError

Problem = tuple[list[list[int]], list[int], list[list[int]]]
needs_kernel = pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="compares the compiled core with the plain one")


def drawn(seed: int, classes: int, groups: int, entries: int, agents: int) -> Problem:
    """A problem with many ties, rows without anybody, empty classes and empty groups."""
    dice = random.Random(seed)
    most, share, dear = dice.choice((0, 3, 30, 10_000)), dice.choice((0.1, 0.3, 0.6, 1)), dice.choice((0, 1, 3, 500))
    weights = [
        sorted((dice.randint(-3, most) for _ in range(dice.randint(0, entries))), reverse=True) for _ in range(classes)
    ]
    cost = [
        [dice.randint(-dear, dear) if dice.random() < share else NOT_ELIGIBLE for _ in range(groups)] for _ in weights
    ]
    return weights, [dice.randint(0, agents) for _ in range(groups)], cost


problems = st.builds(
    drawn, st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 4)
)


def ways(
    weights: Sequence[Sequence[int]], available: Sequence[int], cost: Sequence[Sequence[int]]
) -> Iterator[tuple[int, int]]:
    """Every way to match single entries with groups that have room: how many, and the gain."""
    entries = [(weight, row) for ages, row in zip(weights, cost, strict=True) for weight in ages]
    for chosen in product(range(-1, len(available)), repeat=len(entries)):
        pairs = [(weight - row[g], row[g]) for (weight, row), g in zip(entries, chosen, strict=True) if g >= 0]
        if all(c != NOT_ELIGIBLE for _, c in pairs) and all(chosen.count(g) <= n for g, n in enumerate(available)):
            yield len(pairs), sum(worth for worth, _ in pairs)


def is_allowed(found: Matching, problem: Problem) -> bool:
    """Whether it keeps to entries, agents and eligible pairs, and its totals are those of its flows."""
    weights, available, cost = problem
    served, taken = [0] * len(weights), [0] * len(available)
    gain = 0
    for k, g, many in found.flows:
        assert many > 0
        assert cost[k][g] != NOT_ELIGIBLE
        served[k] += many
        taken[g] += many
        gain -= cost[k][g] * many
    gain += sum(sum(ages[:many]) for ages, many in zip(weights, served, strict=True))
    room = all(many <= len(ages) for many, ages in zip(served, weights, strict=True))
    room = room and all(many <= n for many, n in zip(taken, available, strict=True))
    return room and (tuple(served), tuple(taken), gain) == (found.served, found.taken, found.gain)


small_problems = st.builds(
    drawn, st.integers(0, 2**32), st.integers(2, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)
)


@settings(max_examples=250)
@given(small_problems)
def test_is_the_optimum(problem: Problem) -> None:
    """No way to match single entries with single agents matches more, nor as many for a greater gain.

    Red when the first class that has anybody is served instead of the one that adds least.
    """
    found = match(*problem)
    assert is_allowed(found, problem)
    assert (found.matched, found.gain) == max(ways(*problem))


@settings(max_examples=150)
@given(small_problems, st.integers(-40, 10))
def test_a_bonus_ends_where_it_no_longer_pays(problem: Problem, bonus: int) -> None:
    """With a bonus the total of gains and bonuses is greatest, and of equal totals the one that matches most.

    Red with a comparison that ends at a match that adds nothing.
    """
    found = match(*problem, bonus=bonus)
    assert is_allowed(found, problem)
    assert (found.gain + bonus * found.matched, found.matched) == max(
        (gain + bonus * n, n) for n, gain in ways(*problem)
    )


@needs_kernel
@settings(max_examples=400)
@given(problems, st.sampled_from((2**61, 2**61, 0, -5)))
def test_both_cores_match_the_same(problem: Problem, most: int) -> None:
    """The compiled core, which repairs its ways, takes those of the plain one, which finds them anew each time.

    Red when another next is not the one of least number, and when a length has too few bits for its arcs. Where those
    behind a lost group are not measured again, or such a group goes on leading to its last one, it never ends.
    """
    from omniroute.core import transport

    weights, available, cost = problem
    first = array("q", [0])
    for ages in weights:
        first.append(first[-1] + len(ages))
    flat = array("q", [weight for ages in weights for weight in ages])
    cells = array("q", [c for row in cost for c in row])
    given_ = (flat, first, array("q", available), cells)
    assert transport.solve(*given_, most) == plain.solve(*given_, most)
    assert transport.greatest(cells) == plain.greatest(cells)


def as_single(problem: Problem, ineligible: float) -> np.ndarray:
    """The table of single entries and single agents."""
    weights, available, cost = problem
    entries = [(weight, k) for k, ages in enumerate(weights) for weight in ages]
    agents = np.repeat(np.arange(len(available)), available)
    table = np.array(cost, dtype=np.float64)
    table[np.array(cost) == NOT_ELIGIBLE] = np.inf
    table = table[[k for _, k in entries]][:, agents] - np.array([weight for weight, _ in entries])[:, None]
    return np.where(np.isinf(table), ineligible, table)


@needs_kernel
@pytest.mark.parametrize(
    "shape",
    [(20, 20, 15, 15), (8, 30, 40, 4), (60, 5, 3, 20), (50, 1_000, 20, 1), (400, 6, 1, 80), (200, 200, 1, 1)],
    ids=lambda shape: "-".join(map(str, shape)),
)
def test_is_scipys_optimum(shape: tuple[int, int, int, int]) -> None:
    """Groups of one, classes of one and everything between: as many and the same gain as an assignment of single ones.

    Costs and waits are small integers, and one ineligible pair outweighs all of them, so floats are exact here.
    """
    optimize = pytest.importorskip("scipy.optimize")
    for seed in range(6):
        problem = drawn(seed, *shape)
        found = match(*problem)
        single = as_single(problem, 1e9)
        rows, columns = optimize.linear_sum_assignment(single)
        chosen = single[rows, columns]
        chosen = chosen[chosen < 5e8]
        assert is_allowed(found, problem)
        assert (found.matched, found.gain) == (len(chosen), -int(chosen.sum()))


def test_the_greatest_numbers_do_not_overflow() -> None:
    """Weights and costs at their limits, both signs, on the longest ways: still the optimum.

    Red with a limit of costs that is 32 times as great.
    """
    many, weight = 5, matching.WEIGHT_MAX
    dear = matching.REACH_MAX // 16**2
    for seed in range(30):
        dice = random.Random(seed)
        cost = [[dice.choice((dear, -dear, dear - 1, NOT_ELIGIBLE)) for _ in range(many)] for _ in range(many)]
        problem = [[dice.choice((weight, -weight, weight - 1))] for _ in range(many)], [1] * many, cost
        found = match(*problem)
        assert (found.matched, found.gain) == max(ways(*problem))


EMPTY: list[Problem] = [
    ([], [], []),
    ([], [3], []),
    ([[5]], [], [[]]),
    ([[]], [2], [[1]]),
    ([[7, 6]], [0], [[1]]),
    ([[7, 6], [5]], [2, 2], [[NOT_ELIGIBLE] * 2] * 2),
]


@pytest.mark.parametrize("problem", EMPTY)
def test_nobody_to_match(problem: Problem) -> None:
    """Nobody waits, nobody is available, or nobody is eligible: nobody is matched."""
    found = match(*problem)
    assert (found.flows, found.matched, found.gain) == ((), 0, 0)


def test_as_many_as_can_be_goes_before_the_gain() -> None:
    """Two are matched at a loss rather than one at a gain; with a bonus the host says what one more is worth."""
    problem = [[100], [100]], [1, 1], [[0, 300], [0, NOT_ELIGIBLE]]
    assert match(*problem).flows == ((0, 1, 1), (1, 0, 1))
    assert match(*problem).gain == -100
    assert match(*problem, bonus=0).flows == ((0, 0, 1),)


def test_the_oldest_of_a_class_are_served() -> None:
    """What is served of a class are its first entries: two of three that wait 9, 8 and 1."""
    found = match([[9, 8, 1], [5]], [3], [[0], [0]])
    assert (found.served, found.taken, found.gain) == ((2, 1), (3,), 22)


def test_arrays_and_sequences_are_the_same() -> None:
    """Arrays of int64, of one dimension or two, read-only or sliced, match what lists of integers do."""
    weights, available, cost = drawn(5, 6, 7, 4, 3)
    wanted = match(weights, available, cost)
    table = np.array(cost, dtype=np.int64)
    table.flags.writeable = False
    ages = [np.array(row, dtype=np.int64) for row in weights]
    assert match(ages, np.array(available), table) == wanted
    wide = np.repeat(table, 2, axis=1)[:, ::2]
    assert match([tuple(row) for row in weights], iter(available), wide) == wanted
    small = [[1, 2, 3, 4, 5, 6, 7]] * 6
    assert match(weights, available, np.array(small, dtype=np.int32)) == match(weights, available, small)
    assert match([array("q", row) for row in weights], np.array(available, dtype=np.int32), list(table)) == wanted


@pytest.mark.parametrize(
    ("problem", "bonus", "said"),
    [
        (([[1]], [1], [[1, 2]]), None, "cost has not 1 rows of 1"),
        (([[1]], [1], []), None, "cost has not 1 rows of 1"),
        (([[1]], [1], np.zeros((1, 2), dtype=np.int64)), None, "cost has not 1 rows of 1"),
        (([[1]], [1], np.zeros((1, 1))), None, "float"),
        (([[1], [2, 3]], [1], [[1], [1]]), None, "weights[1]: one is greater than the one before"),
        (([[1.5]], [1], [[1]]), None, "weights[0]: "),
        (([["a"]], [1], [[1]]), None, "weights[0]: "),
        (([[2**60 + 1]], [1], [[1]]), None, f"weights[0] is {2**60 + 1}, allowed is {-(2**60)}..{2**60}"),
        (([[1]], [-1], [[1]]), None, "available is -1, allowed is 0.."),
        (([[1]], [2**31], [[1]]), None, f"available is {2**31}, allowed is 0.."),
        (([[1]], [1], [[2**70]]), None, "cost[0]: "),
        (([[1]], [1], [[2**52 + 1]]), None, f"the greatest cost is {2**52 + 1}, allowed is 0..{2**52}"),
        (([[1]], [1], [[-(2**63)]]), None, f"the greatest cost is {2**63}, allowed is 0..{2**52}"),
        (([[1]], [1], [[1]]), 2**61, f"bonus is {2**61}, allowed is {-(2**60)}..{2**60}"),
        (([[1]], [1], [[1]]), 0.5, "bonus: "),
    ],
)
def test_refuses(problem: Problem, bonus: int | None, said: str) -> None:
    """Shapes that differ, an order that is none, what is no integer or out of range: an error that names it."""
    with pytest.raises(MisuseError) as error:
        match(*problem, bonus=bonus)
    assert said in str(error.value)
