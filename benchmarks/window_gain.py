"""``python -m benchmarks.window_gain``: what a decision window costs in waiting and what it gains, beside greedy.

Three workloads: ten days of the demo; a centre of 600 agents who answer steadily what comes; and the same centre when
half of what comes does so in bursts, a hundred each minute. In the centre there are forty
topics; an agent knows six of them, each at a level from 1 to 9, and who asks for a topic goes to the one who knows it
best (``BestMatch``, scoring "average").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import attrs
import numpy as np

from omniroute import simulate
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.strategies.best_match import BestMatch
from omniroute.world.demo import demo_day
from omniroute.world.outcome import Outcome, OutcomeCode
from omniroute.world.workload import NOWHERE, Workload

World = tuple[Plan, Workload, dict[tuple[str, str], int]]
"""A plan, what comes, and the level that each agent has of each topic."""

TOPICS, AGENTS, KNOWN = 40, 600, 6
HANDLE_MS = 180_000
BURST, BURST_EVERY_MS = 100, 60_000


def demo(seed: int) -> World:
    """A day of the demo; nothing is graded there."""
    plan, workload = demo_day(seed=seed)
    return plan, workload, {}


def centre(hours: float, load: float, *, bursts: bool) -> World:
    """A centre for so many hours, at a load of its agents."""
    dice = np.random.default_rng(1)
    skills = [
        {
            f"t{t:02}": int(level) * 100
            for t, level in zip(dice.permutation(TOPICS)[:KNOWN], dice.integers(1, 10, KNOWN), strict=True)
        }
        for _ in range(AGENTS)
    ]
    agents = [Agent(f"a{n:03}", skills=known) for n, known in enumerate(skills)]
    length = int(hours * 3_600_000)
    n = int(length * load * AGENTS / HANDLE_MS)
    at = dice.integers(0, length, n)
    if bursts:
        half = dice.random(n) < min(0.5, BURST * length / BURST_EVERY_MS / n)
        at[half] = at[half] // BURST_EVERY_MS * BURST_EVERY_MS + dice.integers(0, 50, half.sum())
    workload = Workload(
        arrival_ms=np.sort(at),
        handle_ms=np.maximum(dice.lognormal(np.log(HANDLE_MS) - 0.32, 0.8, n), 1_000).astype(np.int64),
        patience_ms=np.maximum(dice.exponential(120_000, n), 1).astype(np.int64),
        needs=dice.integers(0, TOPICS, n),
        requirements=[f"t{t:02}" for t in range(TOPICS)],
        queues=["desk"],
    )
    levels = {(agent.id, topic): level // 100 for agent in agents for topic, level in agent.skills.items()}
    return Plan(queues=[Queue("desk", strategy=BestMatch(scoring="average"))], agents=agents), workload, levels


def row(worlds: list[World], window_ms: int) -> str:
    """A line of the table, over some days."""
    took, abandoned, waits, levels = 0.0, 0, [], []
    for plan, workload, known in worlds:
        queues = [attrs.evolve(queue, window=window_ms or None) for queue in plan.queues]
        begun = time.perf_counter()
        done = simulate(attrs.evolve(plan, queues=queues), workload)
        took += time.perf_counter() - begun
        abandoned += done.count(OutcomeCode.ABANDONED)
        waits.append(done.wait_ms[done.outcome == OutcomeCode.SERVED])
        if known:
            levels.append(level_of(done, workload, known))
    wait = np.concatenate(waits)
    mean = f"{np.mean(levels):.3f}" if levels else ""
    return (
        f"| {window_ms or 'none'} | {len(wait):,} | {abandoned:,} "
        f"| {wait.mean() / 1_000:.3f} s | {np.mean(wait <= 20_000):.2%} | {mean} | {took:.2f} s |"
    )


def level_of(done: Outcome, workload: Workload, levels: Mapping[tuple[str, str], int]) -> float:
    """The mean level, of the topic that was asked for, of those who served."""
    served = np.flatnonzero(done.agent != NOWHERE)
    topics = workload.requirements
    found = [levels[done.agents[done.agent[i]], topics[workload.needs[done.row[i]]]] for i in served]
    return float(np.mean(found))


def main() -> None:
    """Print a table for each workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.window_gain", description=__doc__)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--loads", type=float, nargs="+", default=[0.85, 0.95])
    parser.add_argument("--windows", type=int, nargs="+", default=[0, 50, 200, 1_000], help="lengths in ms; 0: none")
    given = parser.parse_args()
    worlds: dict[str, Callable[[], list[World]]] = {"demo": lambda: [demo(seed) for seed in range(10)]}
    for load in given.loads:
        worlds[f"steady, load {load:g}"] = lambda load=load: [centre(given.hours, load, bursts=False)]
        worlds[f"bursts, load {load:g}"] = lambda load=load: [centre(given.hours, load, bursts=True)]
    for name, make in worlds.items():
        found = make()
        print(f"{name}\n| window, ms | served | abandoned | mean wait | within 20 s | mean level | run |")
        for window_ms in given.windows:
            print(row(found, window_ms), flush=True)


if __name__ == "__main__":
    main()
