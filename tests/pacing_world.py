"""A centre whose host approaches customers by itself: visitors at moments of truth, and invitations as room allows."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from omniroute import Plan, Router, commands, events
from omniroute.strategies.pacing import Room
from omniroute.world.simulate import presences_of
from omniroute.world.workload import Workload

ROOM = Callable[[Router, int], Room | None]
"""How many may be approached, with so many whose answer is still to come."""


@attrs.define
class Day:
    """What came of a day."""

    asked: int = 0
    """Answers of a room above 0."""
    approached: int = 0
    came: int = 0
    served: int = 0
    broken: int = 0
    """Answers above 0 after which anybody was still waiting when the horizon ended."""
    late: int = 0
    """Those who came because they were approached and were not taken within the horizon."""
    waits: dict[str, list[int]] = attrs.Factory(dict)
    """Of organic interactions, by queue: the wait, -1 where the customer left."""
    answers: list[Room] = attrs.Factory(list)

    def in_time(self, queue: str, within_ms: int) -> float:
        """The share of a queue's own customers who were answered in time."""
        waits = self.waits[queue]
        return sum(0 <= wait <= within_ms for wait in waits) / len(waits)


@attrs.define
class Host:
    """Feeds a workload and invitations into a router; agents accept at once."""

    plan: Plan
    work: Workload
    visitors: Sequence[int]
    """When somebody could be approached."""
    batch: int
    """So many are there at each such instant."""
    room: ROOM
    within_ms: int
    take: float
    queue: str
    channel: str
    delay_ms: int = 0
    """An answer to an invitation comes after up to so long."""
    value: int = 0
    seed: int = 1
    router: Router = attrs.field(init=False)
    day: Day = attrs.Factory(Day)
    _future: list[tuple[int, int, int, str]] = attrs.Factory(list)
    _wait: dict[str, int] = attrs.Factory(dict)
    _out: int = 0
    _handles: list[int] = attrs.Factory(list)
    _dice: np.random.Generator = attrs.field(init=False)
    _like: npt.NDArray[np.int64] = attrs.field(init=False)

    def apply(self, now: int, command: commands.Command) -> None:
        """Apply a command and note what came of it."""
        self.hear(self.router.apply(now, command))

    def hear(self, told: Sequence[events.Event]) -> None:
        """Note who was answered, and when it will be over."""
        for event in told:
            if isinstance(event, events.Connected):
                self._wait.pop(event.interaction, None)
                row = int(event.interaction[1:])
                organic = event.interaction[0] == "r"
                handle = int(self.work.handle_ms[row]) if organic else int(self._handles[row])
                heapq.heappush(self._future, (event.at + handle, 1, row, event.interaction))
                if organic:
                    self._note(row, event.gross_ms)
                else:
                    self.day.served += 1
                    self.day.late += event.gross_ms > self.within_ms
            elif isinstance(event, events.Abandoned):
                self._wait.pop(event.interaction, None)
                if event.interaction[0] == "r":
                    self._note(int(event.interaction[1:]), -1)

    def _note(self, row: int, wait: int) -> None:
        self.day.waits.setdefault(self.work.queues[self.work.queue[row]], []).append(wait)

    def enter(self, now: int, row: int) -> None:
        """A customer who comes by himself."""
        work, name = self.work, f"r{row}"
        self._wait[name] = now
        if work.patience_ms[row] >= 0:
            heapq.heappush(self._future, (now + int(work.patience_ms[row]), 2, row, name))
        place = (work.queues[work.queue[row]], work.channels[work.channel[row]], work.requirements[work.needs[row]])
        self.apply(now, commands.Enqueue(name, *place, int(work.priority[row])))

    def visit(self, now: int) -> None:
        """Somebody could be approached: as many are as there is room for."""
        self.hear(self.router.advance(now))
        found = self.room(self.router, self._out)
        if found is None or not found.count:
            return
        self.day.answers.append(found)
        several = min(found.count, self.batch)
        self.day.asked += 1
        self.day.approached += several
        self._out += several
        heapq.heappush(self._future, (now + self.within_ms, 4, 0, ""))
        for _ in range(several):
            comes = self._dice.random() < self.take
            delay = int(self._dice.integers(0, self.delay_ms + 1))
            number = len(self._handles)
            self._handles.append(max(1, round(float(self._dice.choice(self._like)))))
            heapq.heappush(self._future, (now + delay, 3, number, "i" if comes else ""))

    def happen(self, now: int, kind: int, row: int, name: str) -> None:
        """An end, a customer who leaves, an answer to an invitation, or the end of a horizon."""
        if kind == 1:
            self.apply(now, commands.Finish(name))
        elif kind == 2 and name in self._wait:
            self.apply(now, commands.Leave(name))
        elif kind == 3:
            self._out -= 1
            if name:
                self.day.came += 1
                self._wait[f"i{row}"] = now
                self.apply(now, commands.Enqueue(f"i{row}", self.queue, self.channel, value=self.value))
        elif kind == 4:
            self.hear(self.router.advance(now))
            self.day.broken += bool(self._wait)

    def run(self) -> Day:
        """Everything in the order of time; at one instant deadlines, ends, answers, presences, arrivals, visitors."""
        queues = [attrs.evolve(queue, auto_accept=True) for queue in self.plan.queues]
        self.router = Router(attrs.evolve(self.plan, queues=queues, paced=True))
        self._dice = np.random.default_rng(self.seed)
        of = [q == self.queue for q in self.work.queues]
        self._like = self.work.handle_ms[np.array(of)[self.work.queue]]
        moves = presences_of(self.plan.agents, int(self.work.arrival_ms[0]))
        steps = [(int(at), 5, p) for p, at in enumerate(moves.at_ms)]
        steps += [(int(at), 6, row) for row, at in enumerate(self.work.arrival_ms)]
        steps += [(int(at), 7, 0) for at in self.visitors]
        for at, kind, row in sorted(steps):
            while self._future and self._future[0][0] <= at:
                self.happen(*heapq.heappop(self._future))
            if kind == 5:
                agent, move = moves.agents[moves.agent[row]], int(moves.move[row])
                moved = (commands.SignIn(agent), commands.SignIn(agent, False), commands.SetPresence(agent, "ready"))
                found = (*moved, None, None, commands.SignOut(agent))[move]
                assert found is not None
                self.apply(at, found)
            elif kind == 6:
                self.enter(at, row)
            else:
                self.visit(at)
        while self._future:
            self.happen(*heapq.heappop(self._future))
        self.router.check()
        return self.day
