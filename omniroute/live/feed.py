"""Who listens to what happens: a bounded number of events waits for each, and whoever falls behind is told so."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, Self, TypeVar

from omniroute.errors import OmnirouteError
from omniroute.events import Event

__all__ = ["FellBehindError", "Subscription"]

E = TypeVar("E", bound=Event)


class FellBehindError(OmnirouteError):
    """A subscription had more waiting than it may. ``after`` is the last event it brought: go on from there."""

    word = "fell_behind"

    def __init__(self, after: int, backlog: int) -> None:
        self.after = after
        super().__init__(f"more than {backlog} events waited for this subscription; it ended behind event {after}")


class Subscription(Generic[E]):
    """Events in their order, from the moment it is made; an asynchronous iterator for one consumer.

    At most ``backlog`` events wait for it. Where one more comes, it brings those and raises :class:`FellBehindError`:
    nothing is left out silently, and nobody else waits for a slow consumer. It ends when the router is closed, and with
    ``with`` when its consumer has gone. Who lets go of it ends it too; held and not read, it goes on collecting.
    """

    def __init__(self, backlog: int, after: int) -> None:
        self._backlog = backlog
        self._waiting: deque[E] = deque()
        self._more = asyncio.Event()
        self._ended: BaseException | None = None
        self.after = after
        """The number of the last event that it brought, or that came before it."""

    def put(self, event: E) -> bool:
        """Let an event wait; whether the subscription goes on. O(1)."""
        if self._ended is not None:
            return False
        if len(self._waiting) == self._backlog:
            self.end(FellBehindError(self._waiting[-1].seq, self._backlog))
            return False
        self._waiting.append(event)
        self._more.set()
        return True

    def end(self, why: BaseException | None = None) -> None:
        """Bring what waits, and then nothing more; without ``why`` this is an ordinary end."""
        if self._ended is None:
            self._ended = why or StopAsyncIteration()
            self._more.set()

    def close(self) -> None:
        """Want nothing more: what waits is dropped. Closing twice does nothing."""
        self.end()
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Subscription[E]:
        return self

    async def several(self) -> list[E]:
        """All that wait, at least one; it waits for that, and raises at the end as the iteration does. O(events)."""
        events = [await anext(self), *self._waiting]
        self._waiting.clear()
        self.after = events[-1].seq
        return events

    async def __anext__(self) -> E:
        while not self._waiting:
            if self._ended is not None:
                raise self._ended
            self._more.clear()
            await self._more.wait()
        event = self._waiting.popleft()
        self.after = event.seq
        return event
