"""All who wait against all who are available: the optimum beside assignment, minimum-cost flow and a greedy rule."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter_ns

import pytest

from benchmarks import windows
from benchmarks.sizes import size
from omniroute.core.matching import match

FEW = 50
"""Classes, and groups, where they are few."""


def milliseconds(run: Callable[[], object], rounds: int) -> float:
    """The median time of a run, in ms."""
    samples = []
    for _ in range(rounds):
        begin = perf_counter_ns()
        run()
        samples.append((perf_counter_ns() - begin) / 1e6)
    return statistics.median(samples)


def compared(benchmark, report, window: windows.Window, what: str, target: str = "") -> None:
    """Compare the answers of everybody, then print times, and what the greedy rule loses."""
    weights, available = window.weights(), window.available()

    def run():
        return match(weights, available, window.cost)

    found = run()
    answer = (found.matched, found.gain)
    peers = {"scipy linear_sum_assignment": windows.assignment(window), "OR-tools min-cost flow": windows.flow(window)}
    for who, peer in peers.items():
        assert peer() == answer, f"{who} disagrees"
    benchmark.pedantic(run, rounds=size("windows"), warmup_rounds=1)
    report(what, "omniroute", float(benchmark.stats.stats.median) * 1e3, "ms", target=target)
    for who, peer in peers.items():
        report(what, who, milliseconds(peer, 3), "ms")
    matched, gain = windows.greedy(window)()
    assert (matched, gain) <= answer
    note = f"{found.matched:,} matched at best"
    report(f"{what}: greedy matches fewer", "omniroute", 100 * (1 - matched / found.matched), "%", note=note)
    report(f"{what}: greedy gains less", "omniroute", 100 * (1 - gain / found.gain), "%")


@pytest.mark.parametrize("many", [100, 300, 1_000])
def test_window(benchmark, report, many):
    pytest.importorskip("scipy")
    pytest.importorskip("ortools")
    window = windows.routing(many, many, FEW, FEW)
    target = "< 5 ms" if many == 1_000 else ""
    compared(benchmark, report, window, f"window of {many:,} and {many:,}, {FEW} classes, {FEW} groups", target)


@pytest.mark.parametrize("kind", ["overload", "agents", "entries", "both"])
def test_window_other(benchmark, report, kind):
    pytest.importorskip("scipy")
    pytest.importorskip("ortools")
    many = size("window")
    shape, what = {
        "overload": ((2 * many, many, FEW, FEW), f"window of {2 * many:,} and {many:,}, {FEW} classes, {FEW} groups"),
        "agents": ((many, many, FEW, many), f"window of {many:,} and {many:,}, {FEW} classes, every agent unique"),
        "entries": ((many, many, many, FEW), f"window of {many:,} and {many:,}, {FEW} groups, every entry unique"),
        "both": ((many, many, many, many), f"window of {many:,} and {many:,}, everybody unique"),
    }[kind]
    compared(benchmark, report, windows.routing(*shape), what)
