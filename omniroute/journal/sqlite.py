"""A journal in one SQLite file: the default, without a server.

One thread owns the one connection; appends that come while it writes go together into the next commit. A second one
makes snapshots, so that appends do not wait for them. The lock of the file is held as long as the journal is, so
another process is refused. What SQLite does not promise is done here: each entry has its own seal, the number of the
last one is stored apart, and the end of the write-ahead log is read before it is believed.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from attrs import define

from omniroute.errors import DamagedError, FencedError, JournalError
from omniroute.journal.entry import FORMAT
from omniroute.journal.port import SNAPSHOTS_KEPT, Durability, Held, Made, Result, advised
from omniroute.journal.wal import end_of

__all__ = ["BATCH_MAX", "PENDING_MAX", "WAL_BYTES_MAX", "SqliteStore", "size_of", "write_anew"]

BATCH_MAX: Final = 4_096
"""Appends that go into one commit."""
PENDING_MAX: Final = 2**16
"""Appends that wait for the writer; one more waits until there is room."""
WAL_BYTES_MAX: Final = 2**24
"""Bytes to which the write-ahead log is cut after it has been longer."""
CHUNK_BYTES: Final = 2**20
"""Bytes that are read at once."""
ROWS: Final = (256, 64)
"""Records that one statement writes: so many, or those that are left. Few statements, because between two of them other
threads run, for up to 5 ms; and few different ones, because SQLite keeps 128 that it has read."""
APPLICATION: Final = 0x6F6D6E6A
"""What the file says that it is: ``omnj``."""

_MADE: Final = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, head INTEGER NOT NULL,
                    closed INTEGER NOT NULL);
CREATE TABLE log (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE snap (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO state VALUES (1, 0, 0, 1);
"""


@define
class _Append:
    epoch: int
    first: int
    entries: Sequence[bytes]
    result: Any
    done: Future[Any]


@define
class _Call:
    function: Callable[..., Any]
    given: tuple[Any, ...]
    done: Future[Any]


class SqliteStore:
    """The port over a file. ``durability`` "full" survives the loss of power, "os" only the end of the process."""

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Literal["full", "os"] = "full", source: str = ""
    ) -> None:
        if durability not in ("full", "os"):
            raise JournalError(f"durability is {durability!r}, allowed is full, os; a MemoryStore survives nothing")
        self.path = Path(path)
        self.source = source or str(path)
        """What messages call it: the path, unless it is a copy."""
        self._durability: Durability = durability
        self._jobs: queue.SimpleQueue[_Append | _Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._maker: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._broken: JournalError | None = None
        self._place = 0, 0
        """Epoch and last record, as the table of states has them: nobody else can write there."""

    @property
    def durability(self) -> Durability:
        """As it was asked for."""
        return self._durability

    # The port --------------------------------------------------------------------------------------------------------

    def acquire(self) -> Held:
        """Open the file, made where it is not there, and hold it; see the port. O(log of the database)."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"journal {self.path.name}", daemon=True)
            self._thread.start()
        held: Held = self._ask(self._acquire)
        return held

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Result) -> Future[Result]:
        """Hand entries to the writer; waits only where PENDING_MAX are before them. See the port."""
        done: Future[Result] = self._begun()
        if done.done():
            return done
        if self._jobs.qsize() >= PENDING_MAX:
            self._ask(bool)  # answered when everything before it is written
        self._jobs.put(_Append(epoch, first, entries, result, done))
        return done

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The entries behind a sequence, CHUNK_BYTES at a time; see the port."""
        head = self._ask(self._state)[1]
        while after < head:
            for sequence, body in self._ask(self._chunk, after):
                if sequence != after + 1:
                    break
                yield sequence, body
                after = sequence
            else:
                continue
            raise DamagedError("is not there", source=self.source, sequence=after + 1)

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Let a snapshot be made, and hand it to the writer; see the port."""
        return self._made(self._keep, epoch, sequence, snapshot)

    def forget(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """As :meth:`keep`, and write the file anew, with nothing else in it; see the port."""
        return self._made(self._forget, epoch, sequence, snapshot)

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """The snapshots, the last one first, each read when it is asked for."""
        for (sequence,) in self._ask(self._rows, "SELECT seq FROM snap ORDER BY seq DESC"):
            for (body,) in self._ask(self._rows, "SELECT body FROM snap WHERE seq = ?", sequence):
                yield sequence, self._blob(sequence, body)

    def close(self) -> None:
        """Write what is waiting, put the log into the file, and let go of it. Closing twice does nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._maker is not None:
            self._maker.shutdown()
            self._maker = None
        self._jobs.put(None)
        thread.join()

    # The writer's thread ---------------------------------------------------------------------------------------------

    def _begun(self) -> Future[Any]:
        """A future that nobody can cancel; ended already where the store is closed."""
        done: Future[Any] = Future()
        done.set_running_or_notify_cancel()
        if self._thread is None:
            done.set_exception(self._error("is closed"))
        return done

    def _put(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        done = self._begun()
        if not done.done():
            self._jobs.put(_Call(function, given, done))
        return done

    def _made(self, function: Callable[..., None], epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Let a snapshot be made beside the writer, then hand it to him."""
        done: Future[None] = self._begun()
        if done.done():
            return done

        def make() -> None:
            try:
                call = _Call(function, (epoch, sequence, snapshot()), done)
            except BaseException as error:  # whoever waits for the future is told
                done.set_exception(error)
            else:
                self._jobs.put(call)

        self._maker = self._maker or ThreadPoolExecutor(1, f"snapshot {self.path.name}")
        self._maker.submit(make)
        return done

    def _ask(self, function: Callable[..., Any], *given: Any) -> Any:
        return self._put(function, *given).result()

    def _work(self) -> None:
        waiting: list[_Append | _Call | None] = []
        while (job := waiting.pop() if waiting else self._jobs.get()) is not None:
            if isinstance(job, _Call):
                self._answer(job)
                continue
            batch = [job]
            while len(batch) < BATCH_MAX and not waiting:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if isinstance(more, _Append):
                    batch.append(more)
                else:
                    waiting.append(more)
            self._write(batch)
        self._let_go(clean=self._broken is None)

    def _answer(self, job: _Call) -> None:
        try:
            if self._broken is not None and job.function != self._acquire:
                raise self._broken
            found = job.function(*job.given)
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            self._break(error)
            job.done.set_exception(self._broken)
        except BaseException as error:
            job.done.set_exception(error)
        else:
            job.done.set_result(found)

    def _write(self, batch: Sequence[_Append]) -> None:
        """Write appends in one commit, and end their futures in order."""
        refused: dict[int, JournalError] = {}
        if self._broken is None:
            try:
                refused = self._commit(batch)
            except JournalError as error:
                refused = dict.fromkeys(range(len(batch)), error)
            except Exception as error:  # whoever waits for a future is told, whatever it was
                self._break(error)
        for number, append in enumerate(batch):
            why = self._broken or refused.get(number)
            if why is None:
                append.done.set_result(append.result)
            else:
                append.done.set_exception(why)

    def _commit(self, batch: Sequence[_Append]) -> dict[int, JournalError]:
        """Judge appends and write those that are right; why the others are not, by their place."""
        db = self._db()
        refused: dict[int, JournalError] = {}
        values: list[int | bytes] = []
        epoch, head = self._place
        for number, append in enumerate(batch):
            if append.epoch != epoch:
                refused[number] = self._fenced(epoch, append.epoch)
            elif append.first != head + 1:
                refused[number] = self._error(f"record {append.first} does not follow record {head}")
            else:
                for body in append.entries:
                    head += 1
                    values += (head, body)
        if values:
            db.execute("BEGIN IMMEDIATE")
            at = 0
            while at < len(values):
                left = (len(values) - at) // 2
                rows = next((size for size in ROWS if size <= left), left)
                db.execute(_insert(rows), values[at : at + 2 * rows])
                at += 2 * rows
            db.execute("UPDATE state SET head = ?", (head,))
            db.execute("COMMIT")
            self._place = epoch, head
        return refused

    def _placed(self, epoch: int, sequence: int) -> sqlite3.Connection:
        """The database, where a snapshot may be kept in it. Raises JournalError."""
        now, head, _ = self._state()
        if epoch != now:
            raise self._fenced(now, epoch)
        if not self._first(head) - 1 <= sequence <= head:
            raise self._error(f"there is no record {sequence} to keep a snapshot of")
        return self._db()

    def _keep(self, epoch: int, sequence: int, snapshot: bytes) -> None:
        db = self._placed(epoch, sequence)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR REPLACE INTO snap VALUES (?, ?)", (sequence, snapshot))
        kept = db.execute("SELECT seq FROM snap ORDER BY seq DESC LIMIT ?", (SNAPSHOTS_KEPT,)).fetchall()
        if len(kept) == SNAPSHOTS_KEPT:
            db.execute("DELETE FROM snap WHERE seq < ?", kept[-1])
            db.execute("DELETE FROM log WHERE seq <= ?", kept[-1])
        db.execute("COMMIT")

    def _forget(self, epoch: int, sequence: int, snapshot: bytes) -> None:
        db = self._placed(epoch, sequence)
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM snap")
        db.execute("DELETE FROM log WHERE seq <= ?", (sequence,))
        db.execute("INSERT INTO snap VALUES (?, ?)", (sequence, snapshot))
        db.execute("UPDATE state SET closed = 1")  # until a log belongs to the file again
        db.execute("COMMIT")
        db.execute("VACUUM")
        self._checkpoint("TRUNCATE")
        db.execute("UPDATE state SET closed = 0")
        self._checkpoint("FULL")

    def _checkpoint(self, how: str) -> None:
        """Bring the log into the file. Raises JournalError where not all of it came."""
        busy, pages, moved = self._db().execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        if busy or pages != moved:
            raise self._error(f"cannot be used: only {moved} of {pages} pages of its log came into the file")

    # Opening and closing ---------------------------------------------------------------------------------------------

    def _acquire(self) -> Held:
        if self._connection is None or self._broken is not None:
            self._let_go(clean=False)
            self._broken = None
            notes = self._open()
        else:
            notes = ()
        db = self._db()
        db.execute("UPDATE state SET epoch = epoch + 1, closed = 0")
        # From here on the file itself says that a log belongs to it, so one that has gone missing is noticed. And what
        # a failed flush may have left in memory only is written once more, into the file, before it is believed.
        self._checkpoint("FULL")
        epoch, head, _ = self._state()
        self._place = epoch, head
        return Held(epoch=epoch, head=head, first=self._first(head), notes=notes)

    def _open(self) -> tuple[str, ...]:
        """Open the file and look whether it can be trusted; what was found. Raises JournalError, DamagedError."""
        self._restore_log()
        log, _ = self._logs()
        if size_of(log) and not size_of(self.path):  # SQLite would take the log for a leftover and delete it
            raise DamagedError(f"is not there or empty, and {log.name} is not: it belongs to it", source=self.source)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise self._error(f"cannot be made: {error.strerror or error}") from error
        try:
            db = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            self._connection = db
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the log is touched, so that no memory is shared
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN IMMEDIATE")
            empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
            asked = ("application_id", "user_version", "journal_mode")
            mine, version, mode = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in asked)
            db.execute("COMMIT")
            end = end_of(log)
            if empty and (mine, version) == (0, 0) and (end is None or (end.pages == 0 and not end.lost)):
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("BEGIN IMMEDIATE")
                _make(db)
                db.execute("COMMIT")
                notes: tuple[str, ...] = ()
            else:
                self._judge(mine, version, mode)
                notes = self._ended(end)
            full = self._durability == "full"
            db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            db.execute(f"PRAGMA fullfsync = {int(full)}")
            db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
            db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
        except DamagedError as error:
            self._let_go(clean=False)
            raise advised(error, self.source) from error.__cause__
        except (JournalError, sqlite3.Error, UnicodeDecodeError) as error:
            self._let_go(clean=False)
            raise error if isinstance(error, JournalError) else self._said(error) from error
        return notes

    def _judge(self, mine: int, version: int, mode: str) -> None:
        """Refuse what is no journal, or one that is too new. Raises JournalError, DamagedError."""
        if mine != APPLICATION:
            raise self._error("is not a journal of omniroute")
        if not 1 <= version <= FORMAT:
            raise self._error(f"has format {version}, and this release reads formats 1 to {FORMAT}")
        if mode != "wal":
            raise DamagedError(f"is in mode {mode}, which a journal never is", source=self.source)

    def _ended(self, end: Any) -> tuple[str, ...]:
        """Judge how the log of the database ends; what is to be told. Raises DamagedError."""
        _, head, closed = self._state()
        last = self._rows("SELECT max(seq) FROM log")[0][0]
        base = self._rows("SELECT max(seq) FROM snap")[0][0]
        if head != (last if last is not None else base or 0):
            raise DamagedError(f"says that record {head} is the last, and it is {last}", source=self.source)
        where = f"{self.path.name}-wal"
        if end is None:
            if not closed:
                raise DamagedError(f"was not closed, and {where} is not there: it belongs to it", source=self.source)
        elif end.lost:
            raise DamagedError(
                f"{where} is damaged behind record {head}, and more was written there", source=self.source
            )
        elif end.dropped:
            return (f"{where}: a commit behind record {head} was not finished; {end.dropped} pages of it are cut",)
        return ()

    def _let_go(self, *, clean: bool) -> None:
        """Close the file; unless ``clean`` leave it as a kill would, log and all, so that the next one looks at it."""
        db, self._connection = self._connection, None
        if db is None:
            return
        if clean:
            with suppress(sqlite3.Error):
                db.execute("UPDATE state SET closed = 1")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            db.close()
            return
        log, kept = self._logs()
        with suppress(OSError):  # SQLite deletes the log of a file that it closes; a second name keeps it
            os.link(log, kept)
        db.close()
        self._restore_log()

    def _logs(self) -> tuple[Path, Path]:
        return Path(f"{self.path}-wal"), Path(f"{self.path}-wal-kept")

    def _restore_log(self) -> None:
        log, kept = self._logs()
        if kept.exists():
            if log.exists():
                kept.unlink()
            else:
                kept.replace(log)

    # Small things ----------------------------------------------------------------------------------------------------

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise self._error("is closed")
        return self._connection

    def _rows(self, statement: str, *values: int) -> list[Any]:
        return self._db().execute(statement, values).fetchall()

    def _state(self) -> tuple[int, int, int]:
        rows = self._rows("SELECT epoch, head, closed FROM state")
        if len(rows) != 1 or any(type(number) is not int for number in rows[0]):
            raise DamagedError("its table of states is not what it was", source=self.source)
        epoch, head, closed = rows[0]
        return epoch, head, closed

    def _first(self, head: int) -> int:
        (first,) = self._rows("SELECT min(seq) FROM log")[0]
        return head + 1 if first is None else int(first)

    def _chunk(self, after: int) -> list[tuple[int, bytes]]:
        found, size = [], 0
        for sequence, body in self._db().execute("SELECT seq, body FROM log WHERE seq > ? ORDER BY seq", (after,)):
            found.append((sequence, self._blob(sequence, body)))
            size += len(body)
            if size >= CHUNK_BYTES:
                break
        if not found:
            raise DamagedError("is not there", source=self.source, sequence=after + 1)
        return found

    def _blob(self, sequence: int, body: object) -> bytes:
        if not isinstance(body, bytes):
            raise DamagedError("is not bytes", source=self.source, sequence=sequence)
        return body

    def _break(self, error: Exception) -> None:
        """Refuse everything from now on: what was being written is in doubt."""
        self._broken = self._said(error)
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _said(self, error: Exception) -> JournalError:
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._error("is open elsewhere: one process at a time holds a journal")
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError):
            return advised(DamagedError(f"SQLite says: {error}", source=self.source), self.source)
        return self._error(f"cannot be used: {getattr(error, 'strerror', None) or error}")

    def _error(self, message: str) -> JournalError:
        return JournalError(message, source=self.source)

    def _fenced(self, now: int, epoch: int) -> FencedError:
        return FencedError(f"is held by epoch {now}, and this is epoch {epoch}", source=self.source)


@cache
def _insert(rows: int) -> str:
    return f"INSERT INTO log VALUES {', '.join(['(?, ?)'] * rows)}"  # noqa: S608


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _make(db: sqlite3.Connection) -> None:
    """Make the tables of a journal that is empty."""
    for statement in _MADE.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {FORMAT}")


def write_anew(
    path: str | os.PathLike[str],
    head: int,
    entries: Iterable[tuple[int, bytes]],
    snapshots: Iterable[tuple[int, bytes]],
) -> None:
    """Write a journal that ends with record ``head``, whole or not at all; never over another file. O(size).

    Raises JournalError.
    """
    place = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        os.close(handle)
        try:
            db = sqlite3.connect(name, isolation_level=None)
            try:
                db.execute("BEGIN")
                _make(db)
                db.executemany("INSERT INTO log VALUES (?, ?)", entries)
                db.executemany("INSERT INTO snap VALUES (?, ?)", snapshots)
                db.execute("UPDATE state SET head = ?", (head,))
                db.execute("COMMIT")
                db.execute("PRAGMA journal_mode = WAL")
            finally:
                db.close()
            os.link(name, place)
        finally:
            Path(name).unlink(missing_ok=True)
    except FileExistsError as error:
        raise JournalError("exists already, and is not overwritten", source=str(place)) from error
    except (sqlite3.Error, OSError) as error:
        what = getattr(error, "strerror", None) or error
        raise JournalError(f"cannot be written: {what}", source=str(place)) from error
