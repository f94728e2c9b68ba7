"""A router in a running service: an event loop whose time is made up, and threads."""

from __future__ import annotations

import asyncio
import inspect
import selectors
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import attrs
import pytest

from omniroute import Agent, Plan, Queue, Router, commands, events
from omniroute.errors import FencedError, JournalError, MisuseError
from omniroute.journal import Journaled, MemoryStore
from omniroute.live import AsyncRouter, FellBehindError, ThreadRouter
from omniroute.live.clock import WallClock
from omniroute.strategies.protocol import AgentKey, Place, Revision, Tables

PLAN = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana"), Agent("ben")])


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
    """Run a coroutine in made-up time; what nobody has caught fails it."""
    uncaught: list[Any] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: uncaught.append(context))
        found = runner.run(main)
    assert uncaught == []
    return found


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

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, and say so later; or say that it failed."""
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


# In an event loop -----------------------------------------------------------------------------------------------------


def test_deadlines_fire_by_themselves() -> None:
    """An offer that nobody answers expires when it said, and goes to the next agent, without any command."""

    async def main() -> None:
        async with await opened() as router:
            heard = router.events()
            await router.sign_in_many(["ana", "ben"])
            await router.enqueue("call-1", "sales")
            found = {type(event).__name__: event for event in await taken(heard, 7)}
            assert (found["OfferExpired"].at, found["OfferExpired"].agent) == (20_000, "ana")
            assert (found["Offered"].at, found["Offered"].agent) == (20_000, "ben")

    run(main())


def test_nothing_is_told_before_it_is_durable() -> None:
    """Neither who gave a command nor who listens hears of it while the disk is at work.

    Planted: events are published when the command has been applied.
    """

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            heard = router.events()
            store.slow = True
            command = asyncio.create_task(router.sign_in("ana"))
            listener = asyncio.create_task(anext(heard))
            await asyncio.sleep(5)
            assert not command.done()
            assert not listener.done()
            store.let_go()
            assert await command == [await listener]

    run(main())


def test_commands_are_applied_in_the_order_in_which_they_are_awaited() -> None:
    """Also where more of them come than may wait for the disk. Planted: those without a slot overtake."""

    async def main() -> None:
        async with await opened(in_flight=2) as router:
            heard = router.events()
            await asyncio.gather(*(router.enqueue(f"call-{n}", "sales") for n in range(20)))
            assert [event.interaction for event in await taken(heard, 20)] == [f"call-{n}" for n in range(20)]

    run(main())


def test_a_coroutine_that_is_cancelled_gives_up_the_answer_and_not_the_command() -> None:
    """The command holds, everybody else hears of it, and the next one works.

    Planted: the answer is given all the same.
    """

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            heard = router.events()
            store.slow = True
            command = asyncio.create_task(router.enqueue("call-1", "sales"))
            await asyncio.sleep(1)
            command.cancel()
            await asyncio.sleep(1)
            assert command.cancelled()
            store.let_go()
            assert (await anext(heard)).interaction == "call-1"
            assert len(await router.sign_in("ana")) == 2

    run(main())


def test_who_falls_behind_is_told_and_nobody_waits_for_him() -> None:
    """What waited comes, then the error with the place to go on from; the journal has the rest.

    Planted: the oldest event is left out instead.
    """

    async def main() -> None:
        store = MemoryStore()
        async with await opened(store, backlog=3) as router:
            slow = router.events()
            for n in range(10):
                await router.enqueue(f"call-{n}", "sales")
            assert [event.seq for event in await taken(slow, 3)] == [1, 2, 3]
            with pytest.raises(FellBehindError) as caught:
                await anext(slow)
            assert caught.value.after == 3
            quick = router.events()
            await router.enqueue("call-10", "sales")
            assert (await anext(quick)).seq == 11

    run(main())


def test_offers_are_those_of_one_agent() -> None:
    """Offers to others do not come."""

    async def main() -> None:
        async with await opened() as router:
            offers = router.offers("ben")
            await router.sign_in_many(["ana", "ben"])
            await router.enqueue("call-1", "sales")
            await router.enqueue("call-2", "sales")
            assert (await anext(offers)).interaction == "call-2"

    run(main())


def test_how_an_interaction_ends_can_be_awaited() -> None:
    """Released, abandoned or cancelled; of one that nobody knows it cannot."""

    async def main() -> None:
        async with await opened() as router:
            await router.enqueue("call-1", "sales")
            await router.enqueue("call-2", "sales")
            ends = [asyncio.create_task(router.settled(name)) for name in ("call-1", "call-2")]
            await asyncio.sleep(2)
            await router.leave("call-1")
            await router.cancel("call-2")
            assert [type(await end).__name__ for end in ends] == ["Abandoned", "Cancelled"]
            with pytest.raises(LookupError):
                await router.settled("call-1")

    run(main())


def test_a_pause_of_the_process_is_not_taken_for_absence() -> None:
    """After ninety seconds of standing still the agent has time to answer; ordinary lateness changes nothing.

    Planted: deadlines fire as if the agents had been asked all the while.
    """

    async def main() -> None:
        asleep = 0
        async with await opened(clock=lambda: clock() + asleep) as router:
            heard = router.events()
            await router.sign_in("ana")
            await router.enqueue("call-1", "sales")
            await taken(heard, 3)
            await asyncio.sleep(1)
            asleep = 90_000
            await router.enqueue("call-2", "sales")
            told = await taken(heard, 2)
            assert [type(event).__name__ for event in told] == ["Extended", "Queued"]
            assert router.router.agent("ana").presence == "ready"
            expired = await anext(heard)
            assert (type(expired), expired.at) == (events.OfferExpired, 96_000)

    run(main())


def test_misuse_is_raised_and_moves_nothing() -> None:
    """What the router refuses to look at reaches who gave it, and the next command works."""

    async def main() -> None:
        async with await opened() as router:
            with pytest.raises(MisuseError):
                await router.enqueue("", "sales")
            assert [event.seq for event in await router.enqueue("call-1", "sales")] == [1]

    run(main())


# When the disk fails --------------------------------------------------------------------------------------------------


def test_after_a_failed_write_the_router_is_made_again_and_goes_on() -> None:
    """Who waited gets JournalError; the same command with its key then happens once, and events have no gap.

    Planted: the router that is ahead of its journal goes on.
    """

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            heard = router.events()
            await router.sign_in("ana")
            store.failing = True
            again = commands.Enqueue("call-1", "sales")
            with pytest.raises(JournalError, match="no space"):
                await router.apply(again, key="request-7")
            store.failing = False
            first = await router.apply(again, key="request-7")
            assert await router.apply(again, key="request-7") == first
            assert [event.seq for event in await taken(heard, 3)] == [1, 2, 3]
            assert router.router.queue("sales").waiting == 1

    run(main())


def test_who_is_fenced_ends() -> None:
    """Another process holds the journal: commands and listeners end with the reason, and nothing is tried again."""

    async def main() -> None:
        store = MemoryStore()
        router = await opened(store)
        heard = router.events()
        other = Journaled(store, PLAN)
        for _ in range(2):
            with pytest.raises(FencedError):
                await router.sign_in("ana")
        with pytest.raises(FencedError):
            await anext(heard)
        assert other.apply(0, commands.SignIn("ana"))
        await router.aclose()

    run(main())


def test_closing_ends_what_listens_and_waits() -> None:
    """Listeners end in the ordinary way, those who wait for an end are told, commands are refused, twice is nothing."""

    async def main() -> None:
        router = await opened()
        await router.enqueue("call-1", "sales")
        heard = router.events()
        end = asyncio.create_task(router.settled("call-1"))
        await asyncio.sleep(1)
        await router.aclose()
        await router.aclose()
        assert [event async for event in heard] == []
        with pytest.raises(MisuseError, match="closed"):
            await end
        with pytest.raises(MisuseError, match="closed"):
            await router.sign_in("ana")

    run(main())


# Strategies that are asked again --------------------------------------------------------------------------------------


@attrs.frozen
class Thoughtful:
    """Answers on whatever thread it is asked, and remembers which."""

    threads: list[str] = attrs.field(factory=list, eq=False)
    name = "thoughtful"
    version = 1
    agent_key = AgentKey.LONGEST_IDLE
    interval_ms = 60_000

    def tables(self, classes: Sequence[Any], groups: Sequence[Any]) -> Tables:
        """First come, first served."""
        return Tables()

    def place(self, priority: int) -> Place:
        """By priority."""
        return Place(tier=-priority)

    def revise(self, observed: Any, classes: Sequence[Any], groups: Sequence[Any]) -> Revision:
        """Note the thread; know nothing the second time."""
        self.threads.append(threading.current_thread().name)
        if observed.version:
            raise ValueError("no idea")
        return Revision(version=observed.version, tables=Tables())


def test_strategies_think_beside_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """The answer comes as a command; one that raises is logged, and routing goes on with the old tables.

    Planted: the strategy is asked on the loop.
    """
    strategy = Thoughtful()

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", strategy=strategy)], agents=[Agent("ana")])
        async with await opened(plan=plan) as router:
            heard = router.events()
            await router.enqueue("call-1", "sales")
            found = await taken(heard, 3)
            assert [type(event).__name__ for event in found] == ["Queued", "RevisionDue", "Revised"]
            await router.enqueue("call-2", "sales")
            assert type((await taken(heard, 2))[1]) is events.RevisionDue
            while "no idea" not in caplog.text:
                await asyncio.sleep(0)
            assert await router.sign_in("ana")

    run(main())
    assert strategy.threads
    assert all(name.startswith("omniroute-revise") for name in strategy.threads)


# Every command --------------------------------------------------------------------------------------------------------


def test_every_command_of_a_router_is_there() -> None:
    """Whatever takes an instant and applies a command, but for what only the driver may do."""
    own = {"apply", "advance", "revise", "board"}  # the last one only looks
    timed = {name for name, method in vars(Router).items() if inspect.isfunction(method) and name[0] != "_"}
    timed = {name for name in timed if list(inspect.signature(getattr(Router, name)).parameters)[1:2] == ["now"]}
    for live in (AsyncRouter, ThreadRouter):
        assert {name for name in timed - own if callable(getattr(live, name, None))} == timed - own


# Clock and threads ----------------------------------------------------------------------------------------------------


def test_the_clock_never_goes_back_and_never_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back by an hour it goes on at its pace; set forward by an hour it follows at once.

    Planted: the greater of the last instant and the wall, which stands still for an hour.
    """
    wall, steady = [10**18], [0]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady[0])
    told, hour, second = WallClock(), 3_600 * 10**9, 10**9
    found = [told()]
    for jump in (0, -hour, 0, 2 * hour, 0):
        wall[0] += jump + second
        steady[0] += second
        found.append(told())
    assert [later - sooner for sooner, later in pairwise(found)] == [1_000, 1_000, 1_000, 3_601_000, 1_000]


def test_threads_share_a_router() -> None:
    """Lives from eight threads: each is whole, and the listener hears everything once, in order.

    Planted: no lock around the router.
    """
    heard: list[Any] = []
    names = [f"agent-{n}" for n in range(8)]
    plan = Plan(queues=[Queue(name, auto_accept=True) for name in names], agents=[Agent(n, queues=[n]) for n in names])

    def live(name: str) -> None:
        router.sign_in(name)
        for n in range(50):
            call = f"{name}-{n}"
            assert [type(event).__name__ for event in router.enqueue(call, name)][-1] == "Connected"
            assert router.finish(call, 0)

    with ThreadRouter(MemoryStore(), plan, listen=heard.extend) as router:
        threads = [threading.Thread(target=live, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert router.read(lambda inner: inner.agent("agent-3").presence) == "ready"
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert sum(type(event) is events.Released for event in heard) == 8 * 50


def test_a_thread_fires_deadlines() -> None:
    """An offer of a few milliseconds expires without any command."""
    expired = threading.Event()

    def listen(told: list[Any]) -> None:
        if any(isinstance(event, events.OfferExpired) for event in told):
            expired.set()
        raise RuntimeError("a listener that raises is logged, and the next events come")

    plan = Plan(queues=[Queue("sales", offer_timeout_ms=20)], agents=[Agent("ana")])
    with ThreadRouter(MemoryStore(), plan, listen=listen) as router:
        router.sign_in("ana")
        router.enqueue("call-1", "sales")
        assert expired.wait(20)


def test_threads_go_on_after_a_failed_write() -> None:
    """The command in doubt raises; the next one finds the router made again, and events have no gap."""
    store, heard = Held(), []
    with ThreadRouter(store, PLAN, listen=heard.extend) as router:
        router.sign_in("ana")
        store.failing = True
        with pytest.raises(JournalError, match="no space"):
            router.enqueue("call-1", "sales")
        store.failing = False
        router.enqueue("call-1", "sales")
    assert [event.seq for event in heard] == [1, 2, 3]
    with pytest.raises(MisuseError, match="closed"):
        router.sign_out("ana")
