"""A router for several threads, as in a synchronous web host: commands one after the other, deadlines by a thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from omniroute import commands as c
from omniroute.errors import FencedError, MisuseError
from omniroute.events import Event
from omniroute.journal import Journaled, Store
from omniroute.live.driver import PAUSE_MS, Driver
from omniroute.live.verbs import command_of
from omniroute.plan import Plan
from omniroute.router import Router

__all__ = ["ThreadRouter"]

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("omniroute.live")
RETRY_S: Final = 1.0
"""Between two tries to read a journal that has failed, where no command comes that tries."""


def _verb(
    method: Callable[Concatenate[Router, int, P], list[Event]],
) -> Callable[Concatenate[ThreadRouter, P], list[Event]]:
    """A method of a router without its instant."""

    def call(self: ThreadRouter, /, *args: P.args, **kwargs: P.kwargs) -> list[Event]:
        return self.apply(command_of(method, *args, **kwargs))

    call.__doc__, call.__name__ = method.__doc__, method.__name__
    return call


class ThreadRouter:
    """A journalled router that any thread may give commands; they are applied one at a time, in the order they come.

    Every command is a method, as those of :class:`omniroute.Router` without ``now``: it returns the events when they
    are durable. Threads that wait for the disk at once share a commit. One thread of its own fires deadlines and calls
    ``listen`` with the events of every command and deadline, in their order; what it raises is logged, and it goes on.

    When the journal cannot be written, commands that were not told to be durable end in JournalError: they are in
    doubt. The router is made again from the journal, and ``listen`` hears what did happen.

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
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
    ) -> None:
        self._journaled = Journaled(store, plan)
        self._driver = Driver(self._journaled, self._told, clock=clock, pause_ms=pause_ms)
        self._listen = listen
        self._heard = self._journaled.told
        self._changed = threading.Condition()
        self._done: deque[Future[list[Event]]] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="omniroute-live", daemon=True)
        self._thread.start()

    def apply(self, command: c.Command, key: str | None = None) -> list[Event]:
        """Apply a command now; its events, when they are durable. See :meth:`omniroute.journal.Journaled.submit`."""
        with self._changed:
            if self._closed:
                raise MisuseError("the router is closed")
            if self._journaled.failed is not None:
                self._reload()
            done = self._driver.submit(command, key)
            self._changed.notify_all()  # another deadline may be next
        return done.result()

    def read(self, look: Callable[[Router], T]) -> T:
        """What ``look`` makes of the router, while nobody moves it. Raises JournalError while it is broken."""
        with self._changed:
            return look(self._journaled.router)

    def close(self) -> None:
        """Take nothing more, write what waits, tell it, and end. Closing twice does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._journaled.close()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, done: Future[list[Event]]) -> None:
        done.add_done_callback(self._released)

    def _released(self, done: Future[list[Event]]) -> None:
        self._done.append(done)
        with self._changed:
            self._changed.notify_all()

    def _reload(self) -> None:
        why = self._journaled.failed
        if isinstance(why, FencedError):
            raise why
        log.warning("the journal failed and is read again: %s", why)
        self._journaled.reload()
        missed: Future[list[Event]] = Future()
        missed.set_result(list(self._journaled.events(self._heard)))
        self._done.append(missed)

    def _run(self) -> None:
        """Fire deadlines, and tell what is durable."""
        while True:
            with self._changed:
                while not self._done and not self._closed:
                    wait_s = self._driver.wait_s()
                    if self._journaled.failed is not None:
                        self._mend()
                    elif wait_s == 0:
                        self._driver.tick()
                    else:
                        self._changed.wait(wait_s)
                if not self._done:
                    return
            self._tell(self._done.popleft())

    def _mend(self) -> None:
        """Read the journal again, or wait a little before the next try."""
        try:
            self._reload()
        except Exception:
            log.exception("the journal cannot be read again")
            self._changed.wait(RETRY_S)

    def _tell(self, done: Future[list[Event]]) -> None:
        if done.exception() is not None:
            return  # whoever gave the command is told
        events = [event for event in done.result() if event.seq > self._heard]
        if events:
            self._heard = events[-1].seq
            try:
                self._listen(events)
            except Exception:
                log.exception("a listener failed at event %s", events[0].seq)

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
