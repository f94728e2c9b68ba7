"""The worlds that are measured, and the clocks that measure single operations."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import Any

import numpy as np

from omniroute.core.codes import EventKind
from omniroute.world.bare import Arrivals, BareClass, BareGroup, BareWorld

UNIT = 300_000
"""Milliseconds of a time unit."""


def two_classes(rows: int, seed: int = 1) -> Arrivals:
    """M/M/100 with two priority classes at rates 36 and 54: the columns."""
    random = np.random.default_rng(seed)
    class_ = (random.random(rows) >= 0.4).astype(np.int64)
    return Arrivals(
        at=np.rint(np.cumsum(random.exponential(UNIT / 90, rows))),
        class_=class_,
        tier=class_,
        handle=np.rint(random.exponential(UNIT, rows)),
    )


def check_two_classes(waits_ms: np.ndarray, class_: np.ndarray) -> None:
    """The mean waits of both classes are the exact ones within five standard errors of 20 batches."""
    skip = min(7_000, len(waits_ms) // 4)
    for k, exact in enumerate((0.00338969501416, 0.0338969501416)):
        waits = waits_ms[skip:][class_[skip:] == k] / UNIT
        batches = waits[: len(waits) // 20 * 20].reshape(20, -1).mean(axis=1)
        error = batches.std(ddof=1) / 20**0.5
        assert abs(waits.mean() - exact) <= 5 * error, f"W{k + 1} is {waits.mean():.5f}, exact is {exact:.5f}"


SERVES = ((0,), (0, 1), (1, 2))
"""Three groups: which classes each serves, in the small world with skills."""
SIZES = (30, 40, 40)


def skilled_world() -> BareWorld:
    """Three classes, three groups of 110 agents, first come first served, longest idle."""
    groups = tuple(BareGroup(agents=n, atoms=served) for n, served in zip(SIZES, SERVES, strict=True))
    return BareWorld(groups=groups, classes=tuple(BareClass(program=(c,)) for c in range(3)), atoms=3)


def skilled_columns(rows: int, seed: int = 2) -> Arrivals:
    """A little more work than the groups can do, and customers of patience 1/2."""
    random = np.random.default_rng(seed)
    return Arrivals(
        at=np.rint(np.cumsum(random.exponential(UNIT / 112, rows))),
        class_=random.choice(3, rows, p=(0.35, 0.35, 0.3)),
        handle=np.rint(random.exponential(UNIT, rows)),
        patience=np.rint(random.exponential(UNIT / 2, rows)),
    )


def large_world(agents: int, groups: int = 50, classes: int = 500, each: int = 50) -> BareWorld:
    """``groups`` of equal size, each serving ``each`` of the classes, every class served by as many groups."""
    atoms = tuple(tuple(sorted((g * (classes // groups) + k) % classes for k in range(each))) for g in range(groups))
    crew = tuple(BareGroup(agents=agents // groups, atoms=held) for held in atoms)
    return BareWorld(groups=crew, classes=tuple(BareClass(program=(c,)) for c in range(classes)), atoms=classes)


def large_columns(rows: int, agents: int, classes: int = 500, seed: int = 3) -> Arrivals:
    """Arrivals at 98 % of what the agents can do, with patience."""
    random = np.random.default_rng(seed)
    return Arrivals(
        at=np.rint(np.cumsum(random.exponential(UNIT / (0.98 * agents), rows))),
        class_=random.integers(0, classes, rows),
        handle=np.rint(random.exponential(UNIT, rows)),
        patience=np.rint(random.exponential(2 * UNIT, rows)),
    )


NARROW, WIDE = 100, 0
"""Classes that an agent of a narrow group could take; a wide one could take all."""


def crowded(agents: int, classes: int, waiting: int) -> tuple[Any, list[int], list[int], int]:
    """A core where all agents are busy and ``waiting`` interactions wait, spread over all classes.

    Nine tenths of the agents can take 100 classes each, one tenth all. Returns the core, the interactions held by
    narrow agents, those held by wide ones, and now.
    """
    narrow = max(1, classes // NARROW)
    per_group = agents * 9 // 10 // narrow
    groups = [
        BareGroup(agents=per_group, atoms=tuple(range(g * NARROW, min((g + 1) * NARROW, classes))))
        for g in range(narrow)
    ]
    groups.append(BareGroup(agents=agents - per_group * narrow, atoms=tuple(range(classes))))
    world = BareWorld(
        groups=tuple(groups), classes=tuple(BareClass(program=(c,)) for c in range(classes)), atoms=classes
    )
    core = world.build()
    for agent in range(world.agents):
        core.set_presence(0, agent, 0)
    core.take()
    held: dict[int, int] = {}
    now = random = 1
    while len(held) < world.agents:
        random = (random * 1_103_515_245 + 12_345) % 2**31
        core.enqueue(now, (random % classes,), 0, now)
        now += 1
        for kind, _, i, j, offer, _ in core.take():
            if kind == EventKind.OFFERED:
                core.accept(now, offer)
                held[i] = j
    more = 0
    while more < waiting:
        random = (random * 1_103_515_245 + 12_345) % 2**31
        core.enqueue(now, (random % classes,), 0, now)
        now += 1
        more += 1
    core.take()
    edge = per_group * narrow
    return core, [i for i, j in held.items() if j < edge], [i for i, j in held.items() if j >= edge], now


def clock_overhead() -> float:
    """What one pair of clock readings costs, in ns: the median of many."""
    return statistics.median(-(perf_counter_ns() - perf_counter_ns()) for _ in range(2_001))


def timed(operations: Iterable[Callable[[], object]]) -> list[int]:
    """Run operations and return the nanoseconds of each."""
    samples = []
    for operation in operations:
        begin = perf_counter_ns()
        operation()
        samples.append(perf_counter_ns() - begin)
    return samples
