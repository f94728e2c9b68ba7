"""Interactions per second through the columns, beside peers on the same world."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import attrs
import numpy as np
import pytest

from benchmarks import rivals, worlds
from benchmarks.sizes import size
from omniroute.world.bare import (
    Answers,
    Arrivals,
    BareClass,
    BareGroup,
    BareQueue,
    BareWorld,
    Results,
    drive_columns,
    sign_in_all,
)

TWO = "M/M/100, two priority classes, interactions"
SKILLS = "3 groups, skills, abandonment, interactions"
ANSWERED = "M/M/100, two priority classes, answers after 3 s, 3 % declined or missed, interactions"
THREADS = "two worlds in two threads, against one after the other"
LARGE = "{:,} agents, 50 groups, 500 classes, interactions"


def measured(rate, world: BareWorld, arrivals: Arrivals) -> tuple[float, Results]:
    """The rate of the columns, and the results of the last round."""
    last = []

    def run(core) -> None:
        last[:] = [drive_columns(core, arrivals, sign_in_all(world.agents))]

    figure = rate(run, len(arrivals.at), size("rounds"), lambda: (world.build(),))
    return figure, last[0]


def pool() -> BareWorld:
    return BareWorld(groups=(BareGroup(agents=100),), classes=(BareClass(),) * 2)


def test_two_classes_omniroute(rate, report):
    arrivals = worlds.two_classes(size("columns"))
    figure, results = measured(rate, pool(), arrivals)
    worlds.check_two_classes(results.waits(arrivals), arrivals.class_)
    report(TWO, "omniroute", figure, "1/s", target=">= 5 M/s, >= 1/3 of compiled")


def test_two_classes_compiled(rate, report):
    loop = rivals.compiled_loop()
    if loop is None:
        pytest.skip("there is no C compiler")
    arrivals = worlds.two_classes(size("columns"))
    waits = np.zeros(len(arrivals.at), np.int64)
    columns = [rivals.pointer(c) for c in (arrivals.at, arrivals.tier, arrivals.handle, waits)]

    def run() -> None:
        assert loop(len(waits), 100, *columns) == 0

    figure = rate(run, len(waits), size("rounds"), tuple)
    worlds.check_two_classes(waits, arrivals.class_)
    ours = drive_columns(pool().build(), arrivals, sign_in_all(100)).waits(arrivals)
    assert np.array_equal(ours, waits), "the compiled loop and omniroute must agree row by row"
    report(TWO, "bare compiled loop", figure, "1/s")


@pytest.mark.parametrize(
    ("loop", "who"),
    [
        pytest.param(rivals.events_two_classes, "heapq event loop", id="events"),
        pytest.param(rivals.heapq_two_classes, "heapq of bare instants, this model only", id="instants"),
    ],
)
def test_two_classes_heapq(rate, report, loop, who):
    arrivals = worlds.two_classes(size("heapq"))
    columns = [column.tolist() for column in (arrivals.at, arrivals.tier, arrivals.handle)]
    last: list[list[int]] = []

    def run() -> None:
        last[:] = [loop(*columns, 100)]

    figure = rate(run, len(columns[0]), size("rounds"), tuple)
    ours = drive_columns(pool().build(), arrivals, sign_in_all(100)).waits(arrivals)
    assert ours.tolist() == last[0], "the loop and omniroute must agree row by row"
    report(TWO, who, figure, "1/s")


def test_two_classes_simpy(rate, report):
    pytest.importorskip("simpy")
    arrivals = worlds.two_classes(size("simpy"))
    columns = [column.tolist() for column in (arrivals.at, arrivals.tier, arrivals.handle)]
    last: list[list[int]] = []

    def run() -> None:
        last[:] = [rivals.simpy_two_classes(*columns, 100)]

    figure = rate(run, len(columns[0]), 1, tuple)
    worlds.check_two_classes(np.array(last[0]), arrivals.class_)
    report(TWO, "SimPy", figure, "1/s")


def test_two_classes_ciw(rate, report):
    pytest.importorskip("ciw")
    last: list[tuple[np.ndarray, np.ndarray]] = []

    def run() -> None:
        last[:] = [rivals.ciw_two_classes(size("ciw"), 1)]

    figure = rate(run, size("ciw"), 1, tuple)
    waits, class_ = last[0]
    worlds.check_two_classes(waits * worlds.UNIT, class_)
    report(TWO, "Ciw", figure, "1/s")


def test_skills_omniroute(rate, report):
    arrivals = worlds.skilled_columns(size("skills"))
    figure, results = measured(rate, worlds.skilled_world(), arrivals)
    left = results.abandoned.mean()
    waits = results.waits(arrivals).mean() / worlds.UNIT
    assert left == pytest.approx(2 * waits, rel=0.05), "P(abandon) = th E[W]"
    report(SKILLS, "omniroute", figure, "1/s", target=">= 2 M/s")


def test_skills_heapq(rate, report):
    arrivals = worlds.skilled_columns(size("skills_heapq"))
    columns = tuple(c.tolist() for c in (arrivals.at, arrivals.class_, arrivals.handle, arrivals.patience))
    last: list[tuple[list[int], list[int]]] = []

    def run() -> None:
        last[:] = [rivals.heapq_skills(columns, worlds.SERVES, worlds.SIZES)]

    figure = rate(run, len(columns[0]), size("rounds"), tuple)
    ours = drive_columns(worlds.skilled_world().build(), arrivals, sign_in_all(sum(worlds.SIZES)))
    agreed = np.mean((ours.agent == last[0][0]) & (ours.start == last[0][1]))
    assert agreed > 0.999, f"the loop and omniroute agree in {agreed:.3%} of the rows (ties of one millisecond differ)"
    report(SKILLS, "hand-written heapq loop", figure, "1/s")


def test_large_omniroute(rate, report):
    agents = size("agents")
    arrivals = worlds.large_columns(size("large"), agents)
    figure, results = measured(rate, worlds.large_world(agents), arrivals)
    assert (results.served.astype(int) + results.abandoned == 1).all()
    assert (results.agent[results.served] % agents < agents).all()
    report(LARGE.format(agents), "omniroute", figure, "1/s", target=">= 1 M/s")


def test_answers_omniroute(rate, report):
    arrivals = worlds.two_classes(size("columns"))
    rows = len(arrivals.at)
    answers = Answers(
        number=np.arange(rows),
        answer=np.full(rows, 3_000),
        decline=np.full(rows, 20),
        ignore=np.full(rows, 10),
        back=60_000,
    )
    world = attrs.evolve(pool(), queues=(BareQueue(offer_timeout=20_000),))
    figure, results = measured(rate, world, attrs.evolve(arrivals, answers=answers))
    assert results.served.all()
    assert results.details.offers.sum() / rows == pytest.approx(1 / 0.97, rel=0.01), "offers of each: geometric"
    report(ANSWERED, "omniroute", figure, "1/s")


def test_threads(benchmark, report):
    arrivals = worlds.skilled_columns(size("skills"))
    crew = sign_in_all(sum(worlds.SIZES))

    def world(core) -> list[int]:
        return drive_columns(core, arrivals, crew).start.tolist()[-1000:]

    def timed(run, cores) -> tuple[float, list[list[int]]]:
        begin = perf_counter()
        found = list(run(world, cores))
        return perf_counter() - begin, found

    alone: list[float] = []
    together: list[float] = []
    with ThreadPoolExecutor(2) as threads:
        for _ in range(size("rounds")):
            first, left = timed(map, [worlds.skilled_world().build() for _ in range(2)])
            second, right = timed(threads.map, [worlds.skilled_world().build() for _ in range(2)])
            assert left == right
            alone.append(first)
            together.append(second)
    benchmark.pedantic(lambda: None, rounds=1)
    report(THREADS, "omniroute", np.median(alone) / np.median(together), "x", target="2 x on two free cores")
