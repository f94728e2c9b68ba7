"""The preview of a plan: it says what the change then does, and moves nothing."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from play import OTHER, PLAN, play

from omniroute import Agent, ByMembership, Plan, Preferences, Queue, Router, Step, events
from omniroute.errors import MisuseError, PlanError
from omniroute.views import Preview, Previewed

AGENTS = [Agent("ana", skills={"es": 3}), Agent("ben", skills={"es": 1}), Agent("cy", skills={"fr": 1}), Agent("dee")]


def waiting(needs: str = "es >= 2", count: int = 3) -> Router:
    """Three calls wait in ``sales`` for Ana, who is busy; everybody but Dee is signed in, Cy is not ready."""
    router = Router(Plan(queues=[Queue("sales", needs=needs, auto_accept=True), Queue("care")], agents=AGENTS))
    router.sign_in_many(0, ["ana", "ben", "cy"])
    router.set_presence(0, "cy", "not_ready")
    for n in range(count + 1):
        router.enqueue(n, f"call-{n}", "sales")
    return router


def test_what_would_change_is_said(core: str) -> None:
    """Who gains, who is offered at once, who is stranded, the longest waiting first; and nothing moves.

    Seen to fail: agents who are not signed in counted; the preview on the router itself.
    """
    router = waiting()
    kept = router.digest(), router.answers, router.now
    plan = Plan(queues=[Queue("sales", needs="es or fr", auto_accept=True), Queue("care")], agents=AGENTS)
    found = router.preview(plan)
    assert found == Preview(
        waiting=3,
        changing=3,
        gaining=3,
        offered=1,
        interactions=(
            Previewed(interaction="call-1", gained=2, lost=0, able=3, offered=True, stranded=False),
            Previewed(interaction="call-2", gained=2, lost=0, able=3, offered=False, stranded=False),
            Previewed(interaction="call-3", gained=2, lost=0, able=3, offered=False, stranded=False),
        ),
    )
    assert router.preview(plan.to_toml(), limit=1) == attrs.evolve(found, interactions=found.interactions[:1])
    assert (router.digest(), router.answers, router.now) == kept
    told = router.change_plan(9, plan)
    assert [event.interaction for event in told if isinstance(event, events.Connected)] == ["call-1"]


def test_who_is_stranded(core: str) -> None:
    """Nobody signed in could take it where it would stand: lost to all; a step behind that does not count."""
    router = waiting()
    hard = Queue("sales", needs="klingon", steps=[Step("1h", needs="")], patient=True)
    found = router.preview(Plan(queues=[hard, Queue("care")], agents=AGENTS))
    assert (found.losing, found.stranded, found.offered) == (3, 3, 0)
    assert found.interactions[0] == Previewed(
        interaction="call-1", gained=0, lost=1, able=0, offered=False, stranded=True
    )
    assert router.preview(router.plan) == Preview(waiting=3)
    nobody = Router(Plan(queues=[Queue("sales", needs="klingon", patient=True)], agents=AGENTS))
    nobody.sign_in(0, "ana")
    nobody.enqueue(0, "call-1", "sales")
    assert nobody.preview(Plan(queues=[Queue("sales", needs="latin")], agents=AGENTS)) == Preview(waiting=1)


def test_gates_of_a_strategy_count(core: str) -> None:
    """Another strategy closes a pair for good: lost. One that opens it later loses nothing."""
    router = waiting("es")
    assert router.interaction("call-1").agent == "ben"
    for strategy, lost in (
        (Preferences(prefers={"sales": {"none": 0}}), 2),
        (ByMembership(opens={0: "1h"}), 0),
    ):
        queue = Queue("sales", needs="es", auto_accept=True, strategy=strategy)
        found = router.preview(Plan(queues=[queue, Queue("care")], agents=AGENTS))
        assert (found.waiting, found.losing, found.stranded) == (2, 2 if lost else 0, 2 if lost else 0)
        assert [row.lost for row in found.interactions] == ([lost] * 2 if lost else [])


def test_what_ends_is_counted(core: str) -> None:
    """A step of the new plan that cancels at once ends who has waited long enough."""
    router = waiting()
    router.advance(5_000)
    ends = Queue("sales", needs="es >= 2", steps=[Step("4998ms", cancel=True)])
    found = router.preview(Plan(queues=[ends, Queue("care")], agents=AGENTS))
    assert (found.ended, found.losing, found.stranded) == (2, 2, 0)


def test_a_plan_that_would_be_refused(core: str) -> None:
    """The reason and its detail, as ``change_plan`` would tell them; what it would raise is raised."""
    router = waiting()
    plan = Plan(queues=[Queue("care")], agents=AGENTS)
    (refused,) = router.fork().change_plan(router.now, plan)
    assert isinstance(refused, events.Rejected)
    found = router.preview(plan)
    assert (found.refused, found.detail, found.waiting) == (refused.reason, refused.detail, 3)
    with pytest.raises(PlanError):
        router.preview("queues = 1")
    with pytest.raises(MisuseError):
        router.preview(plan, limit=-1)


def test_a_strategy_that_fails_is_named(core: str) -> None:
    """Its queue is in ``failed``, and its failure stays on the copy."""

    @attrs.frozen
    class Fails(ByMembership):
        def tables(self, classes: object, groups: object) -> object:  # type: ignore[override]
            raise LookupError("nothing")

    router = waiting()
    queue = Queue("sales", needs="es >= 2", strategy=Fails())
    assert router.preview(Plan(queues=[queue, Queue("care")], agents=AGENTS)).failed == ("sales",)
    assert not router.failures


def able(router: Router, name: str) -> set[str]:
    """Agents signed in who are members of a queue where an interaction stands, and meet what is asked there."""
    naming, core = router._naming, router._core
    views = [naming.class_names[k].view for k in core.interaction(router._ledger.numbers[name])[6::3]]
    staff = {agent.id: agent for agent in naming.agent_values}
    return {
        agent
        for agent, value in staff.items()
        if router.agent(agent).presence != "signed_out"
        and any(
            (value.queues is None or view.queue in value.queues)
            and view.requirement.matches(value.skills, value.labels)
            for view in views
        )
    }


STRICT = Plan(
    channels=PLAN.channels,
    queues=[
        Queue("sales", needs="es or trainee"),
        Queue("care", needs="trainee", steps=[Step("4s", needs="fr"), Step("20s", needs="")]),
        Queue("mail", needs="fr"),
    ],
    agents=PLAN.agents,
)
drawn = st.binary(min_size=80, max_size=320).map(lambda found: list(zip(*[iter(found)] * 4, strict=False)))


@given(moves=drawn)
def test_it_says_what_the_change_does(moves: list[tuple[int, int, int, int]]) -> None:
    """After any play: what the preview counts is what is found by looking before and after the change itself.

    Seen to fail: classes of before looked up in the tables of after; who both gains and loses counted twice.
    """
    router = Router(PLAN)
    play(router, moves)
    for plan in (OTHER, PLAN, STRICT):
        states = {name: router.interaction(name).state for name in router._ledger.numbers}
        names = [name for name, state in states.items() if state in ("waiting", "offered")]
        before = {name: able(router, name) for name in names}
        kept = router.digest()
        found = router.preview(plan, limit=1_000)
        assert router.digest() == kept
        changed = router.fork()
        told = changed.change_plan(router.now, plan)
        assert found.waiting == len(names)
        assert (found.refused is not None) == isinstance(told[-1], events.Rejected)
        if found.refused is not None:
            continue
        offered = {event.interaction for event in told if isinstance(event, events.Offered)}
        wanted = {}
        for name in names:
            after = able(changed, name) if name in changed._ledger.numbers else set()
            row = (len(after - before[name]), len(before[name] - after), len(after), name in offered)
            if row[0] or row[1] or row[3]:
                wanted[name] = row
        assert {row.interaction: (row.gained, row.lost, row.able, row.offered) for row in found.interactions} == wanted
        assert (found.gaining, found.losing) == tuple(sum(row[at] > 0 for row in wanted.values()) for at in (0, 1))
        assert found.changing == sum(row[0] > 0 or row[1] > 0 for row in wanted.values())
