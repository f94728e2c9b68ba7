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
from omniroute.commands import Accept, Command, Enqueue, Finish, Release, SignIn, SignInMany
from omniroute.events import Event, Offered
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.records import Record, decode, encode
from omniroute.router import Router

DOOR = "omniroute door"
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


def test_lives(rate):
    many = size("lives")

    def judge(read: list[int]) -> None:
        assert read == [5 * many], "queued, offered, connected, finished, released"

    rate(
        "lives",
        DOOR,
        lambda router: [live(router, many)],
        many,
        rounds=size("rounds"),
        judge=judge,
        setup=lambda: (started(100),),
    )


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
    report("door-p50", DOOR, statistics.median(every), n=len(every))
    report("door-p99", DOOR, statistics.quantiles(every, n=100)[98], n=len(every))
    selects = [ns / 1e3 for ns in samples["release (selects)"]]
    report("door-selects", DOOR, statistics.quantiles(selects, n=100)[98], n=len(selects))
    report("memory-door", DOOR, grown / size("waiting"), n=size("waiting"), note="of the process")


@pytest.mark.parametrize("groups", [50, 1_000])
def test_new_requirement(benchmark, report, groups):
    """A class that was not there: its requirement is read, its row of the tables is asked for and written."""
    each, sites = size("agents") // groups, [f"site{site}" for site in range(groups)]
    crew = [Agent(f"agent-{site}-{n}", skills={site: 1, "all": 1}) for site in sites for n in range(each)]
    router = Router(Plan(queues=[Queue("queue-0")], agents=crew))
    router.sign_in_many(0, [agent.id for agent in crew])
    first, again = [], []

    def arrive() -> None:
        for number in range(size("new")):
            wish = f"all and not {sites[number]}"
            for name, samples in ((f"new-{number}", first), (f"again-{number}", again)):
                begin = perf_counter_ns()
                events = router.enqueue(number, name, "queue-0", needs=wish)
                samples.append((perf_counter_ns() - begin) / 1e3)
                offered = next(event for event in events if type(event) is Offered)
                assert not offered.agent.startswith(f"agent-{sites[number]}-")

    benchmark.pedantic(arrive, rounds=1)
    note = f"the second one takes {statistics.median(again):.3g} us"
    report(f"new-class-{groups}", DOOR, statistics.median(first), n=len(first), note=note)


def journal(many: int) -> tuple[list[bytes], str]:
    """So many commands of whole lives as records, and the digest of the router that lived them."""
    router, written = Router(plan(100)), []

    def do(now: int, command: Command) -> list[Event]:
        events = router.apply(now, command)
        written.append(encode(Record(now, command, router.answers)))
        return events

    do(0, SignInMany(tuple(SignIn(f"agent-{n}") for n in range(100))))
    for number in range(many // 4):
        now, name = 10 * number + 10, f"call-{number}"
        events = do(now, Enqueue(name, "queue-0", needs=needs(number)))
        do(now + 1, Accept(next(event.offer for event in events if type(event) is Offered)))
        do(now + 2, Finish(name))
        do(now + 3, Release(name))
    return written, router.digest()


def test_recover(timed, report):
    written, lived = journal(size("recover"))

    def recover(router: Router) -> str:
        for line in written:
            record = decode(line)
            router.apply(record.now, record.command, record.answers)
        return router.digest()

    found, seconds = timed(recover, min(size("rounds"), 3), lambda: (Router(plan(100)),))
    assert found == lived, "a replay ends in the state that was lived"
    report("recover", DOOR, statistics.median(seconds) / len(written) * 1e6, n=len(written), seconds=seconds)


def test_router_creation(timed, report):
    small = plan(10)
    _, seconds = timed(lambda: Router(small), 30)
    report("router-small", DOOR, statistics.median(seconds) * 1e6, seconds=seconds)


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
    grown = resident() - before
    benchmark.pedantic(lambda: None, rounds=1)
    report("memory-router", DOOR, grown / many / 1024, n=many, note="of the process")


def test_fork_of_a_router(timed, report):
    router, *_ = crowd()
    forked, seconds = timed(router.fork, 7)
    assert forked.digest() == router.digest()
    report("fork-router", DOOR, statistics.median(seconds) * 1e3, seconds=seconds)


def test_router_creation_large(timed, report):
    large = plan(size("agents"))
    _, seconds = timed(lambda: Router(large), 3)
    report("router-large", DOOR, statistics.median(seconds) * 1e3, seconds=seconds)


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
    report("import", "omniroute", seconds("import omniroute") - nothing)
    report("import-router", "omniroute", seconds(router) - nothing)
