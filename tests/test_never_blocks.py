"""Nothing that waits is called on the event loop: whatever would, raises here.

``blockbuster`` knows what blocks of the standard library: locks that are held, SQLite, files, sleeping. What takes long
by thinking is added to it: reading a journal, and writing or reading a snapshot.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from live_time import Asked

from omniroute import Agent, Channel, Plan, Queue, Router, commands, events, snapshot
from omniroute.errors import FencedError, JournalError, MisuseError
from omniroute.intake import Intake, Rule
from omniroute.journal import Journaled, SqliteStore, journaled
from omniroute.journal.port import Made
from omniroute.journey_rules import JourneyRules
from omniroute.live import AsyncRouter
from omniroute.strategies.protocol import Revision, Tables

blockbuster = pytest.importorskip("blockbuster", reason="needs the extra test")

THINKING = ((snapshot, "write"), (snapshot, "read"), (journaled, "recover"), (journaled, "replayed"))

PLAN = Plan(
    channels=[Channel("voice"), Channel("chat")],
    queues=[Queue("sales", offer_timeout_ms="20s"), Queue("setup", setup_timeout_ms="10s"), Queue("bots")],
    agents=[
        Agent("ana", units=9),
        Agent("cy", units=9),
        Agent("ben", units=9, queues=["setup"]),
        Agent("bot", units=9, queues=["bots"]),
    ],
    intake=Intake([Rule("vip", "vip", queue="setup")], default=Rule("else", queue="sales")),
    journey=JourneyRules(),
)


@contextmanager
def nothing_blocks() -> Iterator[None]:
    """Whatever blocks a thread with a running event loop raises, wherever it is called."""
    guard = blockbuster.BlockBuster()
    for module, name in THINKING:
        guard.functions[f"{module.__name__}.{name}"] = blockbuster.BlockBusterFunction(module, name)
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine under guard; what a callback or a task raises fails it as well."""
    uncaught: list[Any] = []
    with asyncio.Runner() as runner, nothing_blocks():
        runner.get_loop().set_exception_handler(lambda _loop, context: uncaught.append(context))
        runner.run(main())
    assert uncaught == []


def store_in(folder: Path) -> SqliteStore:
    """A journal on the disk of the machine."""
    return SqliteStore(folder / "live.journal", durability="os")


def test_the_guard_sees_what_blocks(tmp_path: Path) -> None:
    """A guard that sees nothing would pass every test here: opening, reading, snapshots and waiting are all seen."""

    async def main() -> None:
        taken: Future[None] = Future()
        for blocking in (
            lambda: time.sleep(0.001),
            lambda: taken.result(0.001),
            lambda: Journaled(store_in(tmp_path), PLAN),
            lambda: Router(PLAN).snapshot(),
        ):
            with pytest.raises(blockbuster.BlockingError):
                blocking()

    run(main)


# Every command --------------------------------------------------------------------------------------------------------


class Told:
    """A router whose commands are counted by name, and none of them refused; each gives the offer that it brings."""

    def __init__(self, router: AsyncRouter) -> None:
        self.router = router
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return functools.partial(self._give, name)

    async def _give(self, name: str, *given: Any, **named: Any) -> Any:
        self.used.add(name)
        told = await getattr(self.router, name)(*given, **named)
        assert not told or not isinstance(told[-1], events.Rejected), told[-1]
        return next((event for event in told if isinstance(event, events.Offered)), None)


async def in_hand(told: Told, name: str, queue: str = "sales") -> None:
    """Bring an interaction into somebody's hands."""
    offered = await told.enqueue(name, queue)
    await told.accept(offered.offer)


async def agents_come(told: Told) -> None:
    """What is about agents."""
    await told.sign_in("ana")
    await told.sign_in_many(["ben", "bot", "cy"])
    await told.set_obligation("ana", None)
    await told.set_presence("ben", "not_ready", "lunch")
    await told.set_presence("ben", "ready")
    await told.update_agent(Agent("ben", units=9, queues=["setup"], skills={"spanish": 2}))


async def customers_come(told: Told) -> None:
    """What is about those who wait."""
    await told.arrive("j1", customer="c-1", context={"vip": False}, topic="bill")
    await told.note("j1", {"mood": "good"})
    await told.resolve(customer="c-1")
    await told.erase("c-1")
    await told.enqueue_many([commands.Enqueue("w1", "sales"), commands.Enqueue("w2", "sales")])
    await told.update("w1", priority=3)
    await told.park("w1")
    await told.activate("w1")
    await told.assign("w1", "ana", force=True)
    await told.call_back("w2")
    await told.cancel("w2")
    offered = await told.enqueue("w3", "sales")
    await told.decline(offered.offer)
    await told.leave("w3")


async def they_talk(told: Told) -> None:
    """What is about those in somebody's hands."""
    await in_hand(told, "t1", "setup")
    await told.fail_setup("t1")
    await told.assign("t1", "ben")
    await told.release("t1")
    await in_hand(told, "t2", "setup")
    await told.connect("t2")
    await told.hold("t2")
    await told.resume("t2")
    offered = await told.consult("t2", "k1", "sales")
    await told.accept(offered.offer)
    await told.take_over("k1")
    await told.transfer("t2", "sales")
    await told.enqueue("t3", "setup")
    await told.assist("t3", "bot-1", "bots")
    await told.occupy("t4", "ana", "sales")
    await told.requeue("t4")
    await told.occupy("t5", "ana", "sales")
    await told.finish("t5", 0)


async def the_house_changes(told: Told) -> None:
    """What is about the whole."""
    await told.close_queue("bots")
    await told.open_queue("bots")
    await told.change_plan(attrs.evolve(PLAN, retention_ms=60_000))
    await told.extend(1_000)
    await told.reconcile({"ana": "ready"}, [])
    await told.sign_out("ana")


def test_no_command_blocks(tmp_path: Path) -> None:
    """Every command there is, with a snapshot every few of them, listeners and reads in between; then closing.

    Planted: a snapshot that is due is written on the loop; closing waits for the journal on the loop.
    """
    verbs = {name for name, method in vars(Router).items() if inspect.isfunction(method) and name[0] != "_"}
    verbs = {name for name in verbs if list(inspect.signature(getattr(Router, name)).parameters)[1:2] == ["now"]}

    async def main() -> None:
        opened = await asyncio.to_thread(Journaled, store_in(tmp_path), PLAN, snapshot_every=7)
        async with AsyncRouter(opened) as router:
            told = Told(router)
            heard, anas, offers = router.events(), router.events("ana"), router.offers("ana")
            for part in (agents_come, customers_come, they_talk, the_house_changes):
                await part(told)
                router.router.agent("ana")
                assert await router.since(opened.told) == []
            assert verbs - {"apply", "advance", "revise", "board"} == told.used - {"apply"}
            assert (await anext(heard)).seq == 1
            assert (await anext(anas)).agent == "ana"
            assert (await anext(offers)).agent == "ana"
            offers.close()

    run(main)
    with Journaled(store_in(tmp_path), PLAN) as again:
        assert len(list(again.store.snapshots())) == 2
        assert again.notes == ()
        again.router.check()


def test_opening_does_not_block(tmp_path: Path) -> None:
    """Neither a new journal nor one with records to be lived again. Planted: it is opened on the loop."""

    async def main() -> None:
        for number in range(3):
            async with await AsyncRouter.open(store_in(tmp_path), PLAN) as router:
                await router.enqueue(f"call-{number}", "sales")
                assert router.router.queue("sales").waiting == number + 1

    run(main)


def test_deadlines_do_not_block(tmp_path: Path) -> None:
    """An offer of a few milliseconds expires and is told, while nobody gives a command."""

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", offer_timeout_ms=5)], agents=[Agent("ana")])
        async with await AsyncRouter.open(store_in(tmp_path), plan) as router:
            heard = router.events("ana")
            await router.sign_in("ana")
            await router.enqueue("call-1", "sales")
            names = [type(await anext(heard)).__name__ for _ in range(4)]
            assert names == ["PresenceChanged", "Offered", "OfferExpired", "PresenceChanged"]

    run(main)


# When something goes wrong --------------------------------------------------------------------------------------------


class Failing(SqliteStore):
    """A disk that fails when it is told to, and is good again then."""

    appends = keeps = 0
    """How many of the next ones fail."""

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, or say that it failed."""
        if self.appends:
            self.appends -= 1
            return _failed()
        return super().append(epoch, first, entries, result)

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep, or say that it failed."""
        if self.keeps:
            self.keeps -= 1
            return _failed()
        return super().keep(epoch, sequence, snapshot)


def _failed() -> Future[Any]:
    done: Future[Any] = Future()
    done.set_exception(JournalError("no space left on the disk"))
    return done


def test_making_the_router_again_does_not_block(tmp_path: Path) -> None:
    """After a failed write the journal is read beside the loop, and commands that came meanwhile are done.

    Planted: it is read on the loop.
    """

    async def main() -> None:
        store = Failing(tmp_path / "live.journal", durability="os")
        async with await AsyncRouter.open(store, PLAN) as router:
            heard = router.events()
            await router.sign_in("ana")
            store.appends = 1
            with pytest.raises(JournalError, match="no space"):
                await router.enqueue("call-1", "sales")
            await asyncio.gather(*(router.enqueue(f"call-{number}", "sales") for number in range(20)))
            assert [(await anext(heard)).seq for _ in range(21)] == list(range(1, 22))

    run(main)


def test_deadlines_go_on_after_a_snapshot_that_failed(tmp_path: Path) -> None:
    """The offer expires though the snapshot before it failed and no command comes: the router has been made again.

    Planted: only a command looks whether the journal has failed.
    """

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", offer_timeout_ms=50)], agents=[Agent("ana")])
        store = Failing(tmp_path / "live.journal", durability="os")
        opened = await asyncio.to_thread(Journaled, store, plan, snapshot_every=4)
        async with AsyncRouter(opened) as router:
            heard = router.events("ana")
            store.keeps = 1
            await router.sign_in("ana")
            await router.enqueue("call-1", "sales")
            async with asyncio.timeout(20):
                while not isinstance(await anext(heard), events.OfferExpired):
                    pass
            assert store.keeps == 0

    run(main)


class Thinking(Failing):
    """A disk beside which snapshots take until they are let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durability="os")
        self.go_on: Future[None] = Future()
        self.kept: list[Future[None]] = []

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep what is made when it is let go."""
        self.kept.append(super().keep(epoch, sequence, lambda: (self.go_on.result(20), snapshot())[1]))
        return self.kept[-1]


def test_a_snapshot_from_before_a_failure_ends_nothing(tmp_path: Path) -> None:
    """It is still being made while the router is made again: then nobody wants it, and all goes on.

    Planted: that it comes too late is taken for somebody else who holds the journal, and the service ends.
    """

    async def main() -> None:
        store = Thinking(tmp_path / "live.journal")
        opened = await asyncio.to_thread(Journaled, store, PLAN, snapshot_every=4)
        async with AsyncRouter(opened) as router:
            while not store.kept:
                await router.enqueue(f"call-0{router.router.now}", "sales")
            store.appends = 1
            with pytest.raises(JournalError, match="no space"):
                await router.enqueue("call-1", "sales")
            await router.enqueue("call-2", "sales")
            store.go_on.set_result(None)
            with pytest.raises(FencedError):
                await asyncio.wrap_future(store.kept[0])
            for number in range(3, 20):
                await router.enqueue(f"call-{number}", "sales")
            await asyncio.to_thread(store.kept[-1].result, 20)
            assert len(store.kept) > 1

    run(main)


class Slow(Failing):
    """A journal that is read slowly: reading waits until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durability="os")
        self.loop = asyncio.get_running_loop()
        self.reading = asyncio.Event()
        self.go_on: Future[None] | None = None

    def acquire(self) -> Any:
        """Say that it begins, on whatever thread, and wait."""
        if self.go_on is not None:
            self.loop.call_soon_threadsafe(self.reading.set)
            self.go_on.result(20)
        return super().acquire()


def test_closing_waits_for_a_router_that_is_made_again(tmp_path: Path) -> None:
    """Closed while the journal is read again: afterwards nobody holds it, and it can be opened.

    Planted: the reading is only cancelled; its thread goes on and opens again what was closed.
    """

    async def main() -> None:
        store = Slow(tmp_path / "live.journal")
        router = await AsyncRouter.open(store, PLAN)
        store.go_on, store.appends = Future(), 1
        with pytest.raises(JournalError, match="no space"):
            await router.enqueue("call-1", "sales")
        await store.reading.wait()
        closing = asyncio.create_task(router.aclose())
        await asyncio.sleep(0)
        store.go_on.set_result(None)
        await closing
        with pytest.raises(MisuseError, match="closed"):
            await router.sign_in("ana")
        async with await AsyncRouter.open(store_in(tmp_path), PLAN) as again:
            assert again.router.queue("sales").waiting == 0

    run(main)


# Strategies -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Sleepy(Asked):
    """Takes its time when it is asked again."""

    name = "sleepy"

    def revise(self, observed: Any, classes: Sequence[Any], groups: Sequence[Any]) -> Revision:
        """Sleep, and know nothing new."""
        time.sleep(0.001)
        return Revision(version=observed.version, tables=Tables())


def test_strategies_do_not_block(tmp_path: Path) -> None:
    """A strategy that is asked again thinks beside the loop. Planted: it is asked on the loop."""

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", strategy=Sleepy())], agents=[Agent("ana")])
        ahead = 0
        async with await AsyncRouter.open(store_in(tmp_path), plan, clock=lambda: ahead) as router:
            heard = router.events()
            for ahead in (0, 70_000):
                await router.enqueue(f"call-{ahead}", "sales")
            async with asyncio.timeout(20):
                while not isinstance(await anext(heard), events.Revised):
                    pass

    run(main)
