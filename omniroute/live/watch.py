"""Who looks on: the events of a service for metrics, logs and traces, and its board read from any thread.

None of this is in the way of a command. What looks on gets events when they are durable, and where it falls behind it
is told of the router as it is and goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Final, Protocol, runtime_checkable

from omniroute.errors import JournalError, MisuseError, OmnirouteError
from omniroute.events import Event, PlanChanged
from omniroute.journal import Journaled
from omniroute.live.aio import AsyncRouter
from omniroute.live.feed import FellBehindError
from omniroute.live.threads import ThreadRouter
from omniroute.router import Router
from omniroute.views import Board

__all__ = ["Observer", "board_of", "watch"]

READ_S: Final = 5.0
"""How long another thread waits for the event loop to look at its router."""

log = logging.getLogger("omniroute.live")


class Observer(Protocol):
    """Who hears of every event; with a method ``follow`` as well it is shown the router at the start and after a gap.

    What it raises is logged, and it is told the next events all the same.
    """

    def feed(self, events: Iterable[Event]) -> None:
        """Take events, in their order."""
        ...


@runtime_checkable
class Follower(Protocol):
    """An observer that has to know what lives already."""

    def follow(self, router: Router) -> None:
        """Look at the router."""
        ...


def board_of(
    router: Router | Journaled | ThreadRouter | AsyncRouter, *, clock: Callable[[], int] | None = None
) -> Callable[[], Board]:
    """Return what reads :meth:`omniroute.Router.board`, from any thread where the router may be read from any.

    That of an AsyncRouter is made on its loop; from another thread it waits for the loop, for READ_S at most, and then
    raises JournalError. Waits are those at ``clock()``, in ms, else at the last command.
    """
    now = (lambda: None) if clock is None else clock
    if isinstance(router, ThreadRouter):
        return lambda: router.read(lambda inner: inner.board(now()))
    if isinstance(router, AsyncRouter):
        return _on_its_loop(lambda: router.router.board(now()))
    if isinstance(router, Journaled):
        return lambda: router.router.board(now())
    return lambda: router.board(now())


def _on_its_loop(look: Callable[[], Board]) -> Callable[[], Board]:
    """The same, looked at on the loop that runs now."""
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def answer(done: Future[Board]) -> None:
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(look())
            except BaseException as error:
                done.set_exception(error)

    def board() -> Board:
        if threading.get_ident() == home:
            return look()
        done: Future[Board] = Future()
        try:
            loop.call_soon_threadsafe(answer, done)
            return done.result(READ_S)
        except (RuntimeError, TimeoutError) as error:
            done.cancel()
            raise JournalError(f"the loop of the router did not answer: {type(error).__name__}") from error

    return board


async def watch(router: AsyncRouter, *observers: Observer) -> None:
    """Feed observers with every event from now on, until the router is closed; to be run as a task.

    Where they fall behind, and where a plan changes, followers are shown the router and go on from there; what was
    missed is in no counter but that of missed events. O(observers) for each event, on the loop. Raises what has ended
    the router, where that was no ordinary end.
    """
    _show(router, observers)
    subscription = router.events()
    while True:
        try:
            events = await subscription.several()
        except StopAsyncIteration:
            return
        except FellBehindError as behind:
            log.warning("observers fell behind event %s and begin again", behind.after)
            try:
                subscription = router.events()
            except MisuseError:  # it was closed meanwhile
                return
            _show(router, observers)
            continue
        for observer in observers:
            try:
                observer.feed(events)
            except Exception:
                log.exception("an observer failed at event %s", events[0].seq)
        if any(type(event) is PlanChanged for event in events):
            _show(router, observers)


def _show(router: AsyncRouter, observers: Iterable[Observer]) -> None:
    for observer in observers:
        if isinstance(observer, Follower):
            try:
                observer.follow(router.router)
            except OmnirouteError as error:  # it is being made again: what lives is learnt from events
                log.debug("the router could not be shown: %s", error)
