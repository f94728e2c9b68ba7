"""A workload through the door, with somebody who answers when a strategy is to be asked again.

:func:`omniroute.world.simulate` never revises. This is for strategies that learn: every event is handed to a listener,
and the commands that it answers with are applied at once. Much slower than columns.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np
from attrs import evolve

from omniroute import events as e
from omniroute.commands import Command, Enqueue, Finish, Leave, Presence, SetObligation, SetPresence, SignIn, SignOut
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import InputError
from omniroute.plan import Plan
from omniroute.router import Router
from omniroute.world.bare import BLOCKED, NOBODY
from omniroute.world.simulate import Outcome, OutcomeCode, presences_of
from omniroute.world.workload import Presences, Workload

__all__ = ["Dress", "Listener", "play"]

Listener: TypeAlias = Callable[[Router, Sequence[e.Event]], Iterable[Command]]
"""Hears what happened and says what is to be done about it at the same instant."""

Dress: TypeAlias = Callable[[int, Enqueue], Enqueue]
"""Adds to the command of a row what a workload has no column for: a hold-out, ties, a due date."""

_FINISH: Final = 0
_LEAVE: Final = 1


class _Play:
    """One workload going through one router."""

    def __init__(self, plan: Plan, workload: Workload, listener: Listener | None, dress: Dress | None) -> None:
        self.router = Router(evolve(plan, queues=[evolve(queue, auto_accept=True) for queue in plan.queues]))
        self.work, self.listener, self.dress = workload, listener, dress
        rows = len(workload)
        self.agent, self.start, self.end = (np.full(rows, NOBODY, np.int64) for _ in range(3))
        self.offers, self.step = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self.cancelled = np.zeros(rows, np.bool_)
        self.future: list[tuple[int, int, int]] = []
        """When, finish or leave, row."""
        self.numbers = {agent.id: number for number, agent in enumerate(plan.agents)}

    def apply(self, now: int, command: Command) -> None:
        """Apply a command, and what the listener answers to it."""
        self.hear(self.router.apply(now, command))

    def hear(self, events: list[e.Event]) -> None:
        """Note what happened, and let the listener answer until he has nothing to say."""
        for event in events:
            kind = type(event)
            if kind is e.Offered:
                self.offers[int(event.interaction)] += 1  # type: ignore[union-attr]
            elif kind is e.StepTaken:
                self.step[int(event.interaction)] = event.step  # type: ignore[union-attr]
            elif kind is e.Cancelled:
                row = int(event.interaction)  # type: ignore[union-attr]
                self.end[row], self.cancelled[row] = event.at, True
            elif isinstance(event, e.Connected):
                row = int(event.interaction)
                self.agent[row], self.start[row] = self.numbers[event.agent], event.at
                heapq.heappush(self.future, (event.at + int(self.work.handle_ms[row]), _FINISH, row))
        if self.listener is not None:
            for command in self.listener(self.router, events):
                self.apply(self.router.now, command)

    def happen(self, when: int, kind: int, row: int) -> None:
        """An end of handling, or of patience."""
        name = str(row)
        if kind == _FINISH:
            self.end[row] = when
            wrap_up = None if self.work.wrap_up_ms is None else int(self.work.wrap_up_ms[row])
            self.apply(when, Finish(name, wrap_up))
        elif self.start[row] < 0 and self.end[row] < 0:
            self.end[row] = when
            self.apply(when, Leave(name))

    def enter(self, row: int) -> None:
        """An arrival."""
        work = self.work
        now, patience = int(work.arrival_ms[row]), int(work.patience_ms[row])
        command = Enqueue(
            str(row),
            work.queues[work.queue[row]],
            work.channels[work.channel[row]],
            work.requirements[work.needs[row]],
            int(work.priority[row]),
            int(work.head_start_ms[row]),
            value=max(0, int(work.value[row])),
        )
        events = self.router.apply(now, command if self.dress is None else self.dress(row, command))
        if type(events[-1]) is e.Rejected:
            self.agent[row], self.end[row] = BLOCKED, now
        elif patience >= 0:
            heapq.heappush(self.future, (now + patience, _LEAVE, row))
        self.hear(events)

    def move(self, now: int, presences: Presences, p: int) -> None:
        """A row of the presences, and before it the obligation if it is another one."""
        agent, until = presences.agents[presences.agent[p]], int(presences.until_ms[p])
        due = None if until < 0 else until
        if self.router.agent(agent).obligation != due:
            self.apply(now, SetObligation(agent, due))
        self.apply(now, _presence(presences, p))

    def run(self, presences: Presences, rows: int, until: int | None) -> None:
        """Everything in the order of time; ties: deadlines, ends, abandonments, presences, arrivals."""
        at, moves, p, a = self.work.arrival_ms, presences.at_ms, 0, 0
        while True:
            steps = [int(moves[p])] if p < len(moves) else []
            steps += [int(at[a])] if a < rows else []
            steps += [self.future[0][0]] if self.future else []
            due = self.router.next_deadline()
            steps += [] if due is None else [due]
            if not steps or (until is not None and min(steps) >= until):
                return
            now = min(steps)
            if due == now:
                self.hear(self.router.advance(now))
            elif self.future and self.future[0][0] == now:
                self.happen(*heapq.heappop(self.future))
            elif p < len(moves) and moves[p] == now:
                self.move(now, presences, p)
                p += 1
            else:
                self.enter(a)
                a += 1

    def outcome(self, rows: int) -> Outcome:
        """What happened to the first rows, as columns."""
        work = self.work
        over = np.where(self.start >= 0, self.start, self.end)[:rows]
        code = np.select(
            [self.start[:rows] >= 0, self.agent[:rows] == BLOCKED, self.cancelled[:rows], self.end[:rows] >= 0],
            [OutcomeCode.SERVED, OutcomeCode.BLOCKED, OutcomeCode.CANCELLED, OutcomeCode.ABANDONED],
            OutcomeCode.OPEN,
        )
        nothing = np.full(rows, NOBODY, np.int64)
        return Outcome(
            row=np.arange(rows),
            value=work.value[:rows],
            customer=work.customer[:rows],
            offers=self.offers[:rows],
            step=self.step[:rows],
            transferred_ms=nothing,
            second_agent=nothing,
            second_start_ms=nothing,
            arrival_ms=work.arrival_ms[:rows],
            queue=work.queue[:rows],
            channel=work.channel[:rows],
            priority=work.priority[:rows],
            agent=np.where(self.agent[:rows] == BLOCKED, NOBODY, self.agent[:rows]),
            start_ms=self.start[:rows],
            end_ms=self.end[:rows],
            wait_ms=np.where(over >= 0, over - work.arrival_ms[:rows], -1),
            outcome=code.astype(np.int64),
            queues=work.queues,
            channels=work.channels,
            agents=tuple(self.numbers),
        )


def _presence(presences: Presences, p: int) -> Command:
    """A row of the presences as a command."""
    agent, move = presences.agents[presences.agent[p]], PresenceMove(int(presences.move[p]))
    if move in (PresenceMove.SIGN_IN, PresenceMove.SIGN_IN_NOT_READY):
        return SignIn(agent, move == PresenceMove.SIGN_IN)
    if move == PresenceMove.SIGN_OUT:
        return SignOut(agent)
    words: dict[PresenceMove, Presence] = {
        PresenceMove.SET_READY: "ready",
        PresenceMove.SET_NOT_READY: "not_ready",
        PresenceMove.DRAIN: "draining",
    }
    return SetPresence(agent, words[move])


def play(
    plan: Plan,
    workload: Workload,
    listener: Listener | None = None,
    *,
    dress: Dress | None = None,
    until_ms: int | None = None,
) -> Outcome:
    """Route a workload through the door up to ``until_ms`` (not included) or until nothing is left to happen.

    Every queue accepts at once. ``listener`` hears the events of each command and of each deadline, and what it answers
    is applied at that instant: this is where an answer to RevisionDue goes. ``dress`` completes each arrival: with a
    hold-out, say, for which columns have no word. Without both the outcome is that of :func:`simulate`. About 50 us for
    each interaction. Raises MisuseError for a workload that the plan does not fit, InputError for one with answers or
    transfers.

    >>> from omniroute.model import Agent
    >>> from omniroute.plan import Plan, Queue
    >>> plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    >>> done = play(plan, Workload(arrival_ms=[0, 250], handle_ms=[9_000, 1_000], queues=["sales"]))
    >>> done.served, done.wait_ms.tolist(), done.end_ms.tolist()
    (2, [0, 8750], [9000, 10000])
    """
    for field in ("answer_ms", "decline_permille", "ignore_permille", "transfer"):
        if getattr(workload, field) is not None:
            raise InputError("agents accept at once here, and nobody is transferred", source="workload", field=field)
    rows = len(workload) if until_ms is None else int(np.searchsorted(workload.arrival_ms, until_ms))
    going = _Play(plan, workload, listener, dress)
    first = int(workload.arrival_ms[0]) if len(workload) else 0
    going.run(workload.presences or presences_of(plan.agents, first), rows, until_ms)
    return going.outcome(rows)
