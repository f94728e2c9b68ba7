"""The door: whole lives, single commands beside a crowd, memory, start of a process, creation of a router."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from time import perf_counter_ns

import pytest

from benchmarks.bench_decisions import resident
from benchmarks.sizes import size
from omniroute.events import Offered
from omniroute.model import Agent
from omniroute.plan import Plan, Queue

router_module = pytest.importorskip("omniroute.router", reason="the door is not there yet")
Router = router_module.Router
SKILLS = 10


def plan(agents: int, *, queues: int = 1) -> Plan:
    """Agents of ten kinds, each with one skill at level 3 and the next one at level 1."""
    crew = [Agent(f"agent-{n}", skills={f"skill{n % SKILLS}": 3, f"skill{(n + 1) % SKILLS}": 1}) for n in range(agents)]
    return Plan(queues=[Queue(f"queue-{q}", wrap_up_ms=None) for q in range(queues)], agents=crew)


def started(agents: int):
    """A router with everybody ready, and the time."""
    router = Router(plan(agents))
    router.sign_in_many(0, [f"agent-{n}" for n in range(agents)])
    return router


def needs(number: int) -> str:
    return f"skill{number % SKILLS} >= 2"


def live(router, many: int) -> int:
    """Whole lives: enqueue, offer, accept, finish, release; every event is read. Returns how many events."""
    read = 0
    for number in range(many):
        now, name = 10 * number + 10, f"call-{number}"
        offer = -1
        for event in router.enqueue(now, name, "queue-0", needs=needs(number)):
            read += 1
            if type(event) is Offered:
                offer = event.offer
        for event in router.accept(now + 1, offer):
            read += event.at > 0
        for event in router.finish(now + 2, name):
            read += event.at > 0
        for event in router.release(now + 3, name):
            read += event.at > 0
    return read


def test_lives(rate, report):
    many, agents, read = size("lives"), 100, []
    figure = rate(lambda router: read.append(live(router, many)), many, size("rounds"), lambda: (started(agents),))
    assert set(read) == {5 * many}, "queued, offered, connected, finished, released"
    report("door, whole lives of interactions", "omniroute door", figure, "1/s", target=">= 100 k/s")


def crowd():
    """All agents busy, many waiting; returns the router, the names held, and now."""
    agents, waiting = size("agents"), size("waiting")
    router, now, held = started(agents), 1, []
    for number in range(agents):
        events = router.enqueue(now, f"held-{number}", "queue-0", needs=needs(number))
        offer = next((event.offer for event in events if type(event) is Offered), None)
        if offer is not None:
            router.accept(now, offer)
            held.append(f"held-{number}")
        now += 1
    assert len(held) > agents * 0.9
    before = resident()
    for number in range(waiting):
        router.enqueue(now, f"waits-{number}", "queue-0", needs=needs(number))
        now += 1
    return router, held, now, resident() - before


def commands(router, held: list[str], now: int, many: int) -> dict[str, list[int]]:
    """Nanoseconds of each command, by its name."""
    samples: dict[str, list[int]] = {"enqueue": [], "finish": [], "release (selects)": [], "accept": [], "leave": []}

    def clocked(what: str, run, *arguments):
        begin = perf_counter_ns()
        events = run(*arguments)
        samples[what].append(perf_counter_ns() - begin)
        return events

    for number, name in enumerate(held[:many]):
        now += 4
        clocked("enqueue", router.enqueue, now, f"new-{number}", "queue-0")
        clocked("leave", router.leave, now, f"new-{number}")
        clocked("finish", router.finish, now + 1, name)
        events = clocked("release (selects)", router.release, now + 2, name)
        offer = next(event.offer for event in events if type(event) is Offered)
        clocked("accept", router.accept, now + 3, offer)
    return samples


def test_commands(benchmark, report):
    router, held, now, grown = crowd()
    samples = benchmark.pedantic(commands, args=(router, held, now, size("decisions") // 4), rounds=1)
    every = [ns / 1e3 for column in samples.values() for ns in column]
    where = f"{size('agents'):,} agents, {size('waiting'):,} waiting"
    report(f"door, one command, p50 ({where})", "omniroute door", statistics.median(every), "us")
    p99 = statistics.quantiles(every, n=100)[98]
    report(f"door, one command, p99 ({where})", "omniroute door", p99, "us", target="< 20 us")
    selects = statistics.quantiles([ns / 1e3 for ns in samples["release (selects)"]], n=100)
    report(f"door, a freed agent selects, p99 ({where})", "omniroute door", selects[98], "us", target="< 20 us")
    per = grown / size("waiting")
    report("memory of a waiting interaction, door", "omniroute door", per, "bytes", target="< 1024", note="RSS")


def test_router_creation(benchmark, report):
    small = plan(10)
    benchmark.pedantic(lambda: Router(small), rounds=30, iterations=1, warmup_rounds=2)
    figure = float(benchmark.stats.stats.median) * 1e6
    report("a router of 10 agents is made", "omniroute door", figure, "us")


def test_many_routers(benchmark, report):
    """Thousands of small centres in one process, each with everybody signed in and twenty interactions waiting."""
    small, many = plan(10), size("routers")
    Router(small)
    before, routers = resident(), []
    for _ in range(many):
        router = Router(small)
        for number in range(10):
            router.sign_in(0, f"agent-{number}")
        for number in range(20):
            router.enqueue(1, f"i-{number}", "queue-0")
        routers.append(router)
    per = (resident() - before) / many / 1024
    benchmark.pedantic(lambda: None, rounds=1)
    report(f"memory of each of {many:,} routers of 10 agents, 20 waiting", "omniroute door", per, "KB", note="RSS")


def test_fork_of_a_router(benchmark, report):
    router, *_ = crowd()
    benchmark.pedantic(router.fork, rounds=7, iterations=1, warmup_rounds=2)
    figure = float(benchmark.stats.stats.median) * 1e3
    what = f"fork of a router with {size('agents'):,} agents and {size('waiting'):,} waiting"
    report(what, "omniroute door", figure, "ms")


def test_router_creation_large(benchmark, report):
    large = plan(size("agents"))
    benchmark.pedantic(lambda: Router(large), rounds=3, iterations=1)
    figure = float(benchmark.stats.stats.median) * 1e3
    report(f"a router of {size('agents'):,} agents is made", "omniroute door", figure, "ms")


def test_import(benchmark, report, tmp_path):
    # Bytecode is cached, as it is after any installation, whatever this process has been told about writing it.
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(code: str) -> float:
        samples = []
        for _ in range(size("starts") + 1):
            begin = perf_counter_ns()
            subprocess.run([sys.executable, "-c", code], check=True, env=env)
            samples.append((perf_counter_ns() - begin) / 1e6)
        return statistics.median(samples[1:])

    router = "from omniroute import Router"
    loaded = f"import sys; {router}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0, "numpy was imported"
    benchmark.pedantic(lambda: None, rounds=1)
    nothing = seconds("pass")
    for what, code, target in (
        ("import omniroute (numpy not imported)", "import omniroute", "< 100 ms"),
        ("import omniroute and its Router (numpy not imported)", router, ""),
    ):
        report(what, "omniroute", seconds(code) - nothing, "ms", target=target)
