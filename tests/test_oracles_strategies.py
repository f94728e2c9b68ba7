"""Strategies of the catalogue, driven by columns, against queueing theory: the whole way from a plan to a wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest
from cores import kernel_only
from oracles import assert_mean
from worlds import UNIT

from omniroute import Agent, Plan, Preferences, Queue, SkillsFirst, simulate
from omniroute.core import IMPLEMENTATION
from omniroute.world.outcome import Outcome, OutcomeCode
from omniroute.world.workload import Workload

sizes = pytest.mark.parametrize(
    "rows",
    [
        pytest.param(200_000 if IMPLEMENTATION == "kernel" else 10_000, id="suite"),
        pytest.param(10_000_000, id="long", marks=[pytest.mark.slow, kernel_only]),
    ],
)


def workload(
    rows: int, seed: int, ls: tuple[float, ...], m: float, ths: tuple[float, ...] | None = None, **more: Any
) -> Workload:
    """Poisson arrivals of queues ``k0``, ``k1``..., exponential handling and patience."""
    dice = np.random.default_rng(seed)
    kind = dice.choice(len(ls), rows, p=np.array(ls) / sum(ls))
    if ths is not None:
        more["patience_ms"] = np.rint(dice.exponential(UNIT, rows) / np.array(ths)[kind]).astype(np.int64)
    more = {"queues": [f"k{k}" for k in range(len(ls))], "queue": kind, **more}
    if "requirements" in more:
        more |= {"needs": kind, "queue": np.zeros(rows, np.int64)}
    return Workload(
        arrival_ms=np.rint(np.cumsum(dice.exponential(UNIT / sum(ls), rows))).astype(np.int64),
        handle_ms=np.rint(dice.exponential(UNIT / m, rows)).astype(np.int64),
        **more,
    )


def warm(done: Outcome, units: float) -> np.ndarray:
    """The rows after the warm-up."""
    return np.asarray(done.arrival_ms >= units * UNIT)


@pytest.mark.parametrize(
    ("n", "m", "ls", "b", "weights"),
    [
        (1, 1, (0.3, 0.5), (1, 0.5), (2, 1)),
        (12, 0.5, (2, 2.2), (3, 1), (3, 1)),
        (12, 0.5, (2, 2.2), (3, 1), (9_000, 3_000)),
    ],
    ids=["n=1 m=1 l=.3,.5 b=1,.5", "n=12 m=.5 l=2,2.2 b=3,1", "the same, in thousandths"],
)
@sizes
def test_weighted_wait_is_accumulating_priority(
    rows: int, n: int, m: float, ls: Any, b: Any, weights: tuple[int, int]
) -> None:
    """Weights of ``preferences`` are rates of accumulating priority, in any common unit, in closed form."""
    strategy = Preferences(weights={f"k{k}": weight for k, weight in enumerate(weights)})
    plan = Plan(queues=[Queue(f"k{k}", strategy=strategy) for k in (0, 1)], agents=[Agent(f"a{j}") for j in range(n)])
    done = simulate(plan, workload(rows, 23, ls, m))
    for k, exact in enumerate(oracles.accumulating_waits(ls, m, n, b)):
        mine = warm(done, 2_000 if n == 1 else 400) & (done.queue == k)
        assert_mean(f"W{k + 1}", done.wait_ms[mine] / UNIT, exact)


@pytest.mark.parametrize(("first", "cost"), [(0, 5.88959724), (1, 10.39291185)], ids=["class 1 first", "class 2 first"])
@sizes
def test_ranks_are_c_mu_theta(rows: int, first: int, cost: float) -> None:
    """In overload, the holding cost of both orders of two classes, said as what a free agent takes first."""
    strategy = Preferences(takes={"k0": {"*": first}, "k1": {"*": 1 - first}})
    plan = Plan(queues=[Queue(f"k{k}", strategy=strategy) for k in (0, 1)], agents=[Agent(f"a{j}") for j in range(15)])
    done = simulate(plan, workload(rows, 24, (9, 9), 1, (1 / 4, 1)))
    weights = np.array([1, 1.5])[done.queue]
    assert_mean("holding cost", (weights * done.wait_ms / UNIT)[warm(done, 80)] * 18, cost)


@sizes
def test_the_longest_idle_at_the_best_level(rows: int) -> None:
    """Six types, 90 agents: ``most_qualified`` sends far more to a first skill than chance would.

    With two skills chance would be half, with all six a sixth. Seen to fail: levels not looked at.
    """
    types, shares = 6, []
    for skills in (1, 2, types):
        agents = []
        for j in range(90):
            first, turn = j % types, 1 + j // types % (types - 1)
            others = [(first + turn) % types] if skills == 2 else [k for k in range(types) if k != first]
            levels = {f"t{first}": 2} | {f"t{k}": 1 for k in others if skills > 1}
            agents.append(Agent(f"a{j}", skills=levels))
        plan = Plan(queues=[Queue("k0", strategy=SkillsFirst(fit="most_qualified"), limit=30)], agents=agents)
        requirements = [f"t{k}" for k in range(types)]
        work = workload(rows, 25, (14.0,) * types, 1, requirements=requirements, queues=["k0"])
        done = simulate(plan, work)
        served = done.outcome == OutcomeCode.SERVED
        shares.append((done.agent[served] % types == work.needs[served]).mean())
    assert shares[0] == 1
    assert 0.6 < shares[1] < 0.75
    assert 0.4 < shares[2] < 0.6
