"""What an hour of each group and one more interaction of each class are worth: the fluid problem and its prices.

Interactions flow in at rates, agents are capacity, and each pair has a value and a handle time. The best flow is a
linear program; its duals are the prices. What a match concedes, its *regret*, is its reduced cost::

    max  sum value[t, g] * x[t, g]                value = what the match earns + what a lost customer costs
    s.t. sum_g x[t, g]            <= demand[t]    price nu[t] >= 0
         sum_t handle[t, g] x[t, g] <= supply[g]  price pi[g] >= 0
         x >= 0 where an agent of g may serve t
    regret[t, g] = pi[g] * handle[t, g] + nu[t] - value[t, g]  >= 0

The optimum bounds what any routing can earn that does not know handle times in advance; after Bassamboo, Harrison and
Zeevi, Design and control of a large call center, Operations Research 54 (2006), and, for prices as controls, Talluri
and van Ryzin, An analysis of bid-price controls, Management Science 44 (1998). Floats live here; what reaches a router
is rounded by :mod:`omniroute.strategies.revenue`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from omniroute.errors import MisuseError

__all__ = ["ROUNDS", "Fluid", "Prices", "able", "class_prices", "regrets", "solve", "unsolved"]

Reals: TypeAlias = npt.NDArray[np.float64]
Cells: TypeAlias = npt.NDArray[np.bool_]

ROUNDS: Final = 200
"""Rounds of the solver that needs no library; its bound is then within about a thousandth of the best."""
_HOT: Final = 0.3
_COLD: Final = 0.003
_SHORT: Final = 2.0
"""What an agent's time short of ``least`` counts, in the greatest value per time of any match."""
_NEARLY: Final = 0.9
"""Rounds without a library hold ``least`` about so well, so less than that of it is taken for a floor not held."""


def _reals(value: object) -> Reals:
    return np.array(value, np.float64)


@attrs.frozen(kw_only=True, eq=False)
class Fluid:
    """A fluid problem; NaN in ``value`` where a group may not serve a class.

    ``value`` and ``handle`` are classes x groups, ``demand`` interactions per unit of time by class, ``supply`` agents
    by group, ``least`` the agents of a group who are to be busy at least, None for no such band. Any unit of time and
    any currency. Raises MisuseError for another shape, a negative or an endless number.
    """

    value: Reals = attrs.field(converter=_reals)
    handle: Reals = attrs.field(converter=_reals)
    demand: Reals = attrs.field(converter=_reals)
    supply: Reals = attrs.field(converter=_reals)
    least: Reals | None = attrs.field(default=None, converter=attrs.converters.optional(_reals))

    def __attrs_post_init__(self) -> None:
        shape = (len(self.demand), len(self.supply))
        if self.value.shape != shape or self.handle.shape != shape:
            raise MisuseError(f"value and handle have shapes {self.value.shape} and {self.handle.shape}, not {shape}")
        if self.least is not None and self.least.shape != self.supply.shape:
            raise MisuseError(f"least has {len(self.least)} cells, not {shape[1]}")
        rest = (self.demand, self.supply, np.zeros(0) if self.least is None else self.least)
        if not all(np.isfinite(part).all() and (part >= 0).all() for part in rest):
            raise MisuseError("demand, supply and least are numbers >= 0")
        pairs = able(self)
        if not (np.isfinite(self.handle[pairs]).all() and (self.handle[pairs] > 0).all()):
            raise MisuseError("handle times are numbers > 0")
        if np.isinf(self.value).any():
            raise MisuseError("values are finite numbers, NaN where a group may not")


@attrs.frozen(kw_only=True, eq=False)
class Prices:
    """The best flow and its prices. ``bound`` is the value of the best flow, less what time short of ``least`` counts.

    ``least_held`` says if there is none of that. ``agent`` is the price of a group's capacity (what one more agent
    earns per unit of time; with ``least`` it may be negative), ``interaction`` that of a class.
    """

    flow: Reals
    agent: Reals
    interaction: Reals
    bound: float
    least_held: bool = True


def able(fluid: Fluid) -> Cells:
    """The pairs that may be matched. O(cells)."""
    pairs: Cells = ~np.isnan(fluid.value)
    return pairs


def class_prices(fluid: Fluid, agent: Reals) -> Reals:
    """What one more interaction of each class earns at these prices of agents: its best match, or 0. O(cells)."""
    earned = np.where(able(fluid), fluid.value - agent * fluid.handle, -np.inf)
    best = earned.max(axis=1, initial=0.0)
    return np.asarray(np.maximum(best, 0.0))


def regrets(fluid: Fluid, agent: Reals, tolerance: float = 1e-9) -> Reals:
    """What each match concedes, never below 0; NaN where a group may not. O(cells).

    Regrets of at most ``tolerance`` times the greatest value count as 0, because duals carry rounding errors.
    """
    found = agent * fluid.handle + class_prices(fluid, agent)[:, None] - fluid.value
    scale = np.abs(np.where(able(fluid), fluid.value, 0.0)).max(initial=1.0)
    return np.asarray(np.where(found <= tolerance * scale, np.where(np.isnan(found), np.nan, 0.0), found))


def solve(fluid: Fluid) -> Prices:
    """The best flow by a linear program. About O(cells ** 1.5); 5 ms for 12 classes and 60 groups.

    There is always an answer: no flow at all is one. Where groups cannot be kept as busy as ``least`` wants, they are
    kept as busy as can be, and ``least_held`` is False; a group that may serve nothing is left out of that. Needs scipy
    (``pip install omniroute[optimize]``); raises ImportError without. Raises MisuseError where the solver gives up.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    pairs = able(fluid)
    rows, columns = np.nonzero(pairs)
    classes, groups = fluid.value.shape
    if not len(rows) or not fluid.demand.any() or not fluid.supply.any():
        return _idle(fluid)
    value, handle, count = fluid.value[pairs], fluid.handle[pairs], np.arange(len(rows))
    wanted = _floor(fluid)
    least = np.flatnonzero(wanted)
    place = np.full(groups, -1)
    place[least] = np.arange(len(least))
    floored, short = place[columns] >= 0, np.arange(len(least))
    matrix = csr_array(
        (
            np.concatenate([np.ones(len(rows)), handle, -handle[floored], -np.ones(len(least))]),
            (
                np.concatenate(
                    [rows, classes + columns, classes + groups + place[columns[floored]], classes + groups + short]
                ),
                np.concatenate([count, count, count[floored], len(rows) + short]),
            ),
        ),
        shape=(classes + groups + len(least), len(rows) + len(least)),
    )
    limits = np.concatenate([fluid.demand, fluid.supply, -wanted[least]])
    costs = np.concatenate([-value, np.full(len(least), _short(value, handle))])
    found = linprog(costs, A_ub=matrix, b_ub=limits, bounds=(0, None), method="highs-ds")
    if found.status != 0:
        raise MisuseError(f"the solver gave up: {found.message}")
    duals = np.maximum(-found.ineqlin.marginals, 0.0)
    agent = duals[classes : classes + groups].copy()
    agent[least] -= duals[classes + groups :]
    flow = np.zeros(fluid.value.shape)
    flow[pairs] = found.x[: len(rows)]
    held = bool((found.x[len(rows) :] <= 1e-9 * max(1.0, float(wanted.max()))).all())
    return Prices(flow=flow, agent=agent, interaction=duals[:classes], bound=-float(found.fun), least_held=held)


def _floor(fluid: Fluid) -> Reals:
    """How many agents of each group are to be busy at least; none of a group that may serve nothing. O(cells)."""
    none = np.zeros(len(fluid.supply))
    return none if fluid.least is None else np.where(able(fluid).any(axis=0), fluid.least, none)


def _short(value: Reals, handle: Reals) -> float:
    """What a unit of time counts by which a group is less busy than it is to be. O(pairs)."""
    return _SHORT * float(np.abs(value / handle).max())


def _idle(fluid: Fluid) -> Prices:
    """Nothing flows; an interaction is worth its best match where there are agents."""
    held = not _floor(fluid).any()
    agent = np.zeros(len(fluid.supply))
    flow = np.zeros(fluid.value.shape)
    return Prices(flow=flow, agent=agent, interaction=np.zeros(len(fluid.demand)), bound=0.0, least_held=held)


def unsolved(fluid: Fluid, rounds: int = ROUNDS) -> Prices:
    """Prices without a solver: rounds of raising what is in demand and lowering what is not. O(rounds * cells).

    Each class spreads over its groups by how much better they are, ever more sharply (a softmax whose temperature falls
    from .3 to .003 of the mean value), and a group's price moves by the logarithm of how busy that makes it; where a
    group is to be busy at least so much, a rebate moves by how much of that it is. ``bound`` is the dual objective, an
    upper bound of the best flow; ``flow`` is that of the last round, which may break a supply or ``least`` a little.
    """
    pairs = able(fluid)
    value = np.where(pairs, fluid.value, -np.inf)
    handle = np.where(pairs, fluid.handle, 0.0)
    if not pairs.any() or not fluid.demand.any():
        return _idle(fluid)
    scale = float(np.abs(fluid.value[pairs]).mean()) or 1.0
    length = float(fluid.handle[pairs].mean())
    floor, most = _floor(fluid), _short(fluid.value[pairs], fluid.handle[pairs])
    price = rebate = best = np.zeros(len(fluid.supply))
    flow, busy, bound = np.zeros(fluid.value.shape), best, np.inf
    for n in range(rounds):
        heat = scale * _HOT * (_COLD / _HOT) ** (n / max(1, rounds - 1))
        agent = price - rebate
        nu = class_prices(fluid, agent)
        dual = float(nu @ fluid.demand + price @ fluid.supply - rebate @ floor)
        if dual < bound:
            bound, best = dual, agent
        wish = np.exp((value - agent * handle - nu[:, None]) / heat)
        flow = fluid.demand[:, None] * wish / (wish.sum(axis=1) + np.exp(-nu / heat))[:, None]
        busy = (flow * handle).sum(axis=0)
        price = np.maximum(price + heat / length * _log_of(busy, fluid.supply), 0.0)
        rebate = np.clip(rebate - heat / length * _log_of(busy, floor), 0.0, most)
    held = bool((busy >= _NEARLY * floor).all())
    return Prices(flow=flow, agent=best, interaction=class_prices(fluid, best), bound=bound, least_held=held)


def _log_of(busy: Reals, wanted: Reals) -> Reals:
    """The logarithm of how much of what is wanted is there, within a factor of 20; none wanted is far too much."""
    share = np.divide(busy, wanted, out=np.full(len(busy), np.inf), where=wanted > 0)
    return np.asarray(np.log(np.clip(share, 0.05, 20.0)))
