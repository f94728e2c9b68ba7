"""A service under load: commands at a fixed rate through the asyncio router with a journal on disk.

``python -m benchmarks.live_load --rate 20000 --seconds 60``. Commands come in lives (enqueue, accept, finish) at
instants of a Poisson process; each is timed from when it was to come until its events were durable and told. Beside
them a coroutine that only sleeps says how long the loop stood still.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from omniroute import Agent, Plan, Queue
from omniroute.events import Offered
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter

QUEUES = 8
AGENTS = 1_000


def plan() -> Plan:
    """A thousand agents, each for two of eight queues."""
    queues = [Queue(f"q{n}") for n in range(QUEUES)]
    agents = [Agent(f"a{n}", queues=[f"q{n % QUEUES}", f"q{(n + 1) % QUEUES}"]) for n in range(AGENTS)]
    return Plan(queues=queues, agents=agents)


async def load(router: AsyncRouter, rate: float, seconds: float) -> dict[str, float]:
    """Drive it, and return what was measured; times in ms."""
    await router.sign_in_many([f"a{n}" for n in range(AGENTS)])
    taken: list[float] = []
    gaps: list[float] = []
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
            begin = clock()
            await asyncio.sleep(0.001)
            gaps.append(clock() - begin - 0.001)

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
    p50, p99, p999 = np.percentile(taken, (50, 99, 99.9)) * 1_000
    return {
        "asked_per_s": rate,
        "commands": len(taken),
        "commands_per_s": len(taken) / spent,
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "slowest_ms": max(taken) * 1_000,
        "loop_stall_p99_ms": float(np.percentile(gaps, 99)) * 1_000,
        "slowest_loop_stall_ms": max(gaps) * 1_000,
    }


async def main() -> None:
    """Read the arguments, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000, help="commands per second (default 20000)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--durability", choices=("full", "os", "memory"), default="full")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "load.journal", durability=asked.durability)
        async with await AsyncRouter.open(store, plan()) as router:
            found = await load(router, asked.rate, asked.seconds)
            router.router.check()
    print(json.dumps({name: round(value, 3) for name, value in found.items()} | {"durability": asked.durability}))


if __name__ == "__main__":
    asyncio.run(main())
