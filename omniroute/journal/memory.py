"""A journal that survives nothing: for tests of a host, and for hosts that want keys and cursors without a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from omniroute.errors import DamagedError, FencedError, JournalError
from omniroute.journal.port import SNAPSHOTS_KEPT, Durability, Held, Made, Result

__all__ = ["MemoryStore"]


class MemoryStore:
    """The port over a list. Each call costs O(what it is given)."""

    def __init__(self, source: str = "memory") -> None:
        self.source = source
        self._entries: list[bytes] = []
        self._before = 0
        self._snapshots: list[tuple[int, bytes]] = []
        self._epoch = 0
        self._held = False

    @property
    def durability(self) -> Durability:
        """It is gone with the process."""
        return "memory"

    @property
    def _head(self) -> int:
        return self._before + len(self._entries)

    def acquire(self) -> Held:
        """Hold it; who held it before is fenced."""
        self._epoch += 1
        self._held = True
        return Held(epoch=self._epoch, head=self._head, first=self._before + 1)

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Result) -> Future[Result]:
        """Take entries at once; see the port."""
        done: Future[Result] = Future()
        error = self._refusal(epoch)
        if error is None and first != self._head + 1:
            error = JournalError(f"record {first} does not follow record {self._head}", source=self.source)
        if error is None:
            self._entries += entries
            done.set_result(result)
        else:
            done.set_exception(error)
        return done

    def _refusal(self, epoch: int) -> JournalError | None:
        if not self._held:
            return JournalError("is closed", source=self.source)
        if epoch != self._epoch:
            return FencedError(f"is held by epoch {self._epoch}, and this is epoch {epoch}", source=self.source)
        return None

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The entries behind a sequence; see the port."""
        if after < self._before:
            raise DamagedError("is not there", source=self.source, sequence=after + 1)
        yield from enumerate(self._entries[after - self._before :], after + 1)

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep a snapshot; see the port."""
        return self._kept(epoch, sequence, snapshot, SNAPSHOTS_KEPT)

    def forget(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep a snapshot alone; see the port."""
        return self._kept(epoch, sequence, snapshot, 1)

    def _kept(self, epoch: int, sequence: int, snapshot: Made, kept: int) -> Future[None]:
        done: Future[None] = Future()
        error: Exception | None = self._refusal(epoch)
        if error is None and not self._before <= sequence <= self._head:
            error = JournalError(f"there is no record {sequence} to keep a snapshot of", source=self.source)
        made = b""
        if error is None:
            try:
                made = snapshot()
            except Exception as raised:  # whoever waits for the future is told
                error = raised
        if error is None:
            others = [there for there in self._snapshots if there[0] != sequence] if kept > 1 else []
            self._snapshots = sorted([*others, (sequence, made)])[-kept:]
            if len(self._snapshots) == kept:
                oldest = self._snapshots[0][0]
                del self._entries[: max(0, oldest - self._before)]
                self._before = max(self._before, oldest)
            done.set_result(None)
        else:
            done.set_exception(error)
        return done

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """The snapshots, the last one first."""
        return iter(self._snapshots[::-1])

    def close(self) -> None:
        """Let go of it; it can be acquired again in this process."""
        self._held = False
