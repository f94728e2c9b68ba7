"""A router in an event loop: commands are awaited, events are iterated, deadlines fire by themselves.

Nothing here waits for the disk, and nothing thinks for long on the loop: the journal is written by a thread of its own,
and strategies that are asked again answer on a worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Final, Self, TypeAlias, TypeVar
from weakref import ReferenceType, ref

from omniroute import commands as c
from omniroute.errors import DamagedError, FencedError, JournalError, MisuseError
from omniroute.events import Abandoned, Cancelled, Event, Offered, Released
from omniroute.journal import Journaled, Store
from omniroute.live.answers import Answerer, Answers
from omniroute.live.driver import PAUSE_MS, RETRY_S, Driver
from omniroute.live.feed import Subscription
from omniroute.live.verbs import Verbs
from omniroute.model import shown
from omniroute.plan import Plan
from omniroute.router import Router
from omniroute.strategies.protocol import Question

__all__ = ["BACKLOG", "IN_FLIGHT", "AsyncRouter", "Settled"]

BACKLOG: Final = 10_000
"""Events that may wait for one subscription."""
IN_FLIGHT: Final = 10_000
"""Commands that may wait for the disk; those behind them wait for their turn."""
AT_ONCE: Final = 32
"""Commands whose events are told before the loop may do something else."""
CLOCKS_DIFFER_S: Final = 0.001
"""By how much a deadline is late at most because a timer that is there already is kept."""
SETTLES: Final = frozenset((Released, Abandoned, Cancelled))

E = TypeVar("E", bound=Event)
Settled: TypeAlias = Released | Abandoned | Cancelled
"""How an interaction is over."""
Waiter: TypeAlias = "asyncio.Future[list[Event]]"
Taken: TypeAlias = "tuple[list[Event], Waiter | None]"
"""What happened, and who waits for it."""

log = logging.getLogger("omniroute.live")


Listeners: TypeAlias = "list[ReferenceType[Subscription[Any]]]"
"""Subscriptions, for as long as somebody holds them."""


def _put(event: Event, listeners: Listeners) -> Listeners:
    """Put an event before those who listen; those who go on. O(listeners)."""
    return [one for one in listeners if (listener := one()) is not None and listener.put(event)]


def _put_by(listening: dict[str, Listeners], agent: str, event: Event) -> None:
    """Put an event before those who listen to an agent. O(listeners)."""
    listeners = listening.get(agent)
    if listeners is not None:
        listening[agent] = _put(event, listeners)
        if not listening[agent]:
            del listening[agent]


def _let_go(opened: asyncio.Future[Journaled]) -> None:
    """Close a journal that nobody waited for, on a worker."""
    if not opened.cancelled() and opened.exception() is None:
        opened.get_loop().run_in_executor(None, opened.result().close)


class AsyncRouter(Verbs[Awaitable[list[Event]]]):
    """A journalled router for coroutines of one event loop; made by :meth:`open`.

    Every command is a method, as those of :class:`omniroute.Router` without ``now``: it returns the events when they
    are durable. Commands are applied in the order in which they are awaited. A coroutine that is cancelled while it
    waits gives up the answer, not the command. Everybody who listens gets the events of all commands, in their order.

    When the journal cannot be written, commands that were not told to be durable end in JournalError: they are in
    doubt. The router is made again from the journal, listeners are told what did happen, and it goes on; a command that
    is given again with the same ``key`` happens once. Where it cannot be read either, commands end in JournalError as
    well, and it is tried again each second. A journal that is damaged, or held by somebody else, ends all.

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
        answerer: Answerer | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._journaled = journaled
        self._driver = Driver(journaled, self._gather, clock=clock, pause_ms=pause_ms)
        self._backlog = backlog
        self._in_flight = in_flight
        self._given = 0
        """Commands that are not answered yet."""
        self._behind = 0
        """Commands that wait for their turn."""
        self._line = asyncio.Lock()
        self._room = asyncio.Event()
        self._heard = journaled.told
        self._group: list[Taken] = []
        """What goes into the next append."""
        self._flying: deque[list[Taken]] = deque()
        """What has been appended, each with those it shares an append with; the first of them ends first."""
        self._durable: deque[Taken] = deque()
        """What is to be told."""
        self._telling = False
        self._subscriptions: Listeners = []
        self._offers: dict[str, Listeners] = {}
        self._about: dict[str, Listeners] = {}
        self._settling: dict[str, list[asyncio.Future[Settled]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._answers = Answers(answerer)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ready.set()
        self._trouble: JournalError | None = None
        """Why the journal could not be read again; until the timer tries once more, commands are told so."""
        self._closed: BaseException | None = None
        self._tick()

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
        answerer: Answerer | None = None,
    ) -> Self:
        """A router with its journal, made or recovered on a worker. Raises as :class:`omniroute.journal.Journaled`.

        ``answerer`` hears all events on the loop, and its questions are answered on a worker. Where opening is
        cancelled, the journal is let go of as soon as it is open.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, Journaled, store, plan)
        try:
            journaled = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_let_go)
            raise
        return cls(journaled, clock=clock, pause_ms=pause_ms, backlog=backlog, in_flight=in_flight, answerer=answerer)

    async def aclose(self) -> None:
        """Take nothing more, write what waits, tell it, and end. Closing twice does nothing."""
        if self._closed is None:
            self._closed = MisuseError("the router is closed")
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks - {self._reloading}:
                task.cancel()
            self._flush()
            try:
                if self._reloading is not None:  # it would open again what is closed here
                    await asyncio.wait([self._reloading])
                await asyncio.to_thread(self._journaled.close)
            finally:
                while self._durable:
                    self._tell()
                self._end(None)
        self._answers.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Commands ---------------------------------------------------------------------------------------------------------

    async def apply(self, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command now; its events, when they are durable. See :meth:`omniroute.journal.Journaled.submit`."""
        if (
            self._behind
            or self._given >= self._in_flight
            or self._closed is not None
            or not self._ready.is_set()
            or self._journaled.failed is not None
        ):
            await self._turn()
        try:
            events = self._driver.take(command, key)
        except BaseException:
            self._look()
            raise
        waiter: Waiter = self._loop.create_future()
        self._given += 1
        self._gather(events, waiter)
        self._arm()
        return await waiter

    async def _turn(self) -> None:
        """Wait behind those who wait already until there is room, and the router is sound. Raises as it does."""
        self._behind += 1
        try:
            async with self._line:
                await self._sound()
                while self._given >= self._in_flight:
                    self._room.clear()
                    await self._room.wait()
                    await self._sound()
        finally:
            self._behind -= 1

    async def _sound(self) -> None:
        """Wait while the router is made again. Raises why that failed, or what the router was closed for."""
        while self._closed is None:
            if self._trouble is not None and self._ready.is_set():  # a new one each time: raising adds to an old one
                raise JournalError(self._trouble.message, source=self._trouble.source)
            self._look()
            if self._ready.is_set():
                return
            await self._ready.wait()
        raise self._closed

    # Listening --------------------------------------------------------------------------------------------------------

    @property
    def router(self) -> Router:
        """The router, to be read. Raises JournalError while it is made again."""
        return self._journaled.router

    def events(self, agent: str | None = None) -> Subscription[Event]:
        """All events from now on, or those that name an agent; what names others costs nothing then.

        A subscription that nobody holds any more is forgotten.
        """
        made = Subscription[Event](self._backlog, self._heard)
        return self._subscribed(made, self._subscriptions if agent is None else self._about.setdefault(agent, []))

    def offers(self, agent: str) -> Subscription[Offered]:
        """Offers to an agent from now on; what is offered to others costs nothing."""
        return self._subscribed(Subscription(self._backlog, self._heard), self._offers.setdefault(agent, []))

    def _subscribed(self, made: Subscription[E], beside: Listeners) -> Subscription[E]:
        if self._closed is not None:
            raise self._closed
        beside.append(ref(made))
        return made

    async def since(self, after: int) -> list[Event]:
        """What happened behind event number ``after``, read from the journal on a worker: for who was away.

        Raises as :meth:`omniroute.journal.Journaled.events`, and costs as much.
        """
        await self._sound()
        return await asyncio.to_thread(self._journaled_since, after)

    async def settled(self, interaction: str) -> Settled:
        """How a live interaction ends: released, abandoned or cancelled. Raises UnknownNameError for no live one."""
        if interaction not in self._settling:
            self.router.interaction(interaction)
        waiter: asyncio.Future[Settled] = self._loop.create_future()
        self._settling.setdefault(interaction, []).append(waiter)
        return await waiter

    # What the writer of the journal and the clock bring ---------------------------------------------------------------

    def _gather(self, events: list[Event], waiter: Waiter | None = None) -> None:
        """Let what was taken go into the next append: at the end of this turn of the loop, or when the last landed."""
        if not self._group and not self._flying:
            self._loop.call_soon(self._flush)
        self._group.append((events, waiter))

    def _flush(self) -> None:
        """Hand over everything that was taken."""
        group, self._group = self._group, []
        if not group:
            return
        try:
            done = self._journaled.hand_over(None)
        except Exception as error:
            self._refuse(group, error)
            self._failed()
        else:
            self._flying.append(group)
            done.add_done_callback(self._landed)

    def _landed(self, done: Future[None]) -> None:
        """Called by the thread that writes: hand over to the loop."""
        try:
            self._loop.call_soon_threadsafe(self._land, done)
        except RuntimeError:  # the loop is closed: nobody listens any more
            log.debug("commands ended behind the end of their loop")

    def _land(self, done: Future[None]) -> None:
        """The first append on its way has ended: tell it, or the reason; and let the next one go."""
        group, error = self._flying.popleft(), done.exception()
        if error is None:
            self._durable.extend(group)
            if not self._telling:
                self._tell()
        else:
            self._refuse(group, error)
            self._failed()
        if self._group and not self._flying:
            self._flush()

    def _tell(self) -> None:
        """Tell everybody what has become durable, and answer who waits for it; many of them in several turns."""
        for _ in range(min(AT_ONCE, len(self._durable))):
            events, waiter = self._durable.popleft()
            self._publish(events)
            if waiter is not None:
                self._given -= 1
                if not waiter.done():  # else it was cancelled: the command holds all the same
                    waiter.set_result(events)
        self._room.set()
        self._telling = bool(self._durable)
        if self._telling:
            self._loop.call_soon(self._tell)

    def _refuse(self, group: Iterable[Taken], error: BaseException) -> None:
        for _, waiter in group:
            if waiter is not None:
                self._given -= 1
                if not waiter.done():
                    waiter.set_exception(error)
        self._room.set()

    def _publish(self, events: list[Event]) -> None:
        """Tell listeners what they have not heard yet: the answer to a command that came again they have."""
        if events and events[0].seq <= self._heard:
            events = [event for event in events if event.seq > self._heard]
        for event in events:
            self._heard, kind = event.seq, type(event)
            if self._subscriptions:
                self._subscriptions = _put(event, self._subscriptions)
            if self._about and (agent := getattr(event, "agent", None)) is not None:
                _put_by(self._about, agent, event)
            if kind is Offered:
                _put_by(self._offers, event.agent, event)  # type: ignore[union-attr, arg-type]
            elif kind in SETTLES:
                self._ended(event)  # type: ignore[arg-type]
        for question in self._answers.hear(self._journaled, events):
            self._spawn(self._answer(question))

    def _ended(self, event: Settled) -> None:
        for waiter in self._settling.pop(event.interaction, ()):
            if not waiter.done():
                waiter.set_result(event)

    def _arm(self) -> None:
        """One timer, never later than the next deadline; where that has moved away, the timer finds nothing to do."""
        wait_ms = self._driver.wait_ms
        if wait_ms is None:
            return
        when = self._loop.time() + wait_ms / 1_000
        if self._timer is not None:
            if self._timer.when() <= when + CLOCKS_DIFFER_S:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._look()
        if self._ready.is_set():  # else it comes again when the router has been made again
            self._driver.tick()
            if self._journaled.failed is not None:  # maybe nobody else comes for a while
                self._failed()
            self._arm()

    # When something goes wrong ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self._ready.is_set() and self._journaled.failed is not None:
            self._failed()

    def _failed(self) -> None:
        """The journal refuses: make the router again, once, while commands wait."""
        if self._closed is not None or not self._ready.is_set():
            return
        self._ready.clear()
        self._flush()
        why = self._journaled.failed
        if isinstance(why, FencedError):
            self._end(why)
        else:
            if self._trouble is None:
                log.warning("the journal failed and is read again: %s", why)
            self._reloading = self._spawn(self._reload())

    async def _reload(self) -> None:
        try:
            await asyncio.to_thread(self._journaled.reload)
            missed = await asyncio.to_thread(self._journaled_since, self._heard)
        except (DamagedError, FencedError) as error:
            log.error("the router has ended: %s", error)
            self._end(error)
            return
        except JournalError as error:
            self._try_later(error)
            return
        except Exception as error:
            self._end(error)
            raise
        if self._trouble is not None:
            log.warning("the journal has been read again")
            self._trouble = None
        self._publish(missed)
        self._ready.set()
        self._tick()

    def _try_later(self, error: JournalError) -> None:
        """The disk is still full, or not there: who waits is told, and nobody has to open the router anew."""
        if self._closed is not None:
            return
        if self._trouble is None:
            log.error("the journal cannot be read again, which is tried every %g s: %s", RETRY_S, error)
        self._trouble = error
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(RETRY_S, self._tick)
        self._ready.set()

    def _journaled_since(self, after: int) -> list[Event]:
        return list(self._journaled.events(after))

    def _end(self, why: BaseException | None) -> None:
        """Nothing comes any more: tell everybody who waits."""
        if why is not None:
            self._closed = why
        error = why or MisuseError("the router was closed")
        for group in (self._group, *self._flying, self._durable):
            self._refuse(group, error)
        self._group = []
        for waiter in (one for some in self._settling.values() for one in some):
            if not waiter.done():
                waiter.set_exception(error)
        self._settling.clear()
        by_agent = (one for some in (*self._offers.values(), *self._about.values()) for one in some)
        for listener in (*self._subscriptions, *by_agent):
            subscription = listener()
            if subscription is not None:
                subscription.end(why)
        self._subscriptions, self._offers, self._about = [], {}, {}
        self._ready.set()

    # Strategies that are asked again ----------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, question: Question) -> None:
        """Give the router what was thought on the worker, if anything."""
        command = await asyncio.wrap_future(self._answers.think(question))
        if command is not None:
            try:
                await self.apply(command)
            except Exception:
                log.exception("the answer of queue %s did not arrive", shown(question.queue))
