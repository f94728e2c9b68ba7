"""The driver: it brings the time to a journalled router, and more time to its agents where they could not be heard.

It starts no thread and waits for nothing. Whoever owns it (an event loop, a thread) calls :meth:`Driver.tick` when
:meth:`Driver.wait_s` has passed, and hears of events from the futures.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from omniroute import commands as c
from omniroute.core.limits import OPENS_MAX
from omniroute.errors import JournalError
from omniroute.events import Event
from omniroute.journal import Journaled
from omniroute.live.clock import WallClock

__all__ = ["PAUSE_MS", "Driver"]

PAUSE_MS: Final = 5_000
"""A deadline that is found due later than this was slept through."""


class Driver:
    """A journalled router that is told the time by a clock: ``now`` is the greater of it and the last command's.

    When a deadline is found to be due for more than ``pause_ms``, the process has been standing still (suspended,
    stopped, starved) and nobody could answer: then live offers and set-ups first get as much more time and ``pause_ms``
    besides, as a command of its own, so that not everybody is taken for absent at once. O(1) more than the router.

    ``told`` gets every future, those of deadlines as well, in the order in which they end.

    >>> from omniroute import Agent, Plan, Queue, commands
    >>> from omniroute.journal import Journaled, MemoryStore
    >>> from omniroute import Agent, Plan, Queue, commands
    >>> from omniroute.journal import Journaled, MemoryStore
    >>> clock, heard = [0], []
    >>> plan = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana")])
    >>> driver = Driver(Journaled(MemoryStore(), plan), heard.append, clock=lambda: clock[0])
    >>> for command in (commands.SignIn("ana"), commands.Enqueue("call-1", "sales")):
    ...     told = driver.submit(command)
    >>> clock[0] = 90_000
    >>> driver.tick()
    >>> heard[-1].result(), driver.wait_s()
    ([Extended(seq=4, at=0, by_ms=75000, count=1)], 5.0)
    """

    def __init__(
        self,
        journaled: Journaled,
        told: Callable[[Future[list[Event]]], object],
        *,
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
    ) -> None:
        self.journaled = journaled
        self._told = told
        self._clock = clock or WallClock()
        self._pause_ms = pause_ms

    def now(self) -> int:
        """The present in ms: that of the clock, or of the last command where that is later."""
        return max(self.journaled.router.now, self._clock())

    def wait_s(self) -> float | None:
        """Seconds until the next deadline, 0 where it is due; None without one, or while the journal has failed."""
        try:
            due = self.journaled.router.next_deadline()
            return None if due is None else max(0, due - self.now()) / 1_000
        except JournalError:
            return None

    def submit(self, command: c.Command, key: str | None = None) -> Future[list[Event]]:
        """Give the router a command now; the future ends with its events when they are durable. Raises as it does."""
        now = self.now()
        self._extend(now)
        done = self.journaled.submit(now, command, key)
        self._told(done)
        return done

    def tick(self) -> None:
        """Fire the deadlines that are due; while the journal has failed, none."""
        with suppress(JournalError):
            now = self.now()
            self._extend(now)
            due = self.journaled.router.next_deadline()
            if due is not None and due <= now:
                self._told(self.journaled.submit_tick(now))

    def _extend(self, now: int) -> None:
        router = self.journaled.router
        due = router.next_deadline()
        if due is not None and now - due > self._pause_ms:
            more = min(now - due + self._pause_ms, OPENS_MAX)
            self._told(self.journaled.submit(router.now, c.Extend(more)))
