"""Stores that fail when they are told to, around one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from omniroute.errors import JournalError
from omniroute.journal import Held, Store
from omniroute.journal.port import Durability, Made


class Faulty:
    """Fails at the append or the snapshot number ``at``, before it is written or (``late``) after; then at all."""

    def __init__(self, store: Store, at: int = -1, *, late: bool = False) -> None:
        self.store = store
        self.left = at
        self.late = late
        self.broken = False

    @property
    def source(self) -> str:
        """That of the store inside."""
        return self.store.source

    @property
    def durability(self) -> Durability:
        """That of the store inside."""
        return self.store.durability

    def acquire(self) -> Held:
        """Works again."""
        self.broken = False
        return self.store.acquire()

    def _failing(self, work: Future[Any] | None) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(JournalError("disk full", source=self.source))
        self.broken = True
        if work is not None:
            work.result()
        return future

    def _turn(self) -> bool:
        self.left -= 1
        return self.left == -1

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, or fail."""
        if self.broken:
            return self._failing(None)
        if self._turn():
            return self._failing(self.store.append(epoch, first, entries, None) if self.late else None)
        return self.store.append(epoch, first, entries, result)

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[Any]:
        """Keep, or fail."""
        return self._kept(self.store.keep, epoch, sequence, snapshot)

    def forget(self, epoch: int, sequence: int, snapshot: Made) -> Future[Any]:
        """Keep alone, or fail."""
        return self._kept(self.store.forget, epoch, sequence, snapshot)

    def _kept(self, keep: Callable[..., Future[Any]], *given: Any) -> Future[Any]:
        if self.broken:
            return self._failing(None)
        if self._turn():
            return self._failing(keep(*given) if self.late else None)
        return keep(*given)

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """As inside."""
        return self.store.read(after)

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """As inside."""
        return self.store.snapshots()

    def close(self) -> None:
        """As inside."""
        self.store.close()


class Slow(Faulty):
    """Writes at once, and says so only when :meth:`finish` is called."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.waiting: list[tuple[Future[Any], Any]] = []
        self.slow = False

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, and keep quiet about it."""
        self.store.append(epoch, first, entries, None).result()
        future: Future[Any] = Future()
        if self.slow:
            self.waiting.append((future, result))
        else:
            future.set_result(result)
        return future

    def finish(self, error: JournalError | None = None) -> None:
        """Say that everything is durable, or that it is not known."""
        for future, result in self.waiting:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self.waiting.clear()
