"""The port of journals: one suite that every store passes, and what only a file can do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omniroute.errors import DamagedError, FencedError, JournalError
from omniroute.journal import MemoryStore, SqliteStore, Store
from omniroute.journal.port import SNAPSHOTS_KEPT


@pytest.fixture(params=["memory", "sqlite os", "sqlite full"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every test of the suite runs on every store."""
    made: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "sqlite os": lambda: SqliteStore(tmp_path / "a.journal", durability="os"),
        "sqlite full": lambda: SqliteStore(tmp_path / "a.journal"),
    }
    store = made[request.param]()
    yield store
    store.close()


def entries(count: int, begin: int = 1) -> list[bytes]:
    """Different bytes."""
    return [b"entry %d" % number for number in range(begin, begin + count)]


def read(store: Store, after: int = 0) -> list[tuple[int, bytes]]:
    """Everything behind a sequence."""
    return list(store.read(after))


def test_what_is_appended_is_read(store: Store) -> None:
    """Entries come back in order with their sequences, from any of them on, also after the store was closed."""
    held = store.acquire()
    assert (held.head, held.first, held.notes) == (0, 1, ())
    assert store.append(held.epoch, 1, entries(3), "durable").result() == "durable"
    store.append(held.epoch, 4, entries(2, 4), None).result()
    wanted = list(enumerate(entries(5), 1))
    assert read(store) == wanted
    assert read(store, 3) == wanted[3:]
    assert read(store, 5) == []
    store.close()
    again = store.acquire()
    assert (again.head, again.first) == (5, 1)
    assert again.epoch > held.epoch
    assert read(store) == wanted


def test_an_append_says_where_it_goes(store: Store) -> None:
    """What does not follow the last entry is refused and not written: no gap, and nothing comes twice.

    Seen to fail: the place was not compared, so that an append that came twice was written twice.
    """
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(2), None).result()
    for first in (0, 1, 2, 4):
        with pytest.raises(JournalError, match=f"record {first} does not follow record 2"):
            store.append(epoch, first, entries(1), None).result()
    store.append(epoch, 3, entries(1, 3), None).result()
    assert read(store) == list(enumerate(entries(3), 1))


def test_who_held_it_before_is_fenced(store: Store) -> None:
    """Whoever acquires a journal ends the epoch before: neither entries nor snapshots of that are taken any more.

    Seen to fail: the epoch was not compared.
    """
    first = store.acquire().epoch
    store.append(first, 1, entries(1), None).result()
    second = store.acquire().epoch
    assert second > first
    with pytest.raises(FencedError):
        store.append(first, 2, entries(1, 2), None).result()
    with pytest.raises(FencedError):
        store.keep(first, 1, lambda: b"snapshot").result()
    store.append(second, 2, entries(1, 2), None).result()
    assert read(store) == list(enumerate(entries(2), 1))
    assert list(store.snapshots()) == []


def test_appends_that_do_not_wait_end_in_order(store: Store) -> None:
    """Futures of appends end in the order of the calls, and each when it is there; a wrong one fails by itself."""
    epoch, ended = store.acquire().epoch, []
    futures = []
    for number in range(1, 301):
        future = store.append(epoch, number, entries(1, number), None)
        future.add_done_callback(lambda _, number=number: ended.append(number))
        futures.append(future)
        if number == 100:
            wrong = store.append(epoch, 50, entries(1), None)
    for future in futures:
        future.result()
    assert isinstance(wrong.exception(), JournalError)
    assert ended == list(range(1, 301))
    assert read(store) == list(enumerate(entries(300), 1))


def test_a_future_cannot_be_cancelled(store: Store) -> None:
    """What is on its way to the disk is not called back: cancelling is refused, and the store goes on."""
    epoch = store.acquire().epoch
    future = store.append(epoch, 1, entries(1), None)
    assert not future.cancel()
    future.result()
    assert read(store) == list(enumerate(entries(1), 1))


def test_two_snapshots_are_kept_and_the_entries_behind_the_first(store: Store) -> None:
    """Older snapshots, and the entries before the oldest that is kept, are forgotten; the others are as they were."""
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(10), None).result()
    store.keep(epoch, 4, lambda: b"four").result()
    assert read(store) == list(enumerate(entries(10), 1))
    store.keep(epoch, 6, lambda: b"six").result()
    assert read(store, 4) == list(enumerate(entries(10), 1))[4:]
    store.keep(epoch, 10, lambda: b"ten").result()
    assert list(store.snapshots()) == [(10, b"ten"), (6, b"six")]
    assert len(list(store.snapshots())) == SNAPSHOTS_KEPT
    assert read(store, 6) == list(enumerate(entries(10), 1))[6:]
    with pytest.raises(DamagedError, match="record 6"):
        read(store, 5)
    store.close()
    held = store.acquire()
    assert (held.head, held.first) == (10, 7)
    store.keep(held.epoch, 10, lambda: b"ten again").result()
    assert list(store.snapshots()) == [(10, b"ten again"), (6, b"six")]


def test_a_snapshot_is_of_an_entry_that_is_there(store: Store) -> None:
    """There is no snapshot of the future, and none from before what is kept."""
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(4), None).result()
    with pytest.raises(JournalError, match="no record 5"):
        store.keep(epoch, 5, lambda: b"five").result()
    for sequence in (3, 4):
        store.keep(epoch, sequence, lambda: b"kept").result()
    with pytest.raises(JournalError, match="no record 1"):
        store.keep(epoch, 1, lambda: b"one").result()


def test_a_closed_store_takes_nothing(store: Store) -> None:
    """After closing, appends and snapshots end in an error; closing twice does nothing; it can be acquired again."""
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(1), None).result()
    store.close()
    store.close()
    assert isinstance(store.append(epoch, 2, entries(1), None).exception(), JournalError)
    assert isinstance(store.keep(epoch, 1, lambda: b"one").exception(), JournalError)
    assert store.acquire().head == 1


def test_empty_and_large(store: Store) -> None:
    """No entries are nothing; an entry may be empty, or megabytes long, and comes back as it was."""
    epoch = store.acquire().epoch
    store.append(epoch, 1, [], None).result()
    large = [b"", bytes(range(256)) * 12_000, b"\x00" * 3_000_000, b"end"]
    store.append(epoch, 1, large, None).result()
    assert read(store) == list(enumerate(large, 1))
    store.keep(epoch, 4, lambda: large[1]).result()
    assert list(store.snapshots()) == [(4, large[1])]


def test_a_snapshot_alone_is_left(store: Store) -> None:
    """After forgetting there is one snapshot, no entry up to it, and what follows follows; the place is judged as ever.

    Seen to fail: the snapshot before was kept.
    """
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(6), None).result()
    store.keep(epoch, 3, lambda: b"three").result()
    with pytest.raises(JournalError, match="no record 7"):
        store.forget(epoch, 7, lambda: b"seven").result()
    store.forget(epoch, 5, lambda: b"five").result()
    assert list(store.snapshots()) == [(5, b"five")]
    assert read(store, 5) == [(6, b"entry 6")]
    store.append(epoch, 7, entries(1, 7), None).result()
    store.forget(epoch, 7, lambda: b"seven").result()
    store.close()
    held = store.acquire()
    assert (held.head, held.first, held.notes) == (7, 8, ())
    assert list(store.snapshots()) == [(7, b"seven")]
    assert read(store, 7) == []
    with pytest.raises(FencedError):
        store.forget(epoch, 7, lambda: b"again").result()
    store.append(held.epoch, 8, entries(1, 8), None).result()
    store.keep(held.epoch, 8, lambda: b"eight").result()
    assert list(store.snapshots()) == [(8, b"eight"), (7, b"seven")]


@pytest.mark.parametrize("way", ["keep", "forget"])
def test_a_snapshot_that_cannot_be_made_is_told(store: Store, way: str) -> None:
    """What its maker raises ends the future, nothing is kept, and the store goes on."""

    def raising() -> bytes:
        raise ArithmeticError("it cannot be made")

    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(1), None).result()
    assert isinstance(getattr(store, way)(epoch, 1, raising).exception(), ArithmeticError)
    assert list(store.snapshots()) == []
    store.append(epoch, 2, entries(1, 2), None).result()
    assert read(store) == list(enumerate(entries(2), 1))


def test_appends_go_on_while_a_snapshot_is_made(tmp_path: Path) -> None:
    """A snapshot that takes long keeps nobody waiting, and closing waits for it.

    Seen to fail: the thread that writes made it, and the append never ended.
    """
    store = SqliteStore(tmp_path / "a.journal", durability="os")
    epoch = store.acquire().epoch
    store.append(epoch, 1, entries(1), None).result()
    made = threading.Event()

    def slowly() -> bytes:
        assert made.wait(60)
        return b"one"

    kept = store.keep(epoch, 1, slowly)
    store.append(epoch, 2, entries(1, 2), None).result(timeout=30)
    assert not kept.done()
    made.set()
    store.close()
    kept.result()
    store.acquire()
    assert list(store.snapshots()) == [(1, b"one")]
    store.close()


def test_any_number_of_entries(store: Store) -> None:
    """However many come with one append, all are there, in order, under their numbers.

    Seen to fail: what is left behind whole statements is not written.
    """
    epoch, wanted = store.acquire().epoch, 0
    for count in (1, 2, 63, 64, 65, 255, 256, 257, 320, 700):
        store.append(epoch, wanted + 1, entries(count, wanted + 1), None).result()
        wanted += count
    assert read(store) == list(enumerate(entries(wanted), 1))
