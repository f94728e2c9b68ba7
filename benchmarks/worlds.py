"""The worlds that are measured, and the clocks that measure single operations."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from omniroute.core.codes import EventKind
from omniroute.world.bare import Arrivals, BareClass, BareGroup, BareWorld

UNIT = 50_000_000
"""Parts of a time unit: so many that instants hardly ever meet, for peers differ in what goes first when they do."""


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


class Crowd(NamedTuple):
    """Agents who are all busy and interactions that all wait; group g has ``sizes[g]`` agents who serve ``serves[g]``.

    ``idle`` leaves the agents idle instead; then nothing waits.
    """

    sizes: tuple[int, ...]
    serves: tuple[tuple[int, ...], ...]
    classes: int
    waiting: int
    seed: int = 1
    idle: bool = False

    def world(self) -> BareWorld:
        """The same as tables."""
        groups = tuple(BareGroup(agents=n, atoms=held) for n, held in zip(self.sizes, self.serves, strict=True))
        return BareWorld(
            groups=groups, classes=tuple(BareClass(program=(c,)) for c in range(self.classes)), atoms=self.classes
        )

    def arrivals(self) -> Iterator[int]:
        """The classes of its interactions, endless: one for each busy agent by group, then drawn ones that wait."""
        for n, served in () if self.idle else zip(self.sizes, self.serves, strict=True):
            for place in range(n):
                yield served[place % len(served)]
        random = self.seed
        while True:
            random = (random * 1_103_515_245 + 12_345) % 2**31
            yield (random >> 8) % self.classes

    @property
    def busy(self) -> int:
        """How many agents are busy at the start."""
        return 0 if self.idle else sum(self.sizes)


NARROW = 100
"""Classes that an agent of a narrow group could take; a wide one could take all."""


def two_kinds(agents: int, classes: int, waiting: int) -> Crowd:
    """Nine tenths of the agents can take 100 classes each, the last tenth, in a group of its own, all."""
    narrow = max(1, classes // NARROW)
    each = agents * 9 // 10 // narrow
    serves = [tuple(range(g * NARROW, min((g + 1) * NARROW, classes))) for g in range(narrow)]
    sizes = (each,) * narrow + (agents - each * narrow,)
    return Crowd(sizes, (*serves, tuple(range(classes))), classes, waiting)


def in_blocks(agents: int, groups: int, classes: int, each: int, waiting: int, seed: int = 5) -> Crowd:
    """Groups of equal size; blocks of ``each`` classes, each served by as many groups as any other block."""
    blocks = classes // each
    serves = tuple(tuple(range(g % blocks * each, (g % blocks + 1) * each)) for g in range(groups))
    return Crowd((max(1, agents // groups),) * groups, serves, blocks * each, waiting, seed)


class Filled(NamedTuple):
    """A core with a crowd in it: ``held`` are (interaction, agent); ``row_of`` says which arrival a number is."""

    core: Any
    held: list[tuple[int, int]]
    row_of: dict[int, int]
    now: int


def filled(crowd: Crowd) -> Filled:
    """A core in which the crowd is busy and waits."""
    world, coming = crowd.world(), crowd.arrivals()
    core = world.build()
    for agent in range(world.agents):
        core.set_presence(0, agent, 0)
    core.take()
    held: list[tuple[int, int]] = []
    row_of: dict[int, int] = {}
    for row in range(crowd.busy):
        row_of[core.enqueue(row, (next(coming),), 0, row)] = row
        i, j, offer = next((e[2], e[3], e[4]) for e in core.take() if e[0] == EventKind.OFFERED)
        core.accept(row, offer)
        held.append((i, j))
    core.take()
    for row in range(crowd.busy, crowd.busy + crowd.waiting):
        row_of[core.enqueue(row, (next(coming),), 0, row)] = row
    core.take()
    return Filled(core, held, row_of, crowd.busy + crowd.waiting)


def clock_overhead() -> float:
    """What one pair of clock readings costs, in ns: the median of many."""
    return statistics.median(-(perf_counter_ns() - perf_counter_ns()) for _ in range(2_001))
