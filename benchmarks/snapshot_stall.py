"""How long a host stands still while a snapshot is kept, with 10,000 agents and 100,000 interactions that wait.

``python -m benchmarks.snapshot_stall``. A thread gives commands at an even rate to a router with a journal on disk,
across several snapshots that are kept by themselves. Each call of ``submit`` is timed, and how long it takes from there
until the events are told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from omniroute import Agent, Intake, JourneyRules, Plan, Queue, Rule, commands
from omniroute.journal import Journaled, SqliteStore


def filled(store: SqliteStore, agents: int, waiting: int, journeys: int, every: int) -> Journaled:
    """A journal of a router in which so many wait for skills that nobody has, and so many customers are remembered."""
    people = [Agent(f"a{n}", skills={f"s{n % 50}": 1 + n % 5}) for n in range(agents)]
    plan = Plan(
        queues=[Queue(f"q{n}", needs="nobody") for n in range(20)],
        agents=people,
        intake=Intake([], default=Rule("else", queue="q0")),
        journey=JourneyRules() if journeys else None,
        retention_ms=1_000,
    )
    journaled = Journaled(store, plan, snapshot_every=10**9)
    journaled.apply(0, commands.SignInMany(tuple(commands.SignIn(agent.id) for agent in people)))
    for begin in range(0, waiting, 1_000):
        many = [commands.Enqueue(f"call-{n}", f"q{n % 20}", ref=f"ref-{n}") for n in range(begin, begin + 1_000)]
        journaled.apply(begin, commands.EnqueueMany(tuple(many)))
    for n in range(journeys):
        context = {"tier": "gold", "phone": f"555 {n}"}
        journaled.submit(waiting, commands.Arrive(f"was-{n}", "voice", context, f"customer {n}"))
        journaled.submit(waiting, commands.Cancel(f"was-{n}"))
    journaled.snapshot()
    journaled.snapshot()
    journaled._every = every
    return journaled


def measured(journaled: Journaled, first: int, count: int, rate: float) -> dict[str, float]:
    """Give so many commands, and say what the calls and the answers took, in ms."""
    clock, calls = time.perf_counter, np.zeros(count)
    told = np.zeros(count)
    finished = threading.Event()
    begin = clock()
    for n in range(count):
        due = begin + n / rate
        if (left := due - clock()) > 0:
            time.sleep(left)
        now = first + n
        command = commands.Enqueue(f"new-{n}", "q0") if n % 2 == 0 else commands.Leave(f"new-{n - 1}")
        called = clock()
        done = journaled.submit(now, command)
        calls[n] = clock() - called

        def landed(_: Future[Any], n: int = n, due: float = max(due, begin)) -> None:
            told[n] = clock() - due
            if n == count - 1:
                finished.set()

        done.add_done_callback(landed)
    finished.wait()
    found = {}
    for name, values in (("call", calls), ("told", told)):
        p50, p99, p999 = np.percentile(values * 1_000, (50, 99, 99.9))
        found |= {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99, f"{name}_p999_ms": p999}
        found[f"{name}_slowest_ms"] = float(values.max()) * 1_000
    return found


def main() -> None:
    """Read the arguments, and print a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot_stall", description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--journeys", type=int, default=0, help="customers whose journeys are remembered (default 0)")
    parser.add_argument("--rate", type=float, default=1_000, help="commands per second (default 1000)")
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=6_000, help="records between two snapshots (default 6000)")
    parser.add_argument("--durability", choices=("full", "os"), default="os")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "stall.journal", durability=asked.durability)
        journaled = filled(store, asked.agents, asked.waiting, asked.journeys, asked.every)
        found = measured(journaled, asked.waiting, asked.commands, asked.rate)
        journaled.close()
    print(json.dumps({name: round(value, 2) for name, value in found.items()} | vars(asked)))


if __name__ == "__main__":
    main()
