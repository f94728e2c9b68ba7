"""A router that threads share, and the clock of a service."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest
from live_time import PLAN, Held

from omniroute import Agent, Plan, Queue, events
from omniroute.errors import JournalError, MisuseError
from omniroute.journal import Held as Place
from omniroute.journal import MemoryStore
from omniroute.live import ThreadRouter
from omniroute.live.clock import WallClock


def test_the_clock_never_goes_back_and_never_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back by an hour it goes on at its pace; set forward by an hour it follows at once.

    Planted: the greater of the last instant and the wall, which stands still for an hour.
    """
    wall, steady = [10**18], [0]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: steady[0])
    told, hour, second = WallClock(), 3_600 * 10**9, 10**9
    found = [told()]
    for jump in (0, -hour, 0, 2 * hour, 0):
        wall[0] += jump + second
        steady[0] += second
        found.append(told())
    assert [later - sooner for sooner, later in pairwise(found)] == [1_000, 1_000, 1_000, 3_601_000, 1_000]


def test_threads_share_a_router() -> None:
    """Lives from eight threads: each is whole, and the listener hears everything once, in order.

    Planted: no lock around the router.
    """
    heard: list[Any] = []
    names = [f"agent-{n}" for n in range(8)]
    plan = Plan(queues=[Queue(name, auto_accept=True) for name in names], agents=[Agent(n, queues=[n]) for n in names])

    def live(name: str) -> None:
        router.sign_in(name)
        for n in range(50):
            call = f"{name}-{n}"
            assert [type(event).__name__ for event in router.enqueue(call, name)][-1] == "Connected"
            assert router.finish(call, 0)

    with ThreadRouter(MemoryStore(), plan, listen=heard.extend) as router:
        threads = [threading.Thread(target=live, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert router.read(lambda inner: inner.agent("agent-3").presence) == "ready"
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert sum(type(event) is events.Released for event in heard) == 8 * 50


def test_a_thread_fires_deadlines() -> None:
    """An offer of a few milliseconds expires without any command."""
    expired = threading.Event()

    def listen(told: list[Any]) -> None:
        if any(isinstance(event, events.OfferExpired) for event in told):
            expired.set()
        raise RuntimeError("a listener that raises is logged, and the next events come")

    plan = Plan(queues=[Queue("sales", offer_timeout_ms=20)], agents=[Agent("ana")])
    with ThreadRouter(MemoryStore(), plan, listen=listen) as router:
        router.sign_in("ana")
        router.enqueue("call-1", "sales")
        assert expired.wait(20)


def test_threads_go_on_after_a_failed_write() -> None:
    """The command in doubt raises; the next one finds the router made again, and events have no gap."""
    store, heard = Held(), []
    with ThreadRouter(store, PLAN, listen=heard.extend) as router:
        router.sign_in("ana")
        store.failing = True
        with pytest.raises(JournalError, match="no space"):
            router.enqueue("call-1", "sales")
        store.failing = False
        router.enqueue("call-1", "sales")
    assert [event.seq for event in heard] == [1, 2, 3]
    with pytest.raises(MisuseError, match="closed"):
        router.sign_out("ana")


def test_a_full_disk_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many commands find the disk full, the log has when that began and when it ended, without a traceback.

    Planted: a line for each command, and a traceback each second.
    """
    store = Held()
    with ThreadRouter(store, PLAN, listen=len) as router:
        router.sign_in("ana")
        store.failing = True
        for number in range(6):
            with pytest.raises(JournalError, match="no space"):
                router.enqueue(f"call-{number}", "sales")
        store.failing = False
        router.enqueue("call-9", "sales")
    said = [record.getMessage() for record in caplog.records if record.name == "omniroute.live"]
    assert [text.split(":")[0] for text in said] == [
        "the journal failed and is read again",
        "the journal cannot be read again, which is tried every 1 s",
        "the journal has been read again",
    ]
    assert not any(record.exc_info for record in caplog.records)


class Failing(MemoryStore):
    """A disk that fails once, and is acquired again only when whoever writes has told everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.doubtful: Future[Any] = Future()
        self.begun = threading.Event()
        self.asked_again = threading.Event()
        self.all_told = threading.Event()
        self.all_told.set()

    def acquire(self) -> Place:
        """Wait for the thread that writes."""
        self.asked_again.set()
        assert self.all_told.wait(5), "the thread that writes waits for a thread that waits for it"
        return super().acquire()

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Any) -> Future[Any]:
        """Write, or begin to."""
        if not self.fails:
            return super().append(epoch, first, entries, result)
        self.fails = False
        self.asked_again.clear()
        self.all_told.clear()
        self.begun.set()
        self.doubtful.add_done_callback(lambda _: self.asked_again.wait(5))
        return self.doubtful

    def end(self) -> None:
        """Fail; and go on telling it only when somebody reads the journal again because of it."""
        self.doubtful.set_exception(JournalError("no space left on the disk"))
        self.all_told.set()


def test_who_reads_the_journal_again_does_not_wait_for_those_who_wait_for_him() -> None:
    """While others are still being told that the disk failed, the router may be made again already.

    Planted: the thread that writes takes the lock of the router.
    """
    store = Failing()
    ended: list[Any] = []
    with ThreadRouter(store, PLAN, listen=len) as router:
        store.fails = True

        def calls() -> None:
            with pytest.raises(JournalError, match="no space"):
                router.enqueue("call-1", "sales")
            ended.extend(router.enqueue("call-2", "sales"))

        caller = threading.Thread(target=calls)
        caller.start()
        assert store.begun.wait(20)
        router.read(lambda inner: inner.now)  # the command has been handed over, and is waited for
        store.end()
        caller.join(20)
    assert [event.seq for event in ended] == [1]
