"""What would have been: patience against scipy, determinism, and how near a fitted plan lands on the observed."""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from conftest import LoggedMonth
from cores import kernel_only
from hypothesis import given
from hypothesis import strategies as st
from synthetic import WRAP_UP_MS, call, known_day, known_plan

from omniroute.errors import InputError
from omniroute.formats.limits import MAX_DURATION_MS, MAX_EPOCH_MS, MAX_PRIORITY
from omniroute.formats.records import LoggedInteraction, Outcome, PresenceChange, PresenceKind
from omniroute.insight.metrics import measure
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.replay.history import History
from omniroute.replay.patience import ENDLESS, LONGEST_MS, product_limit
from omniroute.replay.reconstruct import plan_text
from omniroute.replay.report import Options, Replay, document, replay
from omniroute.replay.what_if import calibrated, routed, work_of

waits = st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=60)


# -- patience


@given(waits)
def test_product_limit_is_scipys(drawn: list[tuple[int, bool]]) -> None:
    """The product-limit estimate equals that of scipy.stats.ecdf on the same censored sample."""
    stats = pytest.importorskip("scipy.stats")
    wait_ms = np.array([wait for wait, _ in drawn], dtype=np.int64)
    gave_up = np.array([event for _, event in drawn])
    curve = product_limit(wait_ms, gave_up)
    known = stats.CensoredData(uncensored=wait_ms[gave_up], right=wait_ms[~gave_up])
    expected = stats.ecdf(known).sf
    at = np.arange(-1, 52)
    assert np.allclose(curve.beyond(at), expected.evaluate(at))


def test_drawn_patience_follows_the_curve() -> None:
    """Given that a customer waited w, the share who wait longer than t is S(t) / S(w); tolerance 4 deviations."""
    random = np.random.default_rng(7)
    true_ms = np.rint(random.exponential(100_000, 4_000)).astype(np.int64)
    seen_ms = np.rint(random.exponential(80_000, 4_000)).astype(np.int64)
    curve = product_limit(np.minimum(true_ms, seen_ms), true_ms <= seen_ms)
    n = 20_000
    for from_ms in (0, 50_000):
        drawn = curve.draw_beyond(np.full(n, from_ms), np.random.default_rng(3))
        assert drawn.min() >= from_ms
        for at_ms in (60_000, 120_000, 200_000):
            share = float(curve.beyond(np.array([at_ms]))[0] / curve.beyond(np.array([from_ms]))[0])
            assert abs(np.mean(drawn > at_ms) - share) < 4 * np.sqrt(share * (1 - share) / n)


def test_the_tail_goes_on_with_the_hazard_so_far() -> None:
    """Behind the last event a customer leaves at the mean hazard up to it; no patience is longer than a week."""
    curve = product_limit(np.array([100_000, 100_000, 200_000]), np.array([True, False, False]))
    drawn = curve.draw_beyond(np.full(50_000, 100_000), np.random.default_rng(1))
    mean_ms = 100_000 / np.log(3 / 2)
    assert curve.tail_share == pytest.approx(2 / 3)
    assert drawn.mean() == pytest.approx(100_000 + mean_ms, rel=0.03)
    assert drawn.max() <= LONGEST_MS


def test_nobody_abandoned_means_endless() -> None:
    """Without a single abandonment nothing is known of patience, and nobody leaves."""
    curve = product_limit(np.array([5, 9]), np.array([False, False]))
    assert curve.draw_beyond(np.array([5, 9]), np.random.default_rng(1)).tolist() == [ENDLESS, ENDLESS]
    assert curve.median_ms is None


def test_who_abandoned_keeps_his_wait() -> None:
    """The patience of those who abandoned is not drawn; that of the others is at least the wait that was seen."""
    history = known_day()
    work = work_of(history, seed=5)
    seen = work.observed
    gave_up = seen.abandoned
    assert np.array_equal(work.workload.patience_ms[gave_up], seen.wait_ms[gave_up])
    assert (work.workload.patience_ms[~gave_up] >= seen.wait_ms[~gave_up]).all()


# -- the work


def test_draws_depend_on_the_seed_only() -> None:
    """The same seed gives the same columns; another seed other patience and the same arrivals."""
    history = known_day()
    one, same, other = work_of(history, seed=1), work_of(history, seed=1), work_of(history, seed=2)
    assert np.array_equal(one.workload.patience_ms, same.workload.patience_ms)
    assert not np.array_equal(one.workload.patience_ms, other.workload.patience_ms)
    assert np.array_equal(one.workload.arrival_ms, other.workload.arrival_ms)


def test_handle_times_that_are_known_stay() -> None:
    """A logged handle time is kept, even of nothing; one that is not logged comes from the plausible ones."""
    unknown = attrs.evolve(call(500), handle_ms=None)
    nothing = attrs.evolve(call(700, handle_s=0))
    work = work_of(History.of([call(0, handle_s=40), call(100, handle_s=50), unknown, nothing]))
    assert work.workload.handle_ms[[0, 1, 3]].tolist() == [40_000, 50_000, 0]
    assert work.workload.handle_ms[2] in (40_000, 50_000)
    assert work.drawn_handles == 1


def test_only_the_offered_are_routed() -> None:
    """Who left in the menu, was set aside or still waits at the end is not routed again."""
    others = [Outcome.LEFT_BEFORE_QUEUE, Outcome.SET_ASIDE, Outcome.OPEN, Outcome.REFUSED]
    records = [call(0), *(call(10 + n, 5, outcome=outcome) for n, outcome in enumerate(others))]
    assert len(work_of(History.of(records)).workload) == 1


def test_nobody_who_never_reached_an_agent_is_hidden() -> None:
    """A plan under which nobody answers does not look better for it: all count as offered, none as served."""
    history = History.of([call(0), call(10), call(20)])
    nobody = Plan(queues=[Queue("sales", needs="sales")], agents=[Agent("ben")])
    found = measure(routed(work_of(history), nobody))
    assert (found.offered, found.served, found.abandoned) == (3, 0, 0)
    assert found.service_levels["served_within_of_offered"][20_000] == 0


def test_a_plan_without_a_queue_of_the_log_is_named() -> None:
    """The error names every missing queue."""
    history = History.of([call(0), call(10, queue="support")])
    with pytest.raises(InputError, match="'support', which the log has"):
        routed(work_of(history), Plan(queues=[Queue("sales")], agents=[Agent("ana")]))


def test_requirements_of_the_log_need_a_plan() -> None:
    """What interactions ask of skills cannot be read from a log, so a plan read from it is not asked either."""
    history = History.of([attrs.evolve(call(100 * n), needs="spanish >= 2") for n in range(3)])
    read = replay(history, options=Options())
    assert read.runs[-1].total.served == 3
    assert read.work is not None
    assert any("requirements" in line for line in read.work.assumptions)
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    assert replay(history, plan=plan, options=Options()).runs[-1].total.served == 0


# -- landing near


def near(found: Replay, *, wait: float, abandonment: float, level: float) -> None:
    """Assert that the last run is near the observed: relative mean wait, points of abandonment and service level."""
    observed, last = found.runs[0].total, found.runs[-1].total
    assert observed.waits_of_queued.mean_ms is not None
    assert last.waits_of_queued.mean_ms == pytest.approx(observed.waits_of_queued.mean_ms, rel=wait)
    assert last.abandonment_of_offered == pytest.approx(observed.abandonment_of_offered, abs=abandonment)
    for within_ms, share in observed.service_levels["served_within_of_offered"].items():
        assert last.service_levels["served_within_of_offered"][within_ms] == pytest.approx(share, abs=level)


def test_the_plan_behind_a_log_gives_that_log_back() -> None:
    """Under the plan that wrote it, a day comes back row by row as long as nobody abandons other than he did."""
    history = known_day()
    work = work_of(history)
    endless = np.where(work.observed.abandoned, work.workload.patience_ms, ENDLESS)
    work = attrs.evolve(work, workload=attrs.evolve(work.workload, patience_ms=endless))
    again = routed(work, known_plan())
    assert np.array_equal(again.wait_ms, work.observed.wait_ms)
    assert np.array_equal(again.outcome, work.observed.outcome)


def test_a_day_of_a_known_plan_is_found_again() -> None:
    """Reconstructed from its log alone, a day lands near itself, and better calibrated than as measured."""
    found = replay(known_day(), options=Options())
    near(found, wait=0.15, abandonment=0.03, level=0.05)
    assert found.calibration is not None
    assert found.calibration.reached
    assert found.calibration.simulated_wait_ms == pytest.approx(found.calibration.observed_wait_ms, rel=0.05)


def test_calibration_that_cannot_reach_says_so() -> None:
    """Where even no time between services leaves people waiting longer than they did, nothing is fitted."""
    history = known_day()
    one = attrs.evolve(known_plan(), agents=known_plan().agents[:1] + known_plan().agents[3:4])
    found = calibrated(work_of(history), one, WRAP_UP_MS)
    assert not found.reached
    assert found.between_ms == 0


def test_replay_is_the_same_twice() -> None:
    """One log, one seed, one document."""
    documents = [json.dumps(document(replay(known_day(), options=Options(seed=3)))) for _ in range(2)]
    assert documents[0] == documents[1]


def test_the_written_plan_is_the_plan_that_was_routed() -> None:
    """Routing the log under the plan that replay writes gives the figures that replay reported."""
    history = known_day()
    found = replay(history, options=Options())
    assert found.reconstruction is not None
    assert found.plan is not None
    text = plan_text(found.reconstruction, found.plan, source="log")
    again = replay(history, plan=Plan.from_toml_text(text), options=Options())
    assert again.runs[-1].total == found.runs[-1].total
    assert again.agreement == found.agreement


# -- whatever a log may hold

moments = st.one_of(st.integers(0, 10_000).map(lambda step: 10**12 + 10_000 * step), st.integers(0, MAX_EPOCH_MS - 1))
durations = st.one_of(st.integers(0, 10**6), st.integers(0, MAX_DURATION_MS))
names = st.one_of(st.sampled_from(["a", "b", "c"]), st.text(min_size=1, max_size=5), st.just("x" * 200))
records = st.builds(
    LoggedInteraction,
    id=st.just("1"),
    queue=names,
    channel=st.sampled_from(["voice", "chat"]),
    priority=st.one_of(st.integers(0, 3), st.just(MAX_PRIORITY)),
    arrived_ms=moments,
    queued_ms=st.none() | moments,
    left_queue_ms=st.none() | moments,
    wait_ms=durations,
    outcome=st.sampled_from(list(Outcome)),
    agent=st.none() | names,
    started_ms=st.none() | moments,
    ended_ms=st.none() | moments,
    handle_ms=st.none() | durations,
    needs=st.sampled_from([None, "", "spanish", "a >= 2", "((("]),
)
changes = st.builds(
    PresenceChange, at_ms=moments, agent=names, queue=st.none() | names, kind=st.sampled_from(list(PresenceKind))
)


@given(st.lists(records | changes, max_size=20))
def test_any_log_ends_in_a_report(drawn: list[LoggedInteraction | PresenceChange]) -> None:
    """Clocks out of order, years out of range, names that no plan can hold: a document, with a problem or without."""
    found = replay(History.of(drawn), options=Options())
    assert json.dumps(document(found, by_agent=True), allow_nan=False)
    assert (found.problem is None) == (found.work is not None)


# -- the bank's months (Technion: Ilan Guedj, Avi Mandelbaum)


@pytest.fixture(scope="module")
def january(bank_month: Callable[[str], LoggedMonth]) -> Replay:
    """Return January replayed."""
    return replay(History.of(bank_month("january").interactions), options=Options())


@pytest.mark.data
@kernel_only
def test_january_lands_near(january: Replay) -> None:
    """Measured: mean wait +3 %, abandonment +0.6 points, service levels within 1.3 points. Asserted: twice that."""
    near(january, wait=0.06, abandonment=0.012, level=0.026)


@pytest.mark.data
@kernel_only
def test_january_lands_near_uncalibrated(january: Replay) -> None:
    """With nothing fitted: mean wait -8 %, abandonment -1.4 points, service levels within 8.5 points."""
    near(attrs.evolve(january, runs=january.runs[:2]), wait=0.12, abandonment=0.025, level=0.11)


@pytest.mark.data
@kernel_only
def test_january_lands_near_by_queue(january: Replay) -> None:
    """The three queues with more than a thousand interactions land within 15 % of their waits and 2 points."""
    observed, last = january.runs[0].by_queue, january.runs[-1].by_queue
    large = [name for name, part in observed.items() if part.offered > 1000]
    assert large == ["NE", "NW", "PS"]
    for name in large:
        assert last[name].waits_of_queued.mean_ms == pytest.approx(observed[name].waits_of_queued.mean_ms, rel=0.15)
        assert last[name].abandonment_of_offered == pytest.approx(observed[name].abandonment_of_offered, abs=0.02)


@pytest.mark.data
@kernel_only
def test_january_agreement(january: Replay, bank_month: Callable[[str], LoggedMonth]) -> None:
    """The agreement of the report is that of the facts: .146 without a head start, and the search finds none."""
    known = bank_month("january").facts["discipline_check"]
    assert january.agreement is not None
    assert january.agreement.none.cases == known["cases"]
    assert january.agreement.none.rate == pytest.approx(known["violation_rate_by_headstart_h"]["0"], abs=5e-5)
    assert january.agreement.plan == january.agreement.none
    assert january.agreement.search is not None
    assert january.agreement.search.best_ms == 0


@pytest.mark.data
@kernel_only
def test_february_agreement_and_nearness(bank_month: Callable[[str], LoggedMonth]) -> None:
    """February: the plan's 90 s disagree in .109 of the cases, none in .241; and the what-if lands near."""
    found = replay(History.of(bank_month("february").interactions), options=Options())
    assert found.agreement is not None
    assert found.agreement.plan.rate == pytest.approx(0.109, abs=5e-4)
    assert found.agreement.none.rate == pytest.approx(0.241, abs=1e-3)
    near(found, wait=0.06, abandonment=0.012, level=0.026)
