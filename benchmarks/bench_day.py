"""A day of many centres in two processes, and two simulations in two threads."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from time import perf_counter, process_time

import numpy as np

from benchmarks import worlds
from benchmarks.scenarios import DAY, SCENARIOS
from benchmarks.sizes import size
from omniroute.model import Agent
from omniroute.plan import Plan, Queue, Target
from omniroute.strategies.priority import Priority
from omniroute.strategies.skills import SkillsFirst
from omniroute.world.bare import drive_columns, sign_in_all
from omniroute.world.simulate import simulate
from omniroute.world.streams import Draw, Stream, poisson

CENTRES = 2_000
PROCESSES = 2
SEED = SCENARIOS["day"].seed
HOURS = np.array((1, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 12, 10, 11, 12, 11, 10, 9, 8, 7, 5, 4, 3, 2), float)
"""Arrivals of each hour in proportion."""
SHARES = (("sales", "", 0.3), ("support", "", 0.35), ("support", "spanish >= 2", 0.1), ("billing", "", 0.25))
HANDLE_MS = 240_000
AGENTS_PER_CALL = 1.02 * HANDLE_MS / 3_600_000
"""Agents for each call of the hour: a little more than the work."""


def centre(rows: int) -> tuple[Plan, list[Stream]]:
    """Three queues, a language, priorities, abandonment and wrap-up; agents for its busiest hour."""
    hourly = HOURS / HOURS.sum() * rows
    crew = max(4, round(hourly.max() * AGENTS_PER_CALL))
    queues = (
        Queue("sales", needs="sales", strategy=SkillsFirst(), target=Target("20s", 0.8)),
        Queue("support", needs="support", strategy=SkillsFirst(), target=Target("30s", 0.8)),
        Queue("billing", needs="billing", strategy=Priority(), target=Target("60s", 0.8)),
    )
    names = [queue.name for queue in queues]
    agents = [
        Agent(
            f"agent {n}",
            skills={names[n % 3]: 2, names[(n + 1) % 3]: 1} | ({"spanish": 1 + n % 3} if n // 3 % 3 == 0 else {}),
        )
        for n in range(crew)
    ]
    handle, patience = Draw("lognormal", HANDLE_MS - 20_000, 0.9), Draw("exponential", 300_000)
    streams = [
        Stream(
            queue=queue,
            needs=needs,
            per_hour=tuple(hourly * share),
            handle=handle,
            patience=patience,
            wrap_up=Draw("exponential", 20_000),
        )
        for queue, needs, share in SHARES
    ]
    return Plan(queues=queues, agents=agents), streams


def days(centres: range, rows: int) -> list[int]:
    """Draw and route one centre's day after the other; sums of what came out, then this process's peak in KB."""
    plan, streams = centre(rows)
    sums = [0, 0, 0, 0]
    for number in centres:
        outcome = simulate(plan, poisson(streams, seed=SEED * 1_000_000 + number, periods=len(HOURS)))
        ended = outcome.served + outcome.abandoned
        assert ended == len(outcome), "everybody is served or leaves"
        sums = [
            a + b
            for a, b in zip(sums, (ended, outcome.served, outcome.abandoned, outcome.total_wait_ms()), strict=True)
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return [*sums, peak // 1024 if sys.platform == "darwin" else peak]


def _half(of: int, centres: int, rows: int, start: Barrier, answer: Connection) -> None:
    start.wait()
    begin = process_time()
    told = days(range(of, centres, PROCESSES), rows)
    answer.send([*told, process_time() - begin])


def both(centres: int, rows: int) -> tuple[float, list[list[int | float]]]:
    """Seconds from when both processes are ready until both are done, and what they say, processor seconds last."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES + 1)
    pipes = [context.Pipe(duplex=False) for _ in range(PROCESSES)]
    workers = [
        context.Process(target=_half, args=(of, centres, rows, start, pipe[1]), daemon=True)
        for of, pipe in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    start.wait(timeout=60)
    begin = perf_counter()
    told = [pipe[0].recv() for pipe in pipes]
    seconds = perf_counter() - begin
    for worker in workers:
        worker.join()
    return seconds, told


def test_day(benchmark, report):
    """Fewer interactions are fewer centres of the same size, for that is what sets the cost of one."""
    wanted, per_centre = size("day"), DAY // CENTRES
    centres = max(PROCESSES, wanted // per_centre)
    rows = min(per_centre, wanted // centres)
    seconds, told = benchmark.pedantic(both, args=(centres, rows), rounds=1)
    came, served, left, waited = (sum(column) for column in list(zip(*told, strict=True))[:4])
    assert abs(came - centres * rows) < 6 * came**0.5, "a Poisson number came"
    assert 0 < left < 0.2 * came
    note = f"{came:,} in {centres:,} centres"
    same = {"n": centres * rows, "answers": ([came, served, left, waited],)}
    same |= {"seconds": [seconds], "processor_seconds": [max(half[-1] for half in told)]}
    report("day", "omniroute", came / seconds, note=note, **same)
    if centres == CENTRES:
        report("day-full", "omniroute", seconds, **same)
    report("day-memory", "omniroute", max(half[4] for half in told) / 1024, n=centres * rows)


def test_threads(benchmark, report):
    """The columns are driven without the interpreter's lock, so two threads use two cores."""
    world = worlds.skilled_world()
    works = [worlds.skilled_columns(size("threads"), seed) for seed in (6, 7)]
    results: dict[int, np.ndarray] = {}

    def one(which: int) -> None:
        results[which] = drive_columns(world.build(), works[which], sign_in_all(world.agents)).start

    def together() -> None:
        threads = [threading.Thread(target=one, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def timed(run) -> float:
        begin = perf_counter()
        run()
        return perf_counter() - begin

    def measure() -> float:
        apart, rounds = [], size("rounds")
        for _ in range(rounds):
            one_after_the_other = timed(lambda: (one(0), one(1)))
            alone = dict(results)
            apart.append(one_after_the_other / timed(together))
            assert all(np.array_equal(alone[which], results[which]) for which in (0, 1))
        return sorted(apart)[rounds // 2]

    gain = benchmark.pedantic(measure, rounds=1)
    report(
        "threads", "omniroute", gain, n=2 * size("threads"), answers=[results[0], results[1]], note="2 would be ideal"
    )
