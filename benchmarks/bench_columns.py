"""Interactions per second through the columns, beside peers that get the same columns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import process_time

import attrs
import numpy as np
import pytest

from benchmarks import plain, rivals, worlds
from benchmarks.sizes import size
from omniroute.world.bare import (
    Answers,
    Arrivals,
    BareClass,
    BareGroup,
    BareQueue,
    BareWorld,
    Column,
    drive_columns,
    sign_in_all,
)

PLAIN = "plain Python router"
EVERY_CLASS = ((0, 1),)


def pool() -> BareWorld:
    return BareWorld(groups=(BareGroup(agents=100),), classes=(BareClass(),) * 2)


def driven(world: BareWorld, arrivals: Arrivals) -> tuple[Column, Column]:
    """What omniroute answers: agent and start of each row."""
    results = drive_columns(world.build(), arrivals, sign_in_all(world.agents))
    return results.agent, results.start


def lists(arrivals: Arrivals, *names: str) -> tuple[list[int], ...]:
    """Columns as lists of Python integers, which Python programs read fastest."""
    return tuple(getattr(arrivals, name).tolist() for name in names)


def router_lists(arrivals: Arrivals) -> tuple[list[int], ...]:
    return lists(arrivals, "at", "class_", "tier", "handle", "patience")


def same_as(world: BareWorld, arrivals: Arrivals) -> Callable[[Sequence[Column]], None]:
    """A judge: the peer's agent and start of each row are omniroute's."""

    def judge(answers: Sequence[Column]) -> None:
        for theirs, ours in zip(answers, driven(world, arrivals), strict=True):
            assert np.array_equal(theirs, ours), f"{np.mean(theirs != ours):.3%} of the rows differ"

    return judge


def same_waits(arrivals: Arrivals) -> Callable[[Sequence[Column]], None]:
    """A judge: the peer's wait of each row is omniroute's."""

    def judge(answers: Sequence[Column]) -> None:
        ours = driven(pool(), arrivals)[1] - arrivals.at
        assert np.array_equal(answers[0], ours), f"{np.mean(answers[0] != ours):.3%} of the waits differ"

    return judge


def test_two_classes_omniroute(rate):
    arrivals = worlds.two_classes(size("columns"))

    def judge(answers: Sequence[Column]) -> None:
        worlds.check_two_classes(answers[0], arrivals.class_)

    def run(core, signed) -> tuple[Column]:
        return (drive_columns(core, arrivals, signed).waits(arrivals),)

    rate(
        "two-classes",
        "omniroute",
        run,
        len(arrivals.at),
        rounds=size("rounds"),
        judge=judge,
        setup=lambda: (pool().build(), sign_in_all(100)),
    )


def compiled(arrivals: Arrivals) -> Callable[[], tuple[Column]]:
    """The bare loop over these columns; skips where there is no C compiler."""
    loop = rivals.compiled_loop()
    if loop is None:
        pytest.skip("there is no C compiler")

    def run() -> tuple[Column]:
        waits = np.zeros(len(arrivals.at), np.int64)
        columns = [rivals.pointer(c) for c in (arrivals.at, arrivals.tier, arrivals.handle, waits)]
        assert loop(len(waits), 100, *columns) == 0
        return (waits,)

    return run


def test_two_classes_compiled(rate):
    arrivals = worlds.two_classes(size("columns"))
    judge = same_waits(arrivals)
    rate("two-classes", "bare compiled loop", compiled(arrivals), len(arrivals.at), rounds=size("rounds"), judge=judge)


def test_two_classes_share(benchmark, report):
    """By turns, so that a machine that is slow for a while is slow for both; the median of the ratios."""
    arrivals = worlds.two_classes(size("columns") // 3)
    bare = compiled(arrivals)

    def turn() -> float:
        core, signed = pool().build(), sign_in_all(100)
        begin = process_time()
        ours = drive_columns(core, arrivals, signed)
        between = process_time()
        theirs = bare()
        end = process_time()
        assert np.array_equal(theirs[0], ours.start - arrivals.at)
        return (end - between) / (between - begin)

    turn()
    found = benchmark.pedantic(lambda: [turn() for _ in range(4 * size("rounds") + 1)], rounds=1)
    report("two-classes-share", "omniroute", statistics.median(found), n=len(arrivals.at))


@pytest.mark.parametrize(
    ("loop", "engine", "rows"),
    [
        pytest.param(rivals.events_two_classes, "heapq event loop", "heapq", id="events"),
        pytest.param(rivals.heapq_two_classes, "heapq of bare instants, this model only", "heapq", id="instants"),
        pytest.param(rivals.simpy_two_classes, "SimPy", "simpy", id="simpy"),
        pytest.param(rivals.ciw_two_classes, "Ciw", "ciw", id="ciw"),
    ],
)
def test_two_classes_peer(rate, loop, engine, rows):
    if rows in ("simpy", "ciw"):
        pytest.importorskip(rows)
    arrivals = worlds.two_classes(size(rows))
    columns = lists(arrivals, "at", "tier", "handle")
    rate(
        "two-classes",
        engine,
        lambda: (loop(*columns, 100),),
        len(arrivals.at),
        rounds=min(size("rounds"), 3),
        judge=same_waits(arrivals),
    )


def test_two_classes_plain(rate):
    arrivals = worlds.two_classes(size("plain"))
    columns = router_lists(arrivals)
    rate(
        "two-classes",
        PLAIN,
        lambda router: plain.route(router, columns),
        len(arrivals.at),
        rounds=size("rounds"),
        judge=same_as(pool(), arrivals),
        setup=lambda: (plain.built((100,), EVERY_CLASS, 2),),
    )


def test_three_groups_omniroute(rate):
    arrivals = worlds.skilled_columns(size("skills"))
    world = worlds.skilled_world()

    def judge(answers: Sequence[Column]) -> None:
        agent, start, end = answers
        waits = (np.where(agent < 0, end, start) - arrivals.at).mean() / worlds.UNIT
        assert (agent < 0).mean() == pytest.approx(2 * waits, rel=0.05), "P(abandon) = th E[W]"

    def run(core, signed) -> tuple[Column, Column, Column]:
        results = drive_columns(core, arrivals, signed)
        return results.agent, results.start, results.end

    rate(
        "three-groups",
        "omniroute",
        run,
        len(arrivals.at),
        rounds=size("rounds"),
        judge=judge,
        setup=lambda: (world.build(), sign_in_all(world.agents)),
    )


def test_three_groups_heapq(rate):
    arrivals = worlds.skilled_columns(size("plain"))
    columns = lists(arrivals, "at", "class_", "handle", "patience")
    rate(
        "three-groups",
        "hand-written heapq loop, this model only",
        lambda: rivals.heapq_skills(columns, worlds.SERVES, worlds.SIZES),
        len(arrivals.at),
        rounds=size("rounds"),
        judge=same_as(worlds.skilled_world(), arrivals),
    )


def test_three_groups_plain(rate):
    arrivals = worlds.skilled_columns(size("plain"))
    columns = router_lists(arrivals)
    rate(
        "three-groups",
        PLAIN,
        lambda router: plain.route(router, columns),
        len(arrivals.at),
        rounds=size("rounds"),
        judge=same_as(worlds.skilled_world(), arrivals),
        setup=lambda: (plain.built(worlds.SIZES, worlds.SERVES, 3),),
    )


def test_large_omniroute(rate):
    agents = size("agents")
    arrivals = worlds.large_columns(size("large"), agents)
    world = worlds.large_world(agents)

    def judge(answers: Sequence[Column]) -> None:
        agent, start = answers
        assert ((agent >= 0) == (start >= 0)).all()
        assert (agent < agents).all()

    def run(core, signed) -> tuple[Column, Column]:
        results = drive_columns(core, arrivals, signed)
        return results.agent, results.start

    rate(
        "large",
        "omniroute",
        run,
        len(arrivals.at),
        rounds=size("rounds"),
        judge=judge,
        setup=lambda: (world.build(), sign_in_all(world.agents)),
    )


def test_large_plain(rate):
    agents = size("agents")
    arrivals = worlds.large_columns(size("plain"), agents)
    columns, world = router_lists(arrivals), worlds.large_world(agents)
    groups = [(group.agents, group.atoms) for group in world.groups]
    rate(
        "large",
        PLAIN,
        lambda router: plain.route(router, columns),
        len(arrivals.at),
        rounds=size("rounds"),
        judge=same_as(world, arrivals),
        setup=lambda: (plain.built([n for n, _ in groups], [held for _, held in groups], len(world.classes)),),
    )


def test_answers_omniroute(rate):
    """Agents who answer after a while, and now and then decline or do not answer."""
    arrivals = worlds.two_classes(size("columns"))
    rows = len(arrivals.at)
    second = worlds.UNIT // 300
    answers = Answers(
        number=np.arange(rows),
        answer=np.full(rows, 3 * second),
        decline=np.full(rows, 20),
        ignore=np.full(rows, 10),
        back=60 * second,
    )
    world = attrs.evolve(pool(), queues=(BareQueue(offer_timeout=20 * second),))
    answered = attrs.evolve(arrivals, answers=answers)

    def judge(found: Sequence[Column]) -> None:
        agent, _, offers = found
        assert (agent >= 0).all()
        assert offers.sum() / rows == pytest.approx(1 / 0.97, rel=0.01), "offers of each: geometric"

    def run(core, signed) -> tuple[Column, Column, Column]:
        results = drive_columns(core, answered, signed)
        return results.agent, results.start, results.details.offers

    rate(
        "answers",
        "omniroute",
        run,
        rows,
        rounds=size("rounds"),
        judge=judge,
        setup=lambda: (world.build(), sign_in_all(100)),
    )
