"""Decisions of the compiled core in a crowd, for a program that counts instructions; run as a script.

``growth_child.py AGENTS WAITING OTHERS``: so many agents in 10 groups, so many interactions waiting in 20 classes which
all of them serve, and so many further classes and groups that have nothing to do with them. Imports no numpy, because
whatever counts instructions is slow.
"""

from __future__ import annotations

import sys

from omniroute.core.codes import EventKind
from omniroute.core.kernel import Core

GROUPS, CLASSES, DECISIONS = 10, 20, 200
MATCH_ALL = -4


def crowd(agents: int, others: int) -> Core:
    """Agents who serve the first classes; of the others, each group of one agent serves a class of its own."""
    core = Core()
    core.add_channel(1)
    core.set_queue(0, 1, -1, -1, -1, -1)
    ours, theirs = core.add_atom([]), core.add_atom([])
    for _ in range(GROUPS):
        group = core.add_group([ours], 1, [1])
        for order in range(agents // GROUPS):
            core.add_agent(group, order)
    for _ in range(others):
        core.add_agent(core.add_group([theirs], 1, [1]), 0)
    for class_ in range(CLASSES + others):
        core.add_class(0, 0, [ours if class_ < CLASSES else theirs], 0)
        core.set_class(class_, 1, 0, 0, -1, -1, -1)
        groups = list(range(GROUPS)) if class_ < CLASSES else [GROUPS + class_ - CLASSES]
        core.set_pairs([class_], groups, *([0] * len(groups) for _ in range(5)))
    for agent in range(agents // GROUPS * GROUPS + others):
        core.set_presence(0, agent, 0)
    core.take()
    return core


def accepted(core: Core, now: int) -> list[int]:
    """Everything that is offered is accepted; the interactions."""
    offered = [event for event in core.take() if event[0] == EventKind.OFFERED]
    for event in offered:
        core.accept(now, event[4])
    core.take()
    return [event[2] for event in offered]


def main(agents: int, waiting: int, others: int) -> None:
    """Fill, then decide: an agent finishes and takes the next one, another interaction arrives and waits."""
    core, now, held = crowd(agents, others), 0, []
    for class_ in range(CLASSES, CLASSES + others):
        for _ in range(2):  # one is taken, one waits
            core.enqueue(now, (class_,), 0, now)
            accepted(core, now)
    for _ in range(agents):
        core.enqueue(now, (now % CLASSES,), 0, now)
        held += accepted(core, now)
        now += 1
    assert len(held) == agents
    for _ in range(waiting):
        core.enqueue(now, (now % CLASSES,), 0, now)
        now += 1
    core.take()
    for turn in range(DECISIONS):
        place = turn * 7 % agents
        core.finish(now, held[place], 0)
        (held[place],) = accepted(core, now)
        core.enqueue(now, (now % CLASSES,), 0, now)
        now += 1
    assert core.queue(0)[0] == waiting + others


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
