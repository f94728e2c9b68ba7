"""The fluid problem and its prices: duality, complementary slackness, what no solver gives, and what is no problem."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.errors import MisuseError
from omniroute.strategies.prices import Fluid, Prices, able, class_prices, regrets, solve, unsolved

pytest.importorskip("scipy.optimize")


def problem(seed: int, classes: int = 6, groups: int = 5, load: float = 1.0) -> Fluid:
    """A random problem with closed pairs, some classes nobody serves and some groups without agents."""
    dice = np.random.default_rng(seed)
    value = dice.uniform(0, 1_000, (classes, groups))
    value[dice.random((classes, groups)) < 0.3] = np.nan
    supply = dice.integers(0, 6, groups).astype(float)
    demand = dice.uniform(0, 1, classes)
    demand *= load * max(1.0, supply.sum()) / 3 / max(demand.sum(), 1e-9)
    return Fluid(value=value, handle=dice.uniform(1, 5, (classes, groups)), demand=demand, supply=supply)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), load=st.sampled_from((0.2, 0.9, 3.0)))
def test_the_prices_are_those_of_the_best_flow(seed: int, load: float) -> None:
    """Strong duality to 1e-9, feasible on both sides, and a flow has a regret of 0.

    Seen to fail: the marginals of supplies read from the place of those of demands.
    """
    fluid = problem(seed, load=load)
    found = solve(fluid)
    dual = found.interaction @ fluid.demand + found.agent @ fluid.supply
    assert dual == pytest.approx(found.bound, rel=1e-9, abs=1e-6)
    assert np.nansum(found.flow * np.where(able(fluid), fluid.value, 0)) == pytest.approx(
        found.bound, rel=1e-9, abs=1e-6
    )
    assert (found.flow >= -1e-9).all()
    assert (found.flow.sum(axis=1) <= fluid.demand + 1e-9).all()
    assert ((found.flow * fluid.handle).sum(axis=0) <= fluid.supply + 1e-9).all()
    conceded = regrets(fluid, found.agent)
    assert np.isnan(conceded[~able(fluid)]).all()
    assert (conceded[able(fluid)] >= 0).all()
    if found.bound:
        assert (conceded[(found.flow > 1e-7)] <= 1e-5).all()
        used = fluid.demand > 0
        assert class_prices(fluid, found.agent)[used] == pytest.approx(found.interaction[used], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), load=st.sampled_from((0.3, 0.8, 1.5)))
def test_prices_without_a_solver_bound_the_best_flow(seed: int, load: float) -> None:
    """The bound of the rounds is never below the optimum, and at most 2 % above it on these small problems.

    Seen to fail: the sign of the step turned round, which lets prices fall where agents are short.
    """
    fluid = problem(seed, load=load)
    best, found = solve(fluid).bound, unsolved(fluid)
    assert found.bound >= best - 1e-6 * max(1.0, best)
    assert found.bound <= best * 1.02 + 1e-6
    assert (found.agent >= 0).all()


def test_more_agents_are_worth_what_their_price_says() -> None:
    """One more agent of a group earns at most the group's price, and that as long as the prices hold.

    Seen to fail: prices scaled by a tenth.
    """
    fluid = problem(4, load=3.0)
    found = solve(fluid)
    g = int(found.agent.argmax())
    more = fluid.supply.copy()
    more[g] += 1e-3
    gain = (
        solve(Fluid(value=fluid.value, handle=fluid.handle, demand=fluid.demand, supply=more)).bound - found.bound
    ) / 1e-3
    assert gain == pytest.approx(found.agent[g], rel=1e-6)


def test_a_band_that_can_be_held_is_held_and_one_that_cannot_as_well_as_can_be() -> None:
    """Agents are kept busy at a loss where that is asked; what demand cannot fill is said, and filled as it goes.

    Seen to fail: an infeasible band raised; one left out altogether, because of one group.
    """
    common = {"value": [[10.0, 1.0]], "handle": [[1.0, 1.0]], "supply": [4.0, 4.0]}
    plain = solve(Fluid(demand=[3.0], **common))  # type: ignore[arg-type]
    held = solve(Fluid(demand=[3.0], least=[0.0, 1.0], **common))  # type: ignore[arg-type]
    assert plain.flow.tolist() == [[3.0, 0.0]]
    assert held.flow.tolist() == [[2.0, 1.0]]
    assert held.least_held
    assert held.agent[1] == pytest.approx(-9.0)
    missed = solve(Fluid(demand=[0.5], least=[0.0, 1.0], **common))  # type: ignore[arg-type]
    assert not missed.least_held
    assert missed.flow.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("ways", [solve, unsolved])
def test_a_group_without_work_takes_the_band_from_nobody(ways: Callable[[Fluid], Prices]) -> None:
    """Who may serve nothing, and who may serve only what never comes, cannot be busy; all others are, as asked.

    Three groups that can are to be busy half of the time, which the dearer one is not by itself. Seen to fail: the
    band left out for all.
    """
    nan = float("nan")
    value = [[10.0, 6.0, 2.0, nan, nan], [nan, nan, nan, nan, 5.0]]
    fluid = Fluid(value=value, handle=np.ones((2, 5)), demand=[4.5, 0.0], supply=[2.0] * 5, least=[1.0] * 5)
    found = ways(fluid)
    assert found.flow[0, :3] == pytest.approx([2, 1.5, 1], abs=0.1)
    assert found.agent[:3] == pytest.approx([4, 0, -4], abs=0.2)
    assert found.agent[3] == 0
    assert not found.least_held
    without = attrs.evolve(fluid, value=[*value[:1], [nan] * 5])
    assert ways(without).least_held
    assert ways(without).flow[0, :3] == pytest.approx([2, 1.5, 1], abs=0.1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), load=st.sampled_from((0.3, 0.8, 1.5)), share=st.sampled_from((0.2, 0.5)))
def test_without_a_solver_a_band_is_nearly_held(seed: int, load: float, share: float) -> None:
    """The bound is never below the best flow's. Where the band can be held it is little above it, and groups are busy.

    At the worst of 2,000 problems the bound was .014 of all agents' time above, and a group .23 less busy than asked.
    Seen to fail: ``least`` not looked at by the rounds.
    """
    fluid = problem(seed, load=load)
    fluid = attrs.evolve(fluid, least=share * fluid.supply)
    best, found = solve(fluid), unsolved(fluid)
    pairs = able(fluid)
    dearest = float(np.abs(fluid.value[pairs] / fluid.handle[pairs]).max(initial=0.0))
    worth = dearest * float(fluid.supply.sum())
    assert found.bound >= best.bound - 1e-6
    if best.least_held:
        busy = (found.flow * np.where(pairs, fluid.handle, 0)).sum(axis=0)
        assert found.bound - best.bound <= 0.05 * worth + 1e-6
        assert (busy >= 0.6 * share * fluid.supply * pairs.any(axis=0)).all()
    short = np.maximum(share * fluid.supply - (best.flow * fluid.handle).sum(axis=0), 0) * able(fluid).any(axis=0)
    assert best.least_held == bool((short <= 1e-6).all())


def test_nothing_to_do_has_an_answer() -> None:
    """Without demand, agents or pairs the answer is no flow, and prices are 0."""
    for demand, supply, value in (([0.0], [1.0], 5.0), ([1.0], [0.0], 5.0), ([1.0], [1.0], float("nan"))):
        fluid = Fluid(value=[[value]], handle=[[1.0]], demand=demand, supply=supply)
        for found in (solve(fluid), unsolved(fluid)):
            assert found.bound == pytest.approx(0.0)
            assert found.flow.sum() == pytest.approx(0.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"demand": [-1.0]},
        {"supply": [float("inf")]},
        {"handle": [[0.0]]},
        {"handle": [[1.0, 1.0]]},
        {"value": [[float("inf")]]},
        {"least": [0.0, 0.0]},
    ],
)
def test_what_is_no_problem_is_refused(changed: dict[str, object]) -> None:
    """Negative or endless numbers, handle times of nothing and other shapes are misuse."""
    given = {"value": [[1.0]], "handle": [[1.0]], "demand": [1.0], "supply": [1.0], **changed}
    with pytest.raises(MisuseError):
        Fluid(**given)  # type: ignore[arg-type]
