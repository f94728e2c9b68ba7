"""What every measurement shares: a way to time, and a way to say what was measured."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import worlds
from benchmarks.scenarios import SCENARIOS

Report = Callable[..., None]


def digest(answers: Sequence[npt.ArrayLike]) -> str:
    """A fingerprint of columns of integers, the same for every engine that gives the same answers."""
    found = hashlib.sha256()
    for column in answers:
        found.update(np.ascontiguousarray(column, dtype=np.int64).tobytes())
    return found.hexdigest()[:16]


@pytest.fixture
def report(benchmark: Any) -> Report:
    """A function that records one figure of this run for the table and the JSON.

    ``scenario`` is a name of :data:`SCENARIOS`, ``figure`` is in its unit. ``answers`` are the columns that the engine
    found over ``n`` rows, from which the digest is made. ``processor_seconds`` are those that `timed` has measured
    unless given. ``at`` is the place on the axis of a curve.
    """
    lines = benchmark.extra_info.setdefault("lines", [])

    def record(
        scenario: str,
        engine: str,
        figure: float,
        *,
        n: int = 0,
        answers: Sequence[npt.ArrayLike] = (),
        seconds: Sequence[float] = (),
        processor_seconds: Sequence[float] = (),
        note: str = "",
        at: int | None = None,
    ) -> None:
        assert math.isfinite(figure)
        assert scenario in SCENARIOS, f"{scenario} is not in benchmarks/scenarios.py"
        line = {"scenario": scenario, "engine": engine, "figure": figure, "unit": SCENARIOS[scenario].unit}
        line |= {"seed": SCENARIOS[scenario].seed, "n": n, "note": note, "at": at}
        line |= {"digest": digest(answers) if answers else "", "seconds": list(seconds)}
        line["processor_seconds"] = list(processor_seconds or benchmark.extra_info.get("processor_seconds", ()))
        lines.append(line)

    return record


@pytest.fixture
def timed(benchmark: Any) -> Callable[..., tuple[Any, list[float]]]:
    """A function that runs ``run(*setup())`` over rounds, one before them to warm up: its last answer, the seconds.

    Of each round the seconds on the wall; those of the processor go into the line that is reported next.
    """
    spent = benchmark.extra_info.setdefault("processor_seconds", [])

    def measure(
        run: Callable[..., object], rounds: int, setup: Callable[[], tuple[Any, ...]] = tuple
    ) -> tuple[Any, list[float]]:
        seconds: list[float] = []

        def clocked(*arguments: object) -> object:
            begin, worked = perf_counter(), process_time()
            answer = run(*arguments)
            seconds.append(perf_counter() - begin)
            spent.append(process_time() - worked)
            return answer

        answer = benchmark.pedantic(clocked, setup=lambda: (setup(), {}), rounds=rounds, iterations=1, warmup_rounds=1)
        spent[:] = spent[-rounds:]
        return answer, seconds[-rounds:]

    return measure


@pytest.fixture
def rate(timed: Callable[..., tuple[Any, list[float]]], report: Report) -> Callable[..., None]:
    """A function that times ``run(*setup())``, which returns the columns of answers, and reports items per second.

    The figure is that of the median round. ``judge`` looks at the answers before anything is reported.
    """

    def measure(
        scenario: str,
        engine: str,
        run: Callable[..., Sequence[npt.ArrayLike]],
        items: int,
        *,
        rounds: int,
        judge: Callable[[Sequence[npt.ArrayLike]], None],
        setup: Callable[[], tuple[Any, ...]] = tuple,
    ) -> None:
        answers, seconds = timed(run, rounds, setup)
        judge(answers)
        report(scenario, engine, items / statistics.median(seconds), n=items, answers=answers, seconds=seconds)

    return measure


@pytest.fixture
def percentiles(benchmark: Any) -> Callable[..., tuple[float, float]]:
    """A function that runs ``run(*arguments)``, which times operations in ns, and returns (p50, p99) in us.

    Each is the median of those of ten stretches of the run, so that a moment in which something else had the processor
    counts as a moment.
    """

    def measure(run: Callable[..., Sequence[int]], arguments: tuple[Any, ...]) -> tuple[float, float]:
        over = worlds.clock_overhead()
        samples = benchmark.pedantic(run, args=arguments, rounds=1, iterations=1)
        parts = [samples[len(samples) * k // 10 : len(samples) * (k + 1) // 10] for k in range(10)]
        cuts = [statistics.quantiles(part, n=100) for part in parts if len(part) > 1]
        found = [statistics.median(cut[place] for cut in cuts) for place in (49, 98)]
        return max(found[0] - over, 0) / 1e3, max(found[1] - over, 0) / 1e3

    return measure
