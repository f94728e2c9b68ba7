"""Drivers and small worlds that the tests of oracles and of pathwise equality share."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from omniroute.core.codes import EventKind
from omniroute.core.lifecycle import PresenceMove
from omniroute.world.bare import BLOCKED, NOBODY, Arrivals, BareClass, BareGroup, BareWorld, Results

FINISH, LEAVE = 0, 1
CONNECTED = EventKind.CONNECTED
NEVER = 2**62
UNIT = 300_000
"""Milliseconds of a time unit: rounding to milliseconds vanishes."""


def drawn(rows: int, seed: int, ls, m: float, ths=None, tiers=None) -> Arrivals:
    """Poisson arrivals of classes 0, 1... at rates ``ls``, exponential handling and patience, in milliseconds."""
    random = np.random.default_rng(seed)
    at = np.cumsum(random.exponential(UNIT / sum(map(float, ls)), rows))
    class_ = random.choice(len(ls), rows, p=[float(l) / float(sum(ls)) for l in ls])  # noqa: E741
    fields = {}
    if ths is not None:
        fields["patience"] = np.rint(random.exponential(UNIT, rows) / np.array(ths, float)[class_])
    if tiers is not None:
        fields["tier"] = np.array(tiers)[class_]
    return Arrivals(at=np.rint(at), class_=class_, handle=np.rint(random.exponential(UNIT / m, rows)), **fields)


def warm(arrivals: Arrivals, units: float) -> np.ndarray:
    """The rows that arrive after the warm-up; at least half of the sample must be left."""
    rows = arrivals.at >= units * UNIT
    assert rows.mean() > 0.5, "the warm-up eats the sample"
    return rows


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
    *,
    told: bool = True,
) -> tuple[Results, list[tuple[int, ...]]]:
    """Do what a driver does, one command at a time, offers that stand answered by accepts; also return the events.

    Events are kept where they are to be ``told``: of a long run they would fill the memory.
    ``speeds`` (by agent) divides the handling times, which columns cannot say: there a handling time belongs to the
    interaction alone. Ties as in a driver.
    """
    at, class_, tier, head_start, handle, wrap_up, patience = (column.tolist() for column in arrivals.columns())
    p_at, p_agent, p_move = (column.tolist() for column in presences)
    agent, start, end = ([NOBODY] * len(at) for _ in range(3))
    rows: dict[int, int] = {}
    future: list[tuple[int, int, int, int]] = []
    events: deque[tuple[int, ...]] = deque(maxlen=None if told else 0)
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
                if kind == EventKind.OFFERED and x not in {offer for what, *_, offer, _ in taken if what == CONNECTED}:
                    assert core.accept(when, x) == 0
                elif kind == EventKind.CONNECTED:
                    row = rows[i]
                    agent[row], start[row] = j, when
                    lasts = handle[row] if speeds is None else round(handle[row] / speeds[j])
                    heapq.heappush(future, (when + lasts, FINISH, row, i))
            taken = core.take()
    columns = (np.array(column, np.int64) for column in (agent, start, end))
    return Results(**dict(zip(("agent", "start", "end"), columns, strict=True))), list(events)


class Attention:
    """One agent's attention, shared alike by what he holds: each of k gets ``rates[k - 1]`` of progress a millisecond.

    What each of them gets is one sum that only grows; each ends when the sum reaches its own goal. Integers throughout.
    """

    def __init__(self, rates: Sequence[int]) -> None:
        self.rates = (0, *rates)
        self.progress = self.now = 0
        self.goals: list[tuple[int, int]] = []

    def _until(self, now: int) -> None:
        self.progress += self.rates[len(self.goals)] * (now - self.now)
        self.now = now

    def begin(self, now: int, i: int, alone: int) -> None:
        """Take an interaction that would last ``alone`` ms if it were always the only one."""
        self._until(now)
        heapq.heappush(self.goals, (self.progress + alone * self.rates[1], i))

    def end(self, now: int) -> int:
        """Let go of the interaction that is due, and return it."""
        self._until(now)
        return heapq.heappop(self.goals)[1]

    def due(self) -> int:
        """When the next one ends if nothing changes, rounded up; :data:`NEVER` when nothing is held."""
        if not self.goals:
            return NEVER
        return self.now - min(0, (self.progress - self.goals[0][0]) // self.rates[len(self.goals)])


def by_attention(
    core: Any, arrivals: Arrivals, agents: int, rates: Sequence[int], *, waits: bool = True
) -> tuple[Results, np.ndarray]:
    """Drive a core by single commands with agents who share their attention among what they hold (:class:`Attention`).

    The core decides who gets what; when anything ends is decided here, anew at each change. Without ``waits`` who is
    not connected at once leaves at once. The second result is, for each arrival, how many agents held 0, 1... before
    it. An agent who holds more than there are rates is an error. Ends come before arrivals of the same millisecond.
    """
    at, class_, handle = (column.tolist() for column in (arrivals.at, arrivals.class_, arrivals.handle))
    agent, start, end = ([NOBODY] * len(at) for _ in range(3))
    rows: dict[int, int] = {}
    minds, due = [Attention(rates) for _ in range(agents)], [NEVER] * agents
    held, seen = [agents] + [0] * len(rates), np.zeros((len(at), len(rates) + 1), np.int32)

    def hear(now: int) -> None:
        """Accept what is offered, begin what is connected."""
        while taken := core.take():
            for kind, _, i, j, x, _ in taken:
                if kind == EventKind.OFFERED:
                    assert core.accept(now, x) == 0
                elif kind == EventKind.CONNECTED:
                    count(minds[j], -1)
                    minds[j].begin(now, i, handle[rows[i]])
                    count(minds[j], 1)
                    due[j], agent[rows[i]], start[rows[i]] = minds[j].due(), j, now

    def count(mind: Attention, more: int) -> None:
        held[len(mind.goals)] += more

    for j in range(agents):
        core.set_presence(0, j, PresenceMove.SIGN_IN)
    for row in range(len(at) + 1):
        while (now := min(due)) <= (at[row] if row < len(at) else NEVER - 1):
            mind = minds[j := due.index(now)]
            count(mind, -1)
            i = mind.end(now)
            count(mind, 1)
            due[j], end[rows[i]] = mind.due(), now
            assert core.finish(now, i, 0) == 0
            hear(now)
        if row < len(at):
            seen[row] = held
            i = core.enqueue(at[row], (class_[row],), 0, at[row])
            assert i >= 0
            rows[i] = row
            hear(at[row])
            if not waits and start[row] < 0:
                end[row] = at[row]
                assert core.leave(at[row], i) == 0
                core.take()
    assert core.check() == []
    columns = (np.array(column, np.int64) for column in (agent, start, end))
    return Results(**dict(zip(("agent", "start", "end"), columns, strict=True))), seen
