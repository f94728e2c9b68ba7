"""All who wait against all who are available: the optimum beside assignment, minimum-cost flow and a greedy rule."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from benchmarks import windows
from benchmarks.sizes import size
from benchmarks.windows import Answer, Window, routing
from omniroute.core.matching import match

FEW = 50
"""Classes, and groups, where they are few."""

WINDOWS: dict[str, Callable[[], Window]] = {
    "window-100": lambda: routing(100, 100, FEW, FEW),
    "window-300": lambda: routing(300, 300, FEW, FEW),
    "window": lambda: routing(1_000, 1_000, FEW, FEW),
    "window-overload": lambda: routing(2 * size("window"), size("window"), FEW, FEW),
    "window-agents": lambda: routing(size("window"), size("window"), FEW, size("window")),
    "window-entries": lambda: routing(size("window"), size("window"), size("window"), FEW),
    "window-both": lambda: routing(size("window"), size("window"), size("window"), size("window")),
}


PEERS = {
    "scipy": ("scipy linear_sum_assignment", windows.assignment),
    "ortools": ("OR-tools min-cost flow", windows.flow),
}


def optimum(window: Window) -> Callable[[], Answer]:
    """A run of omniroute's; the weights are sorted beforehand."""
    weights, available = window.weights(), window.available()

    def run() -> Answer:
        found = match(weights, available, window.cost)
        return found.matched, found.gain

    return run


@pytest.mark.parametrize("name", WINDOWS)
def test_window(timed, report, name):
    window = WINDOWS[name]()
    (matched, gain), seconds = timed(optimum(window), size("windows"))
    few, less = windows.greedy(window)()
    assert (few, less) <= (matched, gain)
    note = f"{matched:,} matched; one after the other {1 - few / matched:.1%} fewer, gain {1 - less / gain:.1%} less"
    answers = ((matched, gain),)
    report(name, "omniroute", statistics.median(seconds) * 1e3, answers=answers, seconds=seconds, note=note)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", WINDOWS)
def test_window_peer(timed, report, name, peer):
    pytest.importorskip(peer)
    window, (engine, made) = WINDOWS[name](), PEERS[peer]
    answer, seconds = timed(made(window), 3)
    assert answer == optimum(window)(), "matched and gain"
    report(name, engine, statistics.median(seconds) * 1e3, answers=(answer,), seconds=seconds)
