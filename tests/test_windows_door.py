"""Decision windows of a plan: how they are said, what the door makes of them, and the columns in both cores."""

from __future__ import annotations

from unittest.mock import patch

import attrs
import numpy as np
import pytest
from terms import kinds, offers, opened, refusal, same, take

from omniroute import Agent, Plan, Queue, Router, Step, Window, events, simulate
from omniroute.core import IMPLEMENTATION
from omniroute.core.limits import WINDOWS_MAX
from omniroute.core.reference import Core, Driver
from omniroute.errors import PlanError
from omniroute.strategies.priority import Priority
from omniroute.world.demo import demo_day
from omniroute.world.workload import Workload

ANA = Agent("ana", skills={"sales": 1, "care": 1})
BEN = Agent("ben", skills={"sales": 1})
PLAN = Plan(
    queues=[Queue("sales", needs="sales", window="200ms"), Queue("care", needs="care", window="200ms")],
    agents=[ANA, BEN],
)


def offered(told: list[events.Event]) -> list[tuple[int, str, str]]:
    """When, what and to whom was offered."""
    return [(event.at, event.interaction, event.agent) for event in told if isinstance(event, events.Offered)]


def test_how_it_is_said() -> None:
    """A length, in any form of a duration, or a value with a name; and it goes through TOML and back."""
    assert Queue("a", window=200).window == Queue("a", window="200ms").window == Window("200ms") == Window(200)
    assert Queue("a").window is None
    plan = Plan(queues=[Queue("a", window="1m"), Queue("b", window=Window(50, name="night")), Queue("c")])
    assert 'window = "1m"' in plan.to_toml()
    assert 'window = {length = "50ms", name = "night"}' in plan.to_toml()
    assert Plan.from_toml_text(plan.to_toml()) == plan


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Queue("a", window=0), "window: must be in 1..60000, got 0"),
        (lambda: Queue("a", window="61s"), "window: must be in 1..60000, got 61000"),
        (lambda: Queue("a", window="soon"), "window: expected a duration"),
        (lambda: Queue("a", window=[1]), "window: expected a duration"),
        (lambda: Window(5, name=7), "name: "),
        (lambda: Queue("a", window=5, offers="all"), "window: is not for a queue that offers to all at once"),
        (
            lambda: Plan(queues=[Queue("a", window=5), Queue("b", window=6)]),
            "queues[1].window: an earlier queue of the same window says 5 ms",
        ),
        (
            lambda: Plan(queues=[Queue(f"q{n}", window=Window(5, name=f"w{n}")) for n in range(WINDOWS_MAX + 1)]),
            "queues: at most 64 windows",
        ),
        (lambda: Plan(queues=[Queue("a", window=Window(5, name="x" * 129))]), "queues[0].window.name: at most 128"),
        (lambda: Plan.from_toml_text('[[queues]]\nname = "a"\nwindow = {size = 1}'), "queues[0].window.size"),
        (lambda: Plan.from_toml_text('[[queues]]\nname = "a"\nwindow = {length = 0}'), "queues[0].window.length"),
    ],
)
def test_what_is_refused(make, said: str) -> None:
    """Whatever is wrong is named by its field."""
    with pytest.raises(PlanError) as error:
        make()
    assert said in str(error.value)


def test_two_queues_are_matched_together(core: str) -> None:
    """The caller for sales would take Ana, who is all that care has; the window gives her to care.

    ``why`` names the clause and until when; the timeline tells the offer.
    """
    router = opened(PLAN)
    assert kinds(router.enqueue(1_000, "first", "sales")) == ["Queued"]
    (why,) = router.why("first", "ana")
    assert (why.clause, why.detail) == ("in_window", "until 1200 at the latest")
    assert offered(router.timeline("first"))[0] == (1_200, "first", "ana")  # if nobody else came
    router.enqueue(1_150, "second", "care")
    same(router)
    assert router.next_deadline() == 1_200
    assert offered(router.advance(1_200)) == [(1_200, "first", "ben"), (1_200, "second", "ana")]
    greedy = opened(attrs.evolve(PLAN, queues=[attrs.evolve(queue, window=None) for queue in PLAN.queues]))
    assert offered(greedy.enqueue(1_000, "first", "sales")) == [(1_000, "first", "ana")]
    assert offered(greedy.enqueue(1_150, "second", "care")) == []


def test_windows_of_different_names_close_apart(core: str) -> None:
    """Each has its own end; who is in both is served by the first that closes."""
    plan = Plan(queues=[Queue("a", window="200ms"), Queue("b", window=Window("50ms", name="quick"))], agents=[BEN])
    router = opened(plan)
    router.enqueue(1_000, "slow", "a")
    router.enqueue(1_100, "quick", "b")
    assert offered(router.advance(1_150)) == [(1_150, "quick", "ben")]
    take(router, 1_160, "quick")
    assert offered(router.advance(1_200)) == []
    assert router.why("slow", "ben")[0].clause == "no_room"
    router.finish(2_000, "quick")
    router.enqueue(2_100, "either", ("a", "b"))
    assert offered(router.advance(3_000)) == [(2_150, "either", "ben")]
    assert router.interaction("slow").state == "waiting"


def test_a_step_ends_the_window(core: str) -> None:
    """Who would be taken to another queue is matched first, at the very instant of the step."""
    plan = Plan(
        queues=[Queue("a", window="10s", steps=[Step("3s", queue="b")]), Queue("b", needs="nobody")], agents=[BEN]
    )
    router = opened(plan)
    router.enqueue(0, "x", "a")
    told = router.advance(3_000)
    assert kinds(told)[0] == "Offered"
    assert offered(told) == [(3_000, "x", "ben")]


def test_a_decline_is_no_match(core: str) -> None:
    """Who has declined is not matched with that interaction again; the next window matches it with another."""
    router = opened(Plan(queues=[Queue("a", window="100ms")], agents=[ANA, BEN]))
    router.enqueue(1_000, "x", "a")
    ((_, _, first),) = offered(router.advance(1_100))
    (offer,) = router.interaction("x").offers
    router.decline(1_500, offer)
    ((at, _, second),) = offered(router.advance(1_600))
    assert (at, {first, second}) == (1_600, {"ana", "ben"})


def test_several_offers_come_from_one_window(core: str) -> None:
    """A queue that makes two offers makes both when the window closes, after everybody has had one."""
    router = opened(Plan(queues=[Queue("a", offers=2, window="100ms")], agents=[ANA, BEN]))
    router.enqueue(1_000, "x", "a")
    assert {agent for _, _, agent in offered(router.advance(1_100))} == {"ana", "ben"}


def test_a_plan_that_changes(core: str) -> None:
    """Without the window what it held is offered at once; with another one it is held anew; names add up to a limit."""
    router = opened(PLAN)
    router.enqueue(1_000, "x", "sales")
    without = attrs.evolve(PLAN, queues=[attrs.evolve(queue, window=None) for queue in PLAN.queues])
    assert offered(router.change_plan(1_100, without)) == [(1_100, "x", "ana")]
    same(router)
    assert offered(router.advance(5_000)) == []
    other = attrs.evolve(PLAN, queues=[attrs.evolve(q, window=Window(70, name="other")) for q in PLAN.queues])
    router.change_plan(6_000, other)
    same(router)
    router.enqueue(7_000, "y", "sales")
    assert router.next_deadline() == 7_070
    names = [Queue(f"q{n}", window=Window(5, name=f"w{n}")) for n in range(WINDOWS_MAX - 1)]
    told = router.change_plan(8_000, attrs.evolve(PLAN, queues=[*PLAN.queues, *names]))
    assert refusal(told[-1:]) == ("limit_reached", "at most 64 windows, those of earlier plans included")
    router.check()


def test_a_priority_is_strict_in_a_window(core: str) -> None:
    """A tier goes first, however long others have waited."""
    strategy = Priority(tiers={5: -1})
    router = opened(Plan(queues=[Queue("a", strategy=strategy, window="100ms")], agents=[BEN]))
    router.set_presence(1, "ben", "not_ready")
    router.enqueue(2, "old", "a")
    router.set_presence(500_000, "ben", "ready")
    router.enqueue(500_050, "urgent", "a", priority=5)
    router.advance(500_100)
    assert offers(router, "ben") == ["urgent"]


def test_retries_keep_the_rule_of_no_waiting(core: str) -> None:
    """Law 5: whatever is refused, requeued and transferred, nobody waits beside an agent but in an open window."""
    router = opened(PLAN)
    at = 0
    for number in range(30):
        at += 70
        router.advance(at)
        router.enqueue(at, f"x{number}", ("sales", "care") if number % 3 else "care")
        for agent in ("ana", "ben"):
            for interaction in offers(router, agent)[:1]:
                if number % 4:
                    take(router, at, interaction)
                else:
                    router.decline(at, router.interaction(interaction).offers[0])
            held = [
                name for name, j in ((n, router.interaction(n).agent) for n in router._ledger.numbers) if j == agent
            ]
            if held and number % 2:
                router.requeue(at, held[0])
            elif held:
                router.finish(at, held[0])
        router.check()
        same(router)


def columns_of(plan: Plan, workload: Workload) -> dict[str, list[int]]:
    """What a simulation says of each row."""
    done = simulate(plan, workload)
    return {name: getattr(done, name).tolist() for name in ("agent", "start_ms", "end_ms", "outcome", "wait_ms")}


@pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="compares the compiled core with the plain one")
@pytest.mark.parametrize("length", [50, 1_000, 20_000])
def test_the_columns_of_both_cores(length: int) -> None:
    """The first rows of the demo's day, with a window in each queue: row by row the same in both cores."""
    plan, day = demo_day()
    plan = attrs.evolve(plan, queues=[attrs.evolve(queue, window=length) for queue in plan.queues])
    agents = [attrs.evolve(agent, windows=()) for agent in plan.agents[:12]]
    workload = Workload(
        **{name: getattr(day, name)[:250] for name in ("arrival_ms", "handle_ms", "queue", "channel", "needs")},
        **{name: getattr(day, name)[:250] for name in ("patience_ms", "priority", "wrap_up_ms")},
        **{name: getattr(day, name) for name in ("queues", "channels", "requirements")},
    )
    compiled = columns_of(attrs.evolve(plan, agents=agents), workload)
    with patch("omniroute.world.simulate.Core", Core), patch("omniroute.world.simulate.Driver", Driver):
        assert columns_of(attrs.evolve(plan, agents=agents), workload) == compiled
    assert np.mean(compiled["wait_ms"]) > 0


def test_a_window_ends_the_short_way_of_the_columns() -> None:
    """In a plain world too, nobody is connected before the window has closed."""
    plan = Plan(queues=[Queue("a", window="1s")], agents=[Agent("ana")])
    done = simulate(plan, Workload(arrival_ms=[0, 5_000], handle_ms=[10, 10], queues=["a"]))
    assert done.wait_ms.tolist() == [1_000, 1_000]


def test_the_router_says_what_it_holds(core: str) -> None:
    """A snapshot of a router in the middle of a window, restored, closes it at the same instant."""
    router = opened(PLAN)
    router.enqueue(1_000, "x", "sales")
    restored = Router.restore(router.snapshot())
    assert restored.next_deadline() == 1_200
    assert offered(restored.advance(1_200)) == offered(router.advance(1_200)) == [(1_200, "x", "ana")]
