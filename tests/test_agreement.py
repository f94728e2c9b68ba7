"""Agreement of the order of service with a supposed order."""

from __future__ import annotations

import doctest
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.formats.records import LoggedInteraction, Outcome
from omniroute.replay import agreement as agreement_module
from omniroute.replay.agreement import Agreement, Tolerance, agreement, search_head_start


def waiting(entered_s: int, left_s: int, priority: int = 0, queue: str = "q", outcome: Outcome = Outcome.SERVED) -> Any:
    """Make an interaction that waited in a queue between two seconds."""
    return LoggedInteraction(
        id=f"{entered_s}-{left_s}-{priority}",
        queue=queue,
        channel="voice",
        priority=priority,
        arrived_ms=entered_s * 1000,
        queued_ms=entered_s * 1000,
        left_queue_ms=left_s * 1000,
        wait_ms=(left_s - entered_s) * 1000,
        outcome=outcome,
    )


def test_first_come_first_served_agrees_with_itself() -> None:
    """Served in order of entry, nobody is passed over; the last has no competitor and is no case."""
    found = agreement([waiting(0, 100), waiting(10, 110), waiting(20, 120)])
    assert found == Agreement(cases=2, violations=0)
    assert found.rate == 0.0


def test_passing_over_is_a_violation_unless_a_head_start_explains_it() -> None:
    """The later priority customer went first: wrong without a head start, right with one that is long enough."""
    interactions = [waiting(0, 200, priority=0), waiting(60, 100, priority=2)]
    assert agreement(interactions) == Agreement(cases=1, violations=1)
    assert agreement(interactions, head_start_ms={2: 90_000}) == Agreement(cases=1, violations=0)
    assert search_head_start(interactions).best_ms == 60_000
    assert search_head_start(interactions, priority=0).best_ms == 0


def test_nobody_to_prefer_is_no_case() -> None:
    """Without competitors there is no rate."""
    assert agreement([waiting(0, 10)]).rate is None
    assert agreement([waiting(0, 10, queue="a"), waiting(0, 50, queue="b")]).cases == 0
    assert agreement([waiting(0, 10, queue="a"), waiting(0, 50, queue="b")], same_queue=False).cases == 1


def test_who_competes() -> None:
    """Those who abandon compete while they wait; what was set aside, never queued or never left does not."""
    served = waiting(50, 100)
    assert agreement([served, waiting(0, 200, outcome=Outcome.ABANDONED)]).violations == 1
    assert agreement([served, waiting(0, 200, outcome=Outcome.SET_ASIDE)]).cases == 0
    never_left = LoggedInteraction(id="x", queue="q", channel="voice", arrived_ms=0, queued_ms=0, outcome=Outcome.OPEN)
    assert agreement([served, never_left]).cases == 0


@pytest.mark.parametrize(("entered", "left", "cases"), [(97, 200, 0), (96, 200, 1), (0, 103, 0), (0, 104, 1)])
def test_the_tolerance_is_exceeded_or_not(entered: int, left: int, cases: int) -> None:
    """A competitor entered more than 3 s before and stays for more than 3 s after; exactly 3 s is too close."""
    assert agreement([waiting(98, 100), waiting(entered, left)]).cases == cases


def test_a_senseless_grid_is_refused() -> None:
    """A step of nothing would never end."""
    with pytest.raises(ValueError, match="step_ms must be above 0"):
        search_head_start([], step_ms=0)
    assert search_head_start([], step_ms=5, end_ms=10).curve == tuple(
        (ms, Agreement(cases=0, violations=0)) for ms in (0, 5, 10)
    )


waits = st.builds(
    lambda entered, length, priority, queue, outcome: waiting(entered, entered + length, priority, queue, outcome),
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(0, 2),
    st.sampled_from("ab"),
    st.sampled_from((Outcome.SERVED, Outcome.ABANDONED, Outcome.SET_ASIDE)),
)


@given(st.lists(waits, max_size=14), st.integers(0, 30), st.integers(0, 5), st.booleans())
def test_the_sweep_means_the_definition(interactions: list[Any], head_s: int, slack_s: int, same_queue: bool) -> None:
    """The sweep gives what comparing every case with every competitor gives."""
    slack, heads = slack_s * 1000, {2: head_s * 1000}
    kept = [i for i in interactions if i.outcome is not Outcome.SET_ASIDE]
    cases = violations = 0
    for one in kept:
        if one.outcome is not Outcome.SERVED:
            continue
        left = one.left_queue_ms
        rivals = [
            other
            for other in kept
            if (other.queue == one.queue or not same_queue)
            and other.queued_ms < left - slack
            and other.left_queue_ms > left + slack
        ]
        scores = [other.queued_ms - heads.get(other.priority, 0) for other in rivals]
        cases += bool(rivals)
        violations += any(score < one.queued_ms - heads.get(one.priority, 0) - slack for score in scores)
    found = agreement(interactions, head_start_ms=heads, tolerance_ms=slack, same_queue=same_queue)
    assert found == Agreement(cases=cases, violations=violations)


def test_examples_in_the_docstrings() -> None:
    """Examples in the documentation are true."""
    found = doctest.testmod(agreement_module)
    assert (found.failed, found.attempted > 0) == (0, True)


# -- the facts

Month = Callable[[str], Any]


@pytest.mark.data
@pytest.mark.parametrize("head_s", [0, 30, 60, 75, 85, 90, 95, 105, 120, 150, 180, 300])
@pytest.mark.parametrize("name", ["january", "february"])
def test_discipline_of_the_real_months(bank_month: Month, name: str, head_s: int) -> None:
    """The rate of violations is that of the facts for every head start of their table."""
    month = bank_month(name)
    known = month.facts["discipline_check"]
    found = agreement(month.interactions, head_start_ms={2: head_s * 1000})
    assert found.cases == known["cases"]
    assert round(found.rate or 0, 4) == known["violation_rate_by_headstart_h"][str(head_s)]
    assert len(known["violation_rate_by_headstart_h"]) == 12


@pytest.mark.data
@pytest.mark.parametrize(("name", "best_ms"), [("january", 0), ("february", 90_000)])
def test_the_search_finds_the_house_rule(bank_month: Month, name: str, best_ms: int) -> None:
    """February credits priority customers with 90 s; January does not yet. The whole grid takes under three seconds."""
    month = bank_month(name)
    before = time.perf_counter()
    found = search_head_start(month.interactions)
    assert time.perf_counter() - before < 3
    assert (found.priority, found.best_ms, len(found.curve)) == (2, best_ms, 21)
    rates = month.facts["discipline_check"]["violation_rate_by_headstart_h"]
    assert round(found.best.rate or 0, 4) == rates[str(best_ms // 1000)]


@pytest.mark.data
@pytest.mark.parametrize("name", ["january", "february"])
def test_discipline_of_one_pool(bank_month: Month, name: str) -> None:
    """With all queues in one pool the counts are those of the facts.

    The facts do not define this check. Its counts come out exactly, in both months, when a competitor entered at any
    time before and stayed for more than two seconds after, and scores are compared without tolerance; strict priority
    is a head start longer than any wait. The facts leave out what crosses midnight in the queue, which changes only the
    number of the served.
    """
    month = bank_month(name)
    known = month.facts["discipline_check_single_pool_ignoring_type"]
    tolerance = Tolerance(entered_ms=0, stayed_ms=2_000, order_ms=0)
    for rule, head_ms in (("fifo", 0), ("headstart", 90_000), ("strict", 10**9)):
        found = agreement(month.interactions, head_start_ms={2: head_ms}, tolerance_ms=tolerance, same_queue=False)
        assert found == Agreement(cases=known["with_competitor_waiting"], violations=known[f"viol_{rule}"])
        assert round(found.rate or 0, 4) == known[f"viol_rate_{rule}"]
    served = [r for r in month.interactions if r.outcome is Outcome.SERVED and r.queued_ms is not None]
    within_a_day = [r for r in served if r.left_queue_ms // 86_400_000 == r.queued_ms // 86_400_000]
    assert len(within_a_day) == known["served_queued"]
