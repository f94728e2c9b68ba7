"""Steps of a plan: conditions that hold them up or hurry them, ways into other queues, copies, ends, what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from cores import CORES, using
from terms import kinds, offers, opened, places, refusal, same, take

from omniroute import Agent, Plan, Queue, Router, Step, events
from omniroute.answers import Kind
from omniroute.conditions import Condition
from omniroute.core.codes import AgentKey, EventKind
from omniroute.errors import PlanError, RequirementError
from omniroute.plan import Limits
from omniroute.requirements import parse
from omniroute.steps import SAY_LENGTH_MAX
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def steps(told: list[events.Event]) -> list[tuple[int, str, int]]:
    """Instant, queue and number of each step that was told."""
    return [(event.at, event.queue, event.step) for event in told if isinstance(event, events.StepTaken)]


LONG = Condition("long", "waiting", queue="q", at_least=2)


def test_a_step_waits_for_its_condition() -> None:
    """A step that is due is taken when its condition holds, not before; one that is not due is not taken then.

    Seen to fail with when and at_once_if exchanged.
    """
    plan = Plan(queues=[Queue("q", steps=[Step("10s", tier=-1, when="long")])], conditions=[LONG])
    router = Router(plan)
    router.enqueue(0, "a", "q")
    assert steps(router.advance(15_000)) == []
    same(router)
    assert steps(router.enqueue(16_000, "b", "q")) == [(16_000, "q", 1)]
    assert router.interaction("a").tier == -1
    assert steps(router.advance(26_000)) == [(26_000, "q", 1)]


def test_a_step_is_taken_at_once() -> None:
    """While its condition holds a step does not wait until it is due, for whoever comes and for whoever waits."""
    plan = Plan(queues=[Queue("q", steps=[Step("1h", tier=-1, at_once_if="long")])], conditions=[LONG])
    router = Router(plan)
    assert steps(router.enqueue(0, "a", "q")) == []
    assert steps(router.enqueue(1, "b", "q")) == [(1, "q", 1), (1, "q", 1)]
    assert (router.interaction("a").tier, router.interaction("b").tier) == (-1, -1)


AWAY = Plan(
    queues=[
        Queue(
            "sales", needs="sales", steps=[Step("5s", say="soon"), Step("20s", tier=2, queue="care", offer="callback")]
        ),
        Queue("care", needs="care", steps=[Step("10s", also="senior"), Step("60s", tier=-1)]),
    ],
    agents=[
        Agent("ana", skills={"sales": 1, "fr": 1}),
        Agent("ben", skills={"care": 1, "fr": 1}),
        Agent("cy", skills={"care": 1, "fr": 1, "senior": 1}),
    ],
)


def test_a_step_into_another_queue() -> None:
    """The interaction moves with what it asked itself, keeps its place, and the queue's steps count the same wait.

    Seen to fail with the own needs replaced by all that was needed before.
    """
    router = opened(AWAY)
    for name in ("ana", "ben", "cy"):
        router.set_presence(1, name, "not_ready")
    router.enqueue(2, "a", "sales", needs="fr")
    told = router.advance(20_002)
    assert steps(told) == [(5_002, "sales", 1), (20_002, "sales", 2), (20_002, "care", 1)]
    assert places(router, "a") == ["care"]
    assert [router.queue(name).waiting for name in ("sales", "care")] == [0, 1]
    assert [router.queue(name).entered for name in ("sales", "care")] == [1, 1]
    assert router.interaction("a").tier == 2
    same(router)
    detail = router.why("a", "ben")[0].detail
    router.set_presence(20_002, "ben", "ready")
    assert router.why("a", "ben")[0].detail == "senior is missing"
    assert detail is None
    assert kinds(router.set_presence(20_003, "cy", "ready"))[-1] == "Offered"
    assert steps(router.advance(60_002)) == [(60_002, "care", 2)]


def test_naming_finds_the_step_behind_a_class() -> None:
    """Every step that is told has a class of its own, by which its words are found, ways out included."""
    router = Router(AWAY)
    router.enqueue(0, "a", "sales")
    router._core.advance(60_000)
    naming, found = router._naming, []
    for kind, _, _, _, x, _ in router._core.take():
        if kind == EventKind.STEPPED:
            step = naming.step_of(x)
            found.append(
                (naming.class_names[x].view.queue, None if step is None else (step.after_ms, step.say, step.offer))
            )
    assert found == [
        ("sales", (5_000, "soon", "")),
        ("sales", (20_000, "", "callback")),
        ("care", None),
        ("care", (10_000, "", "")),
        ("care", (60_000, "", "")),
    ]


def test_a_queue_without_agents_is_left_at_once() -> None:
    """What nobody here could ever serve does not wait for its way into a queue where somebody can."""
    router = opened(attrs.evolve(AWAY, agents=AWAY.agents[2:]))
    told = router.enqueue(0, "a", "sales")
    assert kinds(told) == ["Queued", "StepTaken", "StepTaken", "Offered"]
    assert offers(router, "cy") == ["a"]


def test_a_copy_waits_in_both() -> None:
    """A copy waits in the other queue as well as here; whoever accepts first takes both entries away."""
    plan = Plan(
        queues=[Queue("sales", steps=[Step("5s", copy="care"), Step("9s", tier=-1)]), Queue("care", needs="care")],
        agents=[Agent("ana", queues=["sales"]), Agent("ben", skills={"care": 1}, queues=["care"])],
    )
    router = opened(plan)
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "a", "sales")
    assert kinds(router.advance(5_000)) == ["StepTaken", "Offered"]
    assert places(router, "a") == ["sales", "care"]
    assert [router.queue(name).waiting for name in ("sales", "care")] == [1, 1]
    same(router)
    take(router, 6_000, "a")
    assert [router.queue(name).waiting for name in ("sales", "care")] == [0, 0]


def test_a_step_that_ends_it() -> None:
    """Cancelling tells the step, with its words, and then that the interaction ended; nothing is left."""
    plan = Plan(queues=[Queue("q", limit=9, steps=[Step("5s", tier=1), Step("30s", cancel=True, say="goodbye")])])
    router = Router(plan)
    router.enqueue(0, "a", "q")
    told = router.advance(30_000)
    assert kinds(told) == ["StepTaken", "StepTaken", "Cancelled"]
    assert router.queue("q").waiting == 0
    with pytest.raises(LookupError):
        router.interaction("a")
    same(router)


def test_what_is_dropped() -> None:
    """Without drops the operands of the outermost and that ask about nothing but these names, and keeps all others."""
    asked = parse("spanish >= 3 and not trainee and (spanish or french) and billing")
    assert asked.without(["spanish"]) == parse("(french or spanish) and billing and not trainee")
    assert asked.without(["spanish", "french"]).text == "billing and not trainee"
    assert asked.without(["trainee", "billing", "x"]) == parse("(french or spanish) and spanish >= 3")
    assert parse("a or b").without(["a"]).text == "a or b"
    assert parse("a").without(["a"]).text == ""
    assert parse("false").without(["a"]).text == "false"
    assert Step(0, needs="a and b", without=["a"], also="c").applied(parse("d")).text == "b and c"
    assert Step(0, without=["a"], also="a >= 2").applied(parse("a and b")).text == "a >= 2 and b"


def test_a_step_drops_a_skill() -> None:
    """An agent who lacks the skill that is dropped is found when the step is taken."""
    plan = Plan(
        queues=[Queue("q", needs="care", steps=[Step("5s", without=["spanish"])])],
        agents=[Agent("ana", skills={"care": 1}), Agent("ben", skills={"care": 1, "spanish": 1})],
    )
    router = opened(plan)
    router.set_presence(0, "ben", "not_ready")
    assert kinds(router.enqueue(0, "a", "q", needs="spanish")) == ["Queued"]
    assert kinds(router.advance(5_000)) == ["StepTaken", "Offered"]


def test_limits_count_the_classes_behind_a_way_out() -> None:
    """An interaction whose steps lead into other queues needs the classes of these as well, each once."""
    plan = attrs.evolve(AWAY, limits=Limits(classes=6))
    router = Router(plan)
    wish = router._naming.wish(("sales", "care"), "voice", "", 0)
    assert router._naming.new_classes(wish) == 6
    assert kinds(router.enqueue(0, "a", ("sales", "care"))) == ["Queued"]
    assert len(router._naming.class_names) == 6
    reason, detail = refusal(router.enqueue(0, "b", "sales", needs="fr"))
    assert (reason, detail) == ("limit_reached", "limits.classes")
    with pytest.raises(RequirementError):
        router.enqueue(0, "c", "sales", needs=" and ".join(f"x{n}" for n in range(64)))


class Told:
    """A strategy that remembers which classes it was asked about."""

    name, version, agent_key = "told", 1, AgentKey.LONGEST_IDLE

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def tables(self, classes: Any, groups: Any) -> Tables:
        """Nothing special."""
        views: list[ClassView] = list(classes)
        _: list[GroupView] = list(groups)
        self.asked += [(view.queue, view.step) for view in views]
        return Tables()

    def place(self, priority: int) -> Place:
        """One line."""
        return Place()


def test_nobody_is_asked_about_ways_out() -> None:
    """A strategy answers for classes in which somebody can wait; a way out of the queue is none."""
    told = Told()
    plan = attrs.evolve(AWAY, queues=[attrs.evolve(queue, strategy=told) for queue in AWAY.queues])
    router = Router(plan)
    router.enqueue(0, "a", "sales")
    assert sorted(told.asked) == [("care", 0), ("care", 1), ("care", 2), ("sales", 0), ("sales", 1)]
    assert [len(found) for found in router._naming.queue_classes] == [2, 3]
    assert [answer.kind for answer in router.answers] == [Kind.CLASSES, Kind.CLASSES, Kind.PLACE]


def test_a_plan_turns_the_way_round() -> None:
    """Where one plan leads from sales to care, the next may lead from care to sales, with people in every class.

    Seen to fail with the classes of ways out shared with those in which people wait.
    """
    there = Plan(
        queues=[
            Queue("sales", steps=[Step("5s", tier=1), Step("9s", queue="care")]),
            Queue("care", steps=[Step("20s", tier=2)]),
        ]
    )
    back = Plan(
        queues=[
            Queue("sales", steps=[Step("30s", tier=1)]),
            Queue("care", steps=[Step("8s", tier=2), Step("25s", queue="sales")]),
        ]
    )
    plain = Plan(queues=[Queue("sales"), Queue("care", steps=[Step("8s", tier=2), Step("25s", say="hold the line")])])
    router, now = Router(there), 0
    for turn in range(4):
        for plan in (there, back, plain, back):
            router.change_plan(now, plan)
            same(router)
            for queue in ("sales", "care"):
                router.enqueue(now, f"{queue}{now}{turn}", queue)
            now += 6_000
            router.advance(now)
    known = len(router._naming.class_names)
    for plan in (there, back, plain):
        router.change_plan(now, plan)
    assert len(router._naming.class_names) == known
    router.advance(now + 60_000)
    same(router)


def test_a_change_behind_a_way_is_a_change_before_it() -> None:
    """When only the other queue changes, what comes by the way follows the new plan, and so does who came before."""
    people = [
        Agent("dee", skills={"care": 1}),
        Agent("ana", skills={"sales": 1}),
        Agent("eva", skills={"care": 1, "gold": 1}),
    ]
    router = opened(attrs.evolve(AWAY, agents=people))
    for agent in people:
        router.set_presence(0, agent.id, "not_ready")
    router.enqueue(0, "a", "sales")
    care = Queue("care", needs="care and gold", steps=[Step("90s", needs="care")])
    told = router.change_plan(1, attrs.evolve(AWAY, queues=[AWAY.queues[0], care]))
    assert isinstance(told[0], events.PlanChanged)
    assert told[0].queues == ("sales", "care")
    router.advance(20_000)
    router.set_presence(20_000, "dee", "ready")
    assert router.why("a", "dee")[0].detail == "gold is missing"
    same(router)
    assert kinds(router.advance(90_000)) == ["StepTaken", "Offered"]


def test_a_plan_takes_over_conditions_of_steps() -> None:
    """A threshold of the new plan holds for who waits already, though the step itself reads the same."""
    plan = Plan(queues=[Queue("q", steps=[Step("10s", tier=-1, when="long")])], conditions=[LONG])
    router = Router(plan)
    router.enqueue(0, "a", "q")
    router.advance(20_000)
    told = router.change_plan(20_000, attrs.evolve(plan, conditions=[attrs.evolve(LONG, at_least=1)]))
    assert steps(told) == [(20_000, "q", 1)]
    same(router)


Q = Queue("q")


@pytest.mark.parametrize(
    ("queues", "field"),
    [
        ([Queue("q", steps=[Step(1, queue="r")])], "queues[0].steps[0].queue"),
        ([Queue("q", steps=[Step(1, queue="q")])], "queues[0].steps[0].queue"),
        ([Queue("q", steps=[Step(1, copy="q")])], "queues[0].steps[0].copy"),
        ([Queue("q", steps=[Step(1, tier=1, when="c")])], "queues[0].steps[0].when"),
        ([Queue("q", steps=[Step(1, tier=1, at_once_if="c")])], "queues[0].steps[0].at_once_if"),
        (
            [Q, Queue("r", steps=[Step(1, tier=1), Step(2, copy="s")]), Queue("s", steps=[Step(5, queue="r")])],
            "queues[1].steps[1].copy",
        ),
        (
            [
                Queue(f"q{n}", steps=[*(Step(t, tier=t) for t in range(15)), Step(15, queue=f"q{n + 1}")])
                for n in range(4)
            ]
            + [Queue("q4")],
            "queues[0].steps",
        ),
    ],
)
def test_ways_that_lead_nowhere(queues: list[Queue], field: str) -> None:
    """Steps name queues and conditions of the plan, never lead back, and are not too many in a row."""
    with pytest.raises(PlanError) as caught:
        Plan(queues=queues)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "after"),
        ({"when": "c"}, "after"),
        ({"cancel": True, "tier": 1}, "tier"),
        ({"cancel": True, "copy": "r"}, "copy"),
        ({"queue": "r", "also": "x"}, "also"),
        ({"queue": "r", "without": ["x"]}, "without"),
        ({"queue": "r", "copy": "r"}, "copy"),
        ({"without": "x"}, "without"),
        ({"without": [1]}, "without[0]"),
        ({"say": 1}, "say"),
        ({"say": "a\x00"}, "say"),
        ({"offer": "x" * (SAY_LENGTH_MAX + 1)}, "offer"),
        ({"cancel": 1}, "cancel"),
        ({"tier": 1, "when": ""}, "when"),
    ],
)
def test_steps_that_contradict_themselves(values: dict[str, Any], field: str) -> None:
    """A step changes something, and nothing that another part of it makes void."""
    with pytest.raises(PlanError) as caught:
        Step(5, **values)
    assert caught.value.field == field


@pytest.mark.parametrize("way", [{"cancel": True}, {"queue": "r"}])
def test_nothing_follows_a_way_out(way: dict[str, Any]) -> None:
    """Steps behind one that leads out of the queue are never reached, so they are refused."""
    with pytest.raises(PlanError, match="never reached") as caught:
        Queue("q", steps=[Step(1, **way), Step(2, tier=1)])
    assert caught.value.field == "steps[1]"
