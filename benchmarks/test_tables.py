"""The suite's own tables: targets, comparisons, and the plain router at its edges."""

from __future__ import annotations

import doctest

import pytest

from benchmarks import __main__, plain, scenarios, sizes, tables
from benchmarks.scenarios import SCENARIOS


def line(scenario: str, engine: str, figure: float, **fields: object) -> tables.Line:
    """A completed line with nothing unusual in it."""
    raw = {"scenario": scenario, "engine": engine, "figure": figure, "unit": SCENARIOS[scenario].unit, "seed": None}
    raw |= {"n": 10, "note": "", "at": None, "digest": "d", "seconds": [1.0, 2.0, 3.0], "load": 0.0}
    raw["processor_seconds"] = [1.0, 1.0, 1.0]
    return tables.completed(raw | fields, {}, sizes.QUICK)


def test_examples() -> None:
    """The examples in the docstrings print what they say."""
    assert not doctest.testmod(scenarios).failed


def test_targets() -> None:
    """A target is met on its own side only, and a peer has none."""
    assert line("two-classes", "omniroute", 5e6)["met"] is True
    assert line("two-classes", "omniroute", 4.9e6)["met"] is False
    assert line("growth-waiting", "omniroute core", 2.0)["met"] is False
    assert line("door-p50", "omniroute door", 1.0)["met"] is None
    assert line("two-classes", "SimPy", 9e6)["met"] is None


def test_what_follows_from_the_rounds() -> None:
    """Median, half of the middle range over it, and rows per second come from the seconds of the rounds."""
    found = line("large", "omniroute", 5.0)
    assert (found["median_s"], found["spread"], found["throughput"]) == (2.0, 0.5, 5.0)
    assert found["share"] == 0.5, "half of the time somebody else had the processor"


def test_the_table_says_what_was_not_measured() -> None:
    """Every scenario with a target has a row, measured or not; a peer has a ratio and no verdict."""
    text = tables.table(
        [line("two-classes", "SimPy", 1e5), line("two-classes", "omniroute", 6e6)], sizes.FULL, everything=True
    )
    rows = text.splitlines()
    assert "| 6 M/s" in rows[2]
    assert "met" in rows[2]
    assert "60 x" in rows[3]
    assert sum("not measured" in row for row in rows) == len(rows) - 4
    assert all(s.target() in text for s in SCENARIOS.values())


def test_a_slower_peer_has_a_greater_ratio() -> None:
    """Of rates ours goes above the line, of times theirs: a peer of half the speed stands at 2 in both."""
    for scenario, ours, theirs in (("large", 2e6, 1e6), ("window", 3.0, 6.0)):
        found = tables.table(
            [line(scenario, "omniroute", ours), line(scenario, "peer", theirs)], sizes.FULL, everything=False
        )
        assert "| 2 x" in found.splitlines()[3]


def test_other_answers_are_told_and_slowness_is_not() -> None:
    """A comparison names whose digest changed over the same work; to be slower, or of another size, is no fault."""
    before = [line("two-classes", "omniroute", 6e6), line("two-classes", "Ciw", 5e4), line("large", "omniroute", 1e6)]
    now = [
        line("two-classes", "omniroute", 1e6),
        line("two-classes", "Ciw", 5e4, digest="other"),
        line("large", "omniroute", 1e6, digest="other", n=11),
    ]
    text, changed = tables.compared(before, now)
    assert changed == ["two-classes (Ciw)"]
    assert "0.167 x" in text
    assert "other size" in text


def test_a_comparison_of_times_is_the_other_way_round() -> None:
    """Half of the time is twice as fast."""
    text, _ = tables.compared([line("fork-warm", "omniroute core", 8.0)], [line("fork-warm", "omniroute core", 4.0)])
    assert "2 x" in text


def test_sizes_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """A size of an unknown name ends with 2 and names those there are."""
    with pytest.raises(SystemExit, match="2"):
        __main__.arguments(["--size", "colums=3"])
    assert "columns" in capsys.readouterr().err
    assert __main__.arguments(["--full-day"]).sizes["day"] == scenarios.DAY


def test_the_plain_router_at_its_edges() -> None:
    """Priorities, leaving from the head and from behind it, and nobody able to serve."""
    router = plain.built((1,), ((0, 1),), 3)
    assert router.enqueue(0, 0, 5) == 0
    assert [
        router.enqueue(row, class_, tier) for row, class_, tier in ((1, 0, 5), (2, 0, 1), (3, 1, 5), (4, 2, 0))
    ] == [-1] * 4
    assert router.leave(2, 0, 1)
    assert not router.leave(2, 0, 1)
    assert router.leave(3, 1, 5)
    assert router.free(0) == 1
    assert router.free(0) == -1, "who needs class 2 waits for somebody else"
