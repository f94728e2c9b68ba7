"""Handle times by class and group: what the guard learns of each pair, in the state and in copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
from cores import CORES, using

from omniroute import Agent, Plan, Queue, Router, SkillsFirst, Step, commands, events, pair_times
from omniroute.pair_times import PAIRS_MAX
from omniroute.requirements import parse
from omniroute.strategies.protocol import ClassView, GroupView, Observed
from omniroute.strategies.schedule import Schedule

MINUTE = 60_000
EDGES = ["30m", "15m", "5m"]
GUARD = Schedule(learn="10m", risk=0.5, edges=EDGES, longest="5m")
"""Of the half of handle times, so twenty of a pair are enough."""
ENOUGH = 20


def plan(strategy: Any = GUARD, **more: Any) -> Plan:
    """One queue, an agent of each of two groups."""
    agents = [Agent("fast", skills={"quick": 1, "es": 1}), Agent("slow", skills={"es": 1})]
    return Plan(queues=[Queue("q", strategy=strategy, wrap_up_ms=0, **more)], agents=agents)


def ready(start: Plan | None = None) -> Router:
    """Both are there, away, and have an obligation in a far future."""
    router = Router(plan() if start is None else start)
    for name in ("fast", "slow"):
        router.sign_in(0, name, ready=False)
        router.set_obligation(0, name, 10**9)
    return router


def handled(router: Router, agent: str, minutes: Sequence[int], needs: str = "", queue: str = "q") -> None:
    """The agent has these, one after the other, and nobody else is ready."""
    router.set_presence(router.now, agent, "ready")
    for length in minutes:
        name = f"c{router._ledger.seq}"
        router.enqueue(router.now, name, queue, needs=needs)
        router.accept(router.now, router.agent(agent).offers[0])
        router.finish(router.now + length * MINUTE, name)
    router.set_presence(router.now, agent, "not_ready")


def asked(router: Router) -> events.RevisionDue:
    """What the queue is told when somebody waits until the end of the interval."""
    name = f"c{router._ledger.seq}"
    router.enqueue(router.now, name, "q")
    told = [event for event in router.advance(router.now + 10 * MINUTE) if isinstance(event, events.RevisionDue)]
    router.cancel(router.now, name)
    return told[-1]


def times_of(router: Router, due: events.RevisionDue) -> dict[tuple[str, bool, int | None], int]:
    """Handle times in minutes by what is asked, whether a group is quick, and its time left in minutes."""
    classes, groups = router.revision_views("q")
    assert due.pair_handle_ms == tuple(sorted(due.pair_handle_ms))
    found = {}
    for k, g, ms in due.pair_handle_ms:
        left = groups[g].time_left_ms
        found[classes[k].requirement.text, "quick" in groups[g].skills, left and left // MINUTE] = round(ms / MINUTE)
    assert len(found) == len(due.pair_handle_ms)
    return found


@pytest.fixture(autouse=True, params=CORES)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


# The guard ------------------------------------------------------------------------------------------------------------


def revised(router: Router, due: events.RevisionDue) -> None:
    """The strategy answers."""
    revision = GUARD.revise(due, *router.revision_views("q"))  # type: ignore[arg-type]
    router.revise(router.now, "q", revision.version, revision.tables)


def test_who_is_fast_may_begin_what_who_is_slow_may_not():
    """With a quarter of an hour left, half of the fast end within four minutes and of the slow within twenty.

    Of the queue as a whole half end within four, so its number alone would let the slow begin; and where the slow are
    the more, keep the fast from what they can do. Planted: the number of the other group; rungs left out; the queue's
    number taken first.
    """
    for fast, slow, usual in ((30, 20, 4), (20, 30, 20)):
        router = ready()
        handled(router, "fast", [4] * fast)
        handled(router, "slow", [20] * slow)
        due = asked(router)
        assert round((due.handle_ms or 0) / MINUTE) == usual
        lefts = (None, 15, 5, 0)
        expected = {("", quick, left): 4 if quick else 20 for quick in (True, False) for left in lefts}
        assert times_of(router, due) == expected
        revised(router, due)
        for name, left, may in (("fast", 16, True), ("slow", 16, False), ("slow", 31, True), ("fast", 4, False)):
            router.set_obligation(router.now, name, router.now + left * MINUTE)
            router.set_presence(router.now, name, "ready")
            told = router.enqueue(router.now, f"{name} {left}", "q")
            assert any(isinstance(event, events.Offered) for event in told) == may, (name, left)
            router.cancel(router.now, f"{name} {left}")
            router.set_presence(router.now, name, "not_ready")


def test_classes_are_told_apart():
    """What takes long for everybody is another class's business. Planted: one class for all."""
    router = ready()
    handled(router, "slow", [1], needs="es >= 1 or quick")
    handled(router, "slow", [20] * ENOUGH, needs="es")
    handled(router, "slow", [4] * ENOUGH)
    found = times_of(router, asked(router))
    assert {(key[0], value) for key, value in found.items()} == {("es", 20), ("", 4)}
    assert {key[1] for key in found} == {False}


def test_a_pair_counts_once_it_has_enough():
    """Twenty at a risk of a half, so that ten last longer; before that the number of the queue counts, then parameters.

    Planted: nineteen are enough.
    """
    router = ready()
    handled(router, "fast", [4] * (ENOUGH - 1))
    due = asked(router)
    assert (due.pair_handle_ms, round((due.handle_ms or 0) / MINUTE)) == ((), 4)
    handled(router, "fast", [4])
    assert set(times_of(router, asked(router)).values()) == {4}


def test_the_number_of_the_pair_comes_first():
    """A pair goes by its own number, then by that of the queue, then by the parameters; costs by the parameters.

    Planted: parameters before the queue's number.
    """
    views = [ClassView(queue="q", channel="voice", requirement=parse(""), step=0)]
    groups = [
        GroupView(skills={}, labels={}, queues=None, units=1, time_left_ms=left) for left in (15 * MINUTE, 15 * MINUTE)
    ]
    counts = {"queue": "q", "version": 0, "entered": 0, "connected": 0, "in_target": 0, "abandoned": 0}
    guard = attrs.evolve(GUARD, longest="30m", overtime=1)
    opens, costs = [], []
    for known in (
        {},
        {"handle_ms": 20 * MINUTE},
        {"handle_ms": 4 * MINUTE},
        {"handle_ms": 20 * MINUTE, "pair_handle_ms": ((0, 1, 4 * MINUTE),)},
        {"pair_handle_ms": ((0, 0, 4 * MINUTE),)},
    ):
        tables = guard.revise(Observed(**counts, **known), views, groups).tables
        opens.append([opening == 0 for opening in tables.opens or ()])
        costs += [cost for cost, opening in zip(tables.cost_in or (), opens[-1], strict=True) if opening]
    assert opens == [[False, False], [False, False], [True, True], [False, True], [True, False]]
    assert len(set(costs)) == 1
    assert costs[0] > 0


def test_what_is_not_asked_for_is_not_kept():
    """Pairs are kept of queues whose strategies want handle times, and of no other. Planted: those of all queues."""
    both = attrs.evolve(
        plan(), queues=[Queue("q", strategy=GUARD), Queue("other", strategy=SkillsFirst(), wrap_up_ms=0)]
    )
    router = ready(both)
    handled(router, "fast", [4] * 3, queue="other")
    estimates: Any = router._ledger.estimates
    assert (len(estimates.handled), len(estimates.pairs)) == (1, 0)


def test_the_group_is_the_home_and_not_the_rung():
    """Who has little time left when he is connected, or gets other skills later, tells something of his home then.

    Planted: the group in which he stands; the group that he has when it is over.
    """
    router = ready()
    router.set_obligation(0, "fast", 20 * MINUTE)
    handled(router, "fast", [4])
    router.set_presence(router.now, "fast", "ready")
    router.enqueue(router.now, "long", "q")
    router.accept(router.now, router.agent("fast").offers[0])
    router.update_agent(router.now, Agent("fast", skills={"es": 5}))
    router.finish(router.now + 4 * MINUTE, "long")
    estimates: Any = router._ledger.estimates
    home = router._naming.groups[Agent("x", skills={"quick": 1, "es": 1}).key()]
    assert [(row[1], row[2][1]) for row in estimates.pairs.state()] == [(home, 8 * MINUTE)]


# In the state ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", ["fork", "restore"])
def test_copies_know_the_pairs(copied):
    """A copy made in the middle of conversations learns on, and answers as the first; what it learns is its own.

    Planted: a fork that begins without pairs; rows in hand without class and home; a snapshot without pairs.
    """
    router = ready()
    handled(router, "fast", [4] * (ENOUGH - 1))
    handled(router, "slow", [20] * ENOUGH)
    router.set_presence(router.now, "fast", "ready")
    router.enqueue(router.now, "last", "q")
    router.accept(router.now, router.agent("fast").offers[0])
    other = router.fork() if copied == "fork" else Router.restore(router.snapshot())
    assert other.digest() == router.digest()
    alone, dues = router.digest(), []
    for one in (other, router):
        one.finish(one.now + 4 * MINUTE, "last")
        one.set_presence(one.now, "fast", "not_ready")
        one.check()
        dues.append(asked(one))
        assert alone == router.digest() or one is router
    assert dues[0] == dues[1]
    assert set(times_of(router, dues[0]).values()) == {4, 20}
    assert other.digest() == router.digest()


def test_a_replay_learns_the_same():
    """The commands again give the same events, what is told of pairs included, from a snapshot at any place on.

    Planted: rows in hand without class and home in a snapshot.
    """
    journal: list[tuple[int, commands.Command]] = []
    for agent in ("fast", "slow"):
        journal.append((0, commands.SignIn(agent, ready=False)))
        journal.append((0, commands.SetObligation(agent, 10**9)))
    now = 0
    for agent, minutes in (("fast", 4), ("slow", 20)):
        journal.append((now, commands.SetPresence(agent, "ready")))
        for n in range(ENOUGH + 1):
            journal.append((now, commands.Enqueue(f"{agent} {n}", "q", needs=("", "es")[n == 3])))
            now += minutes * MINUTE
            journal.append((now, commands.Finish(f"{agent} {n}")))
        journal.append((now, commands.SetPresence(agent, "not_ready")))
    journal += [(now, commands.Enqueue("one more", "q")), (now + 10 * MINUTE, commands.Cancel("one more"))]
    at_once = plan(auto_accept=True)
    router = Router(at_once)
    happened = [router.apply(*move) for move in journal]
    last = next(event for event in happened[-1] if isinstance(event, events.RevisionDue))
    assert set(times_of(router, last).values()) == {4, 20}
    for middle in range(0, len(journal), 7):
        again = Router(at_once)
        for move in journal[:middle]:
            again.apply(*move)
        again = Router.restore(again.snapshot())
        assert [again.apply(*move) for move in journal[middle:]] == happened[middle:], middle
        assert again.digest() == router.digest()


def test_another_plan_keeps_what_it_still_has():
    """Pairs of classes and queues that leave are forgotten for good; those that stay are kept, at another risk as well.

    Planted: a change that forgets nothing; one that forgets all.
    """
    two = attrs.evolve(plan(), queues=[*plan().queues, Queue("p", strategy=GUARD, wrap_up_ms=0)])
    router = ready(two)
    handled(router, "slow", [20] * 40)
    handled(router, "slow", [4] * 3, queue="p")
    estimates: Any = router._ledger.estimates
    assert len(estimates.pairs) == 2
    careful = attrs.evolve(GUARD, risk=0.25)
    router.change_plan(router.now, plan(careful))
    assert len(estimates.pairs) == 1
    assert set(times_of(router, asked(router)).values()) == {20}
    router.change_plan(router.now, two)
    assert len(estimates.pairs) == 1
    router.change_plan(router.now, plan(needs="es"))
    assert len(estimates.pairs) == 0
    assert asked(router).pair_handle_ms == ()
    assert Router.restore(router.snapshot()).digest() == router.digest()


def test_what_is_in_hand_when_its_class_leaves():
    """A conversation of a class that has left meanwhile counts for its queue only. Planted: it made the pair anew."""
    router = ready()
    router.set_presence(0, "slow", "ready")
    router.enqueue(0, "long", "q")
    router.accept(0, router.agent("slow").offers[0])
    router.change_plan(1, plan(steps=[Step("1h", also="quick")], needs="es"))
    router.finish(20 * MINUTE, "long")
    estimates: Any = router._ledger.estimates
    assert (len(estimates.pairs), estimates.quantile(0, 500) is None) == (0, False)


def test_what_began_before_anybody_asked():
    """What is in hand when a guard begins to learn counts for its queue only. Planted: it counted for group 0."""
    router = ready(plan(Schedule(longest="5m")))
    router.set_presence(0, "slow", "ready")
    router.enqueue(0, "long", "q")
    router.accept(0, router.agent("slow").offers[0])
    router.change_plan(1, plan())
    router.finish(20 * MINUTE, "long")
    estimates: Any = router._ledger.estimates
    assert (len(estimates.pairs), estimates.quantile(0, 500) is None) == (0, False)


def test_no_more_pairs_than_that(monkeypatch):
    """First come: what is beyond the most counts for its queue only, and a pair that is known goes on.

    Planted: a bound that holds for each queue.
    """
    assert PAIRS_MAX == 4_096
    monkeypatch.setattr(pair_times, "PAIRS_MAX", 3)
    two = attrs.evolve(plan(), queues=[*plan().queues, Queue("p", strategy=GUARD, wrap_up_ms=0)])
    router = ready(two)
    for queue in ("q", "p"):
        for needs in ("", "es"):
            handled(router, "slow", [20] * ENOUGH, needs, queue)
    estimates: Any = router._ledger.estimates
    assert [row[0] for row in estimates.pairs.state()] == [0, 1, 2]
    handled(router, "slow", [1] * ENOUGH, "es", "q")
    assert [row[2][1] // MINUTE for row in estimates.pairs.state()] == [400, 420, 400]
    copy = Router.restore(router.snapshot())
    for one in (router, copy):
        handled(one, "fast", [1], "", "q")
        assert len(one._ledger.estimates.pairs) == 3  # type: ignore[union-attr]
    assert copy.digest() == router.digest()
