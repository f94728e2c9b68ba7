"""A router for several threads, as in a synchronous web host: commands one after the other, deadlines by a thread."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

from omniroute import commands as c
from omniroute.commands import Revise
from omniroute.errors import FencedError, JournalError, MisuseError
from omniroute.events import Event
from omniroute.journal import Journaled, Store
from omniroute.live.answers import Answerer, Answers
from omniroute.live.driver import PAUSE_MS, RETRY_S, Driver
from omniroute.live.verbs import Verbs
from omniroute.model import shown
from omniroute.plan import Plan
from omniroute.router import Router

__all__ = ["ThreadRouter"]

T = TypeVar("T")
log = logging.getLogger("omniroute.live")


class ThreadRouter(Verbs[list[Event]]):
    """A journalled router that any thread may give commands; they are applied one at a time, in the order they come.

    Every command is a method, as those of :class:`omniroute.Router` without ``now``: it returns the events when they
    are durable. Threads that wait for the disk at once share a commit. One thread of its own fires deadlines and calls
    ``listen`` with the events of every command and deadline, in their order; what it raises is logged, and it goes on.

    When the journal cannot be written, commands that were not told to be durable end in JournalError: they are in
    doubt. The router is made again from the journal, and ``listen`` hears what did happen.

    A consumer that keeps the number of the last event that it has taken gives it as ``after``: ``listen`` then first
    hears what came behind it, maybe before this call has returned. Raises MisuseError where that is forgotten, or was
    never told.

    >>> from omniroute import Agent, Plan, Queue
    >>> from omniroute.journal import MemoryStore
    >>> heard = []
    >>> plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    >>> with ThreadRouter(MemoryStore(), plan, listen=heard.extend) as router:
    ...     told = router.sign_in("ana")
    ...     told = router.enqueue("call-1", "sales")
    >>> [type(event).__name__ for event in heard]
    ['PresenceChanged', 'Queued', 'Offered']
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        *,
        listen: Callable[[list[Event]], object],
        after: int | None = None,
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
        answerer: Answerer | None = None,
    ) -> None:
        self._journaled = Journaled(store, plan)
        self._driver = Driver(self._journaled, self._taken, clock=clock, pause_ms=pause_ms)
        self._listen = listen
        self._answers = Answers(answerer)
        self._heard = self._journaled.told
        self._failing = False
        """The journal failed, and could not be read again yet."""
        self._lock = threading.RLock()
        self._done: queue.SimpleQueue[Future[list[Event]] | None] = queue.SimpleQueue()
        """What has ended, in order; None: look again, for a deadline is sooner or this is closed."""
        self._until: int | None = None
        """The deadline that the thread waits for."""
        self._closed = False
        if after is not None:
            self._begin_behind(after)
        self._thread = threading.Thread(target=self._run, name="omniroute-live", daemon=True)
        self._thread.start()

    def apply(self, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command now; its events, when they are durable. See :meth:`omniroute.journal.Journaled.submit`."""
        with self._lock:
            if self._closed:
                raise MisuseError("the router is closed")
            if self._journaled.failed is not None:
                self._reload()
            done = self._taken(self._driver.take(command, key))
            due = self._driver.due
            if due is not None and (self._until is None or due < self._until):
                self._until = due
                self._done.put(None)
        return done.result()

    def read(self, look: Callable[[Router], T]) -> T:
        """What ``look`` makes of the router, while nobody moves it. Raises JournalError while it is broken."""
        with self._lock:
            return look(self._journaled.router)

    def since(self, after: int) -> list[Event]:
        """What happened behind event number ``after``, read from the journal: for who was away.

        Raises as :meth:`omniroute.journal.Journaled.events`, and costs as much.
        """
        return list(self._journaled.events(after))

    def close(self) -> None:
        """Take nothing more, write what waits, tell it, and end. Closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._journaled.close()
        self._done.put(None)
        self._thread.join()
        self._answers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _taken(self, events: list[Event]) -> Future[list[Event]]:
        """Hand over what was taken; whoever ends it takes no lock of this router."""
        done = self._journaled.hand_over(events)
        done.add_done_callback(self._done.put)
        return done

    def _reload(self) -> None:
        """Make the router again. It is tried often while a disk is full, and said once."""
        why, first = self._journaled.failed, not self._failing
        self._failing = True
        if first:
            log.warning("the journal failed and is read again: %s", why)
        try:
            if isinstance(why, FencedError):
                raise why
            self._journaled.reload()
        except JournalError as error:
            if first:
                log.error("the journal cannot be read again, which is tried every %g s: %s", RETRY_S, error)
            raise
        self._failing = False
        if not first:
            log.warning("the journal has been read again")
        self._miss()

    def _begin_behind(self, after: int) -> None:
        """Let ``listen`` hear first what a consumer has not taken yet."""
        try:
            if after > self._heard:
                raise MisuseError(f"after is {shown(after)}, and the last event is {self._heard}: of another journal?")
            self._heard = after
            self._miss()
        except BaseException:
            self._journaled.close()
            raise

    def _miss(self) -> None:
        missed: Future[list[Event]] = Future()
        missed.set_result(self.since(self._heard))
        self._done.put(missed)

    def _run(self) -> None:
        """Fire deadlines, and tell what is durable."""
        while True:
            with self._lock:
                wait_s = None if self._closed else self._look()
            try:
                done = self._done.get(timeout=wait_s)
                while done is not None:
                    self._tell(done)
                    done = self._done.get_nowait()
            except queue.Empty:
                continue
            if self._closed and self._done.empty():
                return

    def _look(self) -> float | None:
        """Do what is due, and say for how many seconds nothing is."""
        if self._journaled.failed is not None:
            try:
                self._reload()
            except JournalError:  # has been said, and is no defect that needs a traceback
                return RETRY_S
            except Exception:
                log.exception("the journal cannot be read again")
                return RETRY_S
        self._driver.tick()
        wait_ms = self._driver.wait_ms
        self._until = self._driver.due
        return None if wait_ms is None else wait_ms / 1_000

    def _tell(self, done: Future[list[Event]]) -> None:
        if done.exception() is not None:
            return  # whoever gave the command is told
        events = [event for event in done.result() if event.seq > self._heard]
        if events:
            self._heard = events[-1].seq
            with self._lock:
                questions = self._answers.hear(self._journaled, events)
            for question in questions:
                self._answers.think(question).add_done_callback(self._answer)
            try:
                self._listen(events)
            except Exception:
                log.exception("a listener failed at event %s", events[0].seq)

    def _answer(self, done: Future[Revise | None]) -> None:
        """Give the router what was thought on the worker, if anything; there, so that nobody else waits for it."""
        command = None if done.cancelled() else done.result()
        if command is not None:
            try:
                self.apply(command)
            except MisuseError:
                log.debug("an answer came when the router was closed")
            except Exception:
                log.exception("the answer of queue %s did not arrive", shown(command.queue))
