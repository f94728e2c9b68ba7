"""The two cores mean the same: any commands, legal or not, give the same answers, errors, events and state.

Planted in the reference and seen red by the walks: an opening one millisecond late; a decline that forgets its
exclusion; a freed number taken from the other end; wrap-up that frees capacity at once; a step, or a requeue, that
loses its place; an opening lost when another deadline is due at the same instant; the kind of a deadline ignored in
ties; the later of two equals first; cost before rank; weight before tier; idleness not restarted on connecting; a
transfer that counts its own place in a full queue; a sign-in that keeps exclusions; offers kept when a queue makes
fewer; a decline that leaves a wish; a new tie beside an old one to the same agent; a prohibition for good that ends at
a connection or a sign-in, or is forgiven; a call-back without its gap, with a gap 1 ms longer, still one when connected
or when its customer has answered, or woken without; room that counts force; an obligation that a sign-out leaves; a
rung too few; an edge that asks nobody; a cap on occupancy that is not looked at when a rest ends. Planted in the
kernel: agents of a group that comes to serve a queue, and not into the order of the queue's key.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import pytest
import twins
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omniroute.core import reference
from omniroute.core.codes import EventKind

kernel = pytest.importorskip("omniroute.core.kernel", reason="the kernel is not built")
T = TypeVar("T")


class Drawn:
    """Choices drawn by hypothesis."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def one(self, options: Sequence[T]) -> T:
        """One of some options."""
        return self.data.draw(st.sampled_from(options))


class Diced:
    """Choices drawn by a seeded generator."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def one(self, options: Sequence[T]) -> T:
        """One of some options."""
        return self.dice.choice(options)


class Machine(RuleBasedStateMachine):
    """Every rule is a move of both cores; after each of them the whole state is compared."""

    @initialize(data=st.data(), busy=st.booleans())
    def build(self, data: st.DataObject, busy: bool) -> None:
        """A plan."""
        self.twins = twins.Twins([kernel.Core(), reference.Core()], Drawn(data), busy=busy)

    @rule(data=st.data(), name=st.sampled_from(list(twins.MOVES)))
    def move(self, data: st.DataObject, name: str) -> None:
        """Any move."""
        getattr(self.twins, name)(Drawn(data))

    @invariant()
    def same(self) -> None:
        """The same state in both cores."""
        if hasattr(self, "twins"):
            self.twins.compare()


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMachine = Machine.TestCase


def walk(seed: int, steps: int) -> Counter[int]:
    """One long walk; the events that were seen."""
    draw = Diced(seed)
    world = twins.Twins([kernel.Core(), reference.Core()], draw, busy=seed % 4 > 0)
    names = [name for name, weight in twins.MOVES.items() for _ in range(weight)]
    for _ in range(steps):
        getattr(world, draw.one(names))(draw)
        world.compare()
    return Counter(world.seen)


def test_walks() -> None:
    """Long walks through busy worlds agree at every step, and together they have seen every kind of event."""
    seen: Counter[int] = Counter()
    for seed in range(400):
        seen += walk(seed, 60)
    assert set(seen) == set(EventKind)
    assert seen[EventKind.CONNECTED] > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_long_walks(block: int) -> None:
    """The same, a hundred times as far."""
    for seed in range(100):
        walk(1_000 * (block + 1) + seed, 80)
