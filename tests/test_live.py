"""A router in a running service: an event loop whose time is made up."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
from contextlib import suppress
from itertools import pairwise
from types import FrameType
from typing import Any
from weakref import ref

import pytest
from live_time import PLAN, Held, clock, opened, run, taken

from omniroute import Agent, Plan, Queue, Router, commands, events
from omniroute.errors import FencedError, InvariantError, JournalError, MisuseError
from omniroute.journal import Journaled, MemoryStore
from omniroute.live import AsyncRouter, FellBehindError, ThreadRouter
from omniroute.live.aio import AT_ONCE
from omniroute.live.feed import Subscription

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
    """Also where more of them come than may wait for the disk: those behind wait, and who comes later is behind them.

    A coroutine that is cancelled in the line leaves it. Planted: there is always room; who comes when there is room
    overtakes those who wait for it.
    """

    async def main() -> None:
        store = Held()
        async with await opened(store, in_flight=2) as router:
            heard = router.events()
            store.slow = True

            async def twice(first: str, second: str) -> None:
                await router.enqueue(first, "sales")
                await router.enqueue(second, "sales")

            given = [asyncio.create_task(twice(f"call-{n}", f"later-{n}")) for n in range(6)]
            await asyncio.sleep(1)
            assert router.router.queue("sales").waiting == 2
            given[3].cancel()
            store.let_go()
            await asyncio.gather(*given, return_exceptions=True)
            names = [f"{name}-{n}" for name in ("call", "later") for n in (0, 1, 2, 4, 5)]
            assert [event.interaction for event in await taken(heard, 10)] == names

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


def test_offers_to_others_cost_nothing() -> None:
    """However many agents have a desk that listens, an offer is put before one of them.

    Planted: every subscription is asked whether it wants an event.
    """
    puts: list[object] = []

    def count(frame: FrameType, what: str, _given: object) -> None:
        if what == "call" and frame.f_code is Subscription.put.__code__:
            puts.append(frame.f_locals["self"])

    async def main() -> None:
        names = [f"agent-{n}" for n in range(50)]
        plan = Plan(queues=[Queue("sales")], agents=[Agent(name) for name in names])
        async with await opened(plan=plan) as router:
            desks = [router.offers(name) for name in names]
            await router.sign_in_many(names)
            sys.setprofile(count)
            try:
                await router.enqueue("call-1", "sales")
            finally:
                sys.setprofile(None)
            assert puts == [desks[0]]

    run(main())


def test_a_desk_that_is_gone_is_forgotten() -> None:
    """An agent whose desk comes and goes leaves no subscription behind. Planted: they fill up to their backlog."""

    async def main() -> None:
        async with await opened() as router:
            await router.sign_in("ana")
            left = []

            async def desk() -> None:
                offers = router.offers("ana")
                left.append(ref(offers))
                async for _ in offers:
                    pass

            for _ in range(3):
                work = asyncio.create_task(desk())
                await asyncio.sleep(1)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                del work
            await asyncio.sleep(1)
            gc.collect()
            assert [one() for one in left] == [None] * 3
            assert len(await router.enqueue("call-1", "sales")) == 2

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


def test_commands_of_one_turn_share_an_append() -> None:
    """So do all that come while the disk is at work, behind it. Planted: each command has an append of its own."""

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            store.sizes.clear()
            await asyncio.gather(*(router.enqueue(f"call-{n}", "sales") for n in range(20)))
            assert store.sizes == [20]
            store.slow = True
            given = [asyncio.create_task(router.enqueue("call-20", "sales"))]
            for n in range(21, 41):
                await asyncio.sleep(1)
                given.append(asyncio.create_task(router.enqueue(f"call-{n}", "sales")))
            await asyncio.sleep(1)
            assert store.sizes == [20, 1]
            store.let_go()
            await asyncio.gather(*given)
            assert store.sizes == [20, 1, 20]

    run(main())


def test_much_that_becomes_durable_at_once_does_not_hold_up_the_loop() -> None:
    """It is told a few commands at a time, and others have their turns between. Planted: all is told in one turn."""
    many = 5 * AT_ONCE

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            store.slow = True
            given = [asyncio.create_task(router.enqueue(f"call-{n}", "sales")) for n in range(many)]
            await asyncio.sleep(1)
            store.let_go()
            answered = [0]
            while answered[-1] < many:
                await asyncio.sleep(0)
                answered.append(sum(task.done() for task in given))
            assert max(later - sooner for sooner, later in pairwise(answered)) <= AT_ONCE

    run(main())


def test_a_sooner_deadline_is_in_time() -> None:
    """The timer is kept where it is early enough, and only there. Planted: it is kept whatever comes."""

    async def main() -> None:
        queues = [Queue("mail", offer_timeout_ms="1h"), Queue("sales", offer_timeout_ms="5s")]
        agents = [Agent("ana", queues=["mail"]), Agent("ben", queues=["sales"])]
        async with await opened(plan=Plan(queues=queues, agents=agents)) as router:
            heard = router.events()
            await router.sign_in_many(["ana", "ben"])
            await router.enqueue("letter", "mail")
            await router.enqueue("call", "sales")
            while type(event := await anext(heard)) is not events.OfferExpired:
                pass
            assert (event.interaction, event.at, clock()) == ("call", 5_000, 5_000)
            while type(event := await anext(heard)) is not events.OfferExpired:
                pass
            assert (event.interaction, event.at, clock()) == ("letter", 3_600_000, 3_600_000)

    run(main())


def test_a_command_that_comes_again_waits_for_the_first() -> None:
    """A known key whose command is still on its way to the disk: nobody is told before it is there.

    Planted: what happened is told at once.
    """

    async def main() -> None:
        store = Held()
        async with await opened(store) as router:
            store.slow = True
            again = commands.Enqueue("call-1", "sales")
            given = []
            for _ in range(2):
                given.append(asyncio.create_task(router.apply(again, key="request-7")))
                await asyncio.sleep(1)
            assert [task.done() for task in given] == [False, False]
            store.let_go()
            first, second = await asyncio.gather(*given)
            assert first == second

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


class Full(Held):
    """A disk on which nothing can be written and nothing opened, until there is room."""

    tried = 0

    def acquire(self) -> Any:
        """Open, or say that there is no room."""
        self.tried += 1
        if self.failing:
            raise JournalError("no space left on the disk")
        return super().acquire()


def test_a_disk_that_stays_full_ends_nothing() -> None:
    """While the journal cannot be read again commands say why, at once; it is tried each second, and then all goes on.

    Deadlines that were due fire then, and who listens has missed nothing. Planted: the first try that fails ends all.
    """

    async def main() -> None:
        store = Full()
        async with await opened(store) as router:
            heard = router.events()
            await router.sign_in("ana")
            store.failing = True
            for number in range(3):
                with pytest.raises(JournalError, match="no space"):
                    await router.enqueue(f"call-{number}", "sales")
            assert store.tried == 2
            for tried in range(3, 13):
                await asyncio.sleep(1)
                with pytest.raises(JournalError, match="no space"):
                    await router.since(0)
                assert store.tried == tried
            store.failing = False
            await asyncio.sleep(1)
            assert [event.seq for event in await router.enqueue("call-9", "sales")] == [2, 3]
            await asyncio.sleep(20)
            assert [type(event).__name__ for event in await taken(heard, 4)][-1] == "OfferExpired"

    run(main())


def test_a_router_is_closed_while_its_disk_is_full() -> None:
    """Closing ends at once, and whoever comes then is told that it is closed."""

    async def main() -> None:
        store = Full()
        router = await opened(store)
        store.failing = True
        with pytest.raises(JournalError, match="no space"):
            await router.sign_in("ana")
        with pytest.raises(JournalError, match="no space"):
            await router.sign_in("ana")
        await router.aclose()
        with pytest.raises(MisuseError, match="closed"):
            await router.sign_in("ana")
        tried = store.tried
        await asyncio.sleep(5)
        assert store.tried == tried

    run(main())


def test_after_a_defect_the_router_is_made_again_by_itself() -> None:
    """Somebody moved the router past its journal: the next command says so, and those before it are told all the same.

    Then it is made again as its journal has it, without another command, and deadlines fire. Planted: it waits for the
    next command.
    """

    async def main() -> None:
        async with await opened() as router:
            heard = router.events()
            await router.sign_in("ana")
            before = asyncio.create_task(router.enqueue("call-1", "sales"))
            await asyncio.sleep(0)
            router.router.enqueue(clock(), "from elsewhere", "sales")
            with pytest.raises(InvariantError, match="moved from elsewhere"):
                await router.enqueue("call-2", "sales")
            assert [event.seq for event in await before] == [2, 3]
            for _ in range(2_000):
                await asyncio.to_thread(bool)
                with suppress(JournalError):
                    assert router.router.queue("sales").waiting == 1
                    break
            else:
                pytest.fail("the router is not made again")
            assert [type(event).__name__ for event in await taken(heard, 4)][-1] == "OfferExpired"
            assert clock() == 20_000

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


def test_closing_answers_what_was_given() -> None:
    """Commands that were given and not handed to the disk yet are written, told and answered; then comes the end.

    Planted: what is durable when the writing has ended is not told.
    """

    async def main() -> None:
        store = Held()
        router = await opened(store)
        heard = router.events()
        store.slow = True
        given = [asyncio.create_task(router.enqueue(f"call-{n}", "sales")) for n in range(10 * AT_ONCE)]
        while router.router.queue("sales").waiting < len(given):
            await asyncio.sleep(0)
        await router.aclose()
        assert [len(await task) for task in given] == [1] * len(given)
        assert len([event async for event in heard]) == len(given)
        assert Journaled(store, PLAN).router.queue("sales").waiting == len(given)

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


def test_opening_that_is_cancelled_holds_nothing() -> None:
    """Whoever does not wait for a journal that takes long to open leaves it to others.

    Seen to fail: it stayed held by the thread that had opened it.
    """
    go, begun, closed = threading.Event(), threading.Event(), threading.Event()

    class Long(MemoryStore):
        def acquire(self) -> Any:
            begun.set()
            assert go.wait(60)
            return super().acquire()

        def close(self) -> None:
            super().close()
            closed.set()

    async def main() -> None:
        opening = asyncio.create_task(opened(Long()))
        assert await asyncio.to_thread(begun.wait, 60)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        go.set()
        assert await asyncio.to_thread(closed.wait, 60)

    run(main())


# Every command --------------------------------------------------------------------------------------------------------


def test_every_command_of_a_router_is_there() -> None:
    """Whatever takes an instant and applies a command, but for what only the driver may do, with its parameters.

    Planted: a command left out; the instant left in.
    """
    own = {"apply", "advance", "revise", "board"}  # the last one only looks
    methods = {name: method for name, method in vars(Router).items() if inspect.isfunction(method) and name[0] != "_"}
    timed = {
        name: list(shape.parameters.values())
        for name, method in methods.items()
        if list((shape := inspect.signature(method)).parameters)[1:2] == ["now"] and name not in own
    }
    for live in (AsyncRouter, ThreadRouter):
        for name, (this, _, *given) in timed.items():
            assert list(inspect.signature(getattr(live, name)).parameters.values()) == [this, *given]
            assert getattr(live, name).__doc__ == methods[name].__doc__
