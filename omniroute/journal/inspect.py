"""A journal file looked at from outside: verified, listed and cut, on a copy, so that nothing is lost by looking.

The file must not be in use: opening a database writes its log into it, and whoever copies a file that is being written
copies something that never was. So a file that a process holds is refused.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import Factory, define

from omniroute.errors import DamagedError, JournalError
from omniroute.journal.port import Held, Store, advised
from omniroute.journal.recover import Replay, bases
from omniroute.journal.sqlite import SqliteStore, write_anew
from omniroute.journal.wal import mend

__all__ = ["Cut", "Verdict", "copied", "cut", "remains", "verify"]

_PAGES: Final = tuple(2**power for power in range(9, 16))

Told = Callable[[int], None]
"""Told how far it has come, every thousand records."""


@define(kw_only=True)
class Verdict:
    """What is in a journal. ``findings`` say why it cannot be trusted, ``notes`` what opening it would mend."""

    first: int = 0
    last: int = 0
    snapshots: tuple[int, ...] = ()
    replayed_from: int = 0
    events: int = 0
    writers: list[str] = Factory(list)
    notes: list[str] = Factory(list)
    findings: list[str] = Factory(list)


@contextmanager
def copied(path: str | os.PathLike[str], *, mended: bool = False) -> Iterator[SqliteStore]:
    """A store over a copy of a file and of its log, gone afterwards. O(size). Raises JournalError.

    The log of a ``mended`` copy is read past its damage: what is wrong there, the seals of records have to find.
    """
    source = Path(path)
    refuse_in_use(source)
    with tempfile.TemporaryDirectory(prefix="omniroute-") as folder:
        copy = Path(folder) / source.name
        try:
            shutil.copyfile(source, copy)
            for suffix in ("-wal", "-wal-kept"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{source}{suffix}", f"{copy}{suffix}")
        except OSError as error:
            raise JournalError(f"cannot be read: {error.strerror or error}", source=str(source)) from error
        if mended:
            with copy.open("rb") as file:
                page = int.from_bytes(file.read(18)[16:], "big")
            mend(Path(f"{copy}-wal"), 65_536 if page == 1 else page if page in _PAGES else 4_096)
        store = SqliteStore(copy, durability="os", source=str(source))
        try:
            yield store
        finally:
            store.close()


def refuse_in_use(path: Path) -> None:
    """Raise JournalError for a file that is not there, or that a process holds."""
    if not path.is_file():
        raise JournalError("is not there" if not path.exists() else "is no file", source=str(path))
    beside = [Path(f"{path}{suffix}") for suffix in ("-wal", "-shm")]
    made = [name for name in beside if not name.exists()]
    with suppress(sqlite3.Error, UnicodeDecodeError):
        looking = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
        try:
            looking.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise JournalError("is open in a process: stop that, or look at a copy", source=str(path)) from error
        finally:
            looking.close()
            for name in made:
                name.unlink(missing_ok=True)


def verify(store: Store, *, said: Told | None = None) -> Verdict:
    """Read everything, replay it from the first base that is kept, and compare what can be compared. O(records)."""
    verdict = Verdict()
    try:
        held = store.acquire()
        verdict.first, verdict.last, verdict.notes = held.first, held.head, list(held.notes)
        verdict.snapshots = tuple(sorted(sequence for sequence, _ in store.snapshots()))
        if held.head:
            _replayed(store, held, verdict, said)
    except DamagedError as error:
        verdict.findings.append(str(advised(error, store.source)))
    except JournalError as error:
        verdict.findings.append(str(error))
    return verdict


def _replayed(store: Store, held: Held, verdict: Verdict, said: Told | None) -> None:
    good: list[Replay] = []
    for base in bases(store, held):
        if isinstance(base, str):
            verdict.findings.append(base)
        else:
            good.append(base)
    if not good:
        raise DamagedError("there is nothing to begin with", source=store.source)
    state, later = good[-1], {base.sequence: base for base in good[:-1]}
    verdict.replayed_from, before = state.sequence, state.told
    writers = {str(state.writer): None}
    for sequence, data in store.read(state.sequence):
        state.feed(sequence, data)
        writers[str(state.writer)] = None
        verdict.writers, verdict.events = list(writers), state.told - before
        if sequence in later and not _same(state, later[sequence]):
            verdict.findings.append(f"the snapshot after record {sequence} is of another state than its records give")
        if said is not None and sequence % 1_000 == 0:
            said(sequence)


def _same(state: Replay, base: Replay) -> bool:
    """Whether a replayed router and a snapshot are one state, once the same time has passed for both. O(state)."""
    replayed = state.router.fork()
    return not replayed.advance(base.router.now) and replayed.digest() == base.router.digest()


def remains(store: SqliteStore, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """The entries that a copy still has, in order, good or not; ends where SQLite gives up. O(1) for each.

    The store must be closed.
    """
    yield from _rows(store, "SELECT seq, body FROM log WHERE seq > ? ORDER BY seq", after)


def _rows(store: SqliteStore, statement: str, *given: int) -> Iterator[tuple[int, bytes]]:
    with suppress(sqlite3.Error, UnicodeDecodeError):
        db = sqlite3.connect(store.path)
        try:
            for sequence, body in db.execute(statement, given):
                if isinstance(sequence, int) and isinstance(body, bytes):
                    yield sequence, body
        finally:
            db.close()


@define(kw_only=True)
class Cut:
    """What a cut has kept: the records behind ``base`` up to ``last``. ``lost`` are those that the file still had."""

    base: int
    last: int
    lost: int
    why: str


@define
class _Remains:
    """The reading side of the port over what is left of a damaged file, so that recovery says how far it is good."""

    store: SqliteStore
    until: int

    @property
    def source(self) -> str:
        """The file, not the copy."""
        return self.store.source

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Entries behind a sequence as far as they follow one another."""
        for sequence, body in remains(self.store, after):
            if sequence != after + 1 or sequence > self.until:
                return
            yield sequence, body
            after = sequence

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """Snapshots up to the end, the last one first."""
        for sequence, body in _rows(self.store, "SELECT seq, body FROM snap ORDER BY seq DESC"):
            if sequence <= self.until:
                yield sequence, body


def cut(path: str | os.PathLike[str], new: str | os.PathLike[str], *, after: int | None = None) -> Cut:
    """Write a new journal of what is good in a file, up to the record ``after`` at most. O(records).

    Good is what recovery would take: sealed, without a gap, with the events that were told; of several places to begin
    and ways to read the log the one that reaches furthest. The file ``new`` must not be there. Raises JournalError
    where nothing is good.
    """
    found: list[tuple[int, bool]] = []
    for mended in (True, False):
        with copied(path, mended=mended) as store:
            found.append((_reached(store, after).last, mended))
    with copied(path, mended=max(found)[1]) as store:
        reached = _reached(store, after)
        if not reached.last:
            raise DamagedError("nothing in it is good: no snapshot, and no start", source=store.source)
        rows = (row for row in remains(store, reached.base) if row[0] <= reached.last)
        snapshots = (row for row in _Remains(store, reached.base).snapshots() if row[0] == reached.base)
        write_anew(new, reached.last, rows, snapshots)
        reached.lost = sum(1 for _ in remains(store, reached.last))
    return reached


def _reached(store: SqliteStore, after: int | None) -> Cut:
    """How far a copy is good, from the base that reaches furthest."""
    left = _Remains(store, 2**62 if after is None else after)
    first = next((sequence for sequence, _ in remains(store)), 0)
    reached = Cut(base=0, last=0, lost=0, why="")
    held = Held(epoch=0, head=left.until, first=first)
    for base in [base for base in bases(left, held) if isinstance(base, Replay)][::-1]:
        begin, why = base.sequence, "" if after is None else f"it was cut behind record {after}, as asked"
        try:
            for sequence, data in left.read(begin):
                base.feed(sequence, data)
        except DamagedError as error:
            why = error.message
        if base.sequence > reached.last:
            kept = any(at == begin for at, _ in left.snapshots())  # else it is the start, a record itself
            reached = Cut(base=begin if kept else 0, last=base.sequence, lost=0, why=why)
    return reached
