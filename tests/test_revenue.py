"""The revenue strategy: its parameters and tables, the desk that prices it, and what it owes on a stated world."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import numpy as np
import pytest
from cores import kernel_only
from hosts import COLUMNS, Host
from revenue_world import HANDLE_MS, Instance, instance, plan, run, score, shares, strategy, workload

from omniroute import Agent, Channel, Intake, Plan, Queue, Router, Rule, Step, commands, events
from omniroute.errors import MisuseError, PlanError
from omniroute.plan import StrategyValue
from omniroute.requirements import parse
from omniroute.strategies import catalogue
from omniroute.strategies.desk import ALARM_AFTER, Desk, Goal, Naming, moved
from omniroute.strategies.prices import Fluid
from omniroute.strategies.protocol import ClassView, GroupView, Question
from omniroute.strategies.revenue import Revenue, held_out
from omniroute.strategies.schedule import Schedule
from omniroute.strategies.skills import SkillsFirst
from omniroute.world.simulate import Outcome, simulate, simulate_chunks

pytest.importorskip("scipy.optimize")


def view(queue: str = "q", needs: str = "", value: int = 0) -> ClassView:
    """A class of voice interactions."""
    return ClassView(queue=queue, channel="voice", requirement=parse(needs), step=0, lane=2 * value)


def group(segment: str | None = None, **delays: int) -> GroupView:
    """A group of one unit, with or without a segment."""
    labels: dict[str, Any] = {} if segment is None else {"segment": segment}
    return GroupView(skills={}, labels=labels, queues=None, units=1, delays=delays)


# Parameters and tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"values": 3}, "values"),
        ({"propensity": {"q": {"a": -1}}}, "propensity.q.a"),
        ({"values": {"sale": {"q": 3}}}, "values.sale.q"),
        ({"values": {"sale": {"q": {"a": 0.5}}}}, "values.sale.q.a"),
        ({"loss": {"q": -1}}, "loss.q"),
        ({"weights": {"sale": 1.0}}, "weights"),
        ({"values": {"sale": {}}, "weights": {"sale": -1}}, "weights.sale"),
        ({"interval": "0s"}, "interval"),
        ({"handle": 0}, "handle"),
        ({"gain": 2}, "gain"),
        ({"gamma": math.nan}, "gamma"),
        ({"gamma": True}, "gamma"),
        ({"start": 1e5}, "start"),
        ({"occupancy": 0.5, "busy": 0.6}, "busy"),
        ({"solver": "simplex"}, "solver"),
        ({"fit": "worst"}, "fit"),
        ({"rule": 3}, "rule"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], field: str) -> None:
    """Whatever is wrong is refused with the field that it is in."""
    with pytest.raises(PlanError) as raised:
        catalogue.build("revenue", parameters)
    assert raised.value.field == field


def test_a_plan_in_a_file_keeps_the_strategy() -> None:
    """All parameters but a function go through TOML and come back equal; a function is refused."""
    given = Revenue(
        values={"sale": {"q": {"senior": 900, "*": 500}}, "stay": {"*": {"*": 20}}},
        weights={"stay": 0.5},
        loss={"q": 40},
        max_wait="2m",
        gamma=2,
        busy=0.2,
        agent_key="fewest_handled",
    )
    kept = Plan(queues=[Queue("q", strategy=given)])
    read = Plan.from_toml_text(kept.to_toml())
    assert read == kept
    assert read.queues[0].strategy == given
    with pytest.raises(PlanError):
        Plan(queues=[Queue("q", strategy=Revenue(rule=lambda _view, _group: 1))]).to_toml()


def test_what_a_match_is_worth() -> None:
    """A row is that of what is needed, else of the queue, else any; a cell that of the label, else any, else 0."""
    table = {"es": {"a": 7}, "q": {"a": 5, "*": 2}, "*": {"a": 1}}
    asked = Revenue(
        values={"sale": table}, rule=lambda seen, who: len(seen.queue) + len(who.skills), propensity={"q": {"a": 250}}
    )
    assert asked.worth(view(needs="es", value=9_999), group("a")) == {"sale": 7, "value": 2_499, "rule": 1}
    assert asked.worth(view(needs="es"), group("b"))["sale"] == 0
    assert asked.worth(view(), group())["sale"] == 2
    assert asked.worth(view("other"), group("a"))["sale"] == 1
    number = GroupView(skills={}, labels={"segment": 5}, queues=None, units=1)
    assert Revenue(values={"sale": {"q": {"5": 3}}}).worth(view(), number) == {"sale": 3}
    with pytest.raises(MisuseError):
        Revenue(rule=lambda _view, _group: 1.5).worth(view(), group())  # type: ignore[arg-type, return-value]


def test_regrets_become_openings_and_costs() -> None:
    """A pair opens after regret over beta, at most max_wait, at least its own delay; costs are waiting outweighed.

    Seen to fail: the longest gate laid over the agent's own delay as well.
    """
    asked = Revenue(max_wait="1m")
    plain = asked.tables([view()], [group(), group(), group(), group(q=90_000)])
    found = asked.priced(plain, [0.0, 25.0, math.nan, 1e9], beta=0.002, gamma=0.01)
    assert list(found.opens or ()) == [0, 12_500, 0, 90_000]
    assert list(found.cost_in or ()) == list(found.cost_out or ()) == [0, 2_500, 0, 100_000_000_000]
    assert found.rank_out == plain.rank_out
    assert asked.tables([view()], [group()]) == SkillsFirst(fit="any").tables([view()], [group()])


# The desk -------------------------------------------------------------------------------------------------------------


def small(strategy_: object, **more: Any) -> Plan:
    """Two queues that share an agent; another one may do the second only."""
    agents = [Agent("both", labels={"segment": "both"}), Agent("second", labels={"segment": "second"}, queues=["b"])]
    queues = [Queue(name, strategy=strategy_, auto_accept=True, **more) for name in ("a", "b")]  # type: ignore[arg-type]
    return Plan(queues=queues, agents=agents)


Told = tuple[int, commands.Command]


def drive(router: Router, desk: Desk, start: int, until: int, gap: int = 10_000) -> list[Told]:
    """Feed both queues evenly, each for two gaps, finish what is in hand at the end, and return every command given."""
    given: list[Told] = []
    ends: list[tuple[int, str]] = []

    def tell(now: int, command: commands.Command | None) -> None:
        if command is not None:
            given.append((now, command))
        for event in (told := router.advance(now) if command is None else router.apply(now, command)):
            if isinstance(event, events.Connected):
                ends.append((event.at + 2 * gap, event.interaction))
        for answer in desk.hear(router, told):
            tell(now, answer)

    for agent in ("both", "second") if not start else ():
        tell(0, commands.SignIn(agent))
    for now in range(start, until, gap):
        tell(now, None)
        for due, name in sorted(end for end in ends if end[0] <= now):
            ends.remove((due, name))
            tell(now, commands.Finish(name))
        tell(now, commands.Enqueue(f"at {now}", "ab"[now // gap % 2]))
    while ends or router.queue("a").waiting + router.queue("b").waiting:
        until += 1_000
        tell(until, None)
        for _ in range(len(ends)):
            tell(until, commands.Finish(ends.pop(0)[1]))
    return given


def test_who_is_scarce_is_kept_for_what_only_he_can_do() -> None:
    """Who alone can do what pays more is dearer, and what others can do as well opens late to him.

    Seen to fail: the prices of groups read in reverse.
    """
    asked = Revenue(values={"sale": {"a": {"*": 150}, "b": {"*": 100}}}, handle="1m", interval="1m")
    router, desk = Router(small(asked)), Desk()
    drive(router, desk, 0, 600_000)
    assert desk.prices is not None
    assert desk.prices.agent * 60_000 == pytest.approx([150, 100])
    now = router.now
    router.apply(now, commands.SetPresence("second", "not_ready"))
    router.apply(now, commands.Enqueue("late", "b"))
    (why,) = router.why("late", "both")
    assert why.clause == "not_yet_open"
    wait = 50 * 60_000 / (350 / 3) / desk.beta("b")
    opened = [event.at for event in router.advance(now + 60_000) if isinstance(event, events.Connected)]
    assert opened == [now + round(wait)]


def test_an_answer_may_come_later() -> None:
    """A question holds what it is about: answered on another thread, when more was heard, it says the same.

    Seen to fail: the weights read when the question is answered.
    """
    asked = Revenue(values={"sale": {"a": {"*": 150}, "b": {"both": 100, "second": 80}}}, handle="1m", interval="1m")
    late, waiting = Desk(), list[Question]()
    pairs = list[tuple[commands.Revise, commands.Revise]]()

    class Both(Desk):
        def hear(self, router: Naming, heard: Iterable[events.Event]) -> list[commands.Revise]:
            """Answer at once; what the other was asked before is answered on a worker now."""
            heard = list(heard)
            answers = super().hear(router, heard)
            waiting.extend(late.questions(router, heard))
            if waiting and not answers:
                late.weights["sale"] = 7.0
                with ThreadPoolExecutor(1) as worker:
                    given = [worker.submit(question.answer).result() for question in waiting]
                del late.weights["sale"]
                pairs.extend(zip(said, given, strict=True))
                waiting.clear()
                said.clear()
            said.extend(answers)
            return answers

    said: list[commands.Revise] = []
    drive(Router(small(asked)), Both(), 0, 600_000)
    assert len(pairs) > 10
    assert all(one == other for one, other in pairs)
    assert len({one.opens for one, _ in pairs}) > 1


def test_a_problem_counts_loads_units_and_losses() -> None:
    """A channel's load multiplies handle times, an agent's units are supply, and who is served costs no loss.

    Seen to fail, one by one: loads, units and losses left out.
    """
    asked = Revenue(values={"sale": {"a": {"*": 150}}}, loss={"b": 40}, handle="1m", interval="1m")
    plain = small(asked)
    agents = [attrs.evolve(agent, units=4) for agent in plain.agents]
    desk = Desk()
    drive(Router(attrs.evolve(plain, channels=[Channel("voice", load=2)], agents=agents)), desk, 0, 300_000)
    assert desk._fluid is not None
    assert desk._fluid.supply.tolist() == [4, 4]
    assert np.nan_to_num(desk._fluid.value, nan=-1).tolist() == [[150, -1], [40, 40]]
    assert np.unique(desk._fluid.handle).tolist() == [120_000]


def test_what_makes_new_prices() -> None:
    """Other values, agents or bands always do, arrivals only where they have moved by 2 % of all.

    Seen to fail: a band that a plan changed, with which prices waited until arrivals had moved.
    """
    value = [[5.0, math.nan], [2.0, 3.0]]
    old = Fluid(value=value, handle=np.ones((2, 2)), demand=[1.0, 2.0], supply=[2.0, 2.0], least=[0.0, 0.0])
    assert not moved(old, attrs.evolve(old))
    assert not moved(old, attrs.evolve(old, demand=[1.02, 2.03]))
    assert moved(old, attrs.evolve(old, demand=[1.04, 2.03]))
    for changed in (
        {"value": [[5.0, 1.0], [2.0, 3.0]]},
        {"handle": np.full((2, 2), 2.0)},
        {"supply": [2.0, 1.0]},
        {"least": [0.0, 1.0]},
    ):
        assert moved(old, attrs.evolve(old, **changed)), changed


def test_prices_that_cannot_be_computed_are_asked_for_again() -> None:
    """A solver that fails is told each time, and the next interval after the reason is gone has prices.

    Seen to fail: the problem taken for solved, so that prices were missing for ever.
    """
    asked = Revenue(values={"sale": {"a": {"*": 150}, "b": {"*": 100}}}, handle="1m", interval="1m")
    router, desk = Router(small(asked)), Desk({"sale": 1e300})
    router.apply(0, commands.SignIn("both"))
    failed = 0
    for now in range(0, 300_000, 10_000):
        told = router.apply(now, commands.Enqueue(f"at {now}", "a"))
        for question in desk.questions(router, told):
            with pytest.raises(MisuseError, match="gave up"):
                question.answer()
            failed += 1
    assert failed > 2
    desk.weights["sale"] = 1.0
    for now in range(300_000, 400_000, 10_000):
        desk.hear(router, router.apply(now, commands.Enqueue(f"at {now}", "a")))
    assert desk.prices is not None


def test_prices_look_ahead() -> None:
    """Prices are made for those who are expected, whoever is ready: who goes home soon is no supply, who comes is.

    Seen to fail: who is ready counted besides.
    """
    asked = Revenue(values={"sale": {"a": {"*": 150}, "b": {"*": 100}}}, handle="1m", interval="1m")
    asked_at = []

    def staffed(at: int) -> list[str]:
        asked_at.append(at)
        return ["both"]

    router, desk = Router(small(asked)), Desk(staffed=staffed)
    drive(router, desk, 0, 300_000)
    groups = router.staff()
    assert desk._fluid is not None
    assert desk._fluid.supply[groups["both"][0]] == 1
    assert desk._fluid.supply[groups["second"][0]] == 0
    assert groups["second"][1]
    assert asked_at == sorted(set(asked_at))


def test_a_match_says_what_it_earns_and_concedes() -> None:
    """Value from the strategy, opening and cost from the tables; the best pair is that which concedes least.

    Cost times gamma is the regret, 50, and opening times beta as well; agents who are not ready are no alternative.
    Seen to fail: agents counted who are not ready, the best pair's cost told as this one's, the dearest pair the best.
    """
    tables = {"sale": {"a": {"*": 150}, "b": {"*": 100}}, "stay": {"*": {"both": 3, "*": 40}}}
    asked = Revenue(values=tables, weights={"stay": 0.5}, handle="1m", interval="1m")
    router, desk = Router(small(asked)), Desk()
    drive(router, desk, 0, 600_000)
    assert desk.prices is not None
    now = router.now
    for agent in ("both", "second"):
        router.apply(now, commands.SetPresence(agent, "not_ready"))
    router.apply(now, commands.Enqueue("late", "b"))
    router.advance(now + 1_000)
    digest = router.digest()
    (nobody,) = router.price("late", "both")
    assert (nobody.best_agent, nobody.best_value, nobody.best_cost_ms) == (None, None, None)
    assert (nobody.worth, nobody.value, nobody.age_ms) == ({"sale": 100, "stay": 3}, 102, 1_000)
    regret = float((desk.prices.agent * 60_000)[0] + desk.prices.interaction[-1] - 101.5)
    assert nobody.cost_ms * desk.gamma("b") == pytest.approx(regret, abs=0.01)
    assert nobody.opens_ms is not None
    assert nobody.cost_ms == pytest.approx(nobody.opens_ms * desk.beta("b"), rel=1e-3)
    assert router.digest() == digest
    (never,) = router.price("late", "second")
    assert (never.value, never.cost_ms, never.opens_ms) == (120, 0, 0)
    router.apply(now + 1_000, commands.Park("late"))
    for agent in ("both", "second"):
        router.apply(now + 1_000, commands.SetPresence(agent, "ready"))
    (chosen,) = router.price("late", "both")
    assert (chosen.best_agent, chosen.best_segment, chosen.best_value, chosen.best_cost_ms) == (
        "second",
        "second",
        120,
        0,
    )
    router.apply(now + 1_000, commands.Enqueue("only", "a"))
    (apart,) = router.price("only", "second")
    assert (apart.opens_ms, apart.best_agent) == (None, "both")
    weighed = router.price("late", "both", weights={"stay": 20.0})[0]
    assert (weighed.value, weighed.best_value, chosen.value) == (160, 900, 102)
    with pytest.raises(LookupError):
        router.price("nobody", "both")
    plain = Router(small(SkillsFirst()))
    plain.enqueue(0, "x", "a")
    assert plain.price("x", "both") == ()


def test_a_record_with_the_answers_replays_without_a_desk() -> None:
    """Prices travel as commands: the same commands on another router give the same digest, with nobody to solve.

    Seen to fail: a revision left out of the record.
    """
    asked = Revenue(values={"sale": {"a": {"*": 300}, "b": {"both": 100, "second": 90}}}, handle="20s", interval="30s")
    router, replayed = Router(small(asked)), Router(small(asked))
    given = drive(router, Desk(), 0, 900_000)
    assert any(isinstance(command, commands.Revise) for _, command in given)
    for now, command in given:
        replayed.apply(now, commands.decode(commands.encode(command)))
    replayed.advance(router.now)
    assert replayed.digest() == router.digest()


def test_weights_that_change_while_it_runs_change_the_prices() -> None:
    """A manager weighs a metric up, and the next answer follows; nothing else is touched.

    Seen to fail: the strategy's own weight preferred to the manager's.
    """
    tables = {"sale": {"a": {"*": 300}, "b": {"*": 10}}, "stay": {"a": {"*": 10}, "b": {"both": 300, "second": 10}}}
    asked = Revenue(values=tables, weights={"stay": 0}, handle="1m", interval="30s")
    router, desk = Router(small(asked)), Desk()
    drive(router, desk, 0, 600_000)
    assert desk.prices is not None
    assert desk.prices.agent * 60_000 == pytest.approx([300, 10])
    desk.weights["stay"] = 5.0
    drive(router, desk, 700_000, 1_000_000)
    assert desk.prices.agent * 60_000 == pytest.approx([1_510, 60])


def test_what_is_new_between_two_answers_is_open_at_once() -> None:
    """A class or a group that comes after the last answer is routed by skills until the next one."""
    asked = Revenue(values={"sale": {"*": {"both": 100, "second": 1, "new": 1}}}, handle="20s", interval="30s")
    router, desk = Router(small(asked)), Desk()
    drive(router, desk, 0, 300_000)
    now = router.now
    router.apply(now, commands.SetPresence("both", "not_ready"))
    router.apply(now, commands.SetPresence("second", "not_ready"))
    router.apply(now, commands.SignIn(commands.AgentCard("new", labels={"segment": "new"})))
    found = router.apply(now, commands.Enqueue("fresh", "a", needs="not trainee"))
    assert [event.agent for event in found if isinstance(event, events.Connected)] == ["new"]


def test_a_rule_is_asked_once_for_each_class_and_group() -> None:
    """Whatever is decided and however often it is priced, each pair that may be is asked about once; then what is new.

    Seen to fail: everything asked anew with each answer.
    """
    seen: Counter[tuple[str, str]] = Counter()

    def rule(view: ClassView, who: GroupView) -> int:
        seen[view.requirement.text or view.queue, str(who.labels["segment"])] += 1
        return 100 + 50 * (view.queue == "a")

    router, desk = Router(small(Revenue(rule=rule, handle="1m", interval="30s"))), Desk()
    drive(router, desk, 0, 600_000)
    assert router.queue("a").version > 10
    assert seen == {("a", "both"): 1, ("b", "both"): 1, ("b", "second"): 1}
    router.apply(router.now, commands.SignIn(commands.AgentCard("new", labels={"segment": "new"})))
    drive(router, desk, router.now + 1_000, router.now + 600_000)
    assert seen == {
        (name, who): 1 for name in "ab" for who in ("both", "second", "new") if (name, who) != ("a", "second")
    }
    seen.clear()
    world = instance(0.85, agents=12)
    priced = attrs.evolve(strategy(world), values={}, rule=rule)
    simulate(plan(world, priced), workload(world, 2_000), desk=Desk())
    assert set(seen.values()) == {1}
    assert len(seen) == int(world.able.sum())


def test_queues_of_other_strategies_are_left_alone() -> None:
    """The desk answers nobody else, and forgets a queue that gets another strategy."""
    class_events = [events.RevisionDue(1, 0, "a", 0, 3, 3, 3, 0)]
    assert Desk().hear(Router(small(SkillsFirst())), class_events) == []


# Bands, hold-outs and goals -------------------------------------------------------------------------------------------


def test_interactions_are_told_apart_by_the_band_of_their_value() -> None:
    """A band begins with its edge; those of one band share a class, and a class keeps its band through a transfer.

    Seen to fail: an edge counted to the band below it.
    """
    banded = Plan(queues=[Queue("q"), Queue("r")], value_bands=[100, 1_000])
    assert Plan.from_toml_text(banded.to_toml()) == banded
    router = Router(banded)
    for number, value in enumerate((0, 99, 100, 999, 1_000, 10**9)):
        router.enqueue(0, f"i{number}", "q", value=value)
    assert [router.interaction(f"i{number}").value for number in range(6)] == [0, 0, 100, 100, 1_000, 1_000]
    assert [seen.value for seen in router.revision_views("q")[0]] == [0, 100, 1_000]
    router.enqueue(0, "held", "q", value=500, held_out=True)
    assert router.revision_views("q")[0][-1].held_out
    router.transfer(1, "held", "r")
    (seen,) = router.revision_views("r")[0]
    assert (seen.value, seen.held_out) == (100, True)
    assert Router.restore(router.snapshot()).digest() == router.digest()
    again = Router.restore(router.snapshot())
    assert again.interaction("held") == router.interaction("held")
    for wrong in ({"value": -1}, {"value": True}, {"value": ""}, {"held_out": 1}, {"held_out": 0}):
        with pytest.raises(MisuseError):
            router.enqueue(2, "wrong", "q", **wrong)  # type: ignore[arg-type]
    for bands in ([0], [5, 5], list(range(1, 17))):
        with pytest.raises(PlanError):
            Plan(queues=[Queue("q")], value_bands=bands)


def test_an_arrival_has_a_value_from_the_host_or_from_the_rules() -> None:
    """The greatest of what the host and the rules say decides the band; a record with the answers is read alike.

    The price of an interaction of a band follows from it: propensity times value. Seen to fail: the rule's value left
    out of the class, and left out of what a replay expects to be asked.
    """
    rules = [Rule("rich", "tier == 2", value=5_000), Rule("poor", "tier == 1", value=50)]
    asked = Revenue(propensity={"q": {"*": 500}}, solver="steps")
    wanted = Plan(
        queues=[Queue("q", strategy=asked, auto_accept=True)],
        agents=[Agent("ana")],
        value_bands=[100, 1_000],
        intake=Intake(rules, default=Rule("else", queue="q")),
    )
    router, replayed = Router(wanted), Router(wanted)
    tiers = {
        "plain": (0, 0, 0),
        "poor": (1, 0, 0),
        "rich": (2, 0, 1_000),
        "told": (1, 150, 100),
        "less": (2, 150, 1_000),
    }
    for name, (tier, value, band) in tiers.items():
        command = commands.Arrive(name, context={"tier": tier}, value=value, held_out=name == "less")
        told = router.apply(1, command)
        answers = router.answers
        (classified,) = (event for event in told if isinstance(event, events.Classified))
        assert classified.value == max(value, {0: 0, 1: 50, 2: 5_000}[tier])
        assert (router.interaction(name).value, router.interaction(name).held_out) == (band, name == "less")
        if answers:
            with pytest.raises(MisuseError):
                replayed.apply(1, command, ())
        assert replayed.apply(1, commands.decode(commands.encode(command)), answers) == told
    assert replayed.digest() == router.digest()
    views = router.revision_views("q")
    found = [asked.worth(seen, views[1][0])["value"] for seen in views[0]]
    assert found == [0, 500, 50, 500]
    for wrong in ({"value": -1}, {"value": True}, {"held_out": 1}):
        with pytest.raises(MisuseError):
            router.arrive(2, "wrong", **wrong)  # type: ignore[arg-type]


def test_a_plan_with_other_bands_keeps_who_waits_in_the_old_ones() -> None:
    """A band is known by the value from which it begins, so it means the same under another plan."""
    router = Router(Plan(queues=[Queue("q")], value_bands=[100]))
    router.enqueue(0, "old", "q", value=500)
    router.change_plan(1, Plan(queues=[Queue("q", needs="es")], value_bands=[50]))
    router.enqueue(2, "new", "q", value=500)
    assert (router.interaction("old").value, router.interaction("new").value) == (100, 50)
    router.check()


def test_the_lift_is_that_of_the_outcomes() -> None:
    """The desk's lift is the difference of means that the columns show, with its interval; a hash says who is held out.

    Values of the world are far above chance: routing for them earns more, and the interval does not reach 0.
    Seen to fail: those who abandoned were left out of both means.
    """
    world, key = instance(0.85, agents=24), "spring"
    drawn, desk = workload(world, 8_000), Desk()
    apart = np.array([held_out(key, str(row), 0.2) for row in range(len(drawn))])
    work = attrs.evolve(drawn, held_out=apart.astype(np.int64))
    done = simulate(plan(world, strategy(world)), work, desk=desk)
    earned = np.where(done.agent >= 0, world.value[work.needs, done.agent], 0)
    arms = earned[~apart], earned[apart]
    lift = desk.lift()
    assert (lift.priced, lift.held_out) == (len(arms[0]), len(arms[1]))
    assert lift.more == pytest.approx(arms[0].mean() - arms[1].mean())
    assert (lift.high - lift.low) / 2 == pytest.approx(1.96 * sum(arm.var(ddof=1) / len(arm) for arm in arms) ** 0.5)
    assert lift.low > 0
    assert held_out(key, "x", 1.0)
    assert not held_out(key, "x", 0.0)
    assert math.isnan(Desk().lift().more)


@kernel_only
@pytest.mark.parametrize("solver", ["highs", "steps"])
def test_each_agent_works_within_a_share_band(solver: str) -> None:
    """``busy`` is the lower end, ``occupancy_at_most`` of the agents the upper one; less is earned, but not in time.

    Somebody is there besides who serves a queue that is not priced, and where nobody comes. Tolerance of the lower end
    .08 of an agent's time, two standard errors of 330 conversations, whose lengths are exponential; of the upper one a
    conversation. Seen to fail: the band left out for all because of one who cannot be busy, and by steps at any time.
    """
    world = instance(0.55, agents=24)
    work, found = workload(world, 8_000), []
    for busy, cap in ((0.0, 1.0), (0.45, 0.7)):
        asked = plan(world, strategy(world, busy=busy, occupancy=cap, solver=solver), cap=cap)
        other = attrs.evolve(
            asked, queues=[*asked.queues, Queue("other")], agents=[*asked.agents, Agent("out", queues=["other"])]
        )
        done = simulate(other, work, desk=Desk())
        found.append((score(world, work, done, 800), shares(done, 800)[:-1]))
    (free, spread), (kept, band) = found
    assert spread.min() < 0.3
    assert spread.max() > 0.7
    assert band.min() >= 0.45 - 0.08
    assert band.max() <= 0.7 + 0.01
    assert kept.share < free.share
    assert kept.level >= 0.8


@kernel_only
def test_nobody_waits_longer_than_max_wait_beside_an_agent_who_may() -> None:
    """When the longest gate is over, whoever still waits does so because each able agent is in conversation then.

    Seen to fail with gates of twice ``max_wait``, and without ``max_wait``.
    """
    world, bound = instance(0.7, agents=24), HANDLE_MS // 20
    work = workload(world, 8_000)
    done = simulate(plan(world, strategy(world, max_wait=bound)), work)
    late = np.flatnonzero(np.where(done.wait_ms >= 0, done.wait_ms, bound + 1) > bound)
    opened = done.arrival_ms[late] + bound
    free = np.zeros(len(late), np.bool_)
    for agent in range(world.agents):
        his = np.flatnonzero(done.agent == agent)
        his = his[np.argsort(done.start_ms[his])]
        last = np.searchsorted(done.start_ms[his], opened, side="right") - 1
        busy = (last >= 0) & (done.end_ms[his][last] >= opened)
        free |= ~busy & world.able[work.needs[late], agent]
    assert len(late) > 100
    assert not free.any()


@kernel_only
def test_prices_keep_agents_below_a_cap_of_occupancy() -> None:
    """With ``occupancy`` the best flow asks no more of anybody, and the busiest works less; it is no hard limit.

    Seen to fail: the cap left out of the supply.
    """
    world = instance(0.5, agents=24)
    work, busiest = workload(world, 8_000), []
    for cap in (1.0, 0.6):
        desk = Desk()
        done = simulate(plan(world, strategy(world, occupancy=cap)), work, desk=desk)
        assert desk.prices is not None
        assert desk.prices.flow.sum(axis=0).max() * HANDLE_MS == pytest.approx(cap, abs=1e-6)
        served = done.agent >= 0
        time = np.bincount(done.agent[served], work.handle_ms[served], world.agents) / int(work.arrival_ms[-1])
        busiest.append(time.max())
    assert busiest[1] < busiest[0] - 0.05


@kernel_only
def test_a_goal_is_followed() -> None:
    """A metric that is behind its plan is weighed up until it follows; without a goal it is not.

    The plan asks for a tenth more than is earned without it. Tolerance: 2 % of the plan, a fifth
    of what is asked.
    Seen to fail: the weight lowered where a metric was behind.
    """
    world = instance(0.85, agents=24)
    other = np.random.default_rng(5).permuted(world.value, axis=1)
    cells = {f"type_{t}": {f"a{j}": int(other[t, j]) for j in range(world.agents)} for t in range(world.types)}
    asked = strategy(world)
    both = attrs.evolve(asked, values={**asked.values, "stay": cells}, weights={"stay": 0.1})
    work = workload(world, 12_000)
    plain = Desk()
    simulate(plan(world, both), work, desk=plain)
    wanted = int(1.1 * plain.earned["stay"])
    goal = Goal("stay", ((0, 0), (int(work.arrival_ms[-1]), wanted)), rate=20.0)
    paced = Desk(goals=[goal])
    simulate(plan(world, both), work, desk=paced)
    assert paced.earned["stay"] == pytest.approx(wanted, rel=0.02)
    assert paced.earned["sale"] < plain.earned["sale"]
    for points in ((), ((0, 0), (5, 0)), ((0, 5), (5, 4)), ((5, 1), (0, 2))):
        with pytest.raises(MisuseError):
            Goal("stay", points)


# What it owes ---------------------------------------------------------------------------------------------------------


def columns(done: Outcome) -> list[list[int]]:
    """Who served whom when."""
    return [done.agent.tolist(), done.start_ms.tolist(), done.end_ms.tolist()]


@pytest.mark.parametrize("routing", [strategy, lambda world: strategy(world) | Schedule(edges=["2m"], learn=HANDLE_MS)])
def test_the_door_and_the_columns_are_priced_alike(routing: Callable[[Instance], StrategyValue]) -> None:
    """The same plan and workload through the door and through columns: the same decisions, prices and gates.

    To the minute, so that much happens at the same instant. Seen to fail with outcomes of the instant itself left out.
    """
    world = instance(0.95, agents=12)
    drawn = workload(world, 2_000)
    parts = {name: getattr(drawn, name) // 60_000 * 60_000 for name in ("arrival_ms", "handle_ms", "patience_ms")}
    work = attrs.evolve(drawn, **parts)
    wanted = plan(world, routing(world))
    steps = [Step("1m", tier=-1), Step("4m", cancel=True)]
    stepped = attrs.evolve(
        wanted, queues=[attrs.evolve(queue, steps=steps, limit=2, auto_accept=True) for queue in wanted.queues]
    )
    for asked in (wanted, stepped):
        desk = Desk()
        found = simulate(asked, work, desk=desk)
        opened = attrs.evolve(asked, queues=[attrs.evolve(queue, auto_accept=True) for queue in asked.queues])
        host = Host(opened, work, 0, None)
        told = host.live()
        for field in COLUMNS:
            assert getattr(found, field).tolist() == told[field], field
        assert host.answered > 100
        assert [desk.beta(queue) for queue in work.queues] == [host.desk.beta(queue) for queue in work.queues]
        assert desk.earned == host.desk.earned
    assert found.cancelled
    assert found.blocked


@pytest.mark.parametrize(("load", "tilt"), [(0.85, 1), (1.3, 1), (0.9, 4)])
def test_where_all_matches_are_worth_the_same_it_is_the_skills_strategy(load: float, tilt: float) -> None:
    """Constant values: every decision is that of the skills strategy, with revisions going on.

    ``tilt`` gives one queue so much more work than the others that agents who can serve it have a price.
    Seen to fail: that price kept the other queues waiting for agents who cannot serve the busy one.
    """
    world = instance(load, constant=True)
    rate = world.rate * np.where(np.arange(world.types) % 3 == 0, tilt, 1)
    world = attrs.evolve(world, rate=rate * world.rate.sum() / rate.sum())
    work, desk = workload(world, 4_000), Desk()
    priced = simulate(plan(world, strategy(world)), work, desk=desk)
    assert desk.prices is not None
    assert columns(priced) == columns(simulate(plan(world, SkillsFirst(fit="any")), work))


@kernel_only
def test_the_misses_of_service_level_are_bounded() -> None:
    """As long as beta is inside its range, the misses of a queue add up to at most log(most / least) / gain.

    The sum is that over answered intervals; the last ones are not answered yet, so twenty interactions are allowed.
    Seen to fail: half of what an interval missed was forgotten.
    """
    world = instance(0.85)
    asked = strategy(world)
    work, desk = workload(world, 12_000), Desk()
    done = simulate(plan(world, asked, 0.8), work, desk=desk)
    for name in done.queues:
        rows = done.of_queue(name)
        missed = 0.8 * rows.sum() - done.within(HANDLE_MS // 10, rows)
        assert asked.least < desk.beta(name) < asked.most
        assert missed == pytest.approx(math.log(desk.beta(name) / asked.start) / asked.gain, abs=20)


@kernel_only
def test_a_target_that_cannot_be_met_raises_an_alarm_and_is_served_as_well_as_by_skills() -> None:
    """More work than agents: the gates open wide, the alarm names the queue, and nobody waits for a better match.

    Seen to fail: the alarm raised by one bad interval. Tolerance: the service level of the skills strategy less 5
    points, half of them for the time until the gates are open.
    """
    world = instance(1.3)
    work, desk = workload(world, 12_000), Desk()
    asked = strategy(world, gain=0.05)
    done = simulate(plan(world, asked, 0.8), work, desk=desk)
    assert sorted(desk.alarms) == ["q0", "q1", "q2"]
    alarm = desk.alarms["q0"]
    assert alarm.service_level < alarm.target == 0.8
    assert alarm.since >= ALARM_AFTER * asked.interval_ms
    plain = score(world, work, simulate(plan(world, SkillsFirst(fit="any")), work), 2_000)
    found = score(world, work, done, 2_000)
    assert found.level >= plain.level - 0.05
    assert found.share > plain.share
    calm = Desk()
    quiet = instance(0.7)
    simulate(plan(quiet, strategy(quiet), 0.8), workload(quiet, 3_000), desk=calm)
    assert not calm.alarms


@kernel_only
def test_the_frontier_is_monotone_in_beta() -> None:
    """With beta held, more regret conceded per unit of waiting means more in time, and less earned.

    Same arrivals, 8,000 of them; a step of beta is a factor of five, which is far more than what chance does.
    """
    world = instance(0.85)
    found = [
        run(world, strategy(world, start=beta, least=beta, most=beta), 0.8, 8_000)[0]
        for beta in (1.0, 5.0, 25.0, 125.0)
    ]
    levels, shares = [one.level for one in found], [one.share for one in found]
    assert levels == sorted(levels)
    assert shares == sorted(shares, reverse=True)


@kernel_only
@pytest.mark.parametrize(("target", "owed"), [(0.8, 0.87), (0.9, 0.86)])
def test_share_of_the_bound_at_load_85(target: float, owed: float) -> None:
    """At load .85 the share of the bound that is owed, and the service level, over 20,000 interactions.

    Tolerances: .015 of the share (four standard errors of 18,000 interactions) and two points of service level, which
    the bound on misses gives for so few.
    """
    found, desk = run(instance(0.85), strategy(instance(0.85)), target, 20_000)
    assert found.share >= owed - 0.015
    assert all(abs(level - target) <= 0.02 for level in found.levels)
    assert not desk.alarms


@pytest.mark.slow
@pytest.mark.parametrize(("target", "owed"), [(0.8, 0.87), (0.9, 0.86)])
def test_share_of_the_bound_at_load_85_at_length(target: float, owed: float) -> None:
    """The same over 300,000 interactions without tolerance: share, and service level to half a point per queue."""
    world = instance(0.85)
    found, _ = run(world, strategy(world), target, 300_000)
    assert found.share >= owed
    assert all(abs(level - target) <= 0.005 for level in found.levels)


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.7, 0.8, 0.85, 0.9])
def test_it_earns_at_least_what_bid_prices_earn(load: float) -> None:
    """Where bid prices that never idle keep the target, the gate earns at least as much; 100,000 interactions."""
    world = instance(load)
    bid, _ = run(world, strategy(world, start=1e6, least=1e6, most=1e6, gamma=1e-6), 0.8, 100_000)
    assert bid.level >= 0.8
    gate, _ = run(world, strategy(world), 0.8, 100_000)
    assert gate.share >= bid.share


@pytest.mark.slow
def test_a_target_just_out_of_reach_raises_an_alarm() -> None:
    """At load .9 a target of .9 is a little too much: at times an alarm for each queue, and bid prices earn no more.

    Tolerance of the share: .005, two standard errors of 100,000 interactions.
    """
    world, desk, alarmed = instance(0.9), Desk(), set[str]()
    work = workload(world, 100_000)

    pieces = [work.chosen(np.arange(first, first + 500)) for first in range(0, len(work), 500)]
    for _ in simulate_chunks(plan(world, strategy(world), 0.9), pieces, desk=desk):
        alarmed.update(desk.alarms)
    found = score(world, work, simulate(plan(world, strategy(world), 0.9), work), 10_000)
    bid, _ = run(world, strategy(world, start=1e6, least=1e6, most=1e6, gamma=1e-6), 0.9, 100_000)
    assert alarmed == {"q0", "q1", "q2"}
    assert found.share >= bid.share - 0.005


@pytest.mark.slow
def test_more_agents_earn_more_of_the_bound() -> None:
    """The fluid bound is approached as the centre grows: 30, 60 and 120 agents at the same load and target."""
    worlds = [instance(0.85, agents=agents) for agents in (30, 60, 120)]
    shares = [run(world, strategy(world), 0.8, 60_000)[0].share for world in worlds]
    assert shares == sorted(shares)


@kernel_only
def test_prices_without_a_solver_earn_as_much() -> None:
    """The rounds that need no library earn what the solver's prices earn, within a hundredth of the bound."""
    world = instance(0.85)
    exact, _ = run(world, strategy(world), 0.8, 8_000)
    found, _ = run(world, strategy(world, solver="steps"), 0.8, 8_000)
    assert found.share == pytest.approx(exact.share, abs=0.01)
