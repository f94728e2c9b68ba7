"""Decision windows that look like routing, and what the peers make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from omniroute.core.limits import NOT_ELIGIBLE

Answer = tuple[int, int]
"""How many are matched, and the gain."""

OUTWEIGHS = 10**10
"""An ineligible pair in a table of floats: more than all waits of a window together, and sums stay exact."""


class Window(NamedTuple):
    """Who waits and who is available: of each entry class and wait, of each agent the group; the table of costs."""

    class_of: NDArray[np.int64]
    wait_ms: NDArray[np.int64]
    group_of: NDArray[np.int64]
    cost: NDArray[np.int64]

    def weights(self) -> list[NDArray[np.int64]]:
        """The waits of each class, longest first."""
        return [np.sort(self.wait_ms[self.class_of == k])[::-1] for k in range(len(self.cost))]

    def available(self) -> NDArray[np.int64]:
        """How many agents each group has."""
        return np.bincount(self.group_of, minlength=self.cost.shape[1])

    def single(self) -> NDArray[np.float64]:
        """The table of single entries and single agents, as assignments want it."""
        cost = np.where(self.cost == NOT_ELIGIBLE, OUTWEIGHS, self.cost)[np.ix_(self.class_of, self.group_of)]
        return (cost - np.where(cost == OUTWEIGHS, 0, self.wait_ms[:, None])).astype(np.float64)


def routing(entries: int, agents: int, classes: int, groups: int, seed: int = 1) -> Window:
    """Thirty pairs in a hundred are eligible; waits up to ten minutes, to the second; ten grades of fit, 10 s apart."""
    dice = np.random.default_rng(seed)
    class_of = np.arange(entries) if classes == entries else dice.integers(0, classes, entries)
    group_of = np.arange(agents) if groups == agents else dice.integers(0, groups, agents)
    fit = dice.integers(0, 10, (classes, groups)) * 10_000
    cost = np.where(dice.random((classes, groups)) < 0.3, fit, NOT_ELIGIBLE)
    return Window(class_of, dice.integers(0, 600, entries) * 1_000, group_of, cost)


def assignment(window: Window) -> Callable[[], Answer]:
    """A run of scipy's assignment on single entries and agents; the table is made beforehand."""
    from scipy.optimize import linear_sum_assignment

    table = window.single()

    def run() -> Answer:
        chosen = table[linear_sum_assignment(table)]
        chosen = chosen[chosen < OUTWEIGHS / 2]
        return len(chosen), -int(chosen.sum())

    return run


def flow(window: Window) -> Callable[[], Answer]:
    """A run of OR-tools' minimum-cost maximum flow on the network of classes and groups.

    An entry is an arc of its own into its class. The arrays are made beforehand, the solver's graph in the run.
    """
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    classes, groups = window.cost.shape
    entries, source, sink = len(window.class_of), classes + groups, classes + groups + 1
    k, g = np.nonzero(window.cost != NOT_ELIGIBLE)
    tails = np.concatenate([np.full(entries, source), k, classes + np.arange(groups)]).astype(np.int32)
    heads = np.concatenate([window.class_of, classes + g, np.full(groups, sink)]).astype(np.int32)
    room = np.concatenate([np.ones(entries), np.full(len(k), entries), window.available()]).astype(np.int64)
    prices = np.concatenate([-window.wait_ms, window.cost[k, g], np.zeros(groups)]).astype(np.int64)

    def run() -> Answer:
        solver = SimpleMinCostFlow()
        solver.add_arcs_with_capacity_and_unit_cost(tails, heads, room, prices)
        solver.set_node_supply(source, entries)
        solver.set_node_supply(sink, -entries)
        assert solver.solve_max_flow_with_min_cost() == solver.OPTIMAL
        return solver.maximum_flow(), -solver.optimal_cost()

    return run


def greedy(window: Window) -> Callable[[], Answer]:
    """A run of the rule without a window: the oldest first, each to the cheapest group that has an agent left."""
    order = np.argsort(-window.wait_ms, kind="stable")
    asked = [(int(window.class_of[i]), int(window.wait_ms[i])) for i in order]
    choices = [
        [(c, g) for c, g in sorted((int(c), g) for g, c in enumerate(row)) if c != NOT_ELIGIBLE] for row in window.cost
    ]

    def run() -> Answer:
        left, matched, gain = window.available().tolist(), 0, 0
        for k, wait in asked:
            for c, g in choices[k]:
                if left[g]:
                    left[g] -= 1
                    matched, gain = matched + 1, gain + wait - c
                    break
        return matched, gain

    return run
