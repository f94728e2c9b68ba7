"""Simulating a plan over a workload: names, errors, presences, ends, and the same world through single commands."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from omniroute.core import Core
from omniroute.errors import InputError, PlanError
from omniroute.model import Agent
from omniroute.naming import Naming
from omniroute.plan import Channel, Plan, Queue, Step
from omniroute.strategies.priority import Priority
from omniroute.world import simulate as module
from omniroute.world.demo import demo_day
from omniroute.world.simulate import OutcomeCode, simulate, simulate_chunks
from omniroute.world.streams import Draw, Stream, poisson
from omniroute.world.workload import Habits, Presences, Workload


def work(**columns) -> Workload:
    """A workload of one queue unless said otherwise."""
    columns.setdefault("queues", ["sales"])
    return Workload(**columns)


def test_the_four_ends():
    """Served, abandoned, blocked and open are told apart, with their instants."""
    plan = Plan(queues=[Queue("sales", limit=2)], agents=[Agent("ana")])
    done = simulate(
        plan,
        work(arrival_ms=[0, 1, 2, 3], handle_ms=[100, 100, 100, 100], patience_ms=[-1, 10, -1, -1]),
        until_ms=100,
    )
    assert done.outcome.tolist() == [OutcomeCode.SERVED, OutcomeCode.ABANDONED, OutcomeCode.OPEN, OutcomeCode.BLOCKED]
    assert (done.served, done.abandoned, done.open, done.blocked) == (1, 1, 1, 1)
    assert done.wait_ms.tolist() == [0, 10, -1, 0]
    assert done.start_ms.tolist() == [0, -1, -1, -1]
    assert done.end_ms.tolist() == [-1, 11, -1, 3]
    assert done.total_wait_ms() == 10
    assert done.mean_wait_ms() == 5
    assert done.mean_answer_ms() == 0
    assert done.within(0) == 1


def test_a_step_that_cancels_is_no_abandonment():
    """What a step takes out has an end, a wait and an outcome of its own, and is not handled later."""
    plan = Plan(queues=[Queue("sales", steps=[Step("10s", tier=1), Step("20s", cancel=True)])], agents=[Agent("ana")])
    done = simulate(plan, work(arrival_ms=[0, 1, 2], handle_ms=[30_000, 5, 5], patience_ms=[-1, -1, 12_000]))
    assert done.outcome.tolist() == [OutcomeCode.SERVED, OutcomeCode.CANCELLED, OutcomeCode.ABANDONED]
    assert done.wait_ms.tolist() == [0, 20_000, 12_000]
    assert done.end_ms.tolist() == [30_000, 20_001, 12_002]
    assert done.step.tolist() == [0, 2, 1]
    assert (done.cancelled, done.abandoned, done.total_wait_ms()) == (1, 1, 32_000)


def test_a_transfer_is_waited_for_and_handled_twice():
    """The wait is that in both queues, patience begins anew; where the second queue is full it ends after the first."""
    plan = Plan(
        queues=[Queue("sales", wrap_up_ms=5), Queue("billing", needs="billing", limit=1, wrap_up_ms=3)],
        agents=[Agent("ana"), Agent("ben", skills={"billing": 1}, queues=["billing"])],
    )
    done = simulate(
        plan,
        work(
            arrival_ms=[0, 50, 90, 200],
            handle_ms=[30, 20, 20, 10],
            queues=["sales", "billing"],
            transfer=[1, 1, 1, -1],
            handle2_ms=[500, 40, 60, 0],
            patience_ms=[-1, 100, -1, -1],
            value=[100, 20, 3, 7],
        ),
    )
    assert done.outcome.tolist() == [OutcomeCode.SERVED, OutcomeCode.ABANDONED, OutcomeCode.SERVED, OutcomeCode.SERVED]
    assert done.agent.tolist() == [0, 0, 0, 0]
    assert done.transferred_ms.tolist() == [30, 70, -1, -1]
    assert done.second_agent.tolist() == [1, -1, -1, -1]
    assert done.second_start_ms.tolist() == [30, -1, -1, -1]
    assert done.wait_ms.tolist() == [0, 100, 0, 0]
    assert done.end_ms.tolist() == [530, 170, 110, 210]
    assert (done.transferred, done.total_value()) == (2, 110)


def test_who_ignores_an_offer_comes_back():
    """An ignored offer expires, its agent is not ready, and is back after so long; others have it meanwhile."""
    plan = Plan(queues=[Queue("sales", offer_timeout_ms="5s")], agents=[Agent("ana"), Agent("ben")])
    columns = {"arrival_ms": [0, 20_000], "handle_ms": [60_000, 1_000]}
    habits = Habits(agents=["ana"], ignore_permille=[1_000], back_ms=30_000)
    done = simulate(plan, work(**columns), habits=habits)
    assert done.start_ms.tolist() == [5_000, 65_000]
    assert done.agent.tolist() == [1, 1]
    assert done.offers.tolist() == [2, 2]
    late = simulate(plan, work(**columns, answer_ms=[1_500, 0]))
    assert late.start_ms.tolist() == [1_500, 20_000]


def test_chunks_that_do_not_follow_are_refused():
    """A chunk that begins before the one ahead ended, or that suddenly says something new, is named."""
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    first = work(arrival_ms=[0, 9], handle_ms=[1, 1])
    wrong = {
        "before the last of the chunk ahead": work(arrival_ms=[8], handle_ms=[1]),
        "does not say how offers": work(arrival_ms=[9], handle_ms=[1], answer_ms=[1]),
        "all chunks have presences": work(
            arrival_ms=[9], handle_ms=[1], presences=Presences(at_ms=[9], agent=[0], move=[0], agents=["ana"])
        ),
    }
    for message, second in wrong.items():
        with pytest.raises(InputError, match=message):
            list(simulate_chunks(plan, [first, second]))
    with pytest.raises(InputError, match=r"habits.agents\[0\]: unknown agent 'bem'"):
        simulate(plan, first, habits=Habits(agents=["bem"]))
    with pytest.raises(InputError, match="seed"):
        simulate(plan, first, seed=-1)


def test_chunks_bring_their_presences():
    """Presences in pieces are presences, those that are due after the last arrival of their chunk as well."""
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana"), Agent("ben")])
    moves = {"at_ms": [0, 5, 11, 30], "agent": [0, 1, 0, 1], "move": [0, 0, 3, 5], "agents": ["ana", "ben"]}
    columns = {"arrival_ms": [1, 10, 20, 40], "handle_ms": [100, 5, 5, 5]}
    whole = simulate(plan, work(**columns, presences=Presences(**moves)))
    pieces = []
    for rows, first, last in ((slice(0, 2), 0, 3), (slice(2, 4), 3, 4)):
        part = {name: column[first:last] for name, column in moves.items() if name != "agents"}
        presences = Presences(**part, agents=moves["agents"])
        pieces.append(work(**{name: column[rows] for name, column in columns.items()}, presences=presences))
    parts = list(simulate_chunks(plan, pieces))
    rows = np.concatenate([part.row for part in parts])
    assert np.concatenate([part.start_ms for part in parts])[np.argsort(rows)].tolist() == whole.start_ms.tolist()
    assert whole.start_ms.tolist() == [1, 10, 20, -1]


def test_later_rows_are_left_out():
    """Rows that arrive at ``until_ms`` or later are not in the outcome, and nothing happens at it any more."""
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    done = simulate(plan, work(arrival_ms=[0, 50, 60], handle_ms=[50, 1, 1]), until_ms=50)
    assert len(done) == 1
    assert done.end_ms.tolist() == [-1]


def test_needs_priority_and_steps():
    """Requirements of interactions, tiers of a strategy and steps of a queue reach the core."""
    plan = Plan(
        queues=[Queue("sales", strategy=Priority(), steps=[Step("1s", needs="")])],
        agents=[Agent("ana", skills={"spanish": 2}), Agent("ben")],
    )
    done = simulate(
        plan,
        work(
            arrival_ms=[0, 10, 20, 30],
            handle_ms=[5_000, 5_000, 100, 100],
            needs=[0, 1, 1, 0],
            requirements=["not spanish", "spanish >= 2"],
            priority=[0, 0, 0, 1],
        ),
    )
    assert done.agent.tolist() == [1, 0, 0, 1]
    assert done.start_ms.tolist() == [0, 10, 5_010, 5_000]


def test_wrap_up_of_the_plan_and_of_the_workload():
    """Wrap-up holds the agent; the workload's column goes before the queue by which it came to its agent."""
    plan = Plan(queues=[Queue("sales", wrap_up_ms="1s")], agents=[Agent("ana")])
    columns = {"arrival_ms": [0, 1], "handle_ms": [10, 10]}
    assert simulate(plan, work(**columns)).start_ms.tolist() == [0, 1_010]
    assert simulate(plan, work(**columns, wrap_up_ms=[5, 0])).start_ms.tolist() == [0, 15]
    held = Plan(queues=[Queue("sales", wrap_up_ms=None)], agents=[Agent("ana")])
    with pytest.raises(PlanError, match="until release"):
        simulate(held, work(**columns))
    assert [len(part) for part in simulate_chunks(held, [work(**columns, wrap_up_ms=[5, 0])])] == [0, 2]
    onward = Plan(
        queues=[Queue("sales", wrap_up_ms="1s"), Queue("chat", wrap_up_ms="3s", steps=[Step(0, queue="sales")])],
        agents=[Agent("ana")],
    )
    assert simulate(onward, work(**columns, queues=["chat"])).start_ms.tolist() == [0, 1_010]


def test_windows_of_agents():
    """Agents come and go by their windows, drain what they have, and are ready in the next window all the same."""
    ana = Agent("ana", windows=[(0, 100), (100, 200), (300, 400)])
    plan = Plan(queues=[Queue("sales")], agents=[ana])
    done = simulate(plan, work(arrival_ms=[50, 190, 250, 310], handle_ms=[100, 130, 10, 10]))
    assert done.start_ms.tolist() == [50, 190, 320, 330]


def test_presences_of_the_workload():
    """Presences of the workload replace the plan's windows; unknown agents are named."""
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana"), Agent("ben")])
    away = Presences(at_ms=[0, 5, 20], agent=[0, 0, 0], move=[0, 3, 2], agents=["ben"])
    done = simulate(plan, work(arrival_ms=[1, 6], handle_ms=[1, 1], presences=away))
    assert done.start_ms.tolist() == [1, 20]
    assert done.agent.tolist() == [1, 1]
    unknown = Presences(at_ms=[0], agent=[0], move=[0], agents=["bem"])
    with pytest.raises(InputError, match=r"presences.agents\[0\]: unknown agent 'bem'; did you mean 'ben'"):
        simulate(plan, work(arrival_ms=[1], handle_ms=[1], presences=unknown))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"arrival_ms": [5, 4], "handle_ms": [1, 1]}, r"arrival_ms\[1\]: is 4, before"),
        ({"arrival_ms": [5], "handle_ms": [1, 1]}, "handle_ms: has 2 rows, arrival_ms has 1"),
        ({"arrival_ms": [5], "handle_ms": [-1]}, r"handle_ms\[0\]: is -1"),
        ({"arrival_ms": [5], "handle_ms": [1.5]}, "expected integers"),
        ({"arrival_ms": [[5]], "handle_ms": [1]}, "one dimension"),
        ({"arrival_ms": [5], "handle_ms": [1], "queue": [1]}, r"queue\[0\]: is 1, allowed is 0..0"),
        ({"arrival_ms": [5], "handle_ms": [1], "patience_ms": [-2]}, r"patience_ms\[0\]"),
        ({"arrival_ms": [5], "handle_ms": [1], "queues": ["a", "a"]}, r"queues\[1\]: 'a' is at 0 already"),
    ],
)
def test_columns_are_checked(columns, message):
    """Whatever is wrong with a workload is named by column and row."""
    with pytest.raises(InputError, match=message):
        work(**columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"queues": ["salse"]}, r"queues\[0\]: unknown queue 'salse'; did you mean 'sales'"),
        ({"channels": ["chat"]}, r"channels\[0\]: unknown channel 'chat'"),
        ({"requirements": ["spanish >="]}, r"requirements\[0\]"),
    ],
)
def test_names_are_checked(columns, message):
    """Whatever the plan does not know is named with its nearest."""
    plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    with pytest.raises(InputError, match=message):
        simulate(plan, work(arrival_ms=[0], handle_ms=[1], **columns))


def test_nothing_happens_in_an_empty_world():
    """No interactions, no agents: empty columns, or everybody waits."""
    empty = simulate(Plan(queues=[Queue("sales")]), work(arrival_ms=[], handle_ms=[]))
    assert len(empty) == 0
    assert np.isnan(empty.mean_wait_ms())
    alone = simulate(Plan(queues=[Queue("sales")]), work(arrival_ms=[3], handle_ms=[1]))
    assert alone.open == 1


def test_the_demo_day_is_the_same_every_time():
    """A seed is a day; another seed is another day; and the day is one that a centre could have."""
    plan, day = demo_day(seed=1)
    done, again = simulate(plan, day), simulate(*demo_day(seed=1))
    for column in ("agent", "start_ms", "end_ms", "outcome"):
        assert np.array_equal(getattr(done, column), getattr(again, column))
    assert not np.array_equal(day.handle_ms[:100], demo_day(seed=2)[1].handle_ms[:100])
    assert 4_000 < len(day) < 6_000
    assert done.open == 0
    assert 0.01 < done.abandoned / len(done) < 0.12


def test_classes_are_counted_once_for_a_kind():
    """Distinct (queue, channel, needs, priority) make classes, not rows."""
    plan = Plan(channels=[Channel("voice")], queues=[Queue("sales")], agents=[Agent("ana")])
    calls = Stream(queue="sales", per_hour=600, handle=Draw("exponential", 5_000))
    day = poisson([calls], seed=5, periods=2)
    naming = Naming.of_plan(Core(), plan)
    module._asked(naming, day, len(day))
    assert len(naming.class_names) == 1


def test_streams_keep_their_rows():
    """A stream's draws do not change when another is added behind it."""
    calls = Stream(queue="sales", per_hour=(50, 70), handle=Draw("lognormal", 60_000, 0.5))
    chats = Stream(queue="chat", channel="chat", per_hour=40, handle=Draw("constant", 1_000))
    alone, both = poisson([calls], seed=9, periods=2), poisson([calls, chats], seed=9, periods=2)
    mine = both.queue == both.queues.index("sales")
    assert alone.arrival_ms.tolist() == both.arrival_ms[mine].tolist()
    assert alone.handle_ms.tolist() == both.handle_ms[mine].tolist()


def test_the_door_does_not_import_numpy():
    """Only this package and what stands above it know numpy."""
    code = "import sys, omniroute, omniroute.core, omniroute.plan; print('numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
