"""A router in an event loop: commands are awaited, events are iterated, deadlines fire by themselves.

Nothing here waits for the disk, and nothing thinks for long on the loop: the journal is written by a thread of its own,
and strategies that are asked again answer on a worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeAlias, TypeVar

from omniroute import commands as c
from omniroute.errors import FencedError, MisuseError
from omniroute.events import Abandoned, Cancelled, Event, Offered, Released, RevisionDue
from omniroute.journal import Journaled, Store
from omniroute.live.driver import PAUSE_MS, Driver
from omniroute.live.feed import Subscription
from omniroute.live.verbs import command_of
from omniroute.model import shown
from omniroute.plan import Plan
from omniroute.router import Router

__all__ = ["BACKLOG", "IN_FLIGHT", "AsyncRouter", "Settled"]

BACKLOG: Final = 10_000
"""Events that may wait for one subscription."""
IN_FLIGHT: Final = 10_000
"""Commands that may wait for the disk; those behind them wait for their turn."""

P = ParamSpec("P")
E = TypeVar("E", bound=Event)
Settled: TypeAlias = Released | Abandoned | Cancelled
"""How an interaction is over."""
Waiter: TypeAlias = "asyncio.Future[list[Event]]"

log = logging.getLogger("omniroute.live")


def _verb(
    method: Callable[Concatenate[Router, int, P], list[Event]],
) -> Callable[Concatenate[AsyncRouter, P], Awaitable[list[Event]]]:
    """A method of a router without its instant, to be awaited."""

    def call(self: AsyncRouter, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[list[Event]]:
        return self.apply(command_of(method, *args, **kwargs))

    call.__doc__, call.__name__ = method.__doc__, method.__name__
    return call


class AsyncRouter:
    """A journalled router for coroutines of one event loop; made by :meth:`open`.

    Every command is a method, as those of :class:`omniroute.Router` without ``now``: it returns the events when they
    are durable. Commands are applied in the order in which they are awaited. A coroutine that is cancelled while it
    waits gives up the answer, not the command. Everybody who listens gets the events of all commands, in their order.

    When the journal cannot be written, commands that were not told to be durable end in JournalError: they are in
    doubt. The router is made again from the journal, listeners are told what did happen, and it goes on; a command that
    is given again with the same ``key`` happens once. Where that fails too, all ends in the same error.

    >>> import asyncio
    >>> from omniroute import Agent, Plan, Queue
    >>> from omniroute.journal import MemoryStore
    >>> async def main():
    ...     plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    ...     async with await AsyncRouter.open(MemoryStore(), plan) as router:
    ...         offers = router.offers("ana")
    ...         await router.sign_in("ana")
    ...         await router.enqueue("call-1", "sales")
    ...         async for offer in offers:
    ...             await router.accept(offer.offer)
    ...             for event in await router.finish(offer.interaction, 0):
    ...                 print(type(event).__name__, event.interaction)
    ...             return
    >>> asyncio.run(main())
    Finished call-1
    Released call-1
    """

    def __init__(
        self,
        journaled: Journaled,
        *,
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
        backlog: int = BACKLOG,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._journaled = journaled
        self._driver = Driver(journaled, self._told, clock=clock, pause_ms=pause_ms)
        self._backlog = backlog
        self._slots = asyncio.Semaphore(in_flight)
        self._heard = journaled.told
        self._waiters: dict[Future[list[Event]], list[Waiter]] = {}
        self._done: deque[Future[list[Event]]] = deque()
        self._draining = False
        self._subscriptions: list[Subscription[Any]] = []
        self._settling: dict[str, list[asyncio.Future[Settled]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._worker = ThreadPoolExecutor(1, "omniroute-revise")
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._ready.set()
        self._closed: BaseException | None = None
        self._arm()

    # Opening and closing ----------------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        store: Store,
        plan: Plan,
        *,
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
        backlog: int = BACKLOG,
        in_flight: int = IN_FLIGHT,
    ) -> Self:
        """A router with its journal, made or recovered on a worker. Raises as :class:`omniroute.journal.Journaled`."""
        journaled = await asyncio.to_thread(Journaled, store, plan)
        return cls(journaled, clock=clock, pause_ms=pause_ms, backlog=backlog, in_flight=in_flight)

    async def aclose(self) -> None:
        """Take nothing more, write what waits, tell it, and end. Closing twice does nothing."""
        if self._closed is None:
            self._closed = MisuseError("the router is closed")
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.to_thread(self._journaled.close)
            self._drain()
            self._end(None)
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Commands ---------------------------------------------------------------------------------------------------------

    async def apply(self, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command now; its events, when they are durable. See :meth:`omniroute.journal.Journaled.submit`."""
        async with self._slots:
            await self._sound()
            waiter: Waiter = self._loop.create_future()
            done = self._driver.submit(command, key)
            self._waiters.setdefault(done, []).append(waiter)
            self._arm()
            return await waiter

    async def _sound(self) -> None:
        """Wait while the router is made again. Raises what the router was closed for."""
        while self._closed is None:
            if self._journaled.failed is not None:
                self._failed()
            if self._ready.is_set():
                return
            await self._ready.wait()
        raise self._closed

    # Listening --------------------------------------------------------------------------------------------------------

    @property
    def router(self) -> Router:
        """The router, to be read. Raises JournalError while it is made again."""
        return self._journaled.router

    def events(self) -> Subscription[Event]:
        """All events from now on."""
        return self._subscribe(Subscription(lambda _event: True, self._backlog, self._heard))

    def offers(self, agent: str) -> Subscription[Offered]:
        """Offers to an agent from now on."""
        wanted = lambda event: type(event) is Offered and event.agent == agent  # noqa: E731
        return self._subscribe(Subscription[Offered](wanted, self._backlog, self._heard))

    def _subscribe(self, subscription: Subscription[E]) -> Subscription[E]:
        if self._closed is not None:
            raise self._closed
        self._subscriptions.append(subscription)
        return subscription

    async def settled(self, interaction: str) -> Settled:
        """How a live interaction ends: released, abandoned or cancelled. Raises UnknownNameError for no live one."""
        if interaction not in self._settling:
            self.router.interaction(interaction)
        waiter: asyncio.Future[Settled] = self._loop.create_future()
        self._settling.setdefault(interaction, []).append(waiter)
        return await waiter

    # What the writer of the journal and the clock bring ---------------------------------------------------------------

    def _told(self, done: Future[list[Event]]) -> None:
        done.add_done_callback(self._released)

    def _released(self, done: Future[list[Event]]) -> None:
        """Called by the thread that writes: hand over to the loop, once for all that end together."""
        self._done.append(done)
        if not self._draining:
            self._draining = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # the loop is closed: nobody listens any more
                log.debug("commands ended behind the end of their loop")

    def _drain(self) -> None:
        """Tell everybody what has become durable, and answer who waits for it."""
        self._draining = False
        while self._done:
            done = self._done.popleft()
            error = done.exception()
            if error is None:
                self._publish(done.result())
            elif self._journaled.failed is not None:
                self._failed()
            for waiter in self._waiters.pop(done, ()):
                if waiter.done():
                    continue  # it was cancelled: the command holds all the same
                if error is None:
                    waiter.set_result(done.result())
                else:
                    waiter.set_exception(error)

    def _publish(self, events: list[Event]) -> None:
        """Tell listeners what they have not heard yet: the answer to a command that came again they have."""
        for event in events:
            if event.seq <= self._heard:
                continue
            self._heard = event.seq
            self._subscriptions = [listener for listener in self._subscriptions if listener.put(event)]
            if isinstance(event, Released | Abandoned | Cancelled):
                for waiter in self._settling.pop(event.interaction, ()):
                    if not waiter.done():
                        waiter.set_result(event)
            elif isinstance(event, RevisionDue):
                self._spawn(self._revise(event))

    def _arm(self) -> None:
        """One timer, at the next deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._driver.wait_s()
        if wait_s is not None:
            self._timer = self._loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._driver.tick()
        self._arm()

    # When something goes wrong ----------------------------------------------------------------------------------------

    def _failed(self) -> None:
        """The journal refuses: make the router again, once, while commands wait."""
        if self._closed is not None or not self._ready.is_set():
            return
        self._ready.clear()
        why = self._journaled.failed
        if isinstance(why, FencedError):
            self._end(why)
        else:
            log.warning("the journal failed and is read again: %s", why)
            self._spawn(self._reload())

    async def _reload(self) -> None:
        try:
            await asyncio.to_thread(self._journaled.reload)
            missed = await asyncio.to_thread(self._missed)
        except Exception as error:
            self._end(error)
            raise
        self._publish(missed)
        self._ready.set()
        self._arm()

    def _missed(self) -> list[Event]:
        return list(self._journaled.events(self._heard))

    def _end(self, why: BaseException | None) -> None:
        """Nothing comes any more: tell everybody who waits."""
        if why is not None:
            self._closed = why
        error = why or MisuseError("the router was closed")
        waiting: list[asyncio.Future[Any]] = [one for some in self._waiters.values() for one in some]
        waiting += [one for some in self._settling.values() for one in some]
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()
        self._settling.clear()
        for subscription in self._subscriptions:
            subscription.end(why)
        self._subscriptions = []
        self._ready.set()

    # Strategies that are asked again ----------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _revise(self, due: RevisionDue) -> None:
        """Ask a strategy on the worker, and give the router its answer; one that raises keeps its tables."""
        strategy = next((queue.strategy for queue in self.router.plan.queues if queue.name == due.queue), None)
        revise = getattr(strategy, "revise", None)
        if revise is None:
            return  # it is answered from outside
        classes, groups = self.router.revision_views(due.queue)
        try:
            found = await self._loop.run_in_executor(self._worker, revise, due, classes, groups)
            answer = c.Revise.of(due.queue, found.version, len(classes), len(groups), found.tables)
            await self.apply(answer)
        except Exception:
            log.exception("the strategy of queue %s did not answer", shown(due.queue))

    # The commands, as those of a router -------------------------------------------------------------------------------

    sign_in = _verb(Router.sign_in)
    sign_in_many = _verb(Router.sign_in_many)
    sign_out = _verb(Router.sign_out)
    set_presence = _verb(Router.set_presence)
    set_obligation = _verb(Router.set_obligation)
    update_agent = _verb(Router.update_agent)
    enqueue = _verb(Router.enqueue)
    enqueue_many = _verb(Router.enqueue_many)
    arrive = _verb(Router.arrive)
    note = _verb(Router.note)
    resolve = _verb(Router.resolve)
    erase = _verb(Router.erase)
    leave = _verb(Router.leave)
    cancel = _verb(Router.cancel)
    accept = _verb(Router.accept)
    decline = _verb(Router.decline)
    connect = _verb(Router.connect)
    fail_setup = _verb(Router.fail_setup)
    hold = _verb(Router.hold)
    resume = _verb(Router.resume)
    finish = _verb(Router.finish)
    release = _verb(Router.release)
    requeue = _verb(Router.requeue)
    park = _verb(Router.park)
    activate = _verb(Router.activate)
    update = _verb(Router.update)
    assign = _verb(Router.assign)
    occupy = _verb(Router.occupy)
    consult = _verb(Router.consult)
    take_over = _verb(Router.take_over)
    assist = _verb(Router.assist)
    call_back = _verb(Router.call_back)
    close_queue = _verb(Router.close_queue)
    open_queue = _verb(Router.open_queue)
    transfer = _verb(Router.transfer)
    change_plan = _verb(Router.change_plan)
    reconcile = _verb(Router.reconcile)
    extend = _verb(Router.extend)
