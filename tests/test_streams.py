"""Workloads that are drawn: the laws have the moments that they name, and what is drawn again is what was there."""

from __future__ import annotations

import numpy as np
import pytest

from omniroute.errors import InputError
from omniroute.world.streams import DAY_MS, HOUR_MS, Draw, Empirical, Stream, bootstrap, poisson
from omniroute.world.workload import Workload

N = 400_000


@pytest.mark.parametrize(
    ("law", "mean", "deviation"),
    [
        (Draw("exponential", 60_000), 60_000, 1),
        (Draw("lognormal", 60_000, 0.8), 60_000, 0.8),
        (Draw("gamma", 60_000, 0.4), 60_000, 0.4),
        (Draw("gamma", 60_000, 2), 60_000, 2),
        (Draw("constant", 60_000), 60_000, 0),
        (Empirical([30_000, 90_000]), 60_000, 0.5),
    ],
)
def test_laws_have_their_moments(law, mean, deviation):
    """Mean and standard deviation are those that were asked for; the sample mean within five standard errors.

    Seen to fail with the logarithm of the mean taken for the mean of the logarithm.
    """
    drawn = law.columns(N, np.random.default_rng(4))
    assert drawn.dtype == np.int64
    assert abs(drawn.mean() - mean) <= 5 * deviation * mean / N**0.5 + 0.01
    assert drawn.std() == pytest.approx(deviation * mean, rel=0.03)


def test_arrivals_follow_their_rates():
    """The counts of each period are those of its rate within five standard deviations, on every day."""
    calls = Stream(queue="sales", per_hour=(3_000, 12_000), handle=Draw("constant", 1))
    work = poisson([calls], seed=3, periods=2, days=3, start_ms=5 * DAY_MS)
    hours = (work.arrival_ms - 5 * DAY_MS) // HOUR_MS
    for day in range(3):
        for period, rate in enumerate(calls.per_hour):
            assert abs(np.count_nonzero(hours == 24 * day + period) - rate) <= 5 * rate**0.5
    assert set(np.unique(hours)) == {0, 1, 24, 25, 48, 49}


def test_busy_days_are_busy_in_all_streams():
    """With busyness b the count of a day with mean m has variance m + (b m)^2, and streams are busy together.

    Seen to fail with a factor for each stream of its own.
    """
    streams = [
        Stream(queue="sales", per_hour=400, handle=Draw("constant", 1)),
        Stream(queue="chat", channel="chat", per_hour=200, handle=Draw("constant", 1)),
    ]
    days = 1_500
    work = poisson(streams, seed=8, days=days, busyness=0.3)
    day = work.arrival_ms // DAY_MS
    calls, chats = (np.bincount(day[work.queue == number], minlength=days) for number in (0, 1))
    assert calls.mean() == pytest.approx(400, rel=0.03)
    assert calls.var() == pytest.approx(400 + 120**2, rel=0.15)
    assert np.corrcoef(calls, chats)[0, 1] > 0.9
    steady = poisson(streams, seed=8, days=200)
    assert np.bincount(steady.arrival_ms[steady.queue == 0] // DAY_MS).var() == pytest.approx(400, rel=0.4)


def test_streams_say_answers_transfers_and_values():
    """What a stream says about answers, transfers and value is in its rows, and nothing where no stream says it."""
    calls = Stream(
        queue="sales",
        per_hour=5_000,
        handle=Draw("constant", 1),
        answer=Draw("constant", 3_000),
        decline_permille=20,
        transfer="billing",
        transfer_permille=250,
        handle2=Draw("constant", 9),
        value=700,
    )
    work = poisson([calls], seed=2)
    assert work.queues == ("sales", "billing")
    assert set(work.answer_ms.tolist()) == {3_000}
    assert set(work.decline_permille.tolist()) == {20}
    assert np.mean(work.transfer == 1) == pytest.approx(0.25, abs=0.03)
    assert set(work.transfer.tolist()) == {-1, 1}
    assert set(work.value.tolist()) == {700}
    assert not poisson([Stream(queue="a", per_hour=9, handle=Draw("constant", 1))], seed=1).answered


def logged() -> Workload:
    """Three days of unlike size, and one without interactions between them."""
    at = [1, 2, 3, DAY_MS, DAY_MS + 9, 3 * DAY_MS + 5]
    return Workload(arrival_ms=at, handle_ms=[1, 2, 3, 4, 5, 6], priority=[0, 1, 0, 1, 0, 1], queues=["sales"])


def test_whole_days_are_drawn():
    """A day that is drawn is a day that was, with everything in it, at its place; all days are drawn alike.

    Seen to fail with instants that keep the day on which they were.
    """
    work = bootstrap(logged(), seed=6, days=3_000, start_ms=10 * DAY_MS)
    day = work.arrival_ms // DAY_MS
    assert np.array_equal(np.unique(day), np.arange(10, 3_010))
    seen = [tuple(map(int, part)) for part in np.split(work.handle_ms, np.flatnonzero(np.diff(day)) + 1)]
    counts = {which: seen.count(which) for which in ((1, 2, 3), (4, 5), (6,))}
    assert sum(counts.values()) == 3_000
    assert min(counts.values()) > 850
    assert set(zip((work.arrival_ms % DAY_MS).tolist(), work.handle_ms.tolist(), strict=True)) == {
        *((1, 1), (2, 2), (3, 3)),
        *((0, 4), (9, 5)),
        (5, 6),
    }


def test_gaps_are_drawn():
    """By gap the times between arrivals are those that were, at the same mean rate, and rows keep together."""
    drawn = np.random.default_rng(1).exponential(60_000, 5_000).astype(np.int64)
    source = Workload(arrival_ms=np.cumsum(drawn), handle_ms=drawn, priority=drawn % 2, queues=["sales"])
    work = bootstrap(source, seed=2, by="gap", days=10)
    gaps = np.diff(work.arrival_ms)
    assert set(gaps.tolist()) <= set(drawn[1:].tolist())
    assert gaps.mean() == pytest.approx(drawn.mean(), rel=0.05)
    assert work.arrival_ms[-1] < 10 * DAY_MS
    assert np.array_equal(work.handle_ms % 2, work.priority)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Draw("gama", 1), "gama"),
        (lambda: Draw("gamma", -1), "mean_ms"),
        (lambda: Draw("lognormal", 1, 0), "deviation"),
        (lambda: Empirical([]), "seen_ms"),
        (lambda: Empirical([-1]), "seen_ms"),
        (lambda: poisson([], seed=1), "at least one stream"),
        (lambda: poisson([Stream(queue="a", per_hour=1, handle=Draw("constant", 1))], seed=1, busyness=-1), "busyness"),
        (
            lambda: poisson([Stream(queue="a", per_hour=1, handle=Draw("constant", 1))], seed=1, periods=25, days=2),
            "fit into a day",
        ),
        (lambda: bootstrap(Workload(arrival_ms=[1], handle_ms=[1], queues=["a"]), seed=1), "at least two"),
        (
            lambda: bootstrap(Workload(arrival_ms=[1, 1], handle_ms=[1, 1], queues=["a"]), seed=1, by="gap"),
            "one instant",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong, message):
    """Each refusal names what was wrong."""
    with pytest.raises(InputError, match=message):
        wrong()
