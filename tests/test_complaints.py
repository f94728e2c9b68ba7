"""What people complain about in routing, one test for each complaint, named by its number in our list.

The complaint stands in the docstring in our own words, and after it what is shown here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from cores import CORES, using
from telling import refusal, take, the, words

from omniroute import Agent, Channel, Condition, FirstComeFirstServed, Plan, Priority, Queue, Router, Step, events
from omniroute.commands import Bind
from omniroute.core.codes import Cause
from omniroute.errors import MisuseError, PlanError

S = 1_000


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def staffed(*agents: Agent | str, queues: list[Queue] | None = None) -> Router:
    """A router whose agents have come ready, at 0."""
    people = [Agent(agent) if isinstance(agent, str) else agent for agent in agents]
    plan = Plan(channels=[Channel("voice"), Channel("chat")], queues=queues or [Queue("q")], agents=people)
    router = Router(plan)
    router.sign_in_many(0, [agent.id for agent in people])
    return router


def test_u01_why_this_agent_and_why_still_waiting() -> None:
    """Nobody can say why a customer still waits.

    Each pair that waits names the first thing in its way, and what lacks.
    """
    agents = [Agent("ana", skills={"es": 1}), "ben", "cy"]
    router = staffed(*agents, queues=[Queue("q", needs="es >= 3")])  # type: ignore[arg-type]
    router.set_presence(0, "cy", "not_ready")
    router.enqueue(0, "x", "q")
    (why,) = router.why("x", "ana")
    assert why.clause == "not_allowed"
    assert "es" in (why.detail or "")
    assert [one.clause for one in router.why("x", "cy")] == ["not_ready"]


def test_u03_work_is_picked_up_when_an_agent_comes_back() -> None:
    """Work that came while everybody was away stays lying, and new work overtakes it.

    The oldest is offered at once.
    """
    router = staffed("ana")
    router.set_presence(0, "ana", "not_ready")
    for n, name in enumerate(("old", "older than new", "new")):
        router.enqueue(n * S, name, "q")
    assert words(router.set_presence(9 * S, "ana", "ready")) == ["PresenceChanged ana", "Offered old ana"]
    take(router, 9 * S, "ana")
    assert words(router.release(10 * S, "old"))[-1] == "Offered older than new ana"
    router.sign_out(11 * S, "ana")
    router.enqueue(12 * S, "newest", "q")
    assert words(router.sign_in(13 * S, "ana"))[-1] == "Offered older than new ana"


def test_u04_a_newcomer_does_not_get_everything() -> None:
    """Whoever comes back, or was counted lowest, gets all of it.

    By longest idle three agents share evenly.
    """
    router = staffed("ana", "ben", "cy")
    router.sign_out(0, "cy")
    got: Counter[str] = Counter()
    for n in range(60):
        if n == 30:
            router.sign_in(n * S, "cy")
            got.clear()
        told = router.enqueue(n * S, f"x{n}", "q")
        agent = the(told, "Offered").agent  # type: ignore[union-attr]
        take(router, n * S, agent)
        router.release(n * S + 500, f"x{n}")
        got[agent] += 1
    assert dict(got) == {"ana": 10, "ben": 10, "cy": 10}


def test_u05_no_limit_is_exceeded_and_nobody_is_accepted_twice() -> None:
    """Two agents answer one call, counters drift, a limit is passed in a race.

    The second answer is refused by name.
    """
    router = staffed(Agent("ana", units=2, at_most={"voice": 1}), Agent("ben"), queues=[Queue("q", offers=2)])
    router.enqueue(0, "x", "q")
    first, second = (router.agent(agent).offers[0] for agent in ("ana", "ben"))
    assert words(router.accept(1, first)) == ["OfferWithdrawn x ben", "Connected x ana"]
    assert refusal(router.accept(1, second)) == "offer_ended withdrawn"
    router.enqueue(2, "y", "q")
    assert router.agent("ana").offers == ()
    router.enqueue(2, "z", "q", channel="chat")
    assert len(router.agent("ana").offers) == 1
    assert router.agent("ana").units_in_use == router.agent("ana").units == 2
    router.check()


def test_u06_nothing_is_stuck_for_ever() -> None:
    """Ghosts: reserved for hours, answered long ago.

    Each hold has a deadline or stands in the audit; a host that knows better says so once, and everything it does
    not know ends.
    """
    router = staffed("ana", "ben", queues=[Queue("q", offer_timeout_ms="20s", wrap_up_ms="10s")])
    router._core.set_queue(0, 1, 20 * S, -1, -1, -1, 30 * S)
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    router.enqueue(0, "y", "q")
    assert router.audit().leaks == ()
    told = router.advance(40 * S)
    assert {"SetupFailed x ana", "OfferExpired y ben"} <= set(words(told))
    router.assign(41 * S, "x", "ana", force=True)
    router.finish(41 * S, "x", -1)
    assert router.audit().leaks == ("x: wrap-up until released",)
    router.reconcile(42 * S, {"ana": "not_ready"}, [])
    audit = router.audit()
    assert (audit.interactions, audit.units_in_use, audit.live_offers) == ({}, 0, 0)
    router.check()


def test_u07_the_longest_waiting_across_queues_comes_first() -> None:
    """An agent of two queues is given the newer call, or a transfer loses its place.

    One order over all queues.
    """
    router = staffed("ana", queues=[Queue("a"), Queue("b")])
    router.set_presence(0, "ana", "not_ready")
    for n, (name, queue) in enumerate((("b1", "b"), ("a1", "a"), ("b2", "b"), ("a2", "a"))):
        router.enqueue(n * S, name, queue)
    router.transfer(5 * S, "b1", "a")
    order = []
    router.set_presence(6 * S, "ana", "ready")
    for n in range(4):
        (offer,) = router.agent("ana").offers
        order.append(the(router.accept((7 + n) * S, offer), "Connected").interaction)  # type: ignore[union-attr]
        router.release((7 + n) * S, order[-1])
    assert order == ["b1", "a1", "b2", "a2"]


def test_u08_the_eighth_is_not_served_first() -> None:
    """Somebody far behind is served before the first.

    A decline and an expiry keep everybody's place.
    """
    router = staffed("ana", queues=[Queue("q", offer_timeout_ms="20s", retry_after_ms=1)])
    for n in range(8):
        router.enqueue(n, f"x{n}", "q")
    router.decline(1 * S, router.agent("ana").offers[0])
    router.advance(2 * S)
    assert router.position("x0") == 1
    router.advance(60 * S)
    assert router.waiting("q") == [f"x{n}" for n in range(8)]


def test_u09_an_expected_wait_says_what_it_is_made_of_and_is_made_anew() -> None:
    """Expected waits are a secret, stay the same for the whole wait, and are wrong by an unknown amount.

    Here it is the work that waits over the agents who are ready, each interval anew; and nothing before anybody was
    handled. A second agent halves it, and who waits sees it.
    """
    plan = Plan(
        queues=[Queue("q")],
        agents=[Agent("ana"), Agent("ben")],
        conditions=[Condition("long", "wait", queue="q", at_least="1h")],
        estimates_ms="10s",
    )
    router = Router(plan)
    router.sign_in(0, "ana")
    for n in range(3):
        router.enqueue(n * 60 * S, f"i{n}", "q")
        assert n or router.queue("q").expected_wait_ms is None
        take(router, n * 60 * S, "ana")
        router.release((n + 1) * 60 * S, f"i{n}")
    for n in range(3, 8):
        router.enqueue(180 * S, f"i{n}", "q")
    take(router, 180 * S, "ana")
    router.advance(190 * S)
    alone = router.queue("q").expected_wait_ms
    router.sign_in(191 * S, "ben")
    take(router, 191 * S, "ben")
    router.advance(200 * S)
    together = router.queue("q").expected_wait_ms
    assert alone is not None
    assert together is not None
    assert alone == pytest.approx(4 * 60 * S, rel=0.1)
    assert together == pytest.approx(3 * 30 * S, rel=0.1)


def test_u10_an_unanswered_offer_is_neither_too_harsh_nor_too_soft() -> None:
    """One missed call puts the agent aside, or he is rung again and again, or nobody is left.

    After three in a row he turns not ready, before that he rests longer each time; the customer is offered to
    others meanwhile.
    """
    router = staffed("ana", "ben", queues=[Queue("q", offer_timeout_ms="20s", retry_after_ms="1s")])
    router._core.set_rona(0, Cause.NO_ANSWER, 3, 30 * S)
    router.enqueue(0, "x", "q")
    told = router.advance(20 * S)
    assert words(told, "until") == ["OfferExpired x ana", "Resting ana 50000", "Offered x ben"]
    assert router.agent("ana").presence == "ready"
    take(router, 21 * S, "ben")
    router.enqueue(21 * S, "y", "q")
    told = router.advance(400 * S)
    assert words(told, "until", "cause")[-1] == "PresenceChanged ana no_answer"
    assert "Resting ana 130000 no_answer" in words(told, "until", "cause")
    router.release(401 * S, "x")
    assert len(router.agent("ben").offers) == 1


def test_u10_a_single_agent_is_no_dead_end() -> None:
    """The only agent has declined, and the customer waits for ever.

    Soon he is asked again.
    """
    router = staffed("ana")
    router.enqueue(0, "x", "q")
    router.decline(1 * S, router.agent("ana").offers[0])
    due = router.next_deadline()
    assert due is not None
    assert words(router.advance(due)) == ["Offered x ana"]
    assert due <= 10 * S


def test_u11_who_is_away_neither_keeps_nor_gets_the_customer() -> None:
    """Work is bound to somebody who went home.

    A tie ends when he signs out, or after its time, and he gets nothing.
    """
    router = staffed("ana", "ben")
    router.sign_out(0, "ana")
    assert words(router.enqueue(1 * S, "x", "q", binds=[Bind("ana", "only")])) == ["Queued x", "Offered x ben"]
    router = staffed("ana", "ben")
    router.set_presence(0, "ana", "not_ready")
    assert words(router.enqueue(1 * S, "x", "q", binds=[Bind("ana", "only", for_ms=30 * S)])) == ["Queued x"]
    assert words(router.advance(31 * S)) == ["Offered x ben"]
    assert router.agent("ana").offers == ()


def test_u12_idle_is_since_the_agent_was_last_free_or_turned_ready() -> None:
    """Toggling one's presence games the order.

    Idle counts from the last work or turning ready, so it gains nothing.
    """
    router = staffed("ana", "ben")
    router.set_presence(5 * S, "ana", "not_ready")
    router.set_presence(6 * S, "ana", "ready")
    assert (router.agent("ana").idle_since, router.agent("ben").idle_since) == (6 * S, 0)
    assert words(router.enqueue(7 * S, "x", "q"))[-1] == "Offered x ben"
    take(router, 8 * S, "ben")
    router.release(9 * S, "x")
    assert words(router.enqueue(10 * S, "y", "q"))[-1] == "Offered y ana"


def test_u13_units_are_in_the_names_and_the_low_are_not_starved() -> None:
    """Nobody knows the unit of a priority, and the low one waits for ever.

    A head start is a duration: whoever has waited longer than that comes first, however many important ones follow.
    """
    router = staffed("ana", queues=[Queue("q", strategy=Priority(head_start={1: "60s"}))])
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "low", "q")
    router.enqueue(59 * S, "high", "q", priority=1)
    router.enqueue(61 * S, "too late", "q", priority=1)
    assert router.waiting("q") == ["high", "low", "too late"]
    with pytest.raises(PlanError):
        Priority(head_start={1: "60"})
    fields = {name for kind in events.Event.__args__ for name in kind.__struct_fields__}
    assert {name for name in fields if "wait" in name or "handle" in name} == {"wait_ms", "handle_ms", "pair_handle_ms"}


def test_u14_what_nobody_can_take_is_told_when_it_comes() -> None:
    """So many skills are asked that nobody has them all, and it waits in silence.

    It is told at once.
    """
    router = staffed(Agent("ana", skills={"es": 1}), Agent("ben", skills={"fr": 1}))
    told = router.enqueue(0, "x", "q", needs="es and fr and gold")
    assert words(told, "requirement") == ["Queued x", "Unmatched x es and fr and gold"]
    relaxed = Queue("s", needs="gold", steps=[Step("30s", needs="")])
    router = staffed("ana", queues=[relaxed])
    assert "Unmatched x" not in words(router.enqueue(0, "x", "s"))


def test_u15_what_cannot_be_served_does_not_block_what_can() -> None:
    """A thousand that nobody can take stand in front, and the one behind them waits too.

    It is offered at once.
    """
    router = staffed("ana")
    for n in range(1_000):
        router.enqueue(n, f"x{n}", "q", needs="klingon")
    assert words(router.enqueue(2 * S, "y", "q"))[-1] == "Offered y ana"
    assert router.interaction("y").state == "offered"


def test_u16_what_changes_while_it_waits_counts_at_once() -> None:
    """Attributes that change in the queue are not looked at, or only a minute later.

    They count in the same answer.
    """
    router = staffed(Agent("ana"), Agent("eva", skills={"es": 1}))
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q", needs="fr")
    assert words(router.update(1 * S, "x", needs="es")) == ["Updated x", "Offered x eva"]
    router.enqueue(2 * S, "y", "q", needs="gold")
    told = router.update_agent(3 * S, Agent("eva", skills={"es": 1, "gold": 1}, units=2))
    assert words(told) == ["AgentUpdated eva", "Offered y eva"]


def test_u18_skills_limits_availability_and_capacity_are_one_plan() -> None:
    """Skills, a limit of the queue, availability and limits per agent are asked for together, and sold apart.

    All of them decide here, each about somebody else.
    """
    agents = [
        Agent("away", skills={"es": 2}),
        Agent("unskilled", skills={"fr": 2}),
        Agent("no chats", skills={"es": 2}, at_most={"chat": 0}),
        Agent("ana", skills={"es": 2}, units=2, at_most={"chat": 1}),
    ]
    router = staffed(*agents, queues=[Queue("q", needs="es", limit=1)])
    router.set_presence(0, "away", "not_ready")
    assert words(router.enqueue(1, "x", "q", channel="chat"))[-1] == "Offered x ana"
    take(router, 1, "ana")
    assert words(router.enqueue(2, "y", "q", channel="chat")) == ["Queued y"]
    assert refusal(router.enqueue(3, "z", "q", channel="chat")) == "queue_full q"
    found = [router.why("y", agent.id)[0].clause for agent in agents]
    assert found == ["not_ready", "not_allowed", "no_room", "no_room"]
    assert words(router.release(4, "x"))[-1] == "Offered y ana"


def test_u19_all_timers_of_an_interaction_are_one_line() -> None:
    """Ring time, retries, delays and steps stand in different places, and nobody knows which comes first.

    One call tells what will happen, and it is what happens then.
    """
    agents = [Agent("ana", skills={"es": 1}), Agent("ben", delays={"q": "25s"})]
    steps = [Step("60s", needs="", say="sorry"), Step("90s", cancel=True)]
    queues = [Queue("q", needs="es", offer_timeout_ms="10s", retry_after_ms="2m", steps=steps)]
    router = staffed(*agents, queues=queues)
    router.enqueue(0, "x", "q")
    digest = router.digest()
    ahead = router.timeline("x")
    assert router.digest() == digest
    assert [(event.at // S, *words([event])) for event in ahead] == [
        (10, "OfferExpired x ana"),
        (60, "StepTaken x"),
        (60, "Offered x ben"),
        (70, "OfferExpired x ben"),
        (90, "StepTaken x"),
        (90, "Cancelled x"),
    ]
    assert router.timeline("x", limit=2) == ahead[:2]
    assert router.timeline("x", within_ms=60 * S) == ahead[:3]
    with pytest.raises(MisuseError, match="within_ms"):
        router.timeline("x", within_ms=-1)
    told = [event for event in router.advance(90 * S) if getattr(event, "interaction", "") == "x"]
    assert told == ahead


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("longest_idle", "ana"),
        ("fewest_handled", "cy"),
        ("least_loaded", "ben"),
        ("load_ratio", "ana"),
        ("most_spare", "ana"),
        ("fewest_in_hand", "ben"),
        ("fixed_order", "cy"),
        ("round_robin", "ana"),
    ],
)
def test_u20_names_that_sound_alike_choose_differently(key: str, first: str) -> None:
    """*Least active* and *most available* look the same, and are not.

    Ana has 3 of 10 units in use, was idle first and was offered something longest ago; Ben 1 of 2, after four
    interactions; Cy 2 of 3.
    """
    agents = [Agent("ana", units=10, order=3), Agent("ben", units=2, order=2), Agent("cy", units=3, order=1)]
    router = staffed(*agents, queues=[Queue("q", strategy=FirstComeFirstServed(agent_key=key)), Queue("other")])
    hands = ["ana", "ana", "ana", "ben", "ben", "ben", "ben", "cy", "cy"]
    for n, agent in enumerate(hands):
        router.enqueue(n * S, f"i{n}", "q")
        router.assign(n * S, f"i{n}", agent)
        if agent == "ben" and n < 6:
            router.release(n * S, f"i{n}")
    told = router.enqueue(20 * S, "x", "q")
    assert words(told)[-1] == f"Offered x {first}"


def test_u21_interrupted_time_is_not_handling_time() -> None:
    """A chat that a call interrupted counts as handled or as held all the while.

    Its time stands still, a hold's goes on.
    """
    router = staffed("ana")
    router._core.set_mix(0, 0, 3, 2)
    router.enqueue(0, "chat", "q", channel="chat")
    take(router, 0, "ana")
    router.enqueue(10 * S, "call", "q")
    take(router, 10 * S, "ana")
    router.release(70 * S, "call")
    router.hold(75 * S, "chat")
    router.resume(85 * S, "chat")
    assert the(router.finish(90 * S, "chat"), "Finished").handle_ms == 30 * S  # type: ignore[union-attr]


def test_u22_a_day_can_be_tested_without_a_clock() -> None:
    """Routing cannot be tested before it is live.

    The same commands give the same bytes, and a day takes no time.
    """

    def day() -> bytes:
        router = staffed("ana", queues=[Queue("q", offer_timeout_ms="20s", retry_after_ms="1m")])
        told = []
        for hour in range(24):
            told += router.enqueue(hour * 3_600 * S, f"x{hour}", "q")
        return events.encode(told + router.advance(48 * 3_600 * S))

    assert day() == day()
