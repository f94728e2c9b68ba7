"""Observed metrics, against hand-made columns and against the facts of the real logs."""

from __future__ import annotations

import datetime
import doctest
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.formats.records import LoggedInteraction, Outcome, PresenceChange, PresenceKind
from omniroute.insight import metrics
from omniroute.insight.columns import NONE, InteractionColumns, columns
from omniroute.insight.metrics import SERVICE_LEVELS, Spread, measure, observe, spread
from omniroute.insight.occupancy import gaps_between_services_ms, occupancy_by_agent, peak_services_by_day

DAY_MS = 86_400_000


def interaction(outcome: Outcome, wait_s: int = 0, **fields: Any) -> LoggedInteraction:
    """Make an interaction that waited ``wait_s`` seconds in a queue, or never queued when that is 0."""
    base = {
        "id": "1",
        "queue": "q",
        "channel": "voice",
        "arrived_ms": 0,
        "queued_ms": 0 if wait_s else None,
        "wait_ms": wait_s * 1000,
        "outcome": outcome,
    }
    return LoggedInteraction(**{**base, **fields})


def made(*interactions: LoggedInteraction) -> InteractionColumns:
    """Turn interactions into columns."""
    return columns(interactions)


# -- columns


def test_columns_hold_what_the_records_say() -> None:
    """One place per interaction, in order; names sorted; no value is NONE; presence changes are passed over."""
    table = columns(
        [
            interaction(Outcome.SERVED, 5, queue="b", agent="zoe", started_ms=5_000, ended_ms=9_000, handle_ms=4_000),
            PresenceChange(at_ms=0, agent="zoe", kind=PresenceKind.READY),
            interaction(Outcome.ABANDONED, 7, queue="a", priority=3),
            interaction(Outcome.SERVED, agent="ana"),
        ]
    )
    assert (table.queue_names, table.agent_names) == (("a", "b", "q"), ("ana", "zoe"))
    assert table.queue.tolist() == [1, 0, 2]
    assert table.agent.tolist() == [1, NONE, 0]
    assert table.priority.tolist() == [0, 3, 0]
    assert table.handle_ms.tolist() == [4_000, NONE, NONE]
    assert table.queued.tolist() == [True, True, False]
    assert [len(part) for _, part in table.split(table.queue)] == [1, 1, 1]
    assert len(table.where(table.served)) == 2


def test_no_interactions_measure_as_nothing() -> None:
    """An empty log has counts of zero and rates that are undefined, not errors."""
    observed = observe(made())
    assert (observed.total.offered, observed.total.asa_ms, observed.total.waits_of_queued.n) == (0, None, 0)
    assert observed.by_queue == observed.by_agent == {}
    assert peak_services_by_day(made()) == {}
    assert len(gaps_between_services_ms(made())) == 0
    assert set(observed.total.service_levels["served_within_of_served"].values()) == {None}


# -- service levels and rates


def test_service_levels_by_hand() -> None:
    """S = 2 of S = 3 served in time, Lg = 1 of 2 abandoned in time, 6 offered; exactly T is in time."""
    table = made(
        interaction(Outcome.SERVED),
        interaction(Outcome.SERVED, 20),
        interaction(Outcome.SERVED, 21),
        interaction(Outcome.ABANDONED, 20),
        interaction(Outcome.ABANDONED, 60),
        interaction(Outcome.TIMED_OUT, 90),
        interaction(Outcome.LEFT_BEFORE_QUEUE),
        interaction(Outcome.REFUSED),
        interaction(Outcome.OPEN, 1),
        interaction(Outcome.SET_ASIDE, 1),
    )
    levels = {name: level(table, 20_000) for name, level in SERVICE_LEVELS.items()}
    assert levels == {
        "served_within_of_offered": 2 / 6,
        "served_within_of_served": 2 / 3,
        "served_within_without_short_abandons": 2 / 5,
        "served_or_abandoned_within_of_offered": 3 / 6,
        "removed_within_of_queued": 2 / 5,
    }
    assert metrics.abandonment_of_all(table) == 3 / 7
    assert metrics.abandonment_of_offered(table) == 2 / 6
    assert metrics.abandonment_of_queued(table) == 2 / 5
    assert metrics.asa_ms(table) == 41_000 / 3


def test_the_four_service_levels_of_erlang_a() -> None:
    """A sample of M/M/12 with abandonment gives all four levels of the chain, within four standard deviations.

    Arrivals 4.2, service .5, patience 1, T = 1/3; values solved from the Markov chain.
    """
    table = _erlang_a(n=100_000, rate=4.2, service=0.5, agents=12, patience=1.0, unit_ms=300_000)
    levels = {name: level(table, 100_000) for name, level in SERVICE_LEVELS.items()}
    assert levels["served_within_of_offered"] == pytest.approx(0.945269575559, abs=0.006)
    assert levels["served_within_of_served"] == pytest.approx(0.974182238187, abs=0.005)
    assert levels["served_within_without_short_abandons"] == pytest.approx(0.967871538728, abs=0.005)
    assert levels["served_or_abandoned_within_of_offered"] == pytest.approx(0.968621810090, abs=0.005)


def _erlang_a(*, n: int, rate: float, service: float, agents: int, patience: float, unit_ms: int) -> InteractionColumns:
    """Simulate first come first served with impatient customers: each takes the agent who is first free again."""
    dice = np.random.default_rng(1999)
    arrived = np.cumsum(dice.exponential(1 / rate, n))
    handles, patiences = dice.exponential(1 / service, n), dice.exponential(1 / patience, n)
    free = [0.0] * agents
    waits, codes = [], []
    for at, handle, patient in zip(arrived.tolist(), handles.tolist(), patiences.tolist(), strict=True):
        first = min(range(agents), key=free.__getitem__)
        wait = max(free[first] - at, 0.0)
        served = wait <= patient
        if served:
            free[first] = at + wait + handle
        waits.append(wait if served else patient)
        codes.append(Outcome.SERVED if served else Outcome.ABANDONED)
    wait_ms = np.rint(np.array(waits) * unit_ms).astype(np.int64)
    nothing = np.full(n, NONE, dtype=np.int64)
    arrived_ms = np.rint(arrived * unit_ms).astype(np.int64)
    zeros = np.zeros(n, dtype=np.int32)
    return InteractionColumns(
        queue_names=("q",),
        agent_names=(),
        arrived_ms=arrived_ms,
        queue=zeros,
        priority=zeros,
        outcome=np.array(codes, dtype=np.int32),
        queued_ms=arrived_ms,
        left_queue_ms=arrived_ms + wait_ms,
        wait_ms=wait_ms,
        agent=nothing.astype(np.int32),
        started_ms=nothing,
        ended_ms=nothing,
        handle_ms=nothing,
    )


# -- spreads, handle times, hours


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=30))
def test_a_spread_is_that_of_its_numbers(numbers: list[int]) -> None:
    """Mean, sample deviation, interpolated percentiles and maximum are those of the textbook."""
    found = spread(np.array(numbers, dtype=np.int64))
    mean = sum(numbers) / len(numbers)
    ordered = sorted(numbers)

    def percentile(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])

    assert found.n == len(numbers)
    assert found.mean_ms == pytest.approx(mean)
    variance = sum((x - mean) ** 2 for x in numbers) / (len(numbers) - 1)
    assert found.sd_ms == pytest.approx(variance**0.5, abs=1e-3)
    assert found.median_ms == pytest.approx(percentile(0.5))
    assert found.p90_ms == pytest.approx(percentile(0.9))
    assert found.max_ms == max(numbers)


def test_small_samples_do_not_pretend() -> None:
    """Nothing has no mean, and one number has no deviation."""
    assert spread(np.array([], dtype=np.int64)) == Spread(
        n=0, mean_ms=None, sd_ms=None, median_ms=None, p90_ms=None, max_ms=None
    )
    assert spread(np.array([5], dtype=np.int64)).sd_ms is None


def test_handle_time_filters() -> None:
    """Plausible handle times are over zero and up to an hour, both of the served only; all are those logged."""
    table = made(
        *(interaction(Outcome.SERVED, handle_ms=ms) for ms in (0, 1, 3_600_000, 3_600_001, None)),
        interaction(Outcome.ABANDONED, 5, handle_ms=7),
    )
    assert metrics.handle_times_ms(table).tolist() == [1, 3_600_000]
    assert metrics.handle_times_ms(table, "all").tolist() == [0, 1, 3_600_000, 3_600_001]


# -- agents


def service(agent: str, start_s: int, end_s: int) -> LoggedInteraction:
    """Make an interaction that ``agent`` served from one second to another."""
    times = {"started_ms": start_s * 1000, "ended_ms": end_s * 1000, "handle_ms": (end_s - start_s) * 1000}
    return interaction(Outcome.SERVED, agent=agent, **times)


def test_occupancy_is_bounded_from_above() -> None:
    """Busy time counts overlaps once; the window is from the first start to the last end of each day."""
    day = DAY_MS // 1000
    table = made(
        service("ana", 0, 100),
        service("ana", 50, 80),
        service("ana", 90, 120),
        service("ana", 180, 200),
        service("ana", day, day + 50),
        service("bob", 10, 20),
        interaction(Outcome.SERVED, agent="eve"),
    )
    found = occupancy_by_agent(table)
    assert set(found) == {"ana", "bob"}
    assert (found["ana"].days, found["ana"].busy_ms, found["ana"].there_ms) == (2, 190_000, 250_000)
    assert found["ana"].at_most == 190 / 250
    assert found["bob"].at_most == 1.0
    assert gaps_between_services_ms(table).tolist() == [-50_000, 10_000, 60_000]


def test_peak_of_simultaneous_services() -> None:
    """A service that ends when another starts does not meet it; one from the day before is still counted."""
    day = DAY_MS // 1000
    table = made(service("a", 0, 10), service("b", 10, 20), service("c", day - 5, day + 5), service("d", day, day + 9))
    assert peak_services_by_day(table) == {0: 1, 1: 2}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=12))
def test_occupancy_by_the_slow_meaning(services: list[tuple[str, int, int]]) -> None:
    """Busy time is the number of seconds in which at least one service ran."""
    table = made(*(service(agent, start, start + length) for agent, start, length in services))
    for agent, found in occupancy_by_agent(table).items():
        mine = [(start, start + length) for name, start, length in services if name == agent]
        seconds = {second for start, end in mine for second in range(start, end)}
        assert found.busy_ms == len(seconds) * 1000
        assert found.there_ms == (max(end for _, end in mine) - min(start for start, _ in mine)) * 1000


def test_examples_in_the_docstrings() -> None:
    """Examples in the documentation are true."""
    found = doctest.testmod(metrics)
    assert (found.failed, found.attempted > 0) == (0, True)


# -- the facts

Month = Callable[[str], Any]
MONTHS = ("january", "february")


def _in_seconds(found: Spread) -> dict[str, float]:
    """Write a spread as the facts do: seconds, rounded to two places."""
    values = attrs.asdict(found)
    return {"n": values.pop("n")} | {name.removesuffix("_ms"): round(ms / 1000, 2) for name, ms in values.items()}


def _rounded_levels(name: str) -> Callable[[Sequence[LoggedInteraction], InteractionColumns], object]:
    level = SERVICE_LEVELS[name]
    return lambda _, table: {str(s): round(level(table, s * 1000) or 0, 4) for s in (20, 30, 60, 120)}


def _waits_and_abandonment(key: str) -> Callable[[Sequence[LoggedInteraction], InteractionColumns], object]:
    def by_key(_: Sequence[LoggedInteraction], table: InteractionColumns) -> object:
        observed = observe(table)
        parts = observed.by_queue if key == "queue" else {str(k): part for k, part in observed.by_priority.items()}
        return {
            name: {"wait": _in_seconds(part.waits_of_queued), "abandon_rate": round(part.abandonment_of_queued, 4)}
            for name, part in parts.items()
            if part.abandonment_of_queued is not None
        }

    return by_key


def _patience_index(records: Sequence[LoggedInteraction], _: InteractionColumns) -> object:
    """Count served and abandoned in four queues, Sunday to Thursday (by the row's date), arrivals from 7:00."""
    table = {}
    for queue in ("PS", "NE", "NW", "IN"):
        rows = [
            r
            for r in records
            if r.queue == queue
            and datetime.date(1999, int(r.id[2:4]), int(r.id[4:6])).weekday() in (6, 0, 1, 2, 3)
            and r.arrived_ms % DAY_MS >= 7 * 3_600_000
        ]
        served = [r for r in rows if r.outcome is Outcome.SERVED]
        table[queue] = {
            "served_all": len(served),
            "served_queued": sum(r.queued_ms is not None for r in served),
            "abandoned_queued": sum(r.outcome is Outcome.ABANDONED for r in rows),
        }
    return table


def _plausible(table: InteractionColumns) -> InteractionColumns:
    return table.where(metrics.HANDLE_FILTERS["plausible"](table.handle_ms))


def _on_the_rows_day(records: Sequence[LoggedInteraction], *, fold_end: bool) -> InteractionColumns:
    """Put services on the day of their row, as the facts do.

    The facts group services by the row's date and clock alone. A service that starts after midnight is then early on
    the day before; with ``fold_end``, one that ends after midnight is over before it starts.
    """
    moved = []
    for record in records:
        if record.started_ms is None or record.ended_ms is None:
            continue
        midnight = datetime.datetime(1999, int(record.id[2:4]), int(record.id[4:6]), tzinfo=datetime.UTC)
        day_ms = int(midnight.timestamp()) * 1000
        start_ms = day_ms + record.started_ms % DAY_MS
        end_ms = day_ms + record.ended_ms % DAY_MS if fold_end else start_ms + record.ended_ms - record.started_ms
        moved.append(attrs.evolve(record, started_ms=start_ms, ended_ms=end_ms))
    return _plausible(columns(moved))


def _gaps(records: Sequence[LoggedInteraction], _: InteractionColumns) -> object:
    gaps = gaps_between_services_ms(_on_the_rows_day(records, fold_end=False))
    return _in_seconds(spread(gaps[gaps >= 0]))


def _overlaps(records: Sequence[LoggedInteraction], _: InteractionColumns) -> object:
    return int(np.count_nonzero(gaps_between_services_ms(_on_the_rows_day(records, fold_end=False)) < -2_000))


def _peaks(records: Sequence[LoggedInteraction], _: InteractionColumns) -> object:
    peaks = peak_services_by_day(_on_the_rows_day(records, fold_end=True))
    epoch = datetime.date(1970, 1, 1)
    return {f"{epoch + datetime.timedelta(days=day):%y%m%d}": peak for day, peak in peaks.items()}


METRIC_FACTS: dict[str, Callable[[Sequence[LoggedInteraction], InteractionColumns], object]] = {
    "abandon_rate_all_nonphantom": lambda _, t: round(metrics.abandonment_of_all(t) or 0, 4),
    "abandon_rate_queued_nonphantom": lambda _, t: round(metrics.abandonment_of_queued(t) or 0, 4),
    "wait_q_time_queued_nonphantom": lambda _, t: _in_seconds(metrics.waits_of_queued(t)),
    "wait_queued_served": lambda _, t: _in_seconds(metrics.waits_of_queued_served(t)),
    "wait_queued_hang": lambda _, t: _in_seconds(metrics.waits_of_abandoned(t)),
    "offered_nonphantom": lambda _, t: measure(t).offered,
    "asa_mean_q_time_of_served_incl_zero_wait": lambda _, t: round((metrics.asa_ms(t) or 0) / 1000, 3),
    "service_level_served_within_X_of_offered": _rounded_levels("served_within_of_offered"),
    "service_level_amazon_style_removed_within_X_of_queued": _rounded_levels("removed_within_of_queued"),
    "by_type_queued": _waits_and_abandonment("queue"),
    "by_priority_queued": _waits_and_abandonment("priority"),
    "service_time_all": lambda _, t: _in_seconds(metrics.handle_times(t)),
    "service_time_by_type": lambda _, t: {
        queue: _in_seconds(part.handle_times) for queue, part in observe(t).by_queue.items() if part.handle_times.n
    },
    "service_share_under_10s": lambda _, t: round(float((metrics.handle_times_ms(t) < 10_000).mean()), 4),
    "service_gt_3600s": lambda _, t: int((metrics.handle_times_ms(t, "all") > 3_600_000).sum()),
    "empirical_patience_index_weekday_7_24": _patience_index,
    "arrivals_vru_exit_by_hour": lambda _, t: {
        str(hour): count for hour, count in enumerate(metrics.arrivals_by_hour(t)) if count
    },
    "agent_calls": lambda _, t: {name: part.served for name, part in observe(t).by_agent.items()},
    "agent_type_matrix": lambda _, t: metrics.served_by_agent_and_queue(t),
    "same_agent_services": lambda _, t: int((_plausible(t).agent != NONE).sum()),
    "same_agent_overlapping_services_gt2s": _overlaps,
    "agent_gap_between_calls_s(within_day,>=0)": _gaps,
    "max_simultaneous_services_by_day": _peaks,
}

FACTS_TESTED_ELSEWHERE = {
    "test_formats_bank": {
        *("file", "sha256", "rows_ok", "malformed_lines", "date_min", "date_max", "days_present", "agents"),
        *("count_by_outcome", "count_by_type", "count_by_priority", "anomalies"),
        *("queued", "queued_by_outcome", "not_queued_by_outcome"),
    },
    "test_agreement": {"discipline_check", "discipline_check_single_pool_ignoring_type"},
    "the name of a filter, metrics.HANDLE_FILTERS['plausible']": {"service_time_filter"},
}


@pytest.mark.data
@pytest.mark.parametrize("fact", METRIC_FACTS)
@pytest.mark.parametrize("name", MONTHS)
def test_metrics_of_the_real_months(bank_month: Month, name: str, fact: str) -> None:
    """Every metric in the facts of January and February 1999 is met exactly where it counts, else to its rounding."""
    month = bank_month(name)
    found = METRIC_FACTS[fact](month.interactions, columns(month.interactions))
    assert found == month.facts[fact]


@pytest.mark.data
@pytest.mark.parametrize("name", MONTHS)
def test_no_fact_is_forgotten(bank_month: Month, name: str) -> None:
    """Every fact of the months has its test."""
    tested = set(METRIC_FACTS).union(*FACTS_TESTED_ELSEWHERE.values())
    assert tested == set(bank_month(name).facts)


@pytest.mark.data
@pytest.mark.parametrize("name", MONTHS)
def test_peaks_over_midnight(bank_month: Month, name: str) -> None:
    """The facts end a service that crosses midnight before it starts, which lowers the peak: ours is the true one.

    It is never lower, and higher by no more than the services that cross midnight on that day.
    """
    month = bank_month(name)
    peaks = peak_services_by_day(_plausible(columns(month.interactions)))
    known = month.facts["max_simultaneous_services_by_day"]
    timed = [r for r in month.interactions if r.started_ms is not None and r.ended_ms is not None]
    crossing = Counter(r.started_ms // DAY_MS for r in timed if r.started_ms // DAY_MS != r.ended_ms // DAY_MS)
    differences = {day: peak - fact for (day, peak), fact in zip(peaks.items(), known.values(), strict=True)}
    assert all(0 <= difference <= crossing[day] for day, difference in differences.items())
    assert any(differences.values())


WEEK_FACTS: dict[str, Callable[[InteractionColumns], object]] = {
    "abandon_rate": lambda t: round(metrics.abandonment_of_offered(t) or 0, 4),
    "asa_s": lambda t: round((metrics.asa_ms(t) or 0) / 1000, 3),
    "mean_abandon_wait_s": lambda t: round((metrics.waits_of_abandoned(t).mean_ms or 0) / 1000, 3),
    "mean_talk_s": lambda t: round((metrics.handle_times(t, "all").mean_ms or 0) / 1000, 3),
    "sl20_answered_of_offered": lambda t: round(metrics.served_within_of_offered(t, 20_000) or 0, 4),
}


@pytest.mark.data
@pytest.mark.parametrize("fact", WEEK_FACTS)
def test_metrics_of_the_real_week(queue_log_week: Any, fact: str) -> None:
    """Every average in the facts of the week as a queue_log is met to its rounding; its counts are tested elsewhere."""
    assert WEEK_FACTS[fact](columns(queue_log_week.interactions)) == queue_log_week.facts[fact]


@pytest.mark.data
def test_parts_add_up(bank_month: Month) -> None:
    """Queues, priorities and hours each partition the month; agents partition what named agents served."""
    observed = observe(columns(bank_month("january").interactions))
    for parts in (observed.by_queue, observed.by_priority):
        assert sum(part.logged for part in parts.values()) == observed.total.logged
        assert sum(part.served for part in parts.values()) == observed.total.served
    assert sum(observed.arrivals_by_hour) == observed.total.logged - observed.total.by_outcome["set_aside"]
    for part in observed.by_agent.values():
        assert sum(part.served_by_queue.values()) == part.served
        assert part.occupancy is not None
        assert 0 < (part.occupancy.at_most or 0) <= 1
