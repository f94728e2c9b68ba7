"""What a core asks first when a command lets several be asked for, and chains of steps that it refuses."""

from __future__ import annotations

import pytest
from test_twins import kernel

from omniroute.core import reference
from omniroute.core.codes import EventKind
from omniroute.core.lifecycle import PresenceMove
from omniroute.core.limits import NEVER
from omniroute.errors import MisuseError
from omniroute.requirements import TRUE

CORES = pytest.mark.parametrize("core", [kernel.Core, reference.Core], ids=["kernel", "reference"])


def opened(core: type, agents: int = 1) -> reference.Core:
    """One queue, channel and class that a group may not serve yet, whose agents are ready."""
    world = core()
    world.add_channel(1, None, 7)
    world.set_queue(0, 1, -1, -1, -1, -1)
    group = world.add_group([], 1, [1])
    world.add_class(0, 0, (TRUE,), 0)
    world.set_pairs([0], [group], [NEVER], [0], [0], [0], [0])
    for order in range(agents):
        world.set_presence(0, world.add_agent(group, order), PresenceMove.SIGN_IN)
    world.take()
    return world


def offers(world: reference.Core) -> list[tuple[int, int]]:
    """Interaction and agent of each offer since the last look."""
    return [(i, j) for kind, _, i, j, _, _ in world.take() if kind == EventKind.OFFERED]


@CORES
def test_new_tables_ask_in_the_order_of_the_class(core: type) -> None:
    """Whoever has the better place is asked for first, whoever came first. Seen to fail: the oldest was."""
    world = opened(core)
    for tier, since in ((5, 0), (1, 9), (1, 3)):
        world.enqueue(10, (0,), tier, since)
    world.set_pairs([0], [0], [0], [0], [0], [0], [0])
    world.refresh(10)
    assert offers(world) == [(2, 0)]
    assert not world.check()


@CORES
@pytest.mark.parametrize("first", [0, 1])
def test_steps_do_not_come_back_through_a_copy(core: type, first: int) -> None:
    """Moves and copies both count, whichever is set first. Seen to fail: only moves were followed."""
    world = core()
    world.add_channel(1, None, 7)
    world.set_queue(0, 1, -1, -1, -1, -1)
    for _ in range(3):
        world.add_class(0, 0, (TRUE,), 0)
    chains = [lambda: steps(world, 0, 1, -1), lambda: steps(world, 1, 2, 0)]
    chains[first]()
    with pytest.raises(MisuseError, match="come back"):
        chains[1 - first]()
    with pytest.raises(MisuseError, match="come back"):
        steps(world, 2, -2, 2)


def steps(world: reference.Core, class_: int, next_: int, copy: int) -> None:
    """Let a class step into another one, with a copy into a third."""
    world.set_class(class_, 0, 0, 0, 10, next_, -1, -1, -1, copy)
