"""Agents who differ in everything: a world on which routing for value can be judged against what bounds it.

12 types of interaction in 3 queues, each agent a member of two of them; handle times exponential with mean one,
patience exponential with mean five, service level the share of all who arrived that were answered within a tenth.
Values are lognormal around those of type and agent.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from omniroute import Agent, Plan, Queue
from omniroute.plan import StrategyValue, Target
from omniroute.strategies.desk import Desk
from omniroute.strategies.prices import Fluid, Prices, solve
from omniroute.strategies.revenue import Revenue
from omniroute.world.simulate import Outcome, simulate
from omniroute.world.workload import Workload

HANDLE_MS = 300_000
WITHIN_MS = HANDLE_MS // 10
UNIT = 10_000
"""The mean value, in minor units: rounding to integers costs nothing then."""


@attrs.frozen(kw_only=True, eq=False)
class Instance:
    """A world of types and agents: values in minor units, rates per handle time, who may serve what."""

    value: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    able: npt.NDArray[np.bool_]

    @property
    def types(self) -> int:
        """How many types of interaction there are."""
        return self.value.shape[0]

    @property
    def agents(self) -> int:
        """How many agents there are."""
        return self.value.shape[1]

    def best(self) -> Prices:
        """The best flow: its value per handle time bounds every routing."""
        value = np.where(self.able, self.value, np.nan)
        return solve(Fluid(value=value, handle=np.ones_like(value), demand=self.rate, supply=np.ones(self.agents)))

    def bound(self) -> float:
        """The bound per interaction, in mean values."""
        return self.best().bound / float(self.rate.sum()) / UNIT


def instance(
    load: float, *, seed: int = 3, types: int = 12, agents: int = 60, spread: float = 0.3, constant: bool = False
) -> Instance:
    """The world of a seed; ``constant`` lets every match earn the same."""
    dice = np.random.default_rng(seed)
    queue = np.arange(types) % 3
    worth = dice.uniform(0.5, 1.5, types)
    base = np.exp(dice.normal(0, 0.25, agents))
    value = worth[:, None] * base * np.exp(dice.normal(0, spread, (types, agents)))
    value /= value.mean()
    rate = dice.uniform(0.5, 1.5, types)
    rate *= load * agents / rate.sum()
    able = np.array([[queue[t] in (j % 3, (j + 1) % 3) for j in range(agents)] for t in range(types)])
    return Instance(value=np.full(value.shape, UNIT) if constant else np.rint(value * UNIT), rate=rate, able=able)


def strategy(world: Instance, **changed: object) -> Revenue:
    """The strategy with the values of a world; agents are told apart by a label."""
    rows = {f"type_{t}": {f"a{j}": int(world.value[t, j]) for j in range(world.agents)} for t in range(world.types)}
    settings: dict[str, object] = {"interval": HANDLE_MS, "memory": 100 * HANDLE_MS, "handle": HANDLE_MS}
    return Revenue(values={"sale": rows}, **{**settings, **changed})  # type: ignore[arg-type]


def plan(world: Instance, routing: StrategyValue, target: float = 0.8, cap: float = 1.0) -> Plan:
    """Three queues and their agents, under a strategy; an agent above the ``cap`` of his time rests."""
    skills = {f"type_{t}": 1 for t in range(world.types)}
    return Plan(
        queues=[
            Queue(f"q{q}", strategy=routing, target=Target(WITHIN_MS, target), offer_timeout_ms=None) for q in range(3)
        ],
        agents=[
            Agent(
                f"a{j}",
                skills=skills,
                labels={"segment": f"a{j}"},
                queues=[f"q{j % 3}", f"q{(j + 1) % 3}"],
                occupancy_at_most=cap,
            )
            for j in range(world.agents)
        ],
        retention_ms=0,
    )


def workload(world: Instance, rows: int, seed: int = 7) -> Workload:
    """So many interactions of a world."""
    dice = np.random.default_rng(seed)
    gaps = dice.exponential(HANDLE_MS / world.rate.sum(), rows)
    type_ = dice.choice(world.types, rows, p=world.rate / world.rate.sum())
    return Workload(
        arrival_ms=np.rint(np.cumsum(gaps)).astype(np.int64),
        handle_ms=np.maximum(1, np.rint(dice.exponential(HANDLE_MS, rows))).astype(np.int64),
        patience_ms=np.rint(dice.exponential(5 * HANDLE_MS, rows)).astype(np.int64),
        queues=["q0", "q1", "q2"],
        queue=type_ % 3,
        requirements=[f"type_{t}" for t in range(world.types)],
        needs=type_,
    )


@attrs.frozen(kw_only=True)
class Score:
    """What came out of a run after its warm-up: share of the bound, service level of all and of each queue."""

    share: float
    level: float
    levels: tuple[float, ...]
    least: float
    """The share of time in conversation of the agent who had the least, after the warm-up; in ``most`` the greatest."""
    most: float


def score(world: Instance, work: Workload, done: Outcome, warm_up: int) -> Score:
    """Judge a run; what is counted is what arrived after the warm-up, and what every agent did."""
    served = done.agent[warm_up:] >= 0
    type_, agent = work.needs[warm_up:][served], done.agent[warm_up:][served]
    earned = float(world.value[type_, agent].sum()) / UNIT / (len(done) - warm_up)
    rows = np.arange(len(done)) >= warm_up
    levels = [
        done.within(WITHIN_MS, rows & of) / int((rows & of).sum()) for of in (done.of_queue(q) for q in done.queues)
    ]
    busy = shares(done, warm_up)
    return Score(
        share=earned / world.bound(),
        level=done.within(WITHIN_MS, rows) / int(rows.sum()),
        levels=tuple(levels),
        least=float(busy.min()),
        most=float(busy.max()),
    )


def shares(done: Outcome, warm_up: int = 0) -> npt.NDArray[np.float64]:
    """The share of each agent's time in conversation, from the end of the warm-up to the last arrival."""
    began, ended = int(done.arrival_ms[warm_up]), int(done.arrival_ms[-1])
    served = done.agent >= 0
    start, end = (np.clip(column[served], began, ended) for column in (done.start_ms, done.end_ms))
    found: npt.NDArray[np.float64] = np.bincount(done.agent[served], end - start, len(done.agents)) / (ended - began)
    return found


def run(
    world: Instance, routing: StrategyValue, target: float, rows: int, seed: int = 7, cap: float = 1.0
) -> tuple[Score, Desk]:
    """One run of a strategy, the first tenth of it warm-up."""
    work, desk = workload(world, rows, seed), Desk()
    done = simulate(plan(world, routing, target, cap), work, desk=desk)
    return score(world, work, done, rows // 10), desk
