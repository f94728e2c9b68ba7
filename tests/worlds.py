"""Drivers and small worlds that the tests of oracles and of pathwise equality share."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from omniroute.core.codes import EventKind
from omniroute.world.bare import BLOCKED, NOBODY, Arrivals, BareClass, BareGroup, BareWorld, Results

FINISH, LEAVE = 0, 1


def skilled(serves: Sequence[frozenset[int]], agents: Sequence[int] | None = None, **fields: Any) -> BareWorld:
    """A world of classes 0, 1... where group g serves the classes ``serves[g]``: class c asks for atom c."""
    count = 1 + max(c for served in serves for c in served)
    groups = tuple(
        BareGroup(agents=1 if agents is None else agents[g], atoms=tuple(sorted(served)))
        for g, served in enumerate(serves)
    )
    classes = fields.pop("classes", tuple(BareClass(program=(c,)) for c in range(count)))
    return BareWorld(groups=groups, classes=classes, atoms=count, **fields)


def by_commands(
    core: Any,
    arrivals: Arrivals,
    presences: tuple[np.ndarray, ...],
    speeds: Sequence[float] | None = None,
    until: int = -1,
) -> tuple[Results, list[tuple[int, ...]]]:
    """Do what ``drive`` does, one command at a time, agents answering by accept commands; also return the events.

    ``speeds`` (by agent) divides the handling times, which columns cannot say: there a handling time belongs to the
    interaction alone. Ties as in ``drive``.
    """
    at, class_, tier, head_start, handle, wrap_up, patience = (column.tolist() for column in arrivals.columns())
    p_at, p_agent, p_move = (column.tolist() for column in presences)
    agent, start, end = ([NOBODY] * len(at) for _ in range(3))
    rows: dict[int, int] = {}
    future: list[tuple[int, int, int, int]] = []
    events: list[tuple[int, ...]] = []
    a = p = 0
    while True:
        deadline = core.next_deadline()
        candidates = [when for when, *_ in future[:1]] + p_at[p : p + 1] + at[a : a + 1]
        now = min(candidates + [deadline] * (deadline >= 0), default=-1)
        if now < 0 or 0 <= until <= now:
            break
        if 0 <= deadline <= now:
            core.advance(now)
        elif future and future[0][0] == now:
            _, kind, row, i = heapq.heappop(future)
            if kind == FINISH:
                end[row] = now
                core.finish(now, i, wrap_up[row])
            elif rows.get(i) == row and start[row] < 0:
                end[row] = now
                core.leave(now, i)
        elif p < len(p_at) and p_at[p] == now:
            core.set_presence(now, p_agent[p], p_move[p])
            p += 1
        else:
            i = core.enqueue(now, (class_[a],), tier[a], now - head_start[a])
            if i < 0:
                agent[a], end[a] = BLOCKED, now
            else:
                rows[i] = a
                if patience[a] >= 0:
                    heapq.heappush(future, (now + patience[a], LEAVE, a, i))
            a += 1
        taken = core.take()
        while taken:
            events.extend(tuple(int(number) for number in event) for event in taken)
            for kind, when, i, j, x, _ in taken:
                if kind == EventKind.OFFERED:
                    assert core.accept(when, x) == 0
                elif kind == EventKind.CONNECTED:
                    row = rows[i]
                    agent[row], start[row] = j, when
                    lasts = handle[row] if speeds is None else round(handle[row] / speeds[j])
                    heapq.heappush(future, (when + lasts, FINISH, row, i))
            taken = core.take()
    columns = (np.array(column, np.int64) for column in (agent, start, end))
    return Results(**dict(zip(("agent", "start", "end"), columns, strict=True))), events
