"""The guard against starting what cannot finish: obligations through the door, edges as deadlines, hard and soft."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from cores import CORES, using

from omniroute import Agent, Plan, Priority, Queue, Router, SkillsFirst, Step, commands, events, records
from omniroute.core.limits import NEVER, RUNGS_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.requirements import parse
from omniroute.strategies import catalogue
from omniroute.strategies.overtime import best_stop, expected_overrun, may_enter, quantile, reserve
from omniroute.strategies.protocol import ClassView, GroupView
from omniroute.strategies.schedule import Schedule

MINUTE = 60_000
END = 100 * MINUTE
GUARD = Schedule(longest="10m")
EDGE = END - 10 * MINUTE


@pytest.fixture(autouse=True, params=CORES)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def plan(strategy: Any, *agents: str, **more: Any) -> Plan:
    """One queue with this strategy."""
    return Plan(queues=[Queue("q", strategy=strategy, **more)], agents=[Agent(name) for name in agents or ("ana",)])


def ready(strategy: Any, *agents: str, due: int = END, **more: Any) -> Router:
    """All are ready, and the first one has an obligation."""
    router = Router(plan(strategy, *agents, **more))
    for name in agents or ("ana",):
        router.sign_in(0, name)
    router.set_obligation(0, agents[0] if agents else "ana", due)
    return router


def offered(told: list[events.Event]) -> list[tuple[int, str, str]]:
    """When what was offered to whom."""
    return [(event.at, event.interaction, event.agent) for event in told if isinstance(event, events.Offered)]


def words(told: list[events.Event]) -> list[str]:
    """The names of events."""
    return [type(event).__name__ for event in told]


# Edges ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "taken"), [(-1, True), (0, False), (1, False)])
def test_nothing_is_begun_from_the_edge_on(at, taken):
    """Until ten minutes before the end what takes ten minutes is begun; from that instant on it is not.

    Planted: an edge a millisecond later; a guard that compares the edge above instead of the one below.
    """
    router = ready(GUARD)
    assert bool(offered(router.enqueue(EDGE + at, "c1", "q"))) == taken
    if not taken:
        why = router.why("c1", "ana")[0]
        assert (why.clause, why.detail) == ("not_allowed", "has too little time left")


def told_with(ticks: list[int]) -> tuple[list[events.Event], str]:
    """A wrap-up that ends at the edge while somebody waits, looked at by these ticks around it."""
    router = ready(Schedule(longest="10m", edges=["20m"]), wrap_up_ms=MINUTE)
    router.enqueue(0, "c1", "q")
    router.accept(0, router.agent("ana").offers[0])
    router.enqueue(1, "c2", "q")
    router.finish(EDGE - MINUTE, "c1")
    told = [event for tick in ticks for event in router.advance(EDGE + tick)]
    told += router.advance(END + MINUTE)
    return told, router.digest()


@pytest.mark.parametrize("ticks", [[-1], [0], [1], [-1, 0], [-1, 1], [-1, 0, 1], [0, 0]])
def test_ticks_around_an_edge_do_not_matter(ticks):
    """Who looks 1 ms before, at and behind an edge changes neither events nor digest; nothing is begun at the edge.

    Planted: an edge that fires behind the ends of wrap-ups.
    """
    told, digest = told_with([])
    assert words(told) == ["Released"]
    assert told_with(ticks) == (told, digest)


def test_an_offer_that_was_made_stands():
    """At an edge nothing is withdrawn: what rings goes on ringing, and may be accepted."""
    router = ready(GUARD)
    router.enqueue(EDGE - 1, "c1", "q")
    assert router.advance(EDGE + 1) == []
    assert words(router.accept(EDGE + 2, router.agent("ana").offers[0])) == ["Connected"]


def test_a_later_obligation_or_none_opens_at_once():
    """What waits is offered the moment that there is time again; an earlier obligation closes at once.

    Planted: an obligation that does not ask for the agent; one that leaves the old edge armed.
    """
    for due in (END + MINUTE, None):
        router = ready(GUARD)
        router.enqueue(EDGE + 1, "c1", "q")
        assert offered(router.set_obligation(EDGE + 2, "ana", due)) == [(EDGE + 2, "c1", "ana")]
        assert router.agent("ana").obligation == due
    router = ready(GUARD, due=END)
    router.set_obligation(1, "ana", MINUTE)
    assert offered(router.enqueue(2, "c1", "q")) == []
    router.cancel(3, "c1")
    router.set_obligation(3, "ana", END)
    assert router.next_deadline() == EDGE


def test_an_obligation_ends_with_the_sign_out():
    """Who comes back is free; told while signed out, it holds from the sign-in on.

    Planted: a sign-out, by command or by running empty, that keeps the obligation.
    """
    router = ready(GUARD)
    router.sign_out(EDGE + 1, "ana")
    assert router.agent("ana").obligation is None
    router.sign_in(EDGE + 2, "ana")
    assert offered(router.enqueue(EDGE + 3, "c1", "q"))
    router.accept(EDGE + 3, router.agent("ana").offers[0])
    router.set_obligation(EDGE + 4, "ana", EDGE + 5)
    router.set_presence(EDGE + 4, "ana", "draining")
    router.finish(EDGE + 5, "c1", 0)
    assert (router.agent("ana").presence, router.agent("ana").obligation) == ("signed_out", None)
    router.set_obligation(EDGE + 6, "ana", EDGE + 7)
    router.sign_in(EDGE + 6, "ana")
    assert offered(router.enqueue(EDGE + 6, "c2", "q")) == []
    router.check()


def test_a_card_does_not_open_what_is_guarded():
    """An agent with little time left who gets other skills still has little time left, also at later edges.

    Planted: a move to another group that forgets the obligation.
    """
    router = ready(Schedule(longest="10m", edges=["5m"]))
    router.enqueue(EDGE + 1, "c1", "q", needs="es")
    told = router.update_agent(EDGE + 2, Agent("ana", skills={"es": 1}))
    assert offered(told) == []
    router.advance(END - 4 * MINUTE)
    assert offered(router.set_obligation(END - 3 * MINUTE, "ana", None))
    router.check()


# Another plan, copies, records ----------------------------------------------------------------------------------------


def test_another_plan_guards_who_has_an_obligation():
    """A guard that comes with a plan holds before anybody is asked again; one that goes, or has other edges, as well.

    Planted: edges of the new plan only for obligations that are told later.
    """
    router = ready(None)
    router.sign_out(0, "ana")
    router.sign_in(0, "ana", ready=False)
    router.set_obligation(EDGE, "ana", END)
    router.enqueue(EDGE + 1, "c1", "q")
    guarded = attrs.evolve(router.plan, queues=[Queue("q", strategy=GUARD)])
    router.change_plan(EDGE + 2, guarded)
    assert offered(router.set_presence(EDGE + 3, "ana", "ready")) == []
    other = attrs.evolve(router.plan, queues=[Queue("q", strategy=Schedule(longest="8m"))])
    assert offered(router.change_plan(EDGE + 4, other)) == [(EDGE + 4, "c1", "ana")]
    router.check()


def test_a_plan_with_a_guard_gives_nothing_away_in_between():
    """When a plan brings a guard, nobody who waits is offered to a ready agent whom it closes.

    Planted: agents who go by the new edges only behind the question for everybody.
    """
    router = Router(plan(None, needs="es"))
    router.sign_in(0, "ana")
    router.set_obligation(0, "ana", MINUTE)
    router.enqueue(1, "c1", "q")
    told = router.change_plan(2, plan(GUARD))
    assert offered(told) == []
    router.check()


@pytest.mark.parametrize("copied", ["fork", "restore"])
def test_copies_have_the_edges(copied):
    """A fork and a restored snapshot go through the same edges at the same instants.

    Planted: a dump without the obligation; a snapshot without the time left of groups.
    """
    router = ready(Schedule(longest="10m", edges=["20m", "30m"]))
    router.advance(END - 25 * MINUTE)
    other = router.fork() if copied == "fork" else Router.restore(router.snapshot())
    for one in (router, other):
        one.check()
        assert offered(one.enqueue(EDGE, "c1", "q")) == []
        assert offered(one.set_obligation(EDGE + 1, "ana", END + 30 * MINUTE))
    assert router.digest() == other.digest()


def test_answers_travel_with_the_obligation():
    """The groups of all edges are asked for when the obligation is told, and never again; replay asks nobody."""
    router = Router(plan(GUARD, "ana", "ben"))
    copy = Router(plan(GUARD, "ana", "ben"))
    written = []
    steps = [
        commands.SignInMany((commands.SignIn("ana"), commands.SignIn("ben"))),
        commands.Enqueue("c1", "q"),
        commands.SetObligation("ana", END),
        commands.SetObligation("ben", END),
        commands.Enqueue("c2", "q", needs="not old"),
    ]
    asked = []
    for at, command in enumerate(steps):
        router.apply(at, command)
        asked.append(len(router.answers))
        written.append(records.encode(records.Record(at, command, router.answers)))
    assert asked == [0, 2, 1, 0, 1]
    for data in written:
        record = records.decode(data)
        copy.apply(record.now, record.command, record.answers)
    assert copy.digest() == router.digest()
    digest = router.digest()
    router = Router(plan(GUARD, "ana", "ben"))
    router.enqueue(0, "c1", "q")
    before = router.digest()
    with pytest.raises(MisuseError, match="no answer"):
        router.apply(1, commands.SetObligation("ana", END), ())
    assert before == router.digest() != digest


# What is learnt -------------------------------------------------------------------------------------------------------


def test_what_is_measured_moves_the_guard():
    """The quantile of what was handled travels with RevisionDue, also from a copy; the revision closes accordingly.

    Nine of ten take 4 minutes and one 20: the least time within which 90 % end is 4 minutes, within which 95 % end 20.
    The measure is right to 3 %.
    Planted: handle times up to the end of the conversation; a quantile of the risk.
    """
    lengths = [4] * 9 + [20]
    for risk, longest in ((0.1, 4), (0.05, 20)):
        router = Router(plan(Schedule(learn="10m", risk=risk, edges=["30m", "15m", "5m"], handle="1m")))
        router.sign_in(0, "ana")
        router.set_obligation(0, "ana", 1_000 * MINUTE)
        now = 0
        for n, length in enumerate(lengths):
            router.enqueue(now, f"c{n}", "q")
            router.accept(now, router.agent("ana").offers[0])
            router.finish(now + (length - 1) * MINUTE, f"c{n}", MINUTE)
            now += length * MINUTE
        router.enqueue(now, "last", "q")
        router.cancel(now, "last")
        copy = Router.restore(router.snapshot())
        told = [event for event in router.advance(now + 10 * MINUTE) if isinstance(event, events.RevisionDue)]
        assert told == [event for event in copy.advance(now + 10 * MINUTE) if isinstance(event, events.RevisionDue)]
        assert told[-1].handle_ms == pytest.approx(longest * MINUTE, rel=0.03)
        strategy = router.plan.queues[0].strategy
        views = router.revision_views("q")
        revision = strategy.revise(told[-1], *views)
        router.revise(router.now, "q", revision.version, revision.tables)
        for left, taken in ((31, True), (29, longest < 15), (14, longest < 5), (4, False)):
            router.set_obligation(router.now, "ana", router.now + left * MINUTE)
            assert bool(offered(router.enqueue(router.now, f"then {left}", "q"))) == taken, left
            router.cancel(router.now, f"then {left}")


def test_nothing_is_measured_for_nobody():
    """Without a strategy that asks, handle times are not kept; a plan that asks begins, one that does not forgets."""
    router = Router(plan(GUARD))
    assert router._ledger.estimates is None
    learning = plan(Schedule(learn="10m", edges=["5m"]))
    router.change_plan(0, learning)
    assert router._ledger.estimates is not None
    assert Router.restore(router.snapshot()).digest() == router.digest()
    router.change_plan(0, plan(GUARD))
    assert router._ledger.estimates is None


# What else is asked of agents -----------------------------------------------------------------------------------------


def test_steps_wait_for_agents_who_are_about_to_go():
    """That all agents have too little time left skips no step: there is time enough tomorrow.

    Planted: who could ever serve a class looked up in the present groups only.
    """
    router = ready(GUARD, steps=[Step("5m", cancel=True)])
    told = router.enqueue(EDGE + 1, "c1", "q")
    assert words(told) == ["Queued"]
    assert router.advance(EDGE + 5 * MINUTE) == []
    assert words(router.advance(EDGE + 1 + 5 * MINUTE))[-1] == "Cancelled"


def test_who_declined_is_asked_again_when_nobody_else_has_time():
    """At an edge it is looked at whether everybody who could still take it has declined.

    Planted: an edge that forgives nobody.
    """
    router = ready(GUARD, "ana", "ben")
    router.enqueue(EDGE - MINUTE, "c1", "q")
    router.accept(EDGE - MINUTE, router.agent("ana").offers[0])
    router.enqueue(EDGE - MINUTE, "c2", "q")
    router.decline(EDGE - MINUTE, router.agent("ben").offers[0])
    assert words(router.advance(EDGE)) == ["AllDeclined"]
    assert offered(router.advance(EDGE + 5_000)) == [(EDGE + 5_000, "c2", "ben")]


def test_refusals():
    """Unknown agents and groups beyond the limit are refused and move nothing; wrong values are misuse."""
    router = Router(attrs.evolve(plan(GUARD), limits=attrs.evolve(plan(GUARD).limits, groups=1)))
    digest = router.digest()
    assert router.set_obligation(0, "zoe", 5)[0].reason == "unknown_agent"
    refused = router.set_obligation(0, "ana", END)[0]
    assert (refused.reason, refused.detail) == ("limit_reached", "limits.groups")
    assert router.digest() == digest
    for due in (-1, 2**50, True, "noon"):
        with pytest.raises(MisuseError):
            router.set_obligation(0, "ana", due)
    assert words(router.set_obligation(0, "ana", None)) == ["ObligationSet"]


def test_plans_have_few_edges():
    """All strategies together have at most RUNGS_MAX times left, each a positive integer."""
    edges = [f"{n}m" for n in range(1, RUNGS_MAX + 2)]
    odd = type("Odd", (), {"name": "odd", "version": 1, "edges_ms": (0,)})()
    for wrong in (Schedule(edges=edges, longest="1m"), odd):
        with pytest.raises(PlanError, match="edges"):
            Router(plan(wrong))


# The strategy ---------------------------------------------------------------------------------------------------------


def cells(strategy: Schedule, *lefts: int | None, channel: str = "voice") -> tuple[list[int], list[int]]:
    """What it says of groups with these times left: openings and costs."""
    view = ClassView(queue="q", channel=channel, requirement=parse(""), step=0)
    groups = [GroupView(skills={}, labels={}, queues=None, units=1, time_left_ms=left) for left in lefts]
    tables = strategy.tables([view], groups)
    assert tables.opens is not None
    assert tables.cost_in == tables.cost_out
    return list(tables.opens), list(tables.cost_in or ())


def test_hard_by_channel_with_grace():
    """A pair is closed where less is left than the channel's longest handle time, beyond the grace."""
    guard = Schedule(longest={"chat": "20m", "*": "10m"}, grace="2m")
    assert guard.edges_ms == (8 * MINUTE, 18 * MINUTE)
    assert Schedule(longest="2m", grace="5m").edges_ms == ()
    lefts = (None, 18 * MINUTE, 18 * MINUTE - 1, 8 * MINUTE, 8 * MINUTE - 1, 0)
    assert cells(guard, *lefts)[0] == [0, 0, 0, 0, NEVER, NEVER]
    assert cells(guard, *lefts, channel="chat")[0] == [0, 0, NEVER, NEVER, NEVER, NEVER]
    assert Schedule(handle="5m", cv=1).edges_ms == (616_570,)


def test_soft_costs_what_is_expected_beyond():
    """A soft guard closes nothing; its cost is the expected overtime times its price, from the formula.

    Mean 300 s and coefficient of variation 1: 241.058618 s beyond 60 s, 169.031549 s beyond 150 s.
    Planted: the price left out; the grace subtracted.
    """
    assert expected_overrun(300, 1, 60) == pytest.approx(241.058618, abs=5e-7)
    assert expected_overrun(300, 1, 150) == pytest.approx(169.031549, abs=5e-7)
    assert quantile(300, 1, 0.9) == pytest.approx(616.5692, abs=5e-5)
    guard = Schedule(handle="5m", hard=False, overtime=2, grace="30s", edges=["10m", "2m", "1m"])
    assert guard.edges_ms == (MINUTE, 2 * MINUTE, 10 * MINUTE)
    opens, costs = cells(guard, None, 120_000, 30_000)
    assert opens == [0, 0, 0]
    assert costs == [0, 338_063, 482_117]


def test_soft_prefers_who_has_time():
    """Of two idle agents the one with time left gets it, though the other has idled longer."""
    guard = Schedule(hard=False, overtime=1, edges=["30m", "10m"])
    for due, agent in ((END, "ben"), (END + 31 * MINUTE, "ana")):
        router = ready(guard, "ana", "ben", due=due)
        assert offered(router.enqueue(EDGE + 1, "c1", "q"))[0][2] == agent


def test_beside_another_strategy():
    """Composed, ranks, places and keys are those of the other part; gates and costs are those of both."""
    other = Priority(tiers={3: -1}, agent_key="round_robin")
    guard = other | Schedule(longest="5m", overtime=1, edges=["1m"])
    view = ClassView(queue="q", channel="voice", requirement=parse(""), step=0)
    groups = [
        GroupView(skills={}, labels={}, queues={"q": 2}, units=1, delays={"q": 7}, time_left_ms=left)
        for left in (None, 5 * MINUTE, 0)
    ]
    tables = guard.tables([view], groups)
    assert (list(tables.opens), list(tables.rank_in)) == ([7, 7, NEVER], [2, 2, 2])
    assert list(tables.cost_in) == list(tables.cost_out) == [0, round(expected_overrun(300_000, 1, 300_000)), 0]
    assert (guard.agent_key, guard.place(3).tier, guard.edges_ms) == (4, -1, (MINUTE, 5 * MINUTE))
    assert offered(ready(guard).enqueue(END - 5 * MINUTE, "c1", "q")) == []


def test_files_name_it():
    """A plan's text has the guard, alone or beside another strategy, and reads it back equal."""
    guard = Schedule(longest={"chat": "20m", "*": "10m"}, grace="2m", edges=["1m"], learn="5m")
    for strategy in (guard, SkillsFirst(fit="any") | guard):
        assert Plan.from_toml_text(plan(strategy).to_toml()) == plan(strategy)
    assert catalogue.build("schedule", {"longest": "10m"}) == GUARD


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"hard": False}, "edges"),
        ({"learn": "5m"}, "edges"),
        ({"handle": {"chat": "5m"}}, "handle"),
        ({"handle": "0s"}, "handle"),
        ({"longest": {"chat": "0s"}}, "longest.chat"),
        ({"risk": 0}, "risk"),
        ({"cv": True}, "cv"),
        ({"edges": "5m"}, "edges"),
        ({"edges": ["0s"]}, "edges[0]"),
        ({"overtime": -1}, "overtime"),
    ],
)
def test_wrong_parameters(parameters, field):
    """What cannot be meant is refused with its field."""
    with pytest.raises(PlanError) as error:
        catalogue.build("schedule", parameters)
    assert error.value.field == field


# Formulas -------------------------------------------------------------------------------------------------------------


def test_best_stop_is_the_least_cost():
    """The stop that the formula gives costs least among its neighbours, by the law of the saturated agent."""
    for overtime, idle in ((1.5, 1), (3, 2), (0.2, 5)):
        best = best_stop(1, overtime, idle)
        costs = [overtime * math.exp(-g) + idle * (g - 1 + math.exp(-g)) for g in (best - 1e-3, best, best + 1e-3)]
        assert min(costs) == costs[1]


def test_reserve_is_least():
    """The reserve is the least that is too few with at most the risk, by summing the Poisson law anew.

    Planted: a reserve one too large; releases counted twice.
    """
    for arrivals in (0.0, 0.3, 1.0, 2.5, 7.0):
        for releases in (0, 1, 4):
            for risk in (0.01, 0.1, 0.5):
                beyond = [
                    1 - sum(math.exp(-arrivals) * arrivals**n / math.factorial(n) for n in range(r + releases + 1))
                    for r in range(30)
                ]
                least = next(r for r, share in enumerate(beyond) if share <= risk)
                assert reserve(arrivals, releases, risk, 29) == least
                assert reserve(arrivals, releases, risk) == min(least, 3)


def test_formulas_refuse():
    """Formulas refuse what they have no answer for."""
    for wrong in (
        lambda: quantile(0, 1, 0.5),
        lambda: quantile(1, 1, 1),
        lambda: best_stop(1, 0, 1),
        lambda: reserve(-1, 0, 0.5),
        lambda: reserve(1, 0, 0.5, -1),
    ):
        with pytest.raises(MisuseError):
            wrong()
    assert may_enter(0, MINUTE, None, MINUTE)
