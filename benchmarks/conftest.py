"""What every measurement shares: a way to say what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from benchmarks import worlds

Report = Callable[..., None]


@pytest.fixture
def report(benchmark: Any) -> Report:
    """A function that records one or more figures of this run for the table.

    ``figure`` is in ``unit``; ``target`` is the one that the project has set itself, as text.
    """
    lines = benchmark.extra_info.setdefault("lines", [])

    def record(what: str, who: str, figure: float, unit: str, *, target: str = "", note: str = "") -> None:
        assert math.isfinite(figure)
        lines.append({"what": what, "who": who, "figure": figure, "unit": unit, "target": target, "note": note})

    return record


@pytest.fixture
def rate(benchmark: Any) -> Callable[..., float]:
    """A function that times ``run(*setup())`` over rounds and returns items per second of the median round."""

    def measure(run: Callable[..., object], items: int, rounds: int, setup: Callable[[], tuple[Any, ...]]) -> float:
        benchmark.pedantic(run, setup=lambda: (setup(), {}), rounds=rounds, iterations=1, warmup_rounds=0)
        return items / float(benchmark.stats.stats.median)

    return measure


@pytest.fixture
def percentiles(benchmark: Any) -> Callable[..., tuple[float, float]]:
    """A function that runs ``run(*arguments)``, which times operations in ns, and returns (p50, p99) in us."""

    def measure(run: Callable[..., Sequence[int]], arguments: tuple[Any, ...]) -> tuple[float, float]:
        over = worlds.clock_overhead()
        samples = benchmark.pedantic(run, args=arguments, rounds=1, iterations=1)
        cut = statistics.quantiles(samples, n=100)
        return max(cut[49] - over, 0) / 1e3, max(cut[98] - over, 0) / 1e3

    return measure
