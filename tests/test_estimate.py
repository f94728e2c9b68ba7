"""The estimates of the core, against enumeration, floats and sorted lists, and how far off they may be."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import combinations, pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waits_in_a_line import delayed, relative_error

from omniroute.core.estimate import HandleTimes, ServiceLevel, drain, drain_tiers, with_abandonment
from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError, TimeError

HOUR_MS = 3_600_000


# --- expected waits: the meaning, by enumeration ---


def nearest(wait: Fraction) -> int:
    """The nearest ms, a half upward, at most the greatest time."""
    return min(math.floor(wait + Fraction(1, 2)), TIME_MAX)


def enumerated(waiting: list[int], serving: list[int], rates: list[Fraction], taken: list[Fraction]) -> list[Any]:
    """The wait of each class as a fraction, by looking at every set of classes; None where it has no end."""
    found: list[Any] = [None] * len(waiting)
    left, alive = list(range(len(waiting))), (1 << len(rates)) - 1

    def pools(classes: Iterable[int]) -> int:
        mask = 0
        for c in classes:
            mask |= serving[c]
        return mask & alive

    def rate(classes: Iterable[int]) -> Fraction:
        return sum(n for p, n in enumerate(rates) if pools(classes) >> p & 1) - sum(taken[c] for c in classes)

    def sets() -> Iterable[tuple[int, ...]]:
        return (some for n in range(1, len(left) + 1) for some in combinations(left, n))

    first = True
    while left:
        if first:
            most, best = max((-rate(some), len(some), some) for some in sets())[0], ()
            if most >= 0:
                best = max((some for some in sets() if -rate(some) == most), key=len)
            wait = None
        else:
            ratio = {some: Fraction(sum(waiting[c] for c in some)) / rate(some) for some in sets()}
            wait = max(ratio.values())
            best = max((some for some, value in ratio.items() if value == wait), key=len)
        first = False
        for c in best:
            found[c] = wait
        alive &= ~pools(best)
        left = [c for c in left if c not in best]
    return found


@st.composite
def systems(draw: st.DrawFn, classes: int = 7, pools: int = 5) -> tuple[list[int], list[int], list[int], list[int]]:
    """Who waits, which pools may serve, agents and handle times, small enough to tie often."""
    n, m = draw(st.integers(1, classes)), draw(st.integers(1, pools))
    counts = st.lists(st.integers(0, 6), min_size=n, max_size=n)
    masks = st.lists(st.integers(0, 2**m - 1), min_size=n, max_size=n)
    agents = st.lists(st.integers(0, 4), min_size=m, max_size=m)
    means = st.lists(st.sampled_from([1000, 2000, 3000, 7001]), min_size=m, max_size=m)
    return draw(counts), draw(masks), draw(agents), draw(means)


@given(systems())
def test_drain_is_the_principal_partition(system: tuple[list[int], list[int], list[int], list[int]]) -> None:
    """Peeling off the largest set of greatest ratio, found by enumeration, gives the same waits.

    Seen red with: a split that left the pools of the slower part to the faster one, a search that stopped at the first
    full pools.
    """
    waiting, serving, agents, means = system
    rates = [Fraction(n, mean) for n, mean in zip(agents, means, strict=True)]
    expected = enumerated(waiting, serving, rates, [Fraction(0)] * len(waiting))
    for got, wait in zip(drain(*system), expected, strict=True):
        assert (got is None) == (wait is None)
        if got is not None:
            assert abs(got - wait) <= Fraction(1, 2) + wait / 2**32


@given(st.data())
def test_tiers_are_the_principal_partition_less_arrivals(data: st.DataObject) -> None:
    """For each tier: only tiers not greater count, and the arrivals of the lesser ones take their part of the rate.

    Seen red with: arrivals of the own tier taken too, greater tiers counted, a full pool (0/0) taken for an empty one.
    """
    waiting, serving, agents, means = data.draw(systems(classes=6, pools=4))
    n = len(waiting)
    tiers = data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    arrivals = data.draw(st.lists(st.sampled_from([0, 900, 1800, 3600, 7200]), min_size=n, max_size=n))
    rates = [Fraction((n << 64) // mean, 2**64) for n, mean in zip(agents, means, strict=True)]
    got = drain_tiers(waiting, serving, agents, means, tiers=tiers, arrivals_per_hour=arrivals)
    for tier in set(tiers):
        classes = [c for c in range(n) if tiers[c] <= tier]
        taken = [Fraction((arrivals[c] << 64) // HOUR_MS, 2**64) if tiers[c] < tier else Fraction(0) for c in classes]
        waits = enumerated([waiting[c] for c in classes], [serving[c] for c in classes], rates, taken)
        for c, wait in zip(classes, waits, strict=True):
            if tiers[c] == tier:
                assert got[c] == (None if wait is None else nearest(wait))


@given(systems(classes=12, pools=8), st.data())
def test_more_waiting_or_fewer_agents_never_shorten_a_wait(system: Any, data: st.DataObject) -> None:
    """One more in any class, or one agent less in any pool, shortens nobody's wait; numbering is free.

    Seen red with: the pools of the slower part left to the faster one.
    """
    waiting, serving, agents, means = system
    before = [math.inf if wait is None else wait for wait in drain(*system)]
    c, p = data.draw(st.integers(0, len(waiting) - 1)), data.draw(st.integers(0, len(agents) - 1))
    more = [count + (number == c) for number, count in enumerate(waiting)]
    fewer = [max(0, count - (number == p)) for number, count in enumerate(agents)]
    for after in (drain(more, serving, agents, means), drain(waiting, serving, fewer, means)):
        assert all(wait is None or wait >= was for wait, was in zip(after, before, strict=True))
    backward = drain(waiting[::-1], serving[::-1], agents, means)
    assert [math.inf if wait is None else wait for wait in backward[::-1]] == before


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(1, 10**8))
def test_a_single_pool(ahead: int, agents: int, handle_ms: int) -> None:
    """With q ahead, s agents and rate m the wait is (q + 1) / (s m); exact to the nearest ms and 2**-32 of itself."""
    [wait] = drain([ahead + 1], [1], [agents], [handle_ms])
    exact = Fraction((ahead + 1) * handle_ms, agents)
    assert abs(wait - min(exact, TIME_MAX)) <= Fraction(1, 2) + exact / 2**32


@pytest.mark.parametrize(
    ("waiting", "serving", "agents", "waits"),
    [
        ([], [], [], ()),
        ([3], [0b0], [5], (None,)),
        ([0], [0b1], [0], (None,)),
        ([0], [0b1], [5], (0,)),
        ([0, 4], [0b1, 0b1], [2], (2000, 2000)),
        ([0, 4], [0b01, 0b11], [2, 2], (1000, 1000)),
        ([0, 4], [0b11, 0b01], [2, 2], (0, 2000)),
        ([6, 2], [0b01, 0b11], [2, 2], (3000, 1000)),
        ([4, 4], [0b01, 0b11], [2, 2], (2000, 2000)),
        ([2, 6], [0b01, 0b11], [2, 2], (2000, 2000)),
        ([9, 2, 2], [0b001, 0b011, 0b110], [3, 2, 1], (3000, 1333, 1333)),
        ([5, 5], [0b01, 0b10], [5, 0], (1000, None)),
    ],
)
def test_small_cases(waiting: list[int], serving: list[int], agents: list[int], waits: tuple[Any, ...]) -> None:
    """Cases that can be worked out on paper, every handle time one second; who has nobody gets None, never 0."""
    assert drain(waiting, serving, agents, [1000] * len(agents)) == waits


def test_tiers_that_can_be_worked_out() -> None:
    """The first tier does not see the second; the second waits for the first and its arrivals, perhaps for ever."""
    first, second = drain_tiers([3, 3], [1, 1], [10], [100_000], tiers=[0, 1], arrivals_per_hour=[180, 10**6])
    assert (first, second) == (30_000, 120_000)
    for arrivals, wait in ((359, 21_600_000), (360, None), (400, None)):
        got = drain_tiers([3, 3], [1, 1], [10], [100_000], tiers=[0, 1], arrivals_per_hour=[arrivals, 0])
        assert got == (30_000, wait)
    apart = drain_tiers([99, 3], [0b01, 0b10], [1, 10], [100_000] * 2, tiers=[0, 1], arrivals_per_hour=[400, 0])
    assert apart == (9_900_000, 30_000), "an overloaded queue that shares no agent makes nobody else wait"


@given(systems(), st.integers(-3, 3), st.data())
def test_one_tier_is_the_plain_drain(system: Any, tier: int, data: st.DataObject) -> None:
    """Where all are of one tier, arrivals do not matter."""
    n = len(system[0])
    arrivals = data.draw(st.lists(st.integers(0, 10**5), min_size=n, max_size=n))
    assert drain_tiers(*system, tiers=[tier] * n, arrivals_per_hour=arrivals) == drain(*system)


def lines_run(ask: Callable[[], object]) -> int:
    """How many lines of Python an answer takes: work that is counted, not timed."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ask()
    finally:
        sys.settrace(before)
    return count


def shape(kind: str, size: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """A system of so many classes and pools."""
    dice = random.Random(f"{kind}{size}")
    means = [dice.randrange(60_000, 600_000) for _ in range(size)]
    agents = [dice.randrange(1, 40) for _ in range(size)]
    waiting = [dice.randrange(40) for _ in range(size)]
    if kind == "nested":
        return [size - c for c in range(size)], [(2 << c) - 1 for c in range(size)], [10] * size, means
    if kind == "chain":
        return waiting, [(1 << c) | (1 << (c + 1) % size) for c in range(size)], agents, means
    degree = int(kind)
    return waiting, [sum({1 << dice.randrange(size) for _ in range(degree)}) for _ in range(size)], agents, means


@pytest.mark.parametrize("kind", ["nested", "chain", "2", "4", "10", "50"])
def test_fifty_classes_and_fifty_pools_cost_little(kind: str) -> None:
    """At most 120,000 lines of Python whatever the shape, 300,000 for twice as many of both.

    Seen red with: no greedy start of the flow.
    """
    fifty, hundred = shape(kind, 50), shape(kind, 100)
    assert lines_run(lambda: drain(*fifty)) < 120_000
    assert lines_run(lambda: drain(*hundred)) < 300_000


@pytest.mark.parametrize(
    "ask",
    [
        lambda: drain([1], [1, 1], [1], [1000]),
        lambda: drain([1], [1], [1], [1000, 1000]),
        lambda: drain([-1], [1], [1], [1000]),
        lambda: drain([1], [0b10], [1], [1000]),
        lambda: drain([1], [-1], [1], [1000]),
        lambda: drain([1], [1], [-1], [1000]),
        lambda: drain([1], [1], [1], [0]),
        lambda: drain([1], [1], [1], [2**31]),
        lambda: drain([1.0], [1], [1], [1000]),  # type: ignore[list-item]
        lambda: drain([True], [1], [1], [1000]),
        lambda: drain_tiers([1], [1], [1], [1000], tiers=[], arrivals_per_hour=[1]),
        lambda: drain_tiers([1], [1], [1], [1000], tiers=[1], arrivals_per_hour=[]),
        lambda: drain_tiers([1], [1], [1], [1000], tiers=[2**31], arrivals_per_hour=[1]),
        lambda: drain_tiers([1], [1], [1], [1000], tiers=[1], arrivals_per_hour=[-1]),
        lambda: with_abandonment(-1, 1000),
        lambda: with_abandonment(1, 0),
        lambda: with_abandonment(None, 0),
        lambda: with_abandonment(1.5, 1),  # type: ignore[arg-type]
    ],
)
def test_what_waits_refuse(ask: Callable[[], object]) -> None:
    """Lengths that differ, integers out of range and what is no integer are misuse."""
    with pytest.raises(MisuseError):
        ask()


@given(st.integers(0, TIME_MAX) | st.integers(0, 10**7), st.integers(1, TIME_MAX) | st.integers(1, 10**7))
def test_abandonment(wait_ms: int, patience_ms: int) -> None:
    """``patience * ln(1 + wait / patience)``, less than 1 ms off, never above the wait, never falling.

    Seen red with: 20 binary places instead of 48, the logarithm to base 2.
    """
    got = with_abandonment(wait_ms, patience_ms)
    exact = patience_ms * math.log1p(wait_ms / patience_ms)
    assert got is not None
    assert abs(got - exact) < 1 + exact * 1e-14
    assert got <= wait_ms
    longer = with_abandonment(min(wait_ms + 1, TIME_MAX), patience_ms)
    assert longer is not None
    assert longer >= got


# --- a recent service level ---


GAPS = st.sampled_from([0, 1, 999, 1000, 1001, 60_000]) | st.integers(0, 20_000)
ADDITIONS = st.lists(st.tuples(GAPS, st.integers(0, 50), st.integers(0, 50)), max_size=40)


def told(additions: list[tuple[int, int, int]], start: int = 0) -> list[tuple[int, int, int]]:
    """Additions as (now, good, n)."""
    found, now = [], start
    for gap, good, bad in additions:
        now += gap
        found.append((now, good, good + bad))
    return found


@given(ADDITIONS, st.integers(1, 10_000), st.integers(0, 2**41), GAPS)
def test_share_is_exponentially_decayed(additions: Any, half_life_ms: int, start: int, gap: int) -> None:
    """Within .51 per mille of sums in floats, each weighed by how many half-lives ago it was; None without data.

    Seen red with: sums halved once for any number of half-lives, half-lives counted from the last addition.
    """
    level, outcomes = ServiceLevel(half_life_ms), told(additions, start)
    for outcome in outcomes:
        level.add(*outcome)
    now = (outcomes[-1][0] if outcomes else start) + gap
    weighed = [(good, n, 2.0 ** ((at - now) / half_life_ms)) for at, good, n in outcomes]
    offered = sum(n * weight for _, n, weight in weighed)
    share = level.share(now)
    if offered < 0.99 / 1024:
        assert share is None
    elif offered > 1.01 / 1024:
        assert share is not None
        assert abs(share - 1000 * sum(good * weight for good, _, weight in weighed) / offered) <= 0.51


@given(ADDITIONS, st.integers(1, 10_000), st.lists(GAPS, max_size=5))
def test_ticks_do_not_matter(additions: Any, half_life_ms: int, ticks: list[int]) -> None:
    """Looking, adding nothing, and going through a snapshot in between change neither the state nor what follows.

    Seen red with: the time of the last addition moved on when nothing was added.
    """
    quiet, watched = ServiceLevel(half_life_ms), ServiceLevel(half_life_ms)
    for now, good, n in told(additions):
        quiet.add(now, good, n)
        watched.add(now, good, n)
        for tick in sorted(ticks):
            watched.share(now + tick)
        watched.add(now, 0, 0)
        watched = ServiceLevel.of_state(watched.state())
        assert watched == quiet
    at = quiet.state()[1]
    assert quiet.share(at + 7) == watched.share(at + 7)
    later = ServiceLevel.of_state(quiet.state())
    later.add(at + 10**6, 0, 0)
    assert later == quiet


@given(ADDITIONS, st.integers(1, 10_000), GAPS, st.integers(1, 20))
def test_share_is_monotone(additions: Any, half_life_ms: int, gap: int, n: int) -> None:
    """In target never lowers the share, out of target never raises it, and time alone does not change it.

    Seen red with: one of the good not counted.
    """
    level = ServiceLevel(half_life_ms)
    for outcome in told(additions):
        level.add(*outcome)
    now = level.state()[1] + gap
    share = level.share(now)
    better, worse = ServiceLevel.of_state(level.state()), ServiceLevel.of_state(level.state())
    better.add(now, n, n)
    worse.add(now, 0, n)
    up, down = better.share(now), worse.share(now)
    assert up is not None
    assert down is not None
    if share is None:
        assert (up >= 499, down <= 501) == (True, True), "what was left weighs less than one outcome"
    else:
        assert down <= share <= up
        assert share == level.share(level.state()[1])


@given(st.integers(1, TIME_MAX), st.integers(0, TIME_MAX))
def test_weights(half_life_ms: int, now: int) -> None:
    """A weight is 2 ** (part of a half-life), at most 2**-29 of itself too small, and never less a moment later.

    Seen red with: 12 binary places.
    """
    level, later = ServiceLevel(half_life_ms), ServiceLevel(half_life_ms)
    level.add(now, 1, 1)
    weight, exact = level.state()[3], 2.0 ** (30 + now % half_life_ms / half_life_ms)
    assert exact * (1 - 2**-29) <= weight <= exact * (1 + 1e-15)
    if now < TIME_MAX and (now + 1) % half_life_ms:
        later.add(now + 1, 1, 1)
        assert later.state()[3] >= weight


def test_a_long_run_does_not_drift() -> None:
    """After 50,000 additions at odd times a steady .8 is still 800, all good 1000, all bad 0; then it follows."""
    steady, good, bad, now = ServiceLevel(60_000), ServiceLevel(60_000), ServiceLevel(60_000), 0
    for number in range(50_000):
        now += 37 + number % 11
        steady.add(now, 4, 5)
        good.add(now, 1, 1)
        bad.add(now, 0, 1)
    assert (steady.share(now), good.share(now), bad.share(now)) == (800, 1000, 0)
    for _ in range(3):
        now += 60_000
        steady.add(now, 0, 0)
    weight_of_old = 5 * 60_000 / 42 / math.log(2) / 8
    steady.add(now, 0, 1000)
    share = steady.share(now)
    assert share is not None
    assert abs(share - 800 * weight_of_old / (weight_of_old + 1000)) < 1


def test_what_a_service_level_refuses() -> None:
    """Time that runs backward, impossible counts and too many are refused, and nothing has changed."""
    level = ServiceLevel(1000)
    level.add(5000, 1, 2)
    state = level.state()
    for now in (4999, -1, TIME_MAX + 1):
        with pytest.raises(TimeError):
            level.add(now, 1, 1)
        with pytest.raises(TimeError):
            level.share(now)
    calls: list[tuple[Any, Any, Any]] = [(5000, 2, 1), (5000, -1, 1), (5000, 0, -1), (5000, 0, 2**31)]
    calls += [(5000.0, 1, 1), (5000, 1.0, 1), (True, 1, 1)]
    for call in calls:
        with pytest.raises(MisuseError):
            level.add(*call)
    level.add(5000, 0, 2**31 - 1)
    full = level.state()
    for _ in range(2):
        try:
            level.add(5000, 0, 2**31 - 1)
            full = level.state()
        except MisuseError:
            break
    else:
        pytest.fail("sums without end")
    assert level.state() == full
    for half_life in (0, -1, TIME_MAX + 1, 1.5):
        with pytest.raises(MisuseError):
            ServiceLevel(half_life)  # type: ignore[arg-type]
    assert ServiceLevel.of_state(state).state() == state


@pytest.mark.parametrize(
    "state",
    [
        (),
        (1000, 0, 0),
        (0, 0, 0, 0),
        (1000, -1, 0, 0),
        (1000, 5, 0, 0),
        (1000, 5, 0, 2**30 - 1),
        (1000, 500, 0, 2**30),
        (1000, 0, 2**30 + 1, 2**30),
        (1000, 0, -1, 2**30),
        (1000, 0, 0, 2**62 + 1),
        (1000, TIME_MAX + 1, 0, 2**31),
        (1000, 0, 0.0, 2**30),
    ],
)
def test_states_that_no_service_level_had(state: tuple[int, ...]) -> None:
    """A state that cannot have been written is refused."""
    with pytest.raises(MisuseError):
        ServiceLevel.of_state(state)


# --- quantiles of handle time ---


VALUES = st.integers(256, 2**24) | st.integers(256, 5000) | st.sampled_from([256, 257, 511, 512, 60_000, 2**24])
PER_MILLE = st.sampled_from([0, 1, 500, 900, 999, 1000]) | st.integers(0, 1000)


@given(st.lists(VALUES, min_size=1, max_size=60), PER_MILLE)
def test_quantiles_of_a_sorted_list(values: list[int], per_mille: int) -> None:
    """A quantile is within 3 % of the nearest rank in the sorted list; the mean is that of the list.

    Seen red with: ten buckets to the doubling, the rank rounded down, values of a bound put one bucket below.
    """
    times = HandleTimes()
    for value in values:
        times.add(value)
    exact = sorted(values)[max(1, math.ceil(per_mille * len(values) / 1000)) - 1]
    got = times.quantile(per_mille)
    assert got is not None
    assert 100 * abs(got - exact) <= 3 * exact
    assert times.mean_ms() == nearest(Fraction(sum(values), len(values)))


def test_every_bucket_keeps_the_bound() -> None:
    """At every value from 256 ms to 4.7 hours where the answer changes, both neighbours are at most 3 % off."""

    def answer(value: int) -> int:
        times = HandleTimes()
        times.add(value)
        got = times.quantile(500)
        assert got is not None
        return got

    edges, low = [256], 256
    while low < 2**24:
        inside, outside = low, 2 * low
        while outside - inside > 1:
            middle = (inside + outside) // 2
            inside, outside = (middle, outside) if answer(middle) == answer(low) else (inside, middle)
        low = outside
        edges.append(low)
    assert len(edges) == 193
    assert edges[-1] == 2**24
    assert [edge for edge in edges if edge.bit_count() == 1] == [2**n for n in range(8, 25)]
    for low, above in pairwise(edges):
        for value in (low, above - 1):
            assert 100 * abs(answer(value) - value) <= 3 * value
    assert [answer(value) for value in (0, 255, 2**24, 2**31 - 1)] == [128, 128, 2**24, 2**24]


@given(st.lists(VALUES, min_size=1, max_size=300), PER_MILLE, st.sampled_from([16, 17, 31, 64]))
def test_old_values_fade(values: list[int], per_mille: int, remembered: int) -> None:
    """When full, all weights halve: a quantile is within 3 % of one whose weighted rank is off by at most two.

    Seen red with: each count halved by itself (a tail of single counts was lost), no halving at all.
    """
    times, weights, held = HandleTimes(remembered), [], 0
    for value in values:
        times.add(value)
        weights = [*weights, (value, Fraction(1))]
        held += 1
        if held == remembered:
            held, weights = held // 2, [(old, weight / 2) for old, weight in weights]
    assert sum(times.state()[3::2]) == held
    got = times.quantile(per_mille)
    assert got is not None
    wanted = Fraction(per_mille, 1000) * sum(weight for _, weight in weights)
    assert sum(weight for value, weight in weights if 97 * value <= 100 * got) >= wanted - 2
    assert sum(weight for value, weight in weights if 103 * value < 100 * got) <= wanted + 2
    mean = times.mean_ms()
    assert mean is not None
    if remembered % 2 == 0:
        exact = sum(value * weight for value, weight in weights) / sum(weight for _, weight in weights)
        assert abs(mean - exact) <= 1


def test_it_follows_change() -> None:
    """After twice as many new values as it remembers, the old ones are at most a quarter; after ten times, gone."""
    times = HandleTimes(1000)
    for _ in range(5000):
        times.add(60_000)
    assert times.mean_ms() == 60_000
    for _ in range(2000):
        times.add(240_000)
    assert 0.97 * 240_000 <= (times.quantile(250) or 0) <= 1.03 * 240_000
    for _ in range(8000):
        times.add(240_000)
    assert 0.97 * 240_000 <= (times.quantile(5) or 0) <= 1.03 * 240_000
    assert 239_000 <= (times.mean_ms() or 0) <= 240_000


@given(st.lists(st.integers(0, 2**31 - 1), max_size=80), st.lists(VALUES, max_size=20))
def test_handle_times_survive_a_snapshot(values: list[int], after: list[int]) -> None:
    """A sketch that was written and read again is the same, and stays the same whatever comes."""
    times = HandleTimes(32)
    for value in values:
        times.add(value)
    again = HandleTimes.of_state(times.state())
    for value in after:
        times.add(value)
        again.add(value)
    assert again == times
    assert again.state() == times.state()
    assert [again.quantile(n) for n in (0, 500, 1000)] == [times.quantile(n) for n in (0, 500, 1000)]


def test_what_handle_times_refuse() -> None:
    """Values, quantiles and sizes out of range are misuse and change nothing; no data is None, never 0."""
    times = HandleTimes()
    assert (times.quantile(0), times.quantile(1000), times.mean_ms()) == (None, None, None)
    for value in (-1, 2**31, 1.5, True):
        with pytest.raises(MisuseError):
            times.add(value)  # type: ignore[arg-type]
    for per_mille in (-1, 1001, 0.5):
        with pytest.raises(MisuseError):
            times.quantile(per_mille)  # type: ignore[arg-type]
    for remembered in (15, 2**20 + 1, 99.0):
        with pytest.raises(MisuseError):
            HandleTimes(remembered)  # type: ignore[arg-type]
    assert times == HandleTimes()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, 15), (0, 2**21), (1, -1), (1, 3 * 2**31), (2, -1), (2, 194), (2, 37), (3, 0), (3, 4095), (4, 24)),
        *((5, 4095), (5, 1.0), (None, 0)),
    ],
)
def test_states_that_no_handle_times_had(place: int | None, value: Any) -> None:
    """A state that cannot have been written is refused: counts that should have been halved, a sum without values."""
    times = HandleTimes()
    times.add(1000)
    times.add(2000)
    state = list(times.state())
    if place is None:
        state.append(value)
    else:
        state[place] = value
    with pytest.raises(MisuseError):
        HandleTimes.of_state(state)
    assert list(times.state()) == [4096, 3000, 24, 1, 36, 1]
    for wrong in ([4096, 1], [4096], []):
        with pytest.raises(MisuseError):
            HandleTimes.of_state(wrong)


@pytest.mark.parametrize(
    ("per_mille", "least"), [(0, 10), (500, 20), (900, 100), (995, 2_000), (996, None), (1000, None)]
)
def test_a_quantile_needs_ten_beyond_it(per_mille: int, least: int | None) -> None:
    """It can be told as soon as ten lie beyond it, and then always, or never: 4,096 are remembered.

    Planted: as many as twenty; a quantile that can be told no more once counts have been halved.
    """
    times, told = HandleTimes(), []
    for _ in range(10_000):
        times.add(60_000)
        told.append(times.tells(per_mille))
    assert (told.index(True) + 1 if any(told) else None) == least
    assert told == sorted(told)
    with pytest.raises(MisuseError):
        times.tells(1001)


def test_a_copy_of_handle_times_goes_its_own_way() -> None:
    """What is added to a copy is not added to the first. Planted: counts that both share."""
    times = HandleTimes(16)
    times.add(1_000)
    copy = times.copy()
    assert copy == times
    copy.add(5_000)
    assert (times.total, times.state()) == (1, (16, 1_000, 24, 1))


# --- how good the drain is ---

POOLS, SKILLS, SERVING = [30, 30, 30, 20], [(0,), (0, 1), (1, 2), (2,)], [0b0011, 0b0110, 0b1100]
MEAN_MS = 1_000_000


def by_drain(patience_ms: int | None) -> Callable[[int, tuple[int, ...]], float]:
    """The estimate of this module, in mean handle times."""

    def estimate(c: int, waiting: tuple[int, ...]) -> float:
        wait_ms = drain(waiting, SERVING, POOLS, [MEAN_MS] * 4)[c]
        if patience_ms is not None:
            wait_ms = with_abandonment(wait_ms, patience_ms)
        assert wait_ms is not None
        return wait_ms / MEAN_MS

    return estimate


def by_split(c: int, waiting: tuple[int, ...]) -> float:
    """The usual formula: those ahead over the agents, of whom one with n skills counts 1/n."""
    return (waiting[c] - 1) / (45, 30, 35)[c]


def test_drain_beats_the_split_formula() -> None:
    """On queues that share agents the drain's error is at most .7 of the split formula's, over the same waits."""
    rows = delayed(POOLS, SKILLS, (38, 38, 30), customers=60_000, seed=5)
    assert len(rows) > 20_000
    assert relative_error(rows, by_drain(None)) < 0.7 * relative_error(rows, by_split)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patience", "rates", "of_drain", "of_split"),
    [(None, (38, 38, 30), 0.240, 0.432), (2.0, (42, 42, 32), 0.313, 0.505)],
)
def test_errors_of_a_long_run(patience: float | None, rates: tuple[int, ...], of_drain: float, of_split: float) -> None:
    """Relative root mean squared errors of the stated instance, with and without abandonment, within .03."""
    rows = delayed(POOLS, SKILLS, rates, customers=1_000_000, seed=1, patience=patience)
    ours = by_drain(None if patience is None else round(patience * MEAN_MS))
    assert abs(relative_error(rows, ours) - of_drain) < 0.03
    assert abs(relative_error(rows, by_split) - of_split) < 0.03


@pytest.mark.slow
def test_tiers_are_estimated_without_bias() -> None:
    """Where a lesser tier needs agents whom another shares, its waits and those of the greater tier are within 15 %."""
    agents, skills, serving, rates, tiers = [30, 30], [(0, 1), (1,)], [0b01, 0b11], (26, 31), (0, 1)
    rows = delayed(agents, skills, rates, customers=300_000, seed=1, tiers=tiers)

    def ours(c: int, waiting: tuple[int, ...]) -> float:
        per_hour = [round(rate * HOUR_MS / MEAN_MS) for rate in rates]
        found = drain_tiers(waiting, serving, agents, [MEAN_MS] * 2, tiers=tiers, arrivals_per_hour=per_hour)[c]
        assert found is not None
        return found / MEAN_MS

    for c, error in ((0, 0.45), (1, 0.40)):
        mine = [row for row in rows if row[0] == c]
        assert relative_error(mine, ours) < error
        mean = sum(row[2] for row in mine) / len(mine)
        assert abs(sum(ours(row[0], row[1]) for row in mine) / len(mine) - mean) < 0.15 * mean
