"""One crowd in four engines: the core, the door, the plain Python router and SimPy, each ready to decide.

All of them know the same agents, all busy, and the same interactions, all waiting. A *selection* is an agent who
finishes and takes the next one; an *arrival* finds nobody and waits. What was selected is returned, so answers compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from time import perf_counter_ns
from typing import Protocol

from benchmarks import plain, worlds
from benchmarks.worlds import Crowd
from omniroute.core.codes import EventKind
from omniroute.events import Event, Offered
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.router import Router


class Engine(Protocol):
    """What a curve asks of everybody."""

    name: str

    def select(self, place: int) -> tuple[int, int]:
        """The ``place``-th of the busy finishes; nanoseconds, and the row that his agent takes."""
        ...

    def arrive(self) -> int:
        """One more arrives and waits; nanoseconds."""
        ...

    def serve(self) -> tuple[int, int]:
        """One arrives where all agents are idle, and is finished at once; nanoseconds, and the agent it was put to."""
        ...


class CoreEngine:
    """The compiled core through its Python interface."""

    name = "omniroute core"

    def __init__(self, crowd: Crowd) -> None:
        full = worlds.filled(crowd)
        self.core, self.now, self.rows = full.core, full.now, full.row_of
        self.held = [i for i, _ in full.held]
        self.classes = [(c,) for c in range(crowd.classes)]
        self.next = len(self.rows)
        self.coming = islice(crowd.arrivals(), self.next, None)

    def select(self, place: int) -> tuple[int, int]:
        core, now = self.core, self.now
        begin = perf_counter_ns()
        core.finish(now, self.held[place], 0)
        taken = perf_counter_ns() - begin
        (offered,) = (event for event in core.take() if event[0] == EventKind.OFFERED)
        core.accept(now, offered[4])
        core.take()
        self.held[place] = offered[2]
        self.now += 1
        return taken, self.rows[offered[2]]

    def arrive(self) -> int:
        core, now, class_ = self.core, self.now, self.classes[next(self.coming)]
        begin = perf_counter_ns()
        i = core.enqueue(now, class_, 0, now)
        taken = perf_counter_ns() - begin
        core.take()
        self.rows[i] = self.next
        self.next += 1
        self.now += 1
        return taken

    def serve(self) -> tuple[int, int]:
        core, now, class_ = self.core, self.now, self.classes[next(self.coming)]
        begin = perf_counter_ns()
        i = core.enqueue(now, class_, 0, now)
        taken = perf_counter_ns() - begin
        (offered,) = (event for event in core.take() if event[0] == EventKind.OFFERED)
        core.accept(now, offered[4])
        core.finish(now, i, 0)
        core.take()
        self.now += 1
        return taken, offered[3]


class DoorEngine:
    """The router with its names and events."""

    name = "omniroute door"

    def __init__(self, crowd: Crowd) -> None:
        crew = [
            Agent(f"agent-{g}-{n}", skills={f"group{g}": 1} | {f"skill{c}": 1 for c in served})
            for g, (size, served) in enumerate(zip(crowd.sizes, crowd.serves, strict=True))
            for n in range(size)
        ]
        self.router = Router(Plan(queues=[Queue("all", wrap_up_ms=0)], agents=crew))
        self.router.sign_in_many(0, [agent.id for agent in crew])
        self.numbers = {agent.id: number for number, agent in enumerate(crew)}
        self.needs = [f"skill{c}" for c in range(crowd.classes)]
        self.coming = crowd.arrivals()
        self.now = self.next = 0
        self.held: list[str] = []
        for _ in range(crowd.busy):
            events = self._enqueue()
            self.router.accept(self.now, next(event.offer for event in events if type(event) is Offered))
            self.held.append(str(self.next - 1))
        for _ in range(crowd.waiting):
            self._enqueue()

    def _enqueue(self) -> Sequence[Event]:
        self.now += 1
        events = self.router.enqueue(self.now, str(self.next), "all", needs=self.needs[next(self.coming)])
        self.next += 1
        return events

    def select(self, place: int) -> tuple[int, int]:
        self.now += 1
        router, now = self.router, self.now
        begin = perf_counter_ns()
        events = router.finish(now, self.held[place])
        taken = perf_counter_ns() - begin
        offered = next(event for event in events if type(event) is Offered)
        router.accept(now, offered.offer)
        self.held[place] = offered.interaction
        return taken, int(offered.interaction)

    def arrive(self) -> int:
        self.now += 1
        router, now, name, needs = self.router, self.now, str(self.next), self.needs[next(self.coming)]
        begin = perf_counter_ns()
        router.enqueue(now, name, "all", needs=needs)
        taken = perf_counter_ns() - begin
        self.next += 1
        return taken

    def serve(self) -> tuple[int, int]:
        self.now += 1
        router, now, name, needs = self.router, self.now, str(self.next), self.needs[next(self.coming)]
        begin = perf_counter_ns()
        events = router.enqueue(now, name, "all", needs=needs)
        taken = perf_counter_ns() - begin
        offered = next(event for event in events if type(event) is Offered)
        router.accept(now, offered.offer)
        router.finish(now, name)
        self.next += 1
        return taken, self.numbers[offered.agent]


class PlainEngine:
    """The router of sorted lists."""

    name = "plain Python router"

    def __init__(self, crowd: Crowd) -> None:
        self.router = plain.built(crowd.sizes, crowd.serves, crowd.classes)
        self.coming = crowd.arrivals()
        self.next = crowd.busy + crowd.waiting
        self.held = [self.router.enqueue(row, next(self.coming)) for row in range(self.next)][: crowd.busy]

    def select(self, place: int) -> tuple[int, int]:
        router, agent = self.router, self.held[place]
        begin = perf_counter_ns()
        row = router.free(agent)
        return perf_counter_ns() - begin, row

    def arrive(self) -> int:
        router, row, class_ = self.router, self.next, next(self.coming)
        begin = perf_counter_ns()
        router.enqueue(row, class_)
        taken = perf_counter_ns() - begin
        self.next += 1
        return taken

    def serve(self) -> tuple[int, int]:
        router, row, class_ = self.router, self.next, next(self.coming)
        begin = perf_counter_ns()
        agent = router.enqueue(row, class_)
        taken = perf_counter_ns() - begin
        router.free(agent)
        self.next += 1
        return taken, agent


class SimPyEngine:
    """SimPy's resource: it knows one line and no skills, so it gives another answer unless there is one class."""

    name = "SimPy resource, one class"

    def __init__(self, crowd: Crowd) -> None:
        import simpy

        self.world = simpy.Environment()
        self.resource = simpy.Resource(self.world, capacity=crowd.busy)
        self.held = [self.resource.request() for _ in range(crowd.busy)]
        self.line = [self.resource.request() for _ in range(crowd.waiting)]
        self.first, self.busy = 0, crowd.busy
        while self.world.peek() < float("inf"):
            self.world.step()

    def select(self, place: int) -> tuple[int, int]:
        resource, request, step = self.resource, self.held[place], self.world.step
        begin = perf_counter_ns()
        resource.release(request)
        step()
        step()
        taken = perf_counter_ns() - begin
        self.held[place] = self.line[self.first]
        assert self.held[place].processed
        self.first += 1
        return taken, self.busy + self.first - 1

    def arrive(self) -> int:
        begin = perf_counter_ns()
        self.line.append(self.resource.request())
        return perf_counter_ns() - begin

    def serve(self) -> tuple[int, int]:
        raise NotImplementedError("a resource does not say which of its units was taken")


ENGINES: dict[str, type[CoreEngine | DoorEngine | PlainEngine | SimPyEngine]] = {
    "core": CoreEngine,
    "door": DoorEngine,
    "plain": PlainEngine,
    "simpy": SimPyEngine,
}
