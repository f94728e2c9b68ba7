"""Columns in, columns out, by the naive meaning: the commands in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import MutableSequence, Sequence
from typing import TYPE_CHECKING

from omniroute.core.codes import EventKind

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

FINISH, LEAVE = 0, 1
BLOCKED = -2
"""The agent of a row that found its queue full."""


def drive(
    core: Core,
    arrivals: tuple[Sequence[int], ...],
    presences: tuple[Sequence[int], ...],
    results: tuple[MutableSequence[int], ...],
    until: int,
) -> int:
    """Drive a core through columns; agents accept at once. Returns how many commands were given.

    ``arrivals``: at, class, tier, head start, handling time, wrap-up (-1 is not allowed here), patience (-1:
    endless). ``presences``: at, agent, presence move. ``results``: agent, start, end, written where known (an
    abandoned interaction has an end and no start). Ties of time: deadlines, ends of handling, abandonments,
    presences, arrivals. Stops before ``until`` (-1: when nothing is left to happen).
    """
    at, class_, tier, head_start, handle, wrap_up, patience = arrivals
    p_at, p_agent, p_move = presences
    out_agent, out_start, out_end = results
    rows: dict[int, int] = {}
    future: list[tuple[int, int, int, int, int]] = []  # when, kind, order, interaction, row
    a = p = commands = 0
    core.auto_accept = True
    while True:
        now = min(
            [due for due in (core.next_deadline(),) if due >= 0]
            + [when for when, *_ in future[:1]]
            + list(p_at[p : p + 1])
            + list(at[a : a + 1]),
            default=-1,
        )
        if now < 0 or 0 <= until <= now:
            return commands
        commands += 1
        if 0 <= core.next_deadline() <= now:
            core.advance(now)
        elif future and future[0][0] == now:
            _, kind, _, i, row = heapq.heappop(future)
            if kind == FINISH:
                out_end[row] = now
                core.finish(now, i, wrap_up[row])
            elif rows.get(i) == row and out_start[row] < 0:
                out_end[row] = now
                core.leave(now, i)
        elif p < len(p_at) and p_at[p] == now:
            core.set_presence(now, p_agent[p], p_move[p])
            p += 1
        else:
            i = core.enqueue(now, (class_[a],), tier[a], now - head_start[a])
            if i >= 0:
                rows[i] = a
                if patience[a] >= 0:
                    heapq.heappush(future, (now + patience[a], LEAVE, a, i, a))
            else:
                out_agent[a], out_end[a] = BLOCKED, now
            a += 1
        for kind, when, i, j, _, _ in core.take():
            if kind == EventKind.CONNECTED:
                row = rows[i]
                out_agent[row], out_start[row] = j, when
                heapq.heappush(future, (when + handle[row], FINISH, row, i, row))
