"""The strategies of the catalogue: what they answer, how a file says them, and what the router makes of a bad one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute import Agent, FirstComeFirstServed, Plan, Priority, Queue, Router, SkillsFirst, events
from omniroute.core.codes import AgentKey
from omniroute.core.limits import RANK_MAX
from omniroute.errors import PlanError
from omniroute.requirements import parse
from omniroute.strategies import catalogue
from omniroute.strategies.protocol import ClassView, GroupView, Observed, Place, Revision, Tables
from omniroute.strategies.skills import _packed


def class_view(needs: str = "", queue: str = "q") -> ClassView:
    """A class of the voice channel."""
    return ClassView(queue=queue, channel="voice", requirement=parse(needs), step=0)


def group_view(queues: dict[str, int] | None = None, **skills: int) -> GroupView:
    """A group of agents with these skills."""
    return GroupView(skills=skills, labels={}, queues=queues, units=1)


def order(strategy: Any, agents: list[Agent], needs: str = "") -> list[str]:
    """In which order agents, all idle, get interactions that need this."""
    router = Router(Plan(queues=[Queue("q", strategy=strategy)], agents=agents))
    router.sign_in_many(0, [agent.id for agent in agents])
    told = [router.enqueue(n, f"x{n}", "q", needs=needs)[-1] for n in range(len(agents))]
    return [event.agent for event in told if isinstance(event, events.Offered)]


def served(strategy: Any, priorities: list[int], gap_ms: int = 10_000) -> list[int]:
    """In which order one agent gets interactions of these priorities that came this far apart."""
    router = Router(Plan(queues=[Queue("q", strategy=strategy)], agents=[Agent("a")]))
    for n, priority in enumerate(priorities):
        router.enqueue(n * gap_ms, str(n), "q", priority=priority)
    now, told, found = len(priorities) * gap_ms, [], []
    told = router.sign_in(now, "a")
    for _ in priorities:
        offer = next(event for event in told if isinstance(event, events.Offered))
        router.accept(now, offer.offer)
        found.append(int(offer.interaction))
        told = router.release(now, offer.interaction)
    return found


def test_first_come_first_served(core: str) -> None:
    """Nothing but arrival orders interactions; penalties, then the agent key, order agents."""
    assert served(FirstComeFirstServed(), [0, 5, 9]) == [0, 1, 2]
    agents = [Agent("a", queues={"q": 2}, order=1), Agent("b", queues={"q": 1}, order=3), Agent("c", order=2)]
    assert order(FirstComeFirstServed(agent_key="fixed_order"), agents) == ["c", "b", "a"]
    agents = [Agent("a", order=-1), Agent("b", order=-3), Agent("c", order=2)]
    assert order(FirstComeFirstServed(agent_key=AgentKey.FIXED_ORDER), agents) == ["b", "a", "c"]


def test_priority(core: str) -> None:
    """Strict by number, strict by tiers, or by head starts that waiting catches up with."""
    assert served(Priority(), [0, 2, 1, 2]) == [1, 3, 2, 0]
    assert served(Priority(tiers={7: -1, 1: 1}), [1, 0, 7]) == [2, 1, 0]
    assert served(Priority(head_start={2: "15s"}), [0, 0, 2]) == [0, 2, 1]
    assert served(Priority(head_start={2: "25s"}), [0, 0, 2]) == [2, 0, 1]
    assert served(Priority(head_start={2: "20s"}), [0, 0, 2]) == [0, 2, 1], "equal instants go by sequence"
    assert Priority(head_start={2: "15s"}).place(0) == Place(), "what is not named is credited nothing"


def test_skills_first(core: str) -> None:
    """The least over-qualified, the most qualified, the one with the fewest skills: each by its knob."""
    agents = [Agent("deep", skills={"es": 5}), Agent("fit", skills={"es": 2, "fr": 1}), Agent("low", skills={"es": 1})]
    assert order(SkillsFirst(), agents, "es >= 2") == ["fit", "deep"]
    assert order(SkillsFirst(fit="most_qualified"), agents, "es >= 2") == ["deep", "fit"]
    assert order(SkillsFirst(fit="any", agent_key="longest_idle"), agents, "es >= 2") == ["deep", "fit"]
    assert order(SkillsFirst(specialist_first=True), agents, "es >= 2") == ["deep", "fit"]


def test_a_free_agent_takes_the_longest_waiting_or_the_best_fit(core: str) -> None:
    """``takes`` decides the other direction: what a freed agent is given."""
    for takes, first in (("longest_waiting", "easy"), ("best_fit", "hard")):
        plan = Plan(queues=[Queue("q", strategy=SkillsFirst(takes=takes))], agents=[Agent("a", skills={"es": 4})])
        router = Router(plan)
        router.enqueue(0, "easy", "q", needs="es")
        router.enqueue(1, "hard", "q", needs="es >= 4")
        assert router.sign_in(2, "a")[-1].interaction == first  # type: ignore[union-attr]


edges = (0, 1, 2, 510, 511, 512, 513, 1_022, 1_023)
triples = st.tuples(st.sampled_from(edges), st.sampled_from(edges), st.sampled_from((*edges, 1_024, 2_046, 2_047)))


@given(one=triples, two=triples)
def test_packed_ranks_compare_as_tuples(one: tuple[int, int, int], two: tuple[int, int, int]) -> None:
    """A rank of three figures compares as the tuple does and stays in range, whatever comes in.

    Seen to fail: the breadth was given 9 bits.
    """
    assert (_packed(*one) < _packed(*two)) == (one < two)
    assert 0 <= _packed(2**40, 2**40, 2**40) <= RANK_MAX


@pytest.mark.parametrize(
    "strategy",
    [
        FirstComeFirstServed(agent_key=AgentKey.ROUND_ROBIN),
        Priority(tiers={2: -1}, head_start={1: "90s"}),
        SkillsFirst(fit="most_qualified", takes="best_fit"),
    ],
)
def test_a_file_can_say_it(strategy: Any) -> None:
    """A plan with the strategy is written and read back as the same plan."""
    plan = Plan(queues=[Queue("q", strategy=strategy)])
    assert Plan.from_toml_text(plan.to_toml()) == plan
    assert type(catalogue.build(strategy.name)) is type(strategy)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: FirstComeFirstServed(agent_key="longest"), "longest_idle"),
        (lambda: Priority(tiers={"x": 1}), "tiers"),
        (lambda: Priority(tiers={1: 2**31}), "tiers.1"),
        (lambda: Priority(tiers={1: 1, "1": 2}), "twice"),
        (lambda: Priority(head_start={1: "fast"}), "head_start.1"),
        (lambda: Priority(head_start=3), "head_start"),  # type: ignore[arg-type]
        (lambda: SkillsFirst(fit="bset"), "did you mean 'best'"),  # type: ignore[arg-type]
        (lambda: SkillsFirst(takes=None), "takes"),  # type: ignore[arg-type]
    ],
)
def test_wrong_knobs_are_named(build: Any, field: str) -> None:
    """A knob that cannot be is refused with its name."""
    with pytest.raises(PlanError, match=field):
        build()


class Fickle:
    """A strategy that can be told to fail, each in another way."""

    name, version, agent_key = "fickle", 1, AgentKey.LONGEST_IDLE
    interval_ms = 60_000

    def __init__(self) -> None:
        self.fails: object = None

    def tables(self, classes: Any, groups: Any) -> Tables:
        """Answer, or fail as told."""
        if self.fails == "raise":
            raise RuntimeError("no")
        if self.fails == "length":
            return Tables(opens=[0])
        if self.fails == "range":
            return Tables(rank_out=[-1] * (len(classes) * len(groups)))
        if self.fails == "kind":
            return 7  # type: ignore[return-value]
        return Tables()

    def place(self, priority: int) -> Place:
        """Put it first, or fail."""
        if self.fails == "place":
            raise ZeroDivisionError
        return Place()

    def revise(self, observed: Observed, classes: Any, groups: Any) -> Revision:
        """Close everything."""
        return Revision(version=observed.version, tables=Tables(opens=[-1] * (len(classes) * len(groups))))


@pytest.mark.parametrize("how", ["raise", "length", "range", "kind", "place"])
def test_a_strategy_that_fails_keeps_its_tables(core: str, how: str) -> None:
    """It is told by kind, the exception is kept for people, a new row stays closed, and old ones stay open."""
    strategy = Fickle()
    plan = Plan(queues=[Queue("q", strategy=strategy)], agents=[Agent("a"), Agent("b", queues=["q"])])
    router = Router(plan)
    router.sign_in_many(0, ["a", "b"])
    assert isinstance(router.enqueue(0, "old", "q")[-1], events.Offered)
    strategy.fails = how
    told = router.enqueue(0, "new", "q", needs="not x", priority=3)
    failed = [event for event in told if isinstance(event, events.StrategyFailed)]
    assert [(event.queue, event.strategy) for event in failed] == [("q", "fickle")]
    assert type(router.failures["q"]).__name__ == failed[0].error
    assert router.interaction("new").state == ("offered" if how == "place" else "waiting")
    strategy.fails = None
    router.change_plan(1, Plan(queues=[Queue("q", strategy=Fickle())], agents=plan.agents))
    assert router.interaction("new").state == "offered"
    router.check()


def test_revisions(core: str) -> None:
    """A control interval begins with an event of the queue; the answer is taken once, a late one is stale."""
    strategy = Fickle()
    router = Router(Plan(queues=[Queue("q", strategy=strategy)], agents=[Agent("a"), Agent("b")]))
    assert router.next_deadline() is None
    router.enqueue(1_000, "x", "q")
    router.leave(2_000, "x")
    (due,) = router.advance(61_000)
    assert due == events.RevisionDue(due.seq, 61_000, "q", 0, 1, 0, 0, 1)  # type: ignore[union-attr]
    observed = Observed(queue="q", version=0, entered=1, connected=0, in_target=0, abandoned=1)
    revision = strategy.revise(observed, *router.revision_views("q"))
    assert router.revise(62_000, "q", revision.version, revision.tables)[0] == events.Revised(
        due.seq + 1, 62_000, "q", 1
    )
    (stale,) = router.revise(62_000, "q", revision.version, revision.tables)
    assert isinstance(stale, events.Rejected)
    assert stale.reason == "stale_version"
    router.sign_in(62_000, "a")
    assert [type(event).__name__ for event in router.enqueue(62_000, "y", "q")] == ["Queued", "Unmatched"]
    opened = router.revise(63_000, "q", 1, Tables())
    assert [type(event).__name__ for event in opened] == ["Revised", "Offered"]
