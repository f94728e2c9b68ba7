"""A plan read from a log: against logs whose plan is known, and against the bank's months."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import attrs
import numpy as np
import pytest
from conftest import LoggedMonth
from hypothesis import given
from hypothesis import strategies as st
from synthetic import HEAD_START_MS, MONDAY_MS, WRAP_UP_MS, call, known_day, known_plan

from omniroute.errors import InputError
from omniroute.formats.records import Outcome, PresenceChange, PresenceKind
from omniroute.insight.columns import columns
from omniroute.plan import Plan
from omniroute.replay.history import History
from omniroute.replay.precedence import choices_between_queues, search_precedence
from omniroute.replay.presence import Waiting, agent_days, covered, packed, recorded_spans, union
from omniroute.replay.reconstruct import plan_text, reconstruct, skills_served

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair))), max_size=20)


def windows_of(records: list, agent: str = "ana", queues: tuple[str, ...] = ("sales",)) -> list[tuple[int, int]]:
    """Return the agent's windows in seconds after Monday's midnight."""
    days = agent_days(History.of(records), {agent: queues})
    return [((start - MONDAY_MS) // SECOND, (end - MONDAY_MS) // SECOND) for start, end in days[agent].windows]


# -- a log that the core itself wrote


@pytest.fixture(scope="module")
def day() -> History:
    """Return a busy day under a plan that is known."""
    return known_day()


def test_skills_of_a_known_plan_are_found(day: History) -> None:
    """Who serves a queue as a rule has its skill, and nobody has one that he never used."""
    found = {agent.id: dict(agent.skills) for agent in reconstruct(day).plan.agents}
    assert found == {agent.id: dict(agent.skills) for agent in known_plan().agents}


def test_head_start_of_a_known_plan_is_found(day: History) -> None:
    """The head start that routed the day explains its order without one disagreement."""
    found = reconstruct(day)
    assert found.head_start_ms == {2: HEAD_START_MS}
    assert found.head_start is not None
    assert found.head_start.best.violations == 0
    assert set(found.precedence.credit_ms.values()) == {0}


def test_time_between_services_of_a_known_plan_is_found(day: History) -> None:
    """Where somebody waits all the time, the gap between two services is the wrap-up and nothing else."""
    found = reconstruct(day)
    assert found.gaps > 100
    assert abs(found.between_ms - WRAP_UP_MS) <= 100


def test_presence_of_a_known_plan_is_bounded(day: History) -> None:
    """A window never begins before the agent's first service nor ends behind his last, and busy agents have no gaps."""
    planned = known_plan().agents[0].windows[0]
    for agent in reconstruct(day).plan.agents:
        assert agent.windows[0][0] >= planned[0]
        held = sum(end - start for start, end in agent.windows)
        assert held > 0.9 * (planned[1] - planned[0])


def test_precedence_between_queues_is_found() -> None:
    """A queue whose people are always taken as if they had come a minute later gets no credit, the other a minute."""
    records = []
    for number in range(200):
        at = 300 * number
        late = number % 2 * 30  # support came 30 or 60 s after sales, and is taken first
        records.append(call(at, wait_s=150, queue="sales"))
        records.append(call(at + 30 + late, wait_s=60, queue="support"))
        records.append(call(at + 100 + late, wait_s=150 - late, queue="support", agent=None, outcome=Outcome.ABANDONED))
    interactions = columns(records)
    choices = choices_between_queues(interactions, {"ana": ("sales", "support")})
    found = search_precedence(choices)
    assert found.credit_ms == {"sales": 0, "support": 60_000}
    assert found.disagreeing_with < found.disagreeing_without


# -- skills


def test_a_stray_interaction_is_no_skill() -> None:
    """One service among hundreds of another queue does not make a skill, unless nobody else would have it."""
    records = [call(100 * n, queue="sales") for n in range(100)]
    records += [call(100 * n, queue="support", agent="ben") for n in range(100)]
    records += [call(20_000, queue="support"), call(20_100, queue="rare")]
    serves, stray = skills_served(columns(records))
    assert serves == {"ana": ("rare", "sales"), "ben": ("support",)}
    assert stray == 1


# -- presence


def test_presence_holds_where_nobody_waits() -> None:
    """An idle hour without anybody waiting does not end a window."""
    assert windows_of([call(0), call(4000)]) == [(0, 4060)]


@pytest.mark.parametrize(("waited_s", "expected"), [(30, [(0, 360)]), (31, [(0, 60), (300, 360)])])
def test_presence_ends_where_somebody_waits(waited_s: int, expected: list[tuple[int, int]]) -> None:
    """More than thirty seconds of letting somebody wait is absence; thirty are not."""
    left = call(100, wait_s=waited_s, outcome=Outcome.ABANDONED)
    assert windows_of([call(0), left, call(300)]) == expected


def test_those_he_cannot_serve_do_not_make_him_absent() -> None:
    """Waiting in a queue that is not the agent's says nothing of him."""
    left = call(100, wait_s=100, queue="support", outcome=Outcome.ABANDONED)
    assert windows_of([call(0), left, call(300)]) == [(0, 360)]


def test_a_night_is_not_presence() -> None:
    """Windows end with the day's last service."""
    waited = call(200, wait_s=100, outcome=Outcome.ABANDONED)
    records = [call(0), waited, call(86_400 + 10)]
    assert windows_of(records) == [(0, 60), (86_410, 86_470)]
    assert agent_days(History.of(records), {"ana": ("sales",)})["ana"].breaks == 0


@given(spans)
def test_union_is_the_same_set_of_instants(drawn: list[tuple[int, int]]) -> None:
    """Joined spans hold exactly the instants of the given ones, in order and apart."""
    joined = union(drawn)
    assert {t for s, e in joined for t in range(s, e)} == {t for s, e in drawn for t in range(s, e)}
    assert all(before[1] < after[0] for before, after in pairwise(joined))


@given(spans)
def test_packed_rows_are_as_few_as_the_peak(drawn: list[tuple[int, int]]) -> None:
    """Every span is in one row, rows do not overlap, and there are as many as spans at one time."""
    rows = packed(drawn)
    assert sorted(span for row in rows for span in row) == sorted(drawn)
    assert all(a[1] <= b[0] for row in rows for a, b in pairwise(row))
    peak = max((sum(1 for s, e in drawn if s <= t < e) for t in range(90)), default=0)
    assert len(rows) == peak


@given(spans, st.integers(0, 90), st.integers(0, 90))
def test_waiting_between_counts_instants(drawn: list[tuple[int, int]], one: int, other: int) -> None:
    """The time in which somebody waited is the number of milliseconds that some wait holds."""
    table = np.array(drawn, dtype=np.int64).reshape(-1, 2)
    waiting = Waiting.of(table[:, 0], table[:, 1])
    low, high = min(one, other), max(one, other)
    held = {t for s, e in drawn for t in range(s, e)}
    assert waiting.between(np.array([low]), np.array([high])).tolist() == [len(held & set(range(low, high)))]


def said(at: int, kind: PresenceKind, queue: str | None = None) -> PresenceChange:
    """Return a presence change, ``at`` seconds after Monday's midnight."""
    return PresenceChange(at_ms=MONDAY_MS + at * SECOND, agent="ana", queue=queue, kind=kind)


IN, OUT, READY, PAUSE = (
    PresenceKind.SIGNED_IN,
    PresenceKind.SIGNED_OUT,
    PresenceKind.READY,
    PresenceKind.NOT_READY,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([said(10, IN), said(50, OUT)], [(10, 50)]),
        ([said(10, IN), said(20, PAUSE), said(30, READY), said(50, OUT)], [(10, 20), (30, 50)]),
        ([said(10, IN, "a"), said(20, IN, "b"), said(30, OUT, "a"), said(40, OUT, "b")], [(10, 40)]),
        ([said(10, IN, "a"), said(20, IN, "b"), said(30, PAUSE, "a"), said(40, PAUSE, "b")], [(10, 40)]),
        ([said(30, OUT)], [(0, 30)]),
        ([said(30, READY)], [(30, 100)]),
        ([said(30, IN)], [(30, 100)]),
    ],
    ids=["in, out", "a pause", "two queues", "paused in both", "first seen leaving", "first seen back", "never out"],
)
def test_recorded_presence(changes: list[PresenceChange], expected: list[tuple[int, int]]) -> None:
    """An agent is there while signed in to any queue and not paused in all; the log's end closes what is open."""
    found = recorded_spans(changes, MONDAY_MS + 100 * SECOND)["ana"]
    assert [((s - MONDAY_MS) // SECOND, (e - MONDAY_MS) // SECOND) for s, e in found] == expected


def test_recorded_presence_is_believed_and_widened() -> None:
    """Presence from the log beats what services suggest, and a service outside of it still happened."""
    left = call(100, wait_s=100, outcome=Outcome.ABANDONED)
    records = [said(0, IN), call(10), left, call(300), said(400, OUT), call(500)]
    assert windows_of(records) == [(0, 400), (500, 560)]
    found = reconstruct(History.of(records))
    assert found.presence_recorded
    assert "1 service outside" in " ".join(found.assumptions)


def test_covered_forgives_two_seconds() -> None:
    """Clocks in whole seconds may be two seconds off."""
    assert covered((8_000, 22_000), [(10_000, 20_000)])
    assert not covered((7_999, 22_000), [(10_000, 20_000)])


def test_capacity_is_what_agents_hold_at_most_starts() -> None:
    """An agent who always has two chats at a time gets two units; one overlap among many does not."""
    pairs = [call(200 * n, handle_s=150) for n in range(60)] + [call(200 * n + 10, handle_s=150) for n in range(60)]
    (agent,) = reconstruct(History.of(pairs)).plan.agents
    assert agent.units == 2
    single = [call(200 * n, handle_s=150) for n in range(120)] + [call(210, handle_s=150)]
    (agent,) = reconstruct(History.of(single)).plan.agents
    assert agent.units == 1


# -- services without a name


def test_services_without_a_name_are_work() -> None:
    """They become as few agents as were busy at once, there exactly while those services lasted."""
    records = [call(0), call(10, agent=None), call(20, agent=None), call(100, agent=None, handle_s=30)]
    found = reconstruct(History.of(records))
    unnamed = [agent for agent in found.plan.agents if agent.id.startswith("unnamed")]
    windows = [[((s - MONDAY_MS) // SECOND, (e - MONDAY_MS) // SECOND) for s, e in a.windows] for a in unnamed]
    assert windows == [[(10, 70), (100, 130)], [(20, 80)]]
    assert found.unnamed == 3


def test_unknown_services_last_as_long_as_others() -> None:
    """A service with neither a name nor a handle time takes the mean of its queue."""
    unknown = attrs.evolve(call(500, agent=None), started_ms=None, ended_ms=None, handle_ms=None)
    found = reconstruct(History.of([call(0, handle_s=40), call(100, handle_s=60), unknown]))
    (window,) = found.plan.agents[-1].windows
    assert window == (MONDAY_MS + 500 * SECOND, MONDAY_MS + 550 * SECOND)


# -- what cannot be


def test_a_log_without_services_has_no_plan() -> None:
    """There is nobody to read a plan from, and the error says so."""
    with pytest.raises(InputError, match="no interaction was served"):
        reconstruct(History.of([call(0, 10, outcome=Outcome.ABANDONED)]))


@pytest.mark.parametrize("name", ["a`b", "a\x1b[2Jb", " padded"])
def test_names_that_a_plan_cannot_hold(name: str) -> None:
    """A queue that cannot be named in a plan is an error of the log, never a broken file."""
    with pytest.raises(InputError, match="name"):
        reconstruct(History.of([call(0, queue=name)]))


def test_plan_text_is_the_plan(day: History) -> None:
    """The file with its comments reads back as the very plan, whatever the comments hold; they fit a screen."""
    found = reconstruct(day)
    text = plan_text(found, found.plan, source="a\nlog\x1b", notes=["one\r\n[[queues]]"])
    assert Plan.from_toml_text(text) == found.plan
    assert text.startswith("# A plan read from a log .")
    assert max(len(line) for line in text.splitlines() if line.startswith("#")) <= 100


# -- the bank's months (Technion: Ilan Guedj, Avi Mandelbaum)


@pytest.mark.data
def test_january_has_no_head_start(bank_month: Callable[[str], LoggedMonth]) -> None:
    """January's order within queues is first come first served; between queues NW and IN stand 90 s behind."""
    found = reconstruct(History.of(bank_month("january").interactions))
    assert found.head_start_ms == {}
    assert found.unnamed == 490
    assert found.precedence.credit_ms["PS"] - found.precedence.credit_ms["NW"] == 90_000
    assert found.precedence.disagreeing_with < 0.8 * found.precedence.disagreeing_without
    assert len([agent for agent in found.plan.agents if not agent.id.startswith("unnamed")]) == 28
    assert "NW" not in {a.id: a.skills for a in found.plan.agents}["ZOHARI"]  # 17 of 891, all agents 15 %


@pytest.mark.data
def test_february_has_the_house_rule(bank_month: Callable[[str], LoggedMonth]) -> None:
    """February's priority customers are credited 90 s, as the bank says."""
    found = reconstruct(History.of(bank_month("february").interactions))
    assert found.head_start_ms == {2: 90_000}
    for queue in found.plan.queues:
        assert queue.strategy is not None
        place = queue.strategy.place  # type: ignore[attr-defined]
        assert place(2).head_start_ms - place(0).head_start_ms == 90_000
