"""Single decisions of the core with many agents, classes and waiting interactions; forks and memory."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import pytest

from benchmarks import worlds
from benchmarks.sizes import size
from omniroute.core.codes import EventKind

CORE = "omniroute core"


def freed(core, held: list[int], now: int) -> list[int]:
    """Nanoseconds of each finish that frees an agent, who at once selects what to take next; he takes it."""
    samples: list[int] = []
    for i in held:
        begin = perf_counter_ns()
        core.finish(now, i, 0)
        samples.append(perf_counter_ns() - begin)
        (offered,) = (event for event in core.take() if event[0] == EventKind.OFFERED)
        core.accept(now, offered[4])
        core.take()
        now += 1
    return samples


def entered(core, classes: int, now: int, many: int) -> list[int]:
    """Nanoseconds of each enqueue that finds nobody and waits."""
    asked = [(k * 7_919 % classes,) for k in range(many)]
    samples: list[int] = []
    for class_ in asked:
        begin = perf_counter_ns()
        core.enqueue(now, class_, 0, now)
        samples.append(perf_counter_ns() - begin)
        now += 1
    core.take()
    return samples


def crowd() -> tuple[worlds.Filled, list[int], list[int]]:
    """The core, and what its narrow and its wide agents hold."""
    of = worlds.two_kinds(size("agents"), size("classes"), size("waiting"))
    full = worlds.filled(of)
    wide = sum(of.sizes[:-1])
    return full, [i for i, j in full.held if j < wide], [i for i, j in full.held if j >= wide]


def said(report: Callable[..., None], name: str, figures: tuple[float, float], n: int) -> None:
    report(f"{name}-p50", CORE, figures[0], n=n)
    report(f"{name}-p99", CORE, figures[1], n=n)


def test_enqueue(percentiles, report):
    full, _, _ = crowd()
    core, many = full.core, size("decisions")
    length = core.queue(0)[0]
    figures = percentiles(entered, (core, size("classes"), full.now, many))
    assert core.queue(0)[0] == length + many, "all of them wait"
    said(report, "enqueue", figures, many)


@pytest.mark.parametrize("kind", ["narrow", "wide"])
def test_selection(percentiles, report, kind):
    full, narrow, wide = crowd()
    core = full.core
    held = (narrow if kind == "narrow" else wide)[: size("decisions")]
    length = core.queue(0)[0]
    figures = percentiles(freed, (core, held, full.now))
    assert core.queue(0)[0] == length - len(held), "everyone freed has taken one"
    said(report, kind, figures, len(held))


def test_fork(benchmark, report):
    full, narrow, _ = crowd()
    core = full.core
    samples, forks = [], []
    for _ in range(size("forks")):
        begin = perf_counter_ns()
        forks.append(core.fork())
        samples.append((perf_counter_ns() - begin) / 1e9)
        assert forks[-1].queue(0) == core.queue(0)
        if len(forks) > 1:
            forks.pop(0)  # its memory is warm for the one after the next
    assert forks[0].dump() == core.dump()
    forks[0].finish(full.now, narrow[0], 0)
    assert forks[0].dump() != core.dump(), "the fork lives on by itself"
    benchmark.pedantic(core.fork, rounds=3)
    report("fork-first", CORE, samples[0] * 1e3)
    report("fork-warm", CORE, statistics.median(samples[1:]) * 1e3, seconds=samples[1:])


def resident() -> int:
    """Bytes of this process in memory, after a collection."""
    gc.collect()
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("resident memory is read from /proc")
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def test_memory_core(benchmark, report):
    full = worlds.filled(worlds.two_kinds(1_000, size("classes"), 1_000))
    core, now, many = full.core, full.now, size("memory")
    before = resident()

    def fill() -> None:
        for k in range(many):
            core.enqueue(now, (k % size("classes"),), 0, now)
            if k % 1_000 == 0:
                core.take()
        core.take()

    benchmark.pedantic(fill, rounds=1)
    report("memory-core", CORE, (resident() - before) / many, n=many, note="of the process")
