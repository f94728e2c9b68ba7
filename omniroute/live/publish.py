"""The board of a service as a file that another process may read: written whole, put in place at once, every second.

A journal cannot be read while it is written, because its writer holds it alone. A board is small, is no part of
anything that has to be kept, and names nobody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from omniroute.checks import Duration, milliseconds
from omniroute.errors import OmnirouteError
from omniroute.insight.tally import Tally
from omniroute.insight.wallboard import encode, wallboard
from omniroute.live.aio import AsyncRouter
from omniroute.live.clock import WallClock
from omniroute.live.threads import ThreadRouter
from omniroute.live.watch import board_of

__all__ = ["EVERY", "publish", "publishing", "write"]

EVERY: Final = "1s"
"""How often a board is written."""

log = logging.getLogger("omniroute.live")


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Put a file in its place whole or not at all; only its owner may read it. Raises OSError.

    It is not flushed to the disk: after a loss of power the old one may be there, or none.
    """
    place = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(place)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class _Writer:
    """Writes boards, and says so once where it cannot."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._why = ""

    def __call__(self, data: bytes) -> None:
        try:
            write(self.path, data)
            self._why = ""
        except OSError as error:
            if self._why != str(error):
                self._why = str(error)
                log.warning("the board cannot be written: %s", error)


async def publish(
    router: AsyncRouter,
    path: str | os.PathLike[str],
    tally: Tally | None = None,
    *,
    every: Duration = EVERY,
    clock: Callable[[], int] | None = None,
) -> None:
    """Write the board of a router to a file again and again, until cancelled; to be run as a task.

    The loop stands still while the board is counted, which costs :meth:`omniroute.Router.board`; the file is written on
    another thread. While the router is made again nothing is written. ``clock`` is that of the router.
    """
    pause_s, board = milliseconds(every, "every") / 1_000, board_of(router, clock=clock or WallClock())
    writer = _Writer(path)
    while True:
        try:
            data = encode(wallboard(board(), tally))
        except OmnirouteError as error:
            log.debug("there is no board: %s", error)
        else:
            await asyncio.to_thread(writer, data)
        await asyncio.sleep(pause_s)


@contextmanager
def publishing(
    router: ThreadRouter,
    path: str | os.PathLike[str],
    tally: Tally | None = None,
    *,
    every: Duration = EVERY,
    clock: Callable[[], int] | None = None,
) -> Iterator[None]:
    """As :func:`publish`, on a thread of its own, as long as the context lasts; commands wait while it counts."""
    pause_s, board = milliseconds(every, "every") / 1_000, board_of(router, clock=clock or WallClock())
    writer, ended = _Writer(path), threading.Event()

    def run() -> None:
        while True:
            try:
                writer(encode(wallboard(board(), tally)))
            except OmnirouteError as error:
                log.debug("there is no board: %s", error)
            if ended.wait(pause_s):
                return

    thread = threading.Thread(target=run, name="omniroute-board", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
