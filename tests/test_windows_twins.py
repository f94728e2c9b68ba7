"""The two cores close windows alike: walks through crowds, where many wait for many in one window.

Planted in the reference and seen red: a window one millisecond long; one that a step does not close; rows that do not
split by tier; columns that do not split by whom a tie or an offer sets apart; one place for an agent who has room for
several; the last agent of a column before the first; rows, or columns, in the opposite order; nobody looking at who was
passed; the term of a group left out.
"""

from __future__ import annotations

import pytest
import twins
from test_twins import Diced, kernel
from twins import Draw

from omniroute.core import reference
from omniroute.core.codes import Clause, EventKind
from omniroute.core.lifecycle import PresenceMove

MOVES = {
    "advance": 3,
    "crowd": 3,
    "answer": 2,
    "answer_all": 3,
    "finish": 3,
    "leave": 1,
    "requeue": 1,
    "transfer": 1,
    "update": 1,
    "turn": 1,
    "presence": 1,
    "all_ready": 2,
    "change": 1,
    "reload": 1,
}


class Crowd(twins.Twins):
    """Four agents more than usual, longer windows, and interactions that come in crowds."""

    def build(self, draw: Draw) -> None:
        """A plan with more agents, all of them ready."""
        super().build(draw)
        for _ in range(4):
            self.agent(draw)
        for j in range(self.agents):
            self.both("set_presence", 0, j, PresenceMove.SIGN_IN)

    def window(self, draw: Draw) -> None:
        """Append or rewrite a decision window, seldom a short one."""
        at = draw.one(range(self.windows + 1))
        self.windows = max(self.windows, 1 + self.both("set_window", at, draw.one([2, 4, 9, 15])))

    def crowd(self, draw: Draw) -> None:
        """Many come at once."""
        for _ in range(draw.one([3, 6])):
            self.enqueue(draw)


def walk(seed: int, steps: int) -> tuple[int, int]:
    """How many pairs were held, counted at the end of each step, and how many offers were made."""
    draw = Diced(seed)
    world = Crowd([kernel.Core(), reference.Core()], draw, busy=True)
    names = [name for name, weight in MOVES.items() for _ in range(weight)]
    held = 0
    for _ in range(steps):
        getattr(world, draw.one(names))(draw)
        world.compare()
        live = [i for i in range(world.interactions) if world.cores[0].interaction(i)[0] == 1]
        held += sum(Clause.IN_WINDOW in world.cores[0].why_not(i, j) for i in live for j in range(world.agents))
    return held, world.seen.get(EventKind.OFFERED, 0)


def test_crowds() -> None:
    """At every step of every walk both cores have told the same and are in the same state, and much has been held."""
    held, offered = (sum(found) for found in zip(*(walk(seed, 50) for seed in range(60)), strict=True))
    assert held > 500
    assert offered > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_long_crowds(block: int) -> None:
    """The same, much further."""
    for seed in range(100):
        walk(1_000 * (block + 1) + seed, 60)
