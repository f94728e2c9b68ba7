"""How the time of one decision grows with what waits, with agents, with classes and with groups; also as curves."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count, islice
from time import perf_counter

import numpy as np
import pytest

from benchmarks import worlds
from benchmarks.engines import ENGINES, CoreEngine, Engine
from benchmarks.sizes import size
from benchmarks.worlds import Crowd, in_blocks, two_kinds
from omniroute.core.codes import AgentKey
from omniroute.core.lifecycle import PresenceMove
from omniroute.world.bare import BareClass, BareGroup, BareQueue, BareWorld


def shift(engine: Engine, many: int, busy: int) -> tuple[list[int], list[int], list[int]]:
    """``many`` selections by some of the first ``busy`` agents, an arrival after each: as many wait as before.

    Nanoseconds of the selections and of the arrivals, and the rows selected.
    """
    over = round(worlds.clock_overhead())
    selections, arrivals, rows = [], [], []
    for turn in range(many):
        taken, row = engine.select(turn * 7_919 % busy)
        selections.append(taken - over)
        rows.append(row)
        arrivals.append(engine.arrive() - over)
    return selections, arrivals, rows


def trimmed(samples: Sequence[int]) -> float:
    """The mean without the slowest tenth, which are the machine's interruptions."""
    return statistics.fmean(sorted(samples)[: max(1, len(samples) * 9 // 10)])


def ratio(few: Crowd, many: Crowd, busy: int) -> float:
    """Time of a decision among many over that among few: by turns, the median of five ratios."""
    engines, each = [CoreEngine(few), CoreEngine(many)], max(size("decisions") // 20, 100)

    def part(engine: Engine) -> float:
        shift(engine, each // 5, busy)  # what the other one drove out of the cache comes back
        selections, arrivals, _ = shift(engine, each, busy)
        return trimmed(selections) + trimmed(arrivals)

    times = [[part(engine) for engine in engines] for _ in range(6)][1:]
    return statistics.median(after / before for before, after in times)


GROWTH = {
    "growth-waiting": lambda few: two_kinds(
        size("agents"), worlds.NARROW, size("few_waiting") if few else size("waiting")
    ),
    "growth-waiting-sparse": lambda few: two_kinds(
        size("agents"), size("classes"), size("few_waiting") if few else size("waiting")
    ),
    "growth-agents": lambda few: two_kinds(
        size("few_agents") if few else size("agents"), size("classes"), size("waiting")
    ),
}


@pytest.mark.parametrize("name", GROWTH)
def test_growth(benchmark, report, name):
    few, many = GROWTH[name](True), GROWTH[name](False)
    narrow = sum(few.sizes[:-1])
    assert few.serves == many.serves, "the groups are the same"
    found = benchmark.pedantic(lambda: ratio(few, many, narrow), rounds=1)
    report(name, "omniroute core", found, note="slowest tenth left out")


def lives(queues: int, key: AgentKey, many: int) -> Callable[[], float]:
    """What measures so many lives in a core, queue after queue: 100 agents serve them all, 70 of them at work."""
    classes = tuple(BareClass(queue=q, agent_key=key) for q in range(queues))
    core = BareWorld(groups=(BareGroup(agents=100),), classes=classes, queues=(BareQueue(),) * queues).build()
    core.auto_accept = True
    for j in range(100):
        core.set_presence(0, j, PresenceMove.SIGN_IN)
    at_work: deque[int] = deque()
    clock = count(1)

    def part() -> float:
        begin = perf_counter()
        for now in islice(clock, many):
            at_work.append(core.enqueue(now, (now % queues,), 0, now))
            if len(at_work) > 70:
                core.finish(now, at_work.popleft(), 0)
        lasted = perf_counter() - begin
        core.take()
        return lasted

    return part


@pytest.mark.parametrize("queues", [10, 100])
def test_keys_of_queues(benchmark, report, queues):
    keys = AgentKey.FEWEST_HANDLED, AgentKey.FEWEST_HANDLED_IN_QUEUE
    parts = [lives(queues, key, max(size("decisions") // 2, 200)) for key in keys]

    def ratio_of() -> float:
        times = [[part() for part in parts] for _ in range(6)][1:]
        return statistics.median(of_queue / of_all for of_all, of_queue in times)

    report(f"queue-keys-{queues}", "omniroute core", benchmark.pedantic(ratio_of, rounds=1))


AXES: dict[str, tuple[Callable[[int], Crowd], tuple[int, ...]]] = {
    "agents": (lambda n: in_blocks(n, 10, 100, 100, 10_000), (100, 1_000, 10_000, 100_000)),
    "waiting": (lambda n: in_blocks(1_000, 10, 100, 100, n), (100, 1_000, 10_000, 100_000, 1_000_000)),
    "classes": (lambda n: in_blocks(1_000, 10, n, n, 20_000), (1, 10, 100, 1_000)),
    "groups": (lambda n: in_blocks(10_000, n, 10, 10, 0)._replace(idle=True), (1, 10, 100, 1_000)),
}
"""For each axis the crowd at a place on it, and the places. What is not on the axis stays as it is."""

SIMPY = {"waiting": 100_000, "agents": 100_000}
"""The axes on which SimPy has a place, and how far: what it looks for, it looks for in a list."""


def points(axis: str, engine: str) -> list[tuple[int, Crowd]]:
    """The places that this engine can be asked about."""
    crowd, places = AXES[axis]
    most = min(size("curve"), SIMPY[axis] if engine == "simpy" else max(places))
    found = [(n, crowd(n)) for n in places if n <= most]
    if engine == "simpy":
        return [(n, in_blocks(of.busy, 1, 1, 1, of.waiting)) for n, of in found]
    return found


def measured(axis: str, engine: Engine, crowd: Crowd) -> tuple[float, list[int]]:
    """Microseconds of the decision that the axis is about, and the answers."""
    many = min(size("decisions") // 10, 2_000)
    if axis == "groups":
        over = worlds.clock_overhead()
        served = [engine.serve() for _ in range(many)]
        return (statistics.median(taken for taken, _ in served) - over) / 1e3, [agent for _, agent in served]
    selections, arrivals, rows = shift(engine, many, crowd.busy)
    times = [selections] if axis == "classes" else [selections, arrivals]
    return statistics.fmean(map(statistics.median, times)) / 1e3, rows


CURVES = [(axis, engine) for axis in AXES for engine in ENGINES if engine != "simpy" or axis in SIMPY]


@pytest.mark.parametrize(("axis", "engine"), CURVES, ids=["-".join(pair) for pair in CURVES])
def test_curve(benchmark, report, axis, engine):
    if engine == "simpy":
        pytest.importorskip("simpy")
    benchmark.pedantic(lambda: None, rounds=1)
    for at, crowd in points(axis, engine):
        asked = ENGINES[engine](crowd)
        figure, answers = measured(axis, asked, crowd)
        if engine != "core":
            assert np.array_equal(answers, measured(axis, CoreEngine(crowd), crowd)[1]), f"another answer at {at:,}"
        report(f"curve-{axis}", asked.name, figure, n=len(answers), answers=(answers,), at=at)
