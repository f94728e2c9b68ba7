"""What a disk, a hand or a second process can do to a journal, and that none of it passes unseen."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from play import PLAN, TEXTS, command, fixed_moves, instant

from omniroute import Agent, Plan, Queue, commands
from omniroute.errors import DamagedError, JournalError
from omniroute.journal import Journaled, SqliteStore
from omniroute.journal.inspect import cut
from omniroute.journal.wal import _checksum, end_of, mend

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
NAME = "centre.journal"


class Left:
    """A journal as a kill leaves it, or closed, and the digest of the state after each of its records."""

    def __init__(self, folder: Path, count: int, *, reopened: int = 0, closed: bool = False) -> None:
        self.folder = folder / "killed"
        self.folder.mkdir()
        work = folder / "work"
        work.mkdir()
        journaled = Journaled(SqliteStore(work / NAME, durability="os"), PLAN)
        self.digests = {journaled.sequence: journaled.router.digest()}
        for number, (kind, a, b, gap) in enumerate(fixed_moves(count), 1):
            now = instant(journaled.router, gap)
            journaled.apply(now, command(journaled.router, kind, a, b, TEXTS, now))
            self.digests[journaled.sequence] = journaled.router.digest()
            if number == reopened:
                journaled.close()
                journaled = Journaled(SqliteStore(work / NAME, durability="os"), PLAN)
                self.digests[journaled.sequence] = journaled.router.digest()
        self.head = journaled.sequence
        if closed:
            journaled.close()
        # Another process copies, because closing a file here would let go of the lock that is held on it.
        subprocess.run(["cp", *work.iterdir(), self.folder], check=True)
        journaled.close()

    def copied(self, to: Path) -> tuple[Path, Path]:
        """A copy to be damaged: the file and its log."""
        if to.exists():
            shutil.rmtree(to)
        shutil.copytree(self.folder, to)
        return to / NAME, to / f"{NAME}-wal"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A journal with 120 records in its file and 80 more in its log."""
    return Left(tmp_path_factory.mktemp("journal"), 200, reopened=120)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A journal with all its records in its file."""
    return Left(tmp_path_factory.mktemp("journal"), 300, closed=True)


def found(left: Left, path: Path) -> str:
    """What opening a damaged copy comes to; a loss that is not told, or another state, fails."""
    store = SqliteStore(path, durability="os")
    try:
        journaled = Journaled(store, PLAN)
        head, notes, digest = journaled.sequence - 1, journaled.notes, journaled.router.digest()
    except JournalError:
        return "refused"
    finally:
        store.close()
    if head not in left.digests:  # who opened it, and nothing else
        head -= 1
    assert digest == left.digests[head]
    if head == left.head:
        return "told" if notes else "nothing"
    assert notes, f"records {head + 1} to {left.head} are lost without a word"
    return "cut"


def test_a_kill_leaves_everything(killed: Left, tmp_path: Path) -> None:
    """What a kill leaves is opened without a word, at the last record."""
    path, log = killed.copied(tmp_path / "copy")
    assert log.stat().st_size > 50_000
    assert found(killed, path) == "nothing"


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_log_cut_anywhere(killed: Left, tmp_path: Path, seed: int) -> None:
    """A log that ends too early gives the records up to there, and is told about unless it ends behind a commit.

    Records that were in the file already are never lost. Seen to fail: a log that is gone was taken for one that was
    never there.
    """
    dice = random.Random(seed)
    whole = (killed.folder / f"{NAME}-wal").stat().st_size
    frame = 4_096 + 24
    outcomes = set()
    for _ in range(25 if seed == 1 else 600):
        path, log = killed.copied(tmp_path / "copy")
        length = dice.randrange(whole)
        with log.open("r+b") as file:
            file.truncate(length)
        end = end_of(log)
        if end is not None and not end.dropped and not end.lost and (length - 32) % frame == 0:
            continue
        outcomes.add(found(killed, path))
    assert outcomes <= {"cut", "refused"}
    assert "cut" in outcomes
    path, log = killed.copied(tmp_path / "copy")
    log.unlink()
    with pytest.raises(DamagedError, match=r"was not closed, and centre\.journal-wal is not there"):
        SqliteStore(path).acquire()
    path, log = killed.copied(tmp_path / "copy")
    path.unlink()
    with pytest.raises(DamagedError, match=r"is not there or empty, and centre\.journal-wal is not"):
        SqliteStore(path).acquire()
    assert log.stat().st_size == whole


@pytest.mark.parametrize("which", ["log", "file"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_byte_that_flips(killed: Left, closed: Left, tmp_path: Path, which: str, seed: int) -> None:
    """A flipped byte anywhere is refused, or told about, or changed nothing that matters: never another state.

    The first bytes of both files, which say what they are, are all tried. Seen to fail: the seal of records was not
    looked at; the log was not read before it was believed.
    """
    dice = random.Random(seed)
    left = closed if which == "file" else killed
    size = (left.folder / (NAME if which == "file" else f"{NAME}-wal")).stat().st_size
    places = [dice.randrange(size) for _ in range(40 if seed == 1 else 1_500)]
    places += range(0, 100, 7) if seed == 1 else range(100)
    outcomes: dict[str, int] = {}
    for place in places:
        path, log = left.copied(tmp_path / "copy")
        damaged = path if which == "file" else log
        with damaged.open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ (1 << dice.randrange(8))]))
        outcome = found(left, path)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes["refused"] > len(places) // 4, outcomes
    print(which, outcomes)


def test_a_name_that_is_no_text(closed: Left, tmp_path: Path) -> None:
    """A table whose name is no text any more is damage like any other. Not planted: it ended in an error of its own."""
    path, _ = closed.copied(tmp_path / "copy")
    path.write_bytes(
        path.read_bytes().replace(b"CREATE TABLE log", b"CREATE \xa0ABLE log").replace(b"tablelog", b"\xa0ablelog")
    )
    with pytest.raises(JournalError):
        SqliteStore(path).acquire()
    with pytest.raises(JournalError):
        cut(path, tmp_path / "new")


def test_a_record_that_is_missing(closed: Left, tmp_path: Path) -> None:
    """A record that is gone without a trace is noticed, the last one too, because its number is stored apart.

    Seen to fail: the last number was not compared with that of the last record.
    """
    for gone, said in ((closed.head, f"says that record {closed.head} is the last"), (40, "record 40: is not there")):
        path, _ = closed.copied(tmp_path / "copy")
        db = sqlite3.connect(path)
        db.execute("DELETE FROM log WHERE seq = ?", (gone,))
        db.commit()
        db.close()
        with pytest.raises(DamagedError, match=said) as caught:
            Journaled(SqliteStore(path), PLAN)
        assert "omniroute journal cut" in caught.value.advice


@pytest.mark.parametrize("which", ["log", "file"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_good_is_saved(killed: Left, closed: Left, tmp_path: Path, which: str, seed: int) -> None:
    """A cut of a damaged journal opens without a word, is one of the states that were, and leaves the damage as it is.

    One byte in the log costs nothing mostly, because pages are written there again and again, and records have their
    own seals. Seen to fail: the log was read up to the damage only.
    """
    dice = random.Random(seed)
    left = closed if which == "file" else killed
    size = (left.folder / (NAME if which == "file" else f"{NAME}-wal")).stat().st_size
    heads = []
    for number in range(6 if seed == 1 else 300):
        path, log = left.copied(tmp_path / "copy")
        damaged = path if which == "file" else log
        with damaged.open("r+b") as file:
            file.seek(dice.randrange(size) if number else 10)
            file.write(dice.randbytes(2))
        before = path.read_bytes(), log.read_bytes() if log.exists() else b""
        new = tmp_path / "copy" / "new.journal"
        try:
            saved = cut(path, new)
        except JournalError:
            assert not new.exists()
            continue
        assert (path.read_bytes(), log.read_bytes() if log.exists() else b"") == before
        heads.append(saved.last)
        store = SqliteStore(new, durability="os")
        journaled = Journaled(store, PLAN)
        head = saved.last if saved.last in left.digests else saved.last - 1
        assert (journaled.notes, journaled.sequence) == ((), saved.last + 1)
        assert journaled.router.digest() == left.digests[head]
        journaled.close()
    assert len(heads) > number // 2
    if which == "log":
        assert sum(1 for head in heads if head == left.head) > len(heads) // 2


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.binary(max_size=24), body=st.binary(max_size=3_000), page=st.sampled_from((512, 1_024, 513, 4_096)))
def test_any_bytes_are_some_end(tmp_path: Path, head: bytes, body: bytes, page: int) -> None:
    """Whatever stands in a log, reading its end and mending it come to an answer, and a mended log is read to its end.

    Not planted: a size of pages that is no power of two ended in an error of its own.
    """
    log = tmp_path / "any-wal"
    right = (0x377F0682).to_bytes(4, "big") + b"\x00" * 4 + page.to_bytes(4, "big") + b"\x00" * 12
    start = head + right[len(head) :]
    sums = _checksum(start, 0, 0, big=start[3] == 0x83)
    for data in (head + body, start + b"".join(part.to_bytes(4, "big") for part in sums) + body):
        log.write_bytes(data)
        before = end_of(log)
        mended = mend(log, 512)
        assert mended <= (before is not None)
        after = end_of(log)
        assert not mended or (after is not None and after.readable and not after.lost)


SECOND = """
import sys
from omniroute.errors import JournalError
from omniroute.journal import SqliteStore
try:
    SqliteStore(sys.argv[1]).acquire()
except JournalError as error:
    print(error)
"""


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """One process at a time holds a journal: the second is told why, and the first goes on.

    Seen to fail: the file was not locked.
    """
    path = tmp_path / NAME
    journaled = Journaled(SqliteStore(path), Plan(queues=[Queue("sales")], agents=[Agent("ana")]))
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SECOND, path], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{path}: is open elsewhere: one process at a time holds a journal\n"
        journaled.apply(0, commands.SignIn("ana"))
    with pytest.raises(JournalError, match="is open elsewhere"):
        SqliteStore(path).acquire()
    journaled.close()
    done = subprocess.run(
        [sys.executable, "-c", SECOND, path], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


FULL = """
import resource, signal, sys
from omniroute import Agent, Plan, Queue, commands
from omniroute.errors import JournalError
from omniroute.journal import Journaled, SqliteStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journaled = Journaled(SqliteStore(sys.argv[1], durability="os"), Plan(queues=[Queue("sales")]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
number = 0
try:
    while True:
        journaled.apply(number, commands.Enqueue(f"call-{number}", "sales", ref="x" * 500), key=f"{number}")
        number += 1
except JournalError as error:
    print(number)
    print(error)
try:
    journaled.apply(number, commands.Leave("call-0"))
except JournalError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journaled.reload()
journaled.apply(number, commands.Enqueue(f"call-{number}", "sales", ref="x" * 500), key=f"{number}")
print(journaled.router.queue("sales").waiting)
journaled.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a matter of Unix")
@pytest.mark.parametrize("limit", [60_000, 70_001, 300_000])
def test_a_full_disk(tmp_path: Path, limit: int) -> None:
    """When nothing more can be written the command fails and says why; with room again nothing is lost or double."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / NAME, str(limit)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    written, failed, refused, waiting = done.stdout.splitlines()
    assert int(written) > 3
    assert f"{NAME}: cannot be used: " in failed
    assert "reload before the next command" in refused
    assert int(waiting) == int(written) + 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not a database, but something else " * 40, "SQLite says: file is not a database"),
        (b"SQLite format 3\x00" + b"\xff" * 4_080, "SQLite says|cannot be used"),
    ],
)
def test_what_is_no_journal(tmp_path: Path, data: bytes, said: str) -> None:
    """Another file is refused with its name and left as it is."""
    path = tmp_path / NAME
    path.write_bytes(data)
    with pytest.raises(JournalError, match=f"{NAME}: ({said})"):
        SqliteStore(path).acquire()
    assert path.read_bytes() == data


def test_another_database_is_no_journal(tmp_path: Path) -> None:
    """A database of somebody else is refused, and so is a journal of a format that is not known here."""
    path = tmp_path / NAME
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    with pytest.raises(JournalError, match="is not a journal of omniroute"):
        SqliteStore(path).acquire()
    path.unlink()
    store = SqliteStore(path)
    store.acquire()
    store.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(JournalError, match="has format 99, and this release reads formats 1 to 1"):
        SqliteStore(path).acquire()
    with pytest.raises(JournalError, match="cannot be made: No such file"):
        SqliteStore(tmp_path / "no folder" / NAME).acquire()


def test_a_journal_is_for_its_owner(tmp_path: Path) -> None:
    """A journal holds what customers said: nobody but its owner may read it, nor its log."""
    store = SqliteStore(tmp_path / NAME)
    store.acquire()
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}
    store.close()


def test_what_is_forgotten_is_overwritten(tmp_path: Path) -> None:
    """After two snapshots nothing is left of what came before and has gone, not even in pages that are free.

    Seen to fail: SQLite marks a page as free and leaves what it holds.
    """
    path = tmp_path / NAME
    journaled = Journaled(SqliteStore(path, durability="os"), Plan(queues=[Queue("sales")], retention_ms=1_000))
    for number in range(200):
        journaled.apply(number, commands.Enqueue(f"call-{number}", "sales", ref="a secret"))
        journaled.apply(number, commands.Leave(f"call-{number}"))
    for _ in range(2):
        journaled.advance(100_000)
        journaled.apply(100_000, commands.SignOut("nobody"))
        journaled.snapshot()
    journaled.close()
    assert b"a secret" not in path.read_bytes()


def test_a_journal_does_not_grow(tmp_path: Path) -> None:
    """Snapshots bound the disk: after 12,000 records of 2 MB the file holds some hundreds, and its log is bounded.

    Seen to fail: records before the older snapshot were kept.
    """
    plan = Plan(queues=[Queue("sales")], retention_ms=1_000)
    store = SqliteStore(tmp_path / NAME, durability="os")
    journaled = Journaled(store, plan, snapshot_every=250)
    logs = []
    for number in range(6_000):
        journaled.submit(number * 10, commands.Enqueue(f"call-{number}", "sales", ref="x" * 100))
        journaled.submit(number * 10, commands.Leave(f"call-{number}"))
        if number % 1_000 == 999:
            journaled.apply(number * 10, commands.SignOut("nobody"))
            logs.append((tmp_path / f"{NAME}-wal").stat().st_size)
    journaled.close()
    assert max(logs) < 6_000_000
    assert store.path.stat().st_size < 600_000
