"""Who was away and comes back: an agent to his state, a listener to what he missed, a database to where it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cores import CORES

from omniroute import Agent, Plan, Queue, Router, events
from omniroute.errors import MisuseError, UnknownNameError
from omniroute.journal import MemoryStore, SqliteStore
from omniroute.live import AsyncRouter, FellBehindError, ThreadRouter
from omniroute.views import OfferView

PLAN = Plan(
    queues=[Queue("sales", offer_timeout_ms="20s", wrap_up_ms="5s"), Queue("setup", setup_timeout_ms="10s")],
    agents=[Agent("ana", units=9, queues=["sales", "setup"]), Agent("ben", queues=[])],
)


@pytest.mark.parametrize("core", CORES)
def test_what_an_agent_has_in_hand(core: str) -> None:
    """From set-up to wrap-up, and neither what is on offer nor what has gone or was given back.

    Planted: the agent of an interaction is not forgotten when it is given back; a set-up does not count.
    """
    router = Router._on(CORES[core], PLAN)
    router.sign_in_many(0, ["ana", "ben"])
    for name, queue in (("a", "sales"), ("b", "sales"), ("c", "setup"), ("d", "sales"), ("e", "sales"), ("f", "sales")):
        offered = router.enqueue(0, name, queue)[-1]
        if name != "f":
            router.accept(0, offered.offer)
    router.hold(1, "a")
    router.finish(1, "b")
    router.requeue(1, "d")
    router.finish(1, "e", 0)
    assert router.in_hand("ana") == ("a", "b", "c")
    assert [router.interaction(name).state for name in router.in_hand("ana")] == ["on_hold", "wrap_up", "accepting"]
    assert router.in_hand("ben") == ()
    with pytest.raises(UnknownNameError, match="zoe"):
        router.in_hand("zoe")


def test_a_live_offer_can_be_read() -> None:
    """It says what was told of it, until it ends; then its number is unknown, as one that never was."""
    router = Router(PLAN)
    router.sign_in(0, "ana")
    offered = router.enqueue(1_000, "call-1", "sales", ref="line 7")[-1]
    found = router.offer(offered.offer)
    assert found == OfferView(offer=offered.offer, interaction="call-1", agent="ana", due=21_000, ref="line 7")
    assert router.agent("ana").offers == (offered.offer,)
    router.decline(2_000, offered.offer)
    for number in (offered.offer, -1, 2**70, True, "7", None):
        with pytest.raises(UnknownNameError):
            router.offer(number)  # type: ignore[arg-type]


def test_nobody_is_told_ids_of_others() -> None:
    """An interaction that is not known is not answered with one that is like it; a queue is.

    Planted: the nearest of all names is told, which costs 75 ms besides where 999 are alike.
    """
    router = Router(PLAN)
    router.enqueue(0, "chat-4711", "sales")
    with pytest.raises(UnknownNameError) as caught:
        router.interaction("chat-4712")
    assert "4711" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="did you mean 'sales'"):
        router.queue("salse")


def run(main: Any) -> None:
    """Run a coroutine; it may not take longer than it has any reason to."""
    asyncio.run(asyncio.wait_for(main, 30))


def test_events_of_one_agent() -> None:
    """Those that name him, whatever they are, and nobody else's; after closing, none, and nothing is collected.

    Planted: what was closed goes on collecting.
    """

    async def main() -> None:
        async with await AsyncRouter.open(MemoryStore(), PLAN) as router:
            with router.events("ana") as heard:
                await router.sign_in_many(["ana", "ben"])
                told = await router.enqueue("call-1", "sales")
                await router.accept(told[-1].offer)  # type: ignore[union-attr]
                await router.hold("call-1")
                names = [type(await anext(heard)).__name__ for _ in range(4)]
                assert names == ["PresenceChanged", "Offered", "Connected", "Held"]
                await router.resume("call-1")
            await router.finish("call-1")
            assert [event async for event in heard] == []
            assert router._about == {}

    run(main())


def test_who_fell_behind_goes_on_from_there(tmp_path: Path) -> None:
    """What the journal says comes after what was brought, without a gap or a repetition."""

    async def main() -> None:
        store = SqliteStore(tmp_path / "live.journal", durability="os")
        async with await AsyncRouter.open(store, PLAN, backlog=5) as router:
            heard = router.events()
            for number in range(20):
                await router.enqueue(f"call-{number}", "sales")
            found = [await anext(heard) for _ in range(5)]
            with pytest.raises(FellBehindError) as caught:
                await anext(heard)
            found += await router.since(caught.value.after)
            assert [event.seq for event in found] == list(range(1, 21))
            assert await router.since(20) == []

    run(main())


def test_a_consumer_begins_where_it_was() -> None:
    """A listener hears what came behind ``after`` first, and then what happens; each once, in order.

    Planted: it hears everything from the start of the process only.
    """
    store, heard = MemoryStore(), list[events.Event]()
    with ThreadRouter(store, PLAN, listen=len) as router:
        for number in range(5):
            router.enqueue(f"call-{number}", "sales")
    with ThreadRouter(store, PLAN, listen=heard.extend, after=2) as router:
        router.enqueue("call-5", "sales")
        assert [event.seq for event in router.since(4)] == [5, 6]
    assert [event.seq for event in heard] == [3, 4, 5, 6]


def test_a_consumer_of_another_journal_is_found_out() -> None:
    """One that has taken more than was ever told would miss what comes; it is refused, and the journal is let go.

    Planted: it hears nothing until the numbers have come so far.
    """
    store = MemoryStore()
    with pytest.raises(MisuseError, match="after is 7, and the last event is 0"):
        ThreadRouter(store, PLAN, listen=len, after=7)
    assert not store._held
    with ThreadRouter(store, PLAN, listen=len, after=0) as router:
        assert router.enqueue("call-1", "sales")
