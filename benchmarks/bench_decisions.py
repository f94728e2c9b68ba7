"""Single decisions of the core with many agents, classes and waiting interactions; growth, forks and memory."""

from __future__ import annotations

import gc
import statistics
from pathlib import Path
from time import perf_counter_ns

import pytest

from benchmarks import worlds
from benchmarks.sizes import size
from omniroute.core.codes import EventKind


def freed(core, held: list[int], now: int, many: int) -> list[int]:
    """Nanoseconds of each finish that frees an agent, who at once selects what to take next; he takes it."""
    samples: list[int] = []
    for i in held[:many]:
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


def crowd(waiting: int | None = None, classes: int | None = None):
    return worlds.crowded(size("agents"), classes or size("classes"), waiting or size("waiting"))


def said(report, what: str, figures: tuple[float, float], target: str) -> None:
    crowd_ = f"{size('agents'):,} agents, {size('waiting'):,} waiting"
    report(f"{what}, p50 ({crowd_})", "omniroute core", figures[0], "us")
    report(f"{what}, p99 ({crowd_})", "omniroute core", figures[1], "us", target=target)


def test_decision_enqueue(percentiles, report):
    core, _, _, now = crowd()
    length = core.queue(0)[0]
    figures = percentiles(entered, (core, size("classes"), now, size("decisions")))
    assert core.queue(0)[0] == length + size("decisions"), "all of them wait"
    said(report, "enqueue that waits", figures, "< 2 us")


def test_decision_narrow(percentiles, report):
    core, narrow, _, now = crowd()
    length = core.queue(0)[0]
    many = min(size("decisions"), len(narrow))
    figures = percentiles(freed, (core, narrow, now, many))
    assert core.queue(0)[0] == length - many, "everyone freed has taken one"
    said(report, f"freed agent, {worlds.NARROW} classes", figures, "< 2 us")


def test_decision_wide(percentiles, report):
    core, _, wide, now = crowd()
    length = core.queue(0)[0]
    many = min(size("decisions"), len(wide))
    figures = percentiles(freed, (core, wide, now, many))
    assert core.queue(0)[0] == length - many, "everyone freed has taken one"
    said(report, f"freed agent, {size('classes'):,} classes", figures, "< 10 us")


@pytest.mark.parametrize("full", [True, False], ids=["full", "sparse"])
def test_growth(benchmark, report, full):
    """With few waiting in many classes most are empty, so candidates grow too; with 100 classes only waiting does."""
    many, classes = min(size("few_waiting") // 2, 500), worlds.NARROW if full else size("classes")
    rounds = []
    for waiting in (size("few_waiting"), size("waiting")):
        means: list[float] = []
        core, narrow, _, now = crowd(waiting, classes)
        for part in range(5):
            samples = freed(core, narrow[part * many // 5 : (part + 1) * many // 5], now, many)
            samples += entered(core, classes, now + many, many // 5)
            now += 2 * many
            means.append(statistics.fmean(sorted(samples)[: len(samples) * 9 // 10]))
        rounds.append(statistics.median(means))
    benchmark.pedantic(lambda: None, rounds=1)
    times = size("waiting") // size("few_waiting")
    what = f"time for a decision, {times} times more waiting in {classes:,} classes"
    note = "slowest tenth left out" + ("" if full else "; candidates grow too")
    report(what, "omniroute core", rounds[1] / rounds[0], "x", target="< 2 x", note=note)


def test_fork(benchmark, report):
    core, narrow, _, now = crowd()
    samples, forks = [], []
    for _ in range(size("forks")):
        begin = perf_counter_ns()
        forks.append(core.fork())
        samples.append((perf_counter_ns() - begin) / 1e6)
        assert forks[-1].queue(0) == core.queue(0)
        if len(forks) > 1:
            forks.pop(0)  # its memory is warm for the one after the next
    assert forks[0].dump() == core.dump()
    forks[0].finish(now, narrow[0], 0)
    assert forks[0].dump() != core.dump(), "the fork lives on by itself"
    benchmark.pedantic(core.fork, rounds=3)
    what = f"fork of {size('agents'):,} agents and {size('waiting'):,} waiting"
    report(f"{what}, first", "omniroute core", samples[0], "ms", target="< 15 ms")
    report(f"{what}, warm", "omniroute core", statistics.median(samples[1:]), "ms", target="< 3 ms")


def resident() -> int:
    """Bytes of this process in memory, after a collection."""
    gc.collect()
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("resident memory is read from /proc")
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS"))


def test_memory_core(benchmark, report):
    core, _, _, now = crowd(1_000)
    many = size("memory")
    before = resident()

    def fill() -> None:
        for k in range(many):
            core.enqueue(now, (k % size("classes"),), 0, now)
            if k % 1_000 == 0:
                core.take()
        core.take()

    benchmark.pedantic(fill, rounds=1)
    grown = resident() - before
    report("memory of a waiting interaction, core", "omniroute core", grown / many, "bytes", target="< 128", note="RSS")
