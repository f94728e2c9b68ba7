"""The core against queueing theory: closed forms, chains and product forms that a correct router must reproduce.

The first half lets the helpers reproduce the printed tables, so the numbers that judge the core are themselves judged.
The second half drives the core by columns with fixed seeds and asks each mean to be within four standard errors of the
exact value: ``4 s / sqrt(N)`` where ``s`` is known, else four errors estimated from 40 batches in the order of time.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles
import pytest
from oracles import assert_mean
from worlds import UNIT, by_commands, drawn, skilled, warm

from omniroute.core import IMPLEMENTATION
from omniroute.world.bare import (
    Arrivals,
    BareClass,
    BareGroup,
    BareQueue,
    BareWorld,
    PairRow,
    Results,
    drive_columns,
    sign_in_all,
)

needs_kernel = pytest.mark.skipif(
    IMPLEMENTATION == "reference", reason="the reference core would need minutes for a sample of this size"
)
sizes = pytest.mark.parametrize(
    "rows", [pytest.param(200_000, id="suite"), pytest.param(10_000_000, id="long", marks=pytest.mark.slow)]
)

# The tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("l", "m", "n", "wait_share", "wait", "queue", "t", "in_time"),
    [
        (4.2, 0.5, 12, 0.183888630393, 0.102160350219, 0.429073470918, 1 / 3, 0.899079779895),
        (84, 1, 90, 0.411957313829, 0.068659552305, 5.767402393600, 1 / 30, 0.662717878213),
        (95, 1, 100, 0.506456853913, 0.101291370783, 9.622680224350, 0.1, 0.692818390280),
        (48, 1, 50, 0.694455611197, 0.347227805598, 16.6669346687, 1 / 3, 0.643454600803),
    ],
)
def test_erlang_c_table(l, m, n, wait_share, wait, queue, t, in_time):  # noqa: E741
    """The helper for Erlang C gives the printed digits."""
    assert oracles.erlang_c(l, m, n) == pytest.approx(wait_share, rel=1e-11)
    assert oracles.erlang_c_wait(l, m, n) == pytest.approx(wait, rel=1e-11)
    assert l * oracles.erlang_c_wait(l, m, n) == pytest.approx(queue, rel=1e-11)
    assert 1 - oracles.erlang_c_late(l, m, n, t) == pytest.approx(in_time, rel=1e-11)


def test_finite_room_table():
    """The helper for finite room gives the printed digits."""
    expected = (0.00947687430251, 0.0611242407593, 0.157861356973)
    assert oracles.finite_room(4.2, 0.5, 12, 17) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            (4.2, 0.5, 12, 1),
            (0.127372281809, 0.0296789055424, 0.0296789055424, 0.0240600770092, 0.213380688079, 0.67922476612),
        ),
        (
            (48, 1, 50, 0.5),
            (0.467774068554, 0.0309122491622, 0.0618244983244, 0.0602650039926, 0.110714077551, 0.930324240804),
        ),
        (
            (100, 1, 100, 1),
            (0.513298798279, 0.0398609968091, 0.0398609968091, 0.038916533116, 0.0626104637446, 0.960139003191),
        ),
    ],
)
def test_erlang_a_table(key, expected):
    """The helper for Erlang A gives the printed digits."""
    assert tuple(oracles.erlang_a(*key).values()) == pytest.approx(expected, rel=1e-11)


def test_service_level_table():
    """The helper for the four service levels gives the printed digits."""
    expected = (0.945269575559, 0.974182238187, 0.967871538728, 0.968621810090)
    found = oracles.service_levels_with_abandonment(4.2, 0.5, 12, 1, 1 / 3)
    assert found == pytest.approx(expected, rel=1e-11)


def test_day_table():
    """The helper for a day from empty gives the printed digits, with and without abandonment."""
    day = oracles.day_from_empty(4.2, 0.5, 12, 480, 1 / 3, 0)
    assert (day["wait"], day["in_target"] / 2016, day["in_target"]) == pytest.approx(
        (0.10068074, 0.90043241, 1815.2717), rel=1e-7
    )
    day = oracles.day_from_empty(4.2, 0.5, 12, 480, 1 / 3, 1)
    assert (day["abandoned"], day["served"]) == pytest.approx((59.263218, 1956.7368), rel=1e-7)


@pytest.mark.parametrize(
    ("n", "m", "ls", "waits", "t", "late"),
    [
        (12, 0.5, (2, 2.2), (0.0459721575984, 0.153240525328), 1 / 3, (0.0484725167037, 0.113301935201)),
        (100, 1, (36, 54), (0.00338969501416, 0.0338969501416), 0.05, (0.00884297213387, 0.151235636416)),
        (1, 1, (0.3, 0.5), (8 / 7, 40 / 7), 1, (0.397268243033, 0.669374472689)),
    ],
)
def test_priority_table(n, m, ls, waits, t, late):
    """The helpers for strict priority give the printed digits, means and tails."""
    assert oracles.priority_waits(ls, m, n) == pytest.approx(waits, rel=1e-11)
    assert oracles.priority_late(ls, m, n, t) == pytest.approx(late, rel=1e-10)


def test_priority_with_patience_table():
    """The chain of two classes with their own patience gives the printed digits; also the c-mu/theta costs."""
    p = oracles.two_classes((10, 12), 1, 20, (1 / 2, 1 / 3), (40, 120))
    waits = [sum(s[k] * x for s, x in p.items()) / l for k, l in ((1, 10), (2, 12))]  # noqa: E741
    assert waits == pytest.approx((0.0738181760, 0.5426075999), rel=1e-9)
    assert (waits[0] / 2, waits[1] / 3) == pytest.approx((0.0369090880, 0.1808692000), rel=1e-9)
    assert sum(x for s, x in p.items() if s[0] == 20) == pytest.approx(0.8358081715, rel=1e-9)
    p = oracles.two_classes((9, 9), 1, 15, (1 / 4, 1), (60, 60))
    assert sum((s[1] + 1.5 * s[2]) * x for s, x in p.items()) == pytest.approx(5.88959724, rel=1e-8)
    p = oracles.two_classes((9, 9), 1, 15, (1, 1 / 4), (60, 120))
    assert sum((1.5 * s[1] + s[2]) * x for s, x in p.items()) == pytest.approx(10.39291185, rel=1e-8)


@pytest.mark.parametrize(
    ("n", "m", "ls", "b", "waits"),
    [
        (1, 1, (0.3, 0.5), (1, 0.5), (48 / 17, 80 / 17)),
        (12, 0.5, (2, 2.2), (3, 1), (0.0700528115785, 0.131349021710)),
        (100, 1, (50, 45), (3, 1), (0.0557102539304, 0.151937056174)),
    ],
)
def test_accumulating_table(n, m, ls, b, waits):
    """The recursion for accumulating priority gives the printed digits."""
    assert oracles.accumulating_waits(ls, m, n, b) == pytest.approx(waits, rel=1e-11)


N2 = ((Fraction(3, 5), Fraction(4, 5)), (Fraction(1), Fraction(1)), (frozenset({0}), frozenset({0, 1})))
N2_ASYMMETRIC = ((Fraction(9, 10), Fraction(1, 2)), (Fraction(1), Fraction(6, 5)), (frozenset({0}), frozenset({0, 1})))
W2 = (
    (Fraction(2, 5), Fraction(3, 5), Fraction(1, 2)),
    (Fraction(1), Fraction(1)),
    (frozenset({0, 1}), frozenset({1, 2})),
)


@pytest.mark.parametrize(
    ("system", "p_wait", "waits", "busy"),
    [
        (
            N2,
            (Fraction(147, 305), Fraction(539, 610)),
            (Fraction(49, 61), Fraction(294, 61)),
            (0.516393442623, 0.883606557377),
        ),
        (
            N2_ASYMMETRIC,
            (Fraction(357, 781), Fraction(1631, 2343)),
            (Fraction(1785, 3124), Fraction(1105, 852)),
            (0.564660691421, 0.696116090482),
        ),
        (
            W2,
            (Fraction(73, 100), Fraction(121, 200), Fraction(77, 100)),
            (Fraction(563, 300), Fraction(121, 100), Fraction(11, 5)),
            (0.73, 0.77),
        ),
    ],
    ids=["N2", "N2asym", "W"],
)
def test_skills_table(system, p_wait, waits, busy):
    """The product form gives the printed fractions exactly."""
    found = oracles.skills_fcfs(*system)
    assert tuple(found["p_wait"]) == p_wait
    assert tuple(found["wait"]) == waits
    assert [float(x) for x in found["busy"]] == pytest.approx(busy, rel=1e-11)


def test_pooled_table():
    """The chain of the pooled N model gives the printed digits under both orders."""
    b_first = oracles.pooled_n((5, 4.5), (5, 7), b_first=True, tops=(150, 100))
    a_first = oracles.pooled_n((5, 4.5), (5, 7), b_first=False, tops=(60, 300))
    assert b_first == pytest.approx((0.1710320888, 0.1954655053), rel=1e-9)
    assert a_first == pytest.approx((0.0355077141, 0.5841516433), rel=1e-9)


# Samples --------------------------------------------------------------------------------------------------------------


def sample_size(rows: int) -> int:
    """Fewer rows for the reference core, whose tolerance widens with it."""
    return rows if IMPLEMENTATION == "kernel" else rows // 20


def warm_up(l: float, m: float, n: int, th: float = 0.0) -> float:  # noqa: E741
    """The warm-up in time units."""
    if th:
        return 20 / min(m, th)
    return 20 * max(1 / m, 1 / ((n * m) ** 0.5 - l**0.5) ** 2)


def waits_of(arrivals: Arrivals, results: Results) -> np.ndarray:
    """Waits in time units."""
    return results.waits(arrivals) / UNIT


def run(world: BareWorld, arrivals: Arrivals) -> tuple[np.ndarray, Results]:
    """Drive a fresh core with all agents signed in at 0; everybody's wait in units, and the results."""
    core = world.build()
    results = drive_columns(core, arrivals, sign_in_all(world.agents))
    return waits_of(arrivals, results), results


def pool(n: int, classes: int = 1, **queue) -> BareWorld:
    """One group of n agents for all classes."""
    return BareWorld(groups=(BareGroup(agents=n),), classes=(BareClass(),) * classes, queues=(BareQueue(**queue),))


@pytest.mark.parametrize(
    ("l", "m", "n", "s", "s_wait", "t"),
    [
        pytest.param(0.9, 1, 1, 189.476, None, 9.0, marks=needs_kernel),
        (4.2, 0.5, 12, 2.06541, 1.80, 1 / 3),
        pytest.param(84, 1, 90, None, 9.10, 1 / 30, marks=needs_kernel),
        pytest.param(95, 1, 100, 7.13248, 11.0, 0.1, marks=needs_kernel),
        pytest.param(48, 1, 50, None, 9.50, 1 / 3, marks=needs_kernel),
    ],
    ids=["l=.9 m=1 n=1", "l=4.2 m=.5 n=12", "l=84 m=1 n=90", "l=95 m=1 n=100", "l=48 m=1 n=50"],
)
@sizes
def test_erlang_c_through_the_core(rows, l, m, n, s, s_wait, t):  # noqa: E741
    """One pool, first come first served: P(wait), W and the share in time are Erlang's."""
    arrivals = drawn(sample_size(rows), 11, (l,), m)
    waits, _ = run(pool(n), arrivals)
    waits = waits[warm(arrivals, warm_up(l, m, n))]
    assert_mean("P(wait)", waits > 0, oracles.erlang_c(l, m, n), s_wait)
    assert_mean("W", waits, oracles.erlang_c_wait(l, m, n), s)
    assert_mean("P(W <= T)", waits <= t, 1 - oracles.erlang_c_late(l, m, n, t))


@sizes
def test_finite_room_through_the_core(rows):
    """A queue limit is the room of the waiting: P(block), and W and P(wait) of the accepted."""
    arrivals = drawn(sample_size(rows), 12, (4.2,), 0.5)
    waits, results = run(pool(12, limit=5), arrivals)
    rows_ = warm(arrivals, warm_up(4.2, 0.5, 12))
    p_block, wait, p_wait = oracles.finite_room(4.2, 0.5, 12, 17)
    assert_mean("P(block)", results.blocked[rows_], p_block)
    accepted = waits[rows_ & ~results.blocked]
    assert_mean("W of the accepted", accepted, wait)
    assert_mean("P(wait) of the accepted", accepted > 0, p_wait)


@pytest.mark.parametrize(
    ("l", "m", "n", "th", "s", "s_wait", "s_abandon"),
    [
        (4.2, 0.5, 12, 1, 0.330765, 1.05, 0.323),
        pytest.param(48, 1, 50, 0.5, 1.11565, 4.78, 0.551, marks=needs_kernel),
        pytest.param(100, 1, 100, 1, None, None, None, marks=needs_kernel),
    ],
    ids=["l=4.2 m=.5 n=12 th=1", "l=48 m=1 n=50 th=.5", "l=100 m=1 n=100 th=1"],
)
@sizes
def test_erlang_a_through_the_core(rows, l, m, n, th, s, s_wait, s_abandon):  # noqa: E741
    """One pool with abandonment: P(wait), P(abandon), waits of all, served, abandoned; utilisation; four levels."""
    arrivals = drawn(sample_size(rows), 13, (l,), m, ths=(th,))
    waits, results = run(pool(n), arrivals)
    kept = warm(arrivals, warm_up(l, m, n, th))
    waits, left, served = waits[kept], results.abandoned[kept], results.served[kept]
    exact = oracles.erlang_a(l, m, n, th)
    assert_mean("P(wait)", waits > 0, exact["p_wait"], s_wait)
    assert_mean("P(abandon)", left, exact["p_abandon"], s_abandon)
    assert_mean("W", waits, exact["wait"], s)
    assert_mean("W of the served", waits[served], exact["wait_served"])
    assert_mean("W of those who left", waits[left], exact["wait_abandoned"])
    busy = np.where(served, arrivals.handle[kept] / UNIT, 0)
    assert_mean("utilisation", busy * l / n, exact["utilisation"])
    assert_mean("P(abandon) - th W", left - th * waits, 0)  # P(abandon) = th E[W]
    if (l, th) == (4.2, 1):
        assert_service_levels(waits, served, left, (4.2, 0.5, 12, 1, 1 / 3))


def assert_service_levels(waits: np.ndarray, served: np.ndarray, left: np.ndarray, key) -> None:
    """The four service levels by name, each as a ratio of means: numerator - level * denominator has mean 0."""
    in_time, early = served & (waits <= key[-1]), left & (waits <= key[-1])
    one = np.ones(len(waits))
    levels = oracles.service_levels_with_abandonment(*key)
    fractions = ((in_time, one), (in_time, served), (in_time, one - early), (in_time | early, one))
    for number, (level, (above, below)) in enumerate(zip(levels, fractions, strict=True), 1):
        assert_mean(f"SL{number} less its exact value, weighted", above - level * below, 0)


@needs_kernel
@pytest.mark.parametrize(
    "days", [pytest.param(150, id="suite"), pytest.param(5_000, id="long", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("th", [0.0, 1.0], ids=["nobody leaves", "th=1"])
def test_a_day_from_empty(days, th):
    """480 minutes from empty, the queue worked off after the last arrival: waits, in target, abandoned, served."""
    random = np.random.default_rng(14)
    counts = random.poisson(4.2 * 480, days)
    at = np.concatenate([day * 1_000 + np.sort(random.uniform(0, 480, count)) for day, count in enumerate(counts)])
    day_of = np.repeat(np.arange(days), counts)
    patience = np.rint(random.exponential(UNIT / th, len(at))) if th else np.full(len(at), -1)
    handle = np.rint(random.exponential(2 * UNIT, len(at)))
    arrivals = Arrivals(at=np.rint(at * UNIT), handle=handle, patience=patience)
    waits, results = run(pool(12), arrivals)
    exact = oracles.day_from_empty(4.2, 0.5, 12, 480, 1 / 3, th)
    columns = {"wait": waits / 2016, "abandoned": results.abandoned, "served": results.served}
    if not th:
        columns["in_target"] = results.served & (waits <= 1 / 3)
    for name, column in columns.items():
        by_day = np.bincount(day_of, weights=column, minlength=days)
        oracles.judge(name, exact[name], float(by_day.mean()), by_day.std(ddof=1) / days**0.5, len(at))


# Priority through the core --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "m", "ls", "t", "s"),
    [
        (12, 0.5, (2, 2.2), 1 / 3, (0.446, 2.51)),
        pytest.param(100, 1, (36, 54), 0.05, (None, None), marks=needs_kernel),
        pytest.param(1, 1, (0.3, 0.5), 1, (None, None), marks=needs_kernel),
    ],
    ids=["n=12 m=.5 l=2,2.2", "n=100 m=1 l=36,54", "n=1 m=1 l=.3,.5"],
)
@sizes
def test_strict_priority_through_the_core(rows, n, m, ls, t, s):
    """Tiers are strict: means and tails of both classes, and the whole queue as if there were no classes."""
    arrivals = drawn(sample_size(rows), 21, ls, m, tiers=(0, 1))
    waits, _ = run(pool(n, classes=2), arrivals)
    kept = warm(arrivals, warm_up(sum(ls), m, n))
    exact, late = oracles.priority_waits(ls, m, n), oracles.priority_late(ls, m, n, t)
    for k in (0, 1):
        mine = waits[kept & (arrivals.class_ == k)]
        assert_mean(f"W{k + 1}", mine, exact[k], s[k])
        assert_mean(f"P(W{k + 1} > t)", mine > t, late[k])
    assert_mean("W of all", waits[kept], oracles.erlang_c_wait(sum(ls), m, n))


@sizes
def test_priority_with_patience_through_the_core(rows):
    """Strict priority with a patience of its own for each class."""
    ths = (1 / 2, 1 / 3)
    arrivals = drawn(sample_size(rows), 22, (10, 12), 1, ths=ths, tiers=(0, 1))
    waits, results = run(pool(20, classes=2), arrivals)
    kept = warm(arrivals, warm_up(22, 1, 20, 1 / 3))
    for k, (exact, s) in enumerate(((0.0738181760, 0.284), (0.5426075999, 3.66))):
        mine = kept & (arrivals.class_ == k)
        assert_mean(f"W{k + 1}", waits[mine], exact, s)
        assert_mean(f"P(abandon) of {k + 1}", results.abandoned[mine], exact * ths[k])
        assert_mean(f"P(wait) of {k + 1}", waits[mine] > 0, 0.8358081715)


@pytest.mark.parametrize(
    ("n", "m", "ls", "b", "rates", "s"),
    [
        pytest.param(1, 1, (0.3, 0.5), (1, 0.5), (2, 1), (None, None), marks=needs_kernel),
        (12, 0.5, (2, 2.2), (3, 1), (3, 1), (None, None)),
        pytest.param(100, 1, (50, 45), (3, 1), (3, 1), (2.4, 6.8), marks=needs_kernel),
    ],
    ids=["n=1 m=1 l=.3,.5 b=1,.5", "n=12 m=.5 l=2,2.2 b=3,1", "n=100 m=1 l=50,45 b=3,1"],
)
@sizes
def test_accumulating_priority_through_the_core(rows, n, m, ls, b, rates, s):
    """Age rates by class are accumulating priority, as integers in any common unit."""
    arrivals = drawn(sample_size(rows), 23, ls, m)
    classes = tuple(BareClass(age_rate=rate) for rate in rates)
    waits, _ = run(BareWorld(groups=(BareGroup(agents=n),), classes=classes), arrivals)
    kept = warm(arrivals, warm_up(sum(ls), m, n))
    for k, exact in enumerate(oracles.accumulating_waits(ls, m, n, b)):
        assert_mean(f"W{k + 1}", waits[kept & (arrivals.class_ == k)], exact, s[k])
    assert_mean("W of all", waits[kept], oracles.erlang_c_wait(sum(ls), m, n))


@pytest.mark.parametrize(
    ("tiers", "cost"), [((0, 1), 5.88959724), ((1, 0), 10.39291185)], ids=["class 1 first", "class 2 first"]
)
@sizes
def test_c_mu_theta_through_the_core(rows, tiers, cost):
    """In overload the holding cost of both orders, as tiers: class 1 first is right, though plain c-mu says class 2."""
    arrivals = drawn(sample_size(rows), 24, (9, 9), 1, ths=(1 / 4, 1), tiers=tiers)
    waits, _ = run(pool(15, classes=2), arrivals)
    kept = warm(arrivals, 20 / (1 / 4))
    weights = np.array([1, 1.5])[arrivals.class_]
    assert_mean("holding cost", (weights * waits)[kept] * 18, cost)


# Skills through the core ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "s"),
    [
        pytest.param(N2, (5.2, 48.8), id="N2", marks=needs_kernel),
        pytest.param(W2, (7.4, 8.3, 10.4), id="W", marks=needs_kernel),
    ],
)
@sizes
def test_skills_through_the_core(rows, system, s):
    """First come first served, longest idle agent, over skills: P(wait), W by class, busy by agent, matching rates."""
    ls, ms, serves = system
    arrivals = drawn(sample_size(rows), 31, ls, 1)
    waits, results = run(skilled(serves), arrivals)
    check_skills(arrivals, waits, results, oracles.skills_fcfs(*system), ls, ms, s)
    if system is N2:
        kept = warm(arrivals, 4_000)
        for class_, agent, rate in ((0, 0, 0.516393442623), (0, 1, 0.083606557377), (1, 1, 0.8)):
            match = (arrivals.class_ == class_) & (results.agent == agent)
            assert_mean(f"matches {'ab'[class_]} -> {agent}", match[kept] * float(sum(ls)), rate)


def check_skills(arrivals, waits, results, exact, ls, ms, s) -> None:
    """Waits by class; busy of an agent as his matches times his mean handling time."""
    kept = warm(arrivals, min(4_000, arrivals.at[-1] / UNIT / 4))
    for k in range(len(ls)):
        mine = waits[kept & (arrivals.class_ == k)]
        assert_mean(f"P(wait) of {'abc'[k]}", mine > 0, float(exact["p_wait"][k]))
        assert_mean(f"W of {'abc'[k]}", mine, float(exact["wait"][k]), s[k])
    for j, m in enumerate(ms):
        work = arrivals.handle / UNIT / float(m) * (results.agent == j)
        assert_mean(f"busy of agent {j}", work[kept] * float(sum(ls)), float(exact["busy"][j]))


@needs_kernel
@pytest.mark.parametrize(
    "rows", [pytest.param(60_000, id="suite"), pytest.param(10_000_000, id="long", marks=pytest.mark.slow)]
)
def test_skills_with_speeds_of_agents(rows):
    """N2 with agents of different speed, by commands: handling columns belong to interactions and cannot say this."""
    ls, ms, serves = N2_ASYMMETRIC
    arrivals = drawn(rows, 32, ls, 1)
    world = skilled(serves)
    results, _ = by_commands(world.build(), arrivals, sign_in_all(2), speeds=[float(m) for m in ms], told=False)
    exact = oracles.skills_fcfs(*N2_ASYMMETRIC)
    check_skills(arrivals, waits_of(arrivals, results), results, exact, ls, ms, (None, None))


@pytest.mark.parametrize(
    ("shares", "serves", "matches"),
    [
        ((0.6, 0.4), ({0}, {0, 1}), {(0, 0): 0.5, (0, 1): 0.1, (1, 1): 0.4}),
        ((0.3, 0.4, 0.3), ({0, 1}, {1, 2}), {(0, 0): 0.3, (1, 0): 0.2, (1, 1): 0.2, (2, 1): 0.3}),
    ],
    ids=["N", "W"],
)
@pytest.mark.parametrize(
    ("rows", "times"),
    [pytest.param(20_000, 1, id="suite"), pytest.param(1_000_000, 10, id="long", marks=pytest.mark.slow)],
)
def test_first_come_matching(rows, times, shares, serves, matches):
    """Two sequences without clocks, first fit in order: each agent signs in once and takes one interaction for ever."""
    rows = rows if IMPLEMENTATION == "kernel" else 400
    random, found = np.random.default_rng(33), dict.fromkeys(matches, 0)
    for _ in range(times):
        for match, count in first_fits(rows, random, shares, serves, matches).items():
            found[match] += count
    for (c, g), share in matches.items():
        rate = found[c, g] / (times * rows)
        oracles.judge(f"share of ({'abc'[c]}, {g})", share, rate, (0.5 / (times * rows)) ** 0.5, times * rows)


def first_fits(rows, random, shares, serves, matches) -> dict[tuple[int, int], int]:
    """How many of so many interactions of each class were matched with agents of each kind."""
    class_ = random.choice(len(shares), rows, p=shares)
    kind = random.integers(0, 2, rows)
    agents = np.argsort(np.argsort(kind, kind="stable"), kind="stable")  # groups are numbered one after the other
    world = skilled([frozenset(served) for served in serves], agents=np.bincount(kind, minlength=2).tolist())
    at = np.arange(rows) * 1_000
    arrivals = Arrivals(at=at, class_=class_, handle=np.full(rows, 10**11))
    presences = (at, agents, np.zeros(rows, np.int64))
    results = drive_columns(world.build(), arrivals, presences, until=int(at[-1]) + 1)
    matched = results.agent >= 0
    group = (results.agent >= np.count_nonzero(kind == 0)).astype(int)
    assert matched.mean() > 1 - 10 / rows**0.5
    return {(c, g): int((matched & (class_ == c) & (group == g)).sum()) for c, g in matches}


@pytest.mark.parametrize(
    ("b_first", "exact", "s"),
    [
        (True, (0.1710320888, 0.1954655053), (3.05, 1.80)),
        pytest.param(False, (0.0355077141, 0.5841516433), (None, 9.64), marks=needs_kernel),
    ],
    ids=["b first", "a first"],
)
@sizes
def test_pooled_n_through_the_core(rows, b_first, exact, s):
    """Ranks both ways: a tries dedicated agents first (rank out), a freed flexible agent prefers a class (rank in)."""
    arrivals = drawn(sample_size(rows), 34, (5, 4.5), 1)
    classes = (
        BareClass(program=(0,), pairs=PairRow(rank_out=(0, 1), rank_in=(0, int(b_first)))),
        BareClass(program=(1,), pairs=PairRow(rank_in=(0, int(not b_first)))),
    )
    waits, _ = run(skilled((frozenset({0}), frozenset({0, 1})), agents=(5, 7), classes=classes), arrivals)
    kept = warm(arrivals, 20 / (7**0.5 - 4.5**0.5) ** 2)
    for k in (0, 1):
        assert_mean(f"W of {'ab'[k]}", waits[kept & (arrivals.class_ == k)], exact[k], s[k])
