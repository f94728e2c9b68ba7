"""Composed strategies: what gates, costs and ranks become together, how a file says them, and who answers revisions."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_strategies import class_view, group_view, order, served

from omniroute import (
    Agent,
    BestMatch,
    ByMembership,
    ByStep,
    FirstComeFirstServed,
    Plan,
    Priority,
    Queue,
    Router,
    ServiceObjective,
    SkillsFirst,
    commands,
    events,
    records,
)
from omniroute.answers import Kind
from omniroute.core.codes import AgentKey
from omniroute.core.limits import COST_MAX, NEVER
from omniroute.errors import MisuseError, PlanError
from omniroute.strategies.composed import PARTS_MAX, Composed
from omniroute.strategies.desk import Desk
from omniroute.strategies.protocol import ClassView, GroupView, Observed, Place, Revision, Tables
from omniroute.strategies.revenue import Revenue


@attrs.frozen
class Says:
    """A strategy that answers every question with the same columns, cut to what is asked."""

    name: str
    opens: int | None = None
    cost: int | None = None
    rank: int | None = None
    rate: int | None = None
    version: int = 1
    interval_ms: int | None = None
    agent_key: AgentKey = AgentKey.LONGEST_IDLE

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """The same for every pair."""
        cells = len(classes) * len(groups)
        opens, cost, rank = (None if v is None else array("q", [v]) * cells for v in (self.opens, self.cost, self.rank))
        rate = None if self.rate is None else array("q", [self.rate]) * len(classes)
        return Tables(opens=opens, rank_out=rank, rank_in=rank, cost_out=cost, cost_in=cost, age_rate=rate)

    def place(self, priority: int) -> Place:
        """A tier for each strategy."""
        return Place(tier=len(self.name), head_start_ms=max(0, priority))


@attrs.frozen
class Revises(Says):
    """The same, and it adds what entered to its cost when it is asked again."""

    late: int = 0

    def revise(self, observed: Observed, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Revision:
        """A dearer answer."""
        dearer = attrs.evolve(self, cost=(self.cost or 0) + observed.entered)
        return Revision(version=observed.version + self.late, tables=dearer.tables(classes, groups))


# What the parts say together ------------------------------------------------------------------------------------------

columns = st.none() | st.sampled_from((0, 1, 3, 1_000, 131_071, COST_MAX, -7, -COST_MAX))
parts = st.builds(
    Says,
    name=st.just("one"),
    opens=st.none() | st.sampled_from((NEVER, 0, 5, 30_000)),
    cost=columns,
    rank=st.none() | st.integers(0, 9),
    rate=st.none() | st.sampled_from((0, 1, 2, 3, 131_072)),
)


@given(given=st.lists(parts, min_size=2, max_size=PARTS_MAX))
def test_a_cell_is_what_the_definition_says(given: list[Says]) -> None:
    """The latest opening, never before all; costs as waiting in the base's rate; the rest from the last with ranks.

    Seen to fail: the greatest opening taken with never as -1; costs added as they are; the first part with ranks.
    """
    named = [attrs.evolve(part, name=f"part {at}") for at, part in enumerate(given)]
    base = next((part for part in reversed(named) if part.rank is not None), named[-1])
    composed = Composed(parts=named)
    assert composed.base is base
    found = composed.tables([class_view(), class_view("es")], [group_view(), group_view(es=1), group_view(fr=1)])
    gates = [part.opens for part in named if part.opens is not None]
    gate = (NEVER if NEVER in gates else max(gates)) if gates else None
    assert (None if found.opens is None else list(found.opens)) == (None if gate is None else [gate] * 6)
    to = base.rate or 1
    priced = [(part.cost, part.rate or 1) for part in named if part.cost is not None]
    total = sum(cost if to == of else (2 * cost * to + of) // (2 * of) for cost, of in priced)
    cost = max(-COST_MAX, min(COST_MAX, total)) if priced else None
    for told in (found.cost_in, found.cost_out):
        assert (None if told is None else list(told)) == (None if cost is None else [cost] * 6)
    assert (found.rank_out, found.rank_in) == (base.tables([class_view()] * 2, [group_view()] * 3).rank_out,) * 2
    assert (None if found.age_rate is None else list(found.age_rate)) == (
        None if base.rate is None else [base.rate] * 2
    )
    assert (composed.agent_key, composed.place(7)) == (base.agent_key, base.place(7))


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """Classes and groups that come later get what they would have got at once."""
    composed = Revenue() | ServiceObjective(objective="20s") | SkillsFirst(takes="best_fit")
    classes = [class_view("es >= 2"), class_view()]
    groups = [group_view(es=3), group_view({"q": 3}, es=2, fr=1)]
    whole = composed.tables(classes, groups)
    for at, view in enumerate(classes):
        assert list(composed.tables([view], groups).rank_in or ()) == list(whole.rank_in or ())[2 * at : 2 * at + 2]


def test_it_decides_as_its_base_does_where_nothing_is_added(core: str) -> None:
    """With a part that adds nothing, agents and interactions are chosen as by the base alone, in either place."""
    nothing = Says("nothing")
    agents = [Agent("deep", skills={"es": 5}), Agent("fit", skills={"es": 2, "fr": 1}), Agent("low", skills={"es": 1})]
    for composed in (nothing | SkillsFirst(), SkillsFirst() | nothing):  # type: ignore[operator]
        assert order(composed, agents, "es >= 2") == ["fit", "deep"]
    for composed in (nothing | Priority(), Priority() | nothing):  # type: ignore[operator]
        assert served(composed, [0, 2, 1, 2]) == [1, 3, 2, 0]


def test_gates_and_costs_decide(core: str) -> None:
    """One part delays an agent, another makes him dear, and the base's ranks come before both.

    Seen to fail: gates of the base alone.
    """
    agents = [Agent("near", queues={"q": 0}), Agent("far", queues={"q": 1})]
    gated = Says("later", opens=5_000, cost=9) | ByMembership(opens={1: "2s"})  # type: ignore[operator]
    router = Router(Plan(queues=[Queue("q", strategy=gated, offer_timeout_ms=None)], agents=agents))
    router.sign_in(0, "far")
    told = [*router.enqueue(0, "x", "q"), *router.advance(9_000)]
    assert [event.at for event in told if isinstance(event, events.Offered)] == [5_000]
    assert order(Says("dear", cost=9) | ByMembership(), agents) == ["near", "far"]  # type: ignore[operator]


def test_a_later_part_of_a_kind_is_refused_and_compositions_are_one_list() -> None:
    """``a | b | c`` has three parts however it is bracketed; two of a kind, one alone or too many are refused."""
    a, b, c = Revenue(), SkillsFirst(), Priority()
    assert (a | b) | c == a | (b | c) == Composed(parts=[a, b, c])
    assert hash((a | b) | c) == hash(a | (b | c))
    assert a | b != b | a
    for wrong in (lambda: a | b | a, lambda: Composed(parts=[a]), lambda: Composed(parts=7)):
        with pytest.raises(PlanError, match="parts"):
            wrong()
    with pytest.raises(PlanError, match="at most 8"):
        Composed(parts=[Says(str(n)) for n in range(PARTS_MAX + 1)])
    with pytest.raises(PlanError, match="expected the name of a strategy"):
        a | 7


def test_its_version_is_later_when_a_part_is() -> None:
    """What a snapshot knows of a strategy changes with each of its parts."""
    assert (Says("a") | SkillsFirst()).version == 1  # type: ignore[operator]
    assert (Says("a", version=3) | SkillsFirst()).version == 3  # type: ignore[operator]


# In a plan ------------------------------------------------------------------------------------------------------------


def test_a_file_can_say_it() -> None:
    """A plan with a composition is written and read back as the same plan; a name stands for a part without knobs."""
    strategy = Revenue(loss={"q": 3}, solver="steps") | ByMembership(opens={1: "10s"}) | SkillsFirst(fit="any")
    plan = Plan(queues=[Queue("q", strategy=strategy)])
    assert Plan.from_toml_text(plan.to_toml()) == plan
    text = '[[queues]]\nname = "q"\n[queues.strategy]\nname = "composed"\nparts = ["revenue", {name = "skills_first"}]'
    assert Plan.from_toml_text(text).queues[0].strategy == Revenue() | SkillsFirst()
    with pytest.raises(PlanError):
        Plan(queues=[Queue("q", strategy=Says("own") | SkillsFirst())]).to_toml()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ('["revenue", {name = "skills_first", fit = "worst"}]', "queues[0].strategy.parts[1].fit"),
        ('["revenue", "skils_first"]', "queues[0].strategy.parts[1].name"),
        ('["revenue", 3]', "queues[0].strategy.parts[1]"),
        ('"revenue"', "queues[0].strategy.parts"),
    ],
)
def test_errors_name_the_part(parts: str, field: str) -> None:
    """What is wrong inside a part is told with the way to it."""
    text = f'[[queues]]\nname = "q"\n[queues.strategy]\nname = "composed"\nparts = {parts}'
    with pytest.raises(PlanError) as raised:
        Plan.from_toml_text(text)
    assert raised.value.field == field


@pytest.mark.parametrize("way", ["keys", "tables"])
def test_strategies_nested_without_end_are_refused(way: str) -> None:
    """Keys and tables nest stages as deep as a file is long; that is an error of the plan.

    Seen to fail: RecursionError.
    """
    text = '[[queues]]\nname = "q"\n'
    if way == "keys":
        text += "[queues.strategy]\n" + "".join(f"{'stages.0.' * depth}name = 'by_step'\n" for depth in range(400))
    else:
        text += "strategy = " + "{ name = 'by_step', stages.0 = " * 400 + "{}" + "}" * 400
    with pytest.raises(PlanError, match=r"nested too deeply|at most 16 parts"):
        Plan.from_toml_text(text)


def test_an_equal_composition_is_not_asked_again() -> None:
    """A plan with an equal composition keeps its tables, one with another part is asked."""

    def plan(fit: Any) -> Plan:
        return Plan(queues=[Queue("q", strategy=ByMembership() | SkillsFirst(fit=fit))], agents=[Agent("a")])

    router = Router(plan("best"))
    router.enqueue(0, "x", "q")
    router.change_plan(1, plan("best"))
    assert [answer.kind for answer in router.answers] == [Kind.SAME]
    router.change_plan(2, plan("any"))
    assert [answer.kind for answer in router.answers] == [Kind.STRATEGY]
    assert Router.restore(router.snapshot()).digest() == router.digest()


# Revisions ------------------------------------------------------------------------------------------------------------


def test_every_part_with_an_interval_is_asked_again() -> None:
    """Those with ``revise`` say something new, the others what they always say; answers of somebody else are taken."""
    composed = Composed(
        parts=[Revises("a", cost=10, interval_ms=60_000), Says("b", cost=5), Revises("c", cost=1, interval_ms=60_000)]
    )
    assert composed.interval_ms == 60_000
    observed = Observed(queue="q", version=4, entered=7, connected=0, in_target=0, abandoned=0)
    views = [class_view()], [group_view()]
    assert composed.revise(observed, *views).version == 4
    assert list(composed.revise(observed, *views).tables.cost_in or ()) == [17 + 5 + 8]
    known = {"a": Says("a", cost=100).tables(*views)}
    assert list(composed.revise(observed, *views, known).tables.cost_in or ()) == [100 + 5 + 8]
    late = Composed(parts=[Revises("a", interval_ms=1, late=1), Says("b")])
    with pytest.raises(MisuseError, match="answered version 5"):
        late.revise(observed, *views)


def test_parts_are_asked_at_one_interval() -> None:
    """Two intervals cannot both be kept, so they are refused."""
    with pytest.raises(PlanError, match="revenue 60000 ms, service_objective 300000 ms"):
        Revenue() | ServiceObjective(objective="20s", metric="pwt", interval="5m")


@attrs.frozen
class Left(Says):
    """Wants to know what time agents have left, and how long interactions take."""

    edges_ms: tuple[int, ...] = ()
    handle_permille: int | None = None


def test_what_a_part_wants_to_know_is_asked_for() -> None:
    """Edges of all parts or stages, ascending and each once; one share of handle times.

    Seen to fail: the edges of the first part alone.
    """
    late = Left("a", edges_ms=(5, 9), handle_permille=900)
    later = Left("b", edges_ms=(9, 7), handle_permille=900)
    composed = Composed(parts=[late, SkillsFirst(), later])
    assert (composed.edges_ms, composed.handle_permille) == ((5, 7, 9), 900)
    assert ByStep(stages={0: late, 1: "priority", 2: later}).edges_ms == (5, 7, 9)
    assert ((SkillsFirst() | Priority()).edges_ms, (SkillsFirst() | Priority()).handle_permille) == ((), None)
    with pytest.raises(PlanError, match="a 900, b 500 per mille"):
        Composed(parts=[late, attrs.evolve(later, handle_permille=500)])


def test_a_part_that_cannot_be_asked_about_nothing_is_refused() -> None:
    """Which part is the base has to be known before there are classes."""

    class Fails(Says):
        def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
            raise LookupError("no classes")

    with pytest.raises(PlanError, match="LookupError"):
        Composed(parts=[SkillsFirst(), Fails("fails")])


def test_the_desk_prices_revenue_inside_a_composition() -> None:
    """The same world, priced with revenue alone and with a gate beside it: prices agree, and both gates hold.

    Seen to fail: the desk answering with the tables of revenue alone.
    """
    asked = Revenue(values={"sale": {"a": {"*": 300}, "b": {"*": 100}}}, handle="2m", solver="steps")
    found = []
    for strategy in (asked, asked | Says("gate", opens=7_000) | SkillsFirst(fit="best")):  # type: ignore[operator]
        agents = [Agent("both", labels={"segment": "both"}), Agent("second", queues=["b"])]
        queues = [Queue(name, strategy=strategy, offer_timeout_ms=None) for name in ("a", "b")]
        router, desk, answers = Router(Plan(queues=queues, agents=agents)), Desk(), list[commands.Revise]()
        for now in range(0, 180_000, 10_000):
            if not now:
                desk.hear(router, router.sign_in_many(0, ["both", "second"]))
            for command in desk.hear(router, router.enqueue(now, f"at {now}", "ab"[now // 10_000 % 2])):
                answers.append(command)
                assert isinstance(router.apply(now, command)[-1], events.Revised)
        assert desk.prices is not None
        last = next(answer for answer in reversed(answers) if answer.queue == "b")
        found.append((desk.prices.agent.tolist(), list(last.opens or ()), list(last.cost_in or ())))
    (alone, plain, costs), (beside, gated, same) = found
    assert alone == beside
    assert plain[0] > 7_000 > 100 > plain[1]
    assert gated == [plain[0], 7_000]
    assert costs == same


@attrs.frozen
class Closes(Says):
    """Never lets those with a segment take what comes to ``b``."""

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Closed or open at once."""
        shut = [view.queue == "b" and "segment" in group.labels for view in classes for group in groups]
        return Tables(opens=[NEVER if closed else 0 for closed in shut])


def test_prices_know_what_another_part_closes() -> None:
    """A part that closes a pair is to prices as if the agent were no member of that queue.

    Seen to fail: the pair priced as possible.
    """
    asked = Revenue(values={"sale": {"a": {"*": 100}, "b": {"*": 300}}}, handle="1m", interval="1m", solver="steps")
    found = []
    for strategy, queues in ((asked, ["a"]), (asked | Closes("closes"), None), (asked, None)):
        agents = [Agent("one", labels={"segment": "x"}, queues=queues), Agent("two", queues=["b"])]
        both = [Queue(name, strategy=strategy, offer_timeout_ms=None) for name in ("a", "b")]
        router, desk = Router(Plan(queues=both, agents=agents)), Desk()
        desk.hear(router, router.sign_in_many(0, ["one", "two"]))
        for now in range(1_000, 200_000, 10_000):
            for command in desk.hear(router, router.enqueue(now, f"at {now}", "ab"[now // 10_000 % 2])):
                router.apply(now, command)
        assert desk.prices is not None
        found.append([round(60_000 * price) for price in desk.prices.agent.tolist()])
    member, closed, possible = found
    assert member == closed != possible


def test_a_record_stands_in_for_a_part_that_is_not_here() -> None:
    """A composition with a strategy of one's own has no text; its record is replayed by a stand-in of its terms."""
    own = Revises("own", cost=3, interval_ms=60_000) | SkillsFirst(agent_key="fewest_handled")  # type: ignore[operator]
    plan = Plan(queues=[Queue("q", strategy=own)], agents=[Agent("a"), Agent("b", queues={"q": 1})])
    router, again = Router(Plan(queues=[Queue("q")])), Router(Plan(queues=[Queue("q")]))
    for now, command in enumerate((commands.ChangePlan(plan), commands.SignIn("a"), commands.Enqueue("x", "q"))):
        router.apply(now, command)
        record = records.decode(records.encode(records.Record(now, command, router.answers)))
        again.apply(record.now, record.command, record.answers)
    strategy: Any = again.plan.queues[0].strategy
    assert (strategy.name, strategy.version, strategy.interval_ms) == ("composed", 1, 60_000)
    assert strategy.agent_key == AgentKey.FEWEST_HANDLED
    assert again.digest() == router.digest()


def test_a_composition_of_two_first_comes() -> None:
    """The last part with ranks says how agents are ordered."""
    both = ServiceObjective(objective="20s") | FirstComeFirstServed(agent_key="round_robin")
    assert both.agent_key == AgentKey.ROUND_ROBIN
    assert both.tables([class_view()], [group_view()]).age_rate is None
    assert (BestMatch() | Says("x", rank=None)).base == BestMatch()
