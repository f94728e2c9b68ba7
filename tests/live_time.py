"""An event loop whose time is made up, and a disk that is slow or fails."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

import attrs

from omniroute import Agent, Plan, Queue
from omniroute.errors import JournalError
from omniroute.journal import MemoryStore
from omniroute.live import AsyncRouter
from omniroute.strategies.protocol import AgentKey, Place, Tables

PLAN = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana"), Agent("ben")])


@attrs.frozen
class Asked:
    """First come, first served, by a strategy that is asked again each minute; a subclass says what it answers."""

    name = "asked"
    version = 1
    agent_key = AgentKey.LONGEST_IDLE
    interval_ms = 60_000

    def tables(self, classes: Sequence[Any], groups: Sequence[Any]) -> Tables:
        """Nothing special."""
        return Tables()

    def place(self, priority: int) -> Place:
        """By priority."""
        return Place(tier=-priority)


class MadeUpTime(selectors.DefaultSelector):
    """Instead of waiting for a timer it lets the time pass; for other threads it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Look at once; where nothing has happened, the next timer is due."""
        found = super().select(0 if timeout is not None else None)
        if not found and timeout:
            self.passed += timeout
        return found


class Loop(asyncio.SelectorEventLoop):
    """An event loop without a clock of its own."""

    def __init__(self) -> None:
        self.made_up = MadeUpTime()
        super().__init__(self.made_up)

    def time(self) -> float:
        """Seconds that were waited for."""
        return self.made_up.passed


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in made-up time; what nobody has caught ends it, and fails it."""
    uncaught: list[Any] = []

    async def watched() -> Any:
        task = asyncio.current_task()
        assert task is not None

        def raised(_loop: object, context: dict[str, Any]) -> None:
            uncaught.append(context)
            task.cancel()

        asyncio.get_running_loop().set_exception_handler(raised)
        return await main

    with asyncio.Runner(loop_factory=Loop) as runner:
        try:
            return runner.run(watched())
        finally:
            assert uncaught == []


def clock() -> int:
    """The time of the running loop, in ms."""
    return round(asyncio.get_running_loop().time() * 1_000)


async def opened(store: Any = None, plan: Plan = PLAN, **options: Any) -> AsyncRouter:
    """A router in made-up time."""
    return await AsyncRouter.open(MemoryStore() if store is None else store, plan, **{"clock": clock} | options)


async def taken(subscription: Any, count: int) -> list[Any]:
    """The next so many events."""
    return [await anext(subscription) for _ in range(count)]


class Held(MemoryStore):
    """A disk that is slow, or fails: appends are durable when they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.failing = False
        self.waiting: list[tuple[Future[Any], Any]] = []
        self.sizes: list[int] = []
        """How many entries came with each append."""

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, and say so later; or say that it failed."""
        self.sizes.append(len(entries))
        if self.failing:
            failed: Future[Any] = Future()
            failed.set_exception(JournalError("no space left on the disk"))
            return failed
        done = super().append(epoch, first, entries, result)
        if not self.slow:
            return done
        later: Future[Any] = Future()
        self.waiting.append((later, result))
        return later

    def let_go(self) -> None:
        """All that waits is durable now."""
        self.slow = False
        for later, result in self.waiting:
            later.set_result(result)
        self.waiting = []

    def close(self) -> None:
        """Write what waits, and let go of it."""
        self.let_go()
        super().close()
