"""The driver: it brings the time to a journalled router, and more time to its agents where they could not be heard.

It starts no thread and waits for nothing. Whoever owns it (an event loop, a thread) calls :meth:`Driver.tick` when
:attr:`Driver.wait_ms` have passed, and hands over what was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from omniroute import commands as c
from omniroute.core.limits import OPENS_MAX
from omniroute.errors import JournalError
from omniroute.events import Event
from omniroute.journal import Journaled
from omniroute.live.clock import WallClock
from omniroute.router import Router

__all__ = ["PAUSE_MS", "RETRY_S", "Driver"]

PAUSE_MS: Final = 5_000
"""A deadline that is found due later than this was slept through."""
RETRY_S: Final = 1.0
"""Between two tries to read a journal that has failed."""


class Driver:
    """A journalled router that is told the time by a clock: ``now`` is the greater of it and the last command's.

    When a deadline is found to be due for more than ``pause_ms``, the process has been standing still (suspended,
    stopped, starved) and nobody could answer: then live offers and set-ups first get as much more time and ``pause_ms``
    besides, as a command of its own, so that not everybody is taken for absent at once. O(1) more than the router.

    What happens is taken, and not handed over: its owner does that, for many commands at once
    (:meth:`omniroute.journal.Journaled.hand_over`). ``told`` gets the events of what the driver does by itself.

    >>> from omniroute import Agent, Plan, Queue, commands
    >>> from omniroute.journal import Journaled, MemoryStore
    >>> clock, heard = [0], []
    >>> plan = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana")])
    >>> driver = Driver(Journaled(MemoryStore(), plan), heard.append, clock=lambda: clock[0])
    >>> for command in (commands.SignIn("ana"), commands.Enqueue("call-1", "sales")):
    ...     told = driver.take(command)
    >>> clock[0] = 90_000
    >>> driver.tick()
    >>> heard[-1], driver.wait_ms
    ([Extended(seq=4, at=0, by_ms=75000, count=1)], 5000)
    """

    def __init__(
        self,
        journaled: Journaled,
        told: Callable[[list[Event]], object],
        *,
        clock: Callable[[], int] | None = None,
        pause_ms: int = PAUSE_MS,
    ) -> None:
        self.journaled = journaled
        self._told = told
        self._clock = clock or WallClock()
        self._pause_ms = pause_ms
        self.wait_ms: int | None = None
        """Milliseconds from the last command or tick to the next deadline, None without one."""
        self.due: int | None = None
        """That deadline, in ms."""

    def take(self, command: c.Command, key: str | None = None) -> list[Event]:
        """Give the router a command now; its events. See :meth:`omniroute.journal.Journaled.take`."""
        router = self.journaled.router
        now = self._moved(router)
        events = self.journaled.take(now, command, key)
        self._left(router, now)
        return events

    def tick(self) -> None:
        """Fire the deadlines that are due, and look when the next one is; while the journal has failed, none."""
        self.wait_ms = self.due = None
        with suppress(JournalError):
            router = self.journaled.router
            now = self._moved(router)
            due = router.next_deadline()
            if due is not None and due <= now:
                self._told(self.journaled.take_tick(now))
            self._left(router, now)

    def _moved(self, router: Router) -> int:
        """The present; after a pause there is more time first."""
        now, due = self._clock(), router.next_deadline()
        if now < router.now:
            now = router.now
        if due is not None and now - due > self._pause_ms:
            more = min(now - due + self._pause_ms, OPENS_MAX)
            self._told(self.journaled.take(router.now, c.Extend(more)))
        return now

    def _left(self, router: Router, now: int) -> None:
        self.due = due = router.next_deadline()
        self.wait_ms = None if due is None else due - now if due > now else 0
