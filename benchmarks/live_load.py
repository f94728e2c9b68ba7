"""A service under load: commands at a fixed rate through the asyncio router, or from many threads, journal on disk.

``python -m benchmarks.live_load --rate 20000 --seconds 60``. Commands come in lives (enqueue, accept, finish) at
instants of a Poisson process; each is timed from when it was to come until its events were durable and told. Beside
them a coroutine that only sleeps says how long the loop stood still, and how much of that it was at work itself: on a
busy machine much of the rest is others' work. ``--threads 16`` are so many threads that live one
life after the other. ``--empty`` drives a router that does nothing, which is what the measuring costs by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from omniroute import Agent, Plan, Queue
from omniroute.events import Event, Offered
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter, ThreadRouter

QUEUES = 8
AGENTS = 1_000


def plan() -> Plan:
    """A thousand agents, each for two of eight queues."""
    queues = [Queue(f"q{n}") for n in range(QUEUES)]
    agents = [Agent(f"a{n}", queues=[f"q{n % QUEUES}", f"q{(n + 1) % QUEUES}"]) for n in range(AGENTS)]
    return Plan(queues=queues, agents=agents)


class Spent:
    """Processor time of the whole process, of this thread, and of the collector of cycles."""

    def __init__(self) -> None:
        self.whole = self.here = self.collector = self.slowest_ms = 0.0
        self._began = 0.0

    def _collected(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            taken = time.thread_time() - self._began
            self.collector += taken
            self.slowest_ms = max(self.slowest_ms, 1_000 * taken)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count what is spent inside."""
        gc.callbacks.append(self._collected)
        whole, here = time.process_time(), time.thread_time()
        yield
        self.whole, self.here = time.process_time() - whole, time.thread_time() - here
        gc.callbacks.remove(self._collected)

    def each(self, commands: int) -> dict[str, float]:
        """In us for each of so many commands."""
        share = 1e6 / commands
        return {
            "cpu_us_per_command": self.whole * share,
            "loop_cpu_us_per_command": self.here * share,
            "collector_us_per_command": self.collector * share,
            "slowest_collection_cpu_ms": self.slowest_ms,
        }


def times(taken: list[float], spent_s: float) -> dict[str, float]:
    """What a host wants to know of the times of commands."""
    p50, p99, p999 = np.percentile(taken, (50, 99, 99.9)) * 1_000
    return {
        "commands": len(taken),
        "commands_per_s": len(taken) / spent_s,
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "slowest_ms": max(taken) * 1_000,
    }


class Empty:
    """Stands for a router that does nothing: it answers all commands of a turn of the loop at its end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[asyncio.Future[list[Event]], list[Event]]] = []

    async def _told(self, events: list[Event]) -> list[Event]:
        waiter: asyncio.Future[list[Event]] = self._loop.create_future()
        self._waiting.append((waiter, events))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._tell)
        return await waiter

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter, events in waiting:
            waiter.set_result(events)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        offered: list[Event] = [Offered(1, 0, "i", "a", 1, 1)] if name == "enqueue" else []
        return lambda *_args: self._told(offered)


async def load(router: Any, rate: float, seconds: float) -> dict[str, float]:
    """Drive it, and return what was measured; times in ms."""
    await router.sign_in_many([f"a{n}" for n in range(AGENTS)])
    taken: list[float] = []
    gaps: list[float] = []
    turns: list[float] = []
    running: set[asyncio.Task[None]] = set()
    clock = time.perf_counter
    stop = clock() + seconds

    async def life(number: int, due: float) -> None:
        offer: int | None = None
        for event in await router.enqueue(f"i{number}", f"q{number % QUEUES}"):
            if isinstance(event, Offered):
                offer = event.offer
        taken.append(clock() - due)
        if offer is None:
            begin = clock()
            await router.cancel(f"i{number}")
            taken.append(clock() - begin)
            return
        begin = clock()
        await router.accept(offer)
        taken.append(clock() - begin)
        begin = clock()
        await router.finish(f"i{number}", 0)
        taken.append(clock() - begin)

    async def watch() -> None:
        while True:
            begin, at_work = clock(), time.thread_time()
            await asyncio.sleep(0.001)
            gaps.append(clock() - begin - 0.001)
            turns.append(time.thread_time() - at_work)

    watcher = asyncio.create_task(watch())
    draw, number, due, began = random.Random(1), 0, clock(), clock()
    while due < stop:
        due += draw.expovariate(rate / 3)
        if due > clock():
            await asyncio.sleep(due - clock())
        elif number % 64 == 0:
            await asyncio.sleep(0)
        task = asyncio.create_task(life(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
    await asyncio.gather(*running)
    spent = clock() - began
    watcher.cancel()
    return (
        {"asked_per_s": rate}
        | times(taken, spent)
        | {
            "loop_stall_p99_ms": float(np.percentile(gaps, 99)) * 1_000,
            "loop_stall_p999_ms": float(np.percentile(gaps, 99.9)) * 1_000,
            "slowest_loop_stall_ms": max(gaps) * 1_000,
            "loop_work_p99_ms": float(np.percentile(turns, 99)) * 1_000,
            "slowest_loop_work_ms": max(turns) * 1_000,
        }
    )


def threads(router: ThreadRouter, count: int, seconds: float) -> dict[str, float]:
    """So many threads, each with one life after the other; times in ms."""
    router.sign_in_many([f"a{n}" for n in range(AGENTS)])
    taken: list[list[float]] = [[] for _ in range(count)]
    clock = time.perf_counter
    began = clock()

    def timed(mine: list[float], command: Callable[..., list[Event]], *given: Any) -> list[Event]:
        begin = clock()
        events = command(*given)
        mine.append(clock() - begin)
        return events

    def live(me: int) -> None:
        mine, number = taken[me], 0
        while clock() < began + seconds:
            name = f"i{me}-{number}"
            for event in timed(mine, router.enqueue, name, f"q{number % QUEUES}"):
                if isinstance(event, Offered):
                    timed(mine, router.accept, event.offer)
                    timed(mine, router.finish, name, 0)
            number += 1

    working = [threading.Thread(target=live, args=(me,)) for me in range(count)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return {"threads": count} | times([one for mine in taken for one in mine], clock() - began)


async def through_loop(store: SqliteStore, rate: float, seconds: float, *, empty: bool) -> dict[str, float]:
    """Drive coroutines."""
    spent = Spent()
    if empty:
        with spent.watched():
            found = await load(Empty(), rate, seconds)
    else:
        async with await AsyncRouter.open(store, plan()) as router:
            with spent.watched():
                found = await load(router, rate, seconds)
            router.router.check()
    return found | spent.each(int(found["commands"]))


def through_threads(store: SqliteStore, count: int, seconds: float) -> dict[str, float]:
    """Drive threads."""
    spent = Spent()
    with ThreadRouter(store, plan(), listen=len) as router:
        with spent.watched():
            found = threads(router, count, seconds)
        router.read(lambda inner: inner.check())
    each = spent.each(int(found["commands"]))
    del each["loop_cpu_us_per_command"]
    return found | each


def main() -> None:
    """Read the arguments, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000, help="commands per second (default 20000)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--durability", choices=("full", "os"), default="full")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="so many threads, as fast as they can")
    parser.add_argument("--empty", action="store_true", help="what the measuring costs without a router")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "load.journal", durability=asked.durability)
        if asked.threads:
            found = through_threads(store, asked.threads, asked.seconds)
        else:
            found = asyncio.run(through_loop(store, asked.rate, asked.seconds, empty=asked.empty))
    print(json.dumps({name: round(value, 3) for name, value in found.items()} | {"durability": asked.durability}))


if __name__ == "__main__":
    main()
